/** Lists the project's own files, for the tests that hold rules over all of them. */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = join(fileURLToPath(new URL('../..', import.meta.url)))

const skipped = new Set(['node_modules', 'generated', 'build', 'dist', '.git', 'testdata'])

/** Paths from the project's root, with forward slashes, of all files whose name ends so. */
export function listFiles(folder: string, ending: string): readonly string[] {
  return readdirSync(join(root, folder)).flatMap((name) => {
    const path = join(folder, name)
    if (skipped.has(name)) return []
    if (statSync(join(root, path)).isDirectory()) return listFiles(path, ending)
    return name.endsWith(ending) ? [relative('.', path).replaceAll('\\', '/')] : []
  })
}

export function readText(path: string): string {
  return readFileSync(join(root, path), 'utf8')
}
