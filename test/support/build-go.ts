/** Builds a program of ours in Go, where Go and its modules can be had. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

import { findProgram } from './programs.ts'

/** A reason for not having it, or false. */
export async function buildGo(folder: string, program: string): Promise<string | false> {
  const go = findProgram('go')
  if (go === undefined) return 'go is not installed'
  const env = { ...process.env, CGO_ENABLED: '0' }
  try {
    // The first time it downloads and compiles; later Go's caches have everything.
    await promisify(execFile)(go, ['build', '-o', program, '.'], {
      cwd: folder,
      env,
      timeout: 180_000,
    })
    return false
  } catch (error) {
    return `the Go program cannot be built: ${String(error)}`
  }
}
