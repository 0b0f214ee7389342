/**
 * The program `tulle`: turns the compile cache on, reads the process's surroundings once, and runs the CLI.
 *
 * Node loads our sources without a build; the cache halves the time of each start. The rest is imported after
 * it is on, or it would not count for the imports.
 */
import { enableCompileCache } from 'node:module'
import { join } from 'node:path'

enableCompileCache(
  process.env['NODE_COMPILE_CACHE'] ?? join(import.meta.dirname, '../../build/compile-cache'),
)
const { main } = await import('../cli/main.ts')

// Our timers do not keep a process alive; a command that waits only for one must not end for that.
const keepAlive = setInterval(() => {}, 2 ** 30)
const exitCode = await main(process)
clearInterval(keepAlive)
// What is written must be out before the end, which a pipe does later than a file.
const flush = (stream: NodeJS.WriteStream) =>
  new Promise<void>((resolve) => {
    if (stream.writableLength === 0 || stream.destroyed) resolve()
    else stream.write('', () => resolve())
  })
await Promise.all([flush(process.stdout), flush(process.stderr)])
process.exit(exitCode)
