/** Files that are written as a whole. */
import { renameSync, writeFileSync } from 'node:fs'

/**
 * In one step, so that a reader never sees half a file; for the owner alone. It outlives this process, and need not be on
 * the disk when the power fails. Throws what the file system says.
 */
export function replaceFile(path: string, content: string | Uint8Array): void {
  const draft = `${path}.draft`
  writeFileSync(draft, content, { mode: 0o600 })
  renameSync(draft, path)
}
