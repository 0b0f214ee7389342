/** The program `tulle`: reads the process's surroundings once, and runs the CLI. Started by bin/tulle.mjs. */
import { main } from '../cli/main.ts'
import { systemClock } from '../lib/clock.ts'
import { settle, settleWhenIdle } from './settle.ts'

// Our timers do not keep a process alive; a command that waits only for one must not end for that.
const keepAlive = setInterval(() => {}, 2 ** 30)
const cpuMs = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}
settleWhenIdle(systemClock, cpuMs, settle)
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
