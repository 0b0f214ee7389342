/** Which processes run: a zombie, dead and not yet collected by its parent, does not. */
import { execFileSync } from 'node:child_process'
import { readFileSync, readdirSync } from 'node:fs'

export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch {
    // No such process.
    return false
  }
  return stateOf(pid) !== 'Z'
}

/** One letter as `ps` shows it; empty when the process has just gone. */
function stateOf(pid: number): string {
  try {
    if (process.platform === 'linux') {
      const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
      return text.slice(text.lastIndexOf(')') + 2).charAt(0)
    }
    return execFileSync('ps', ['-o', 'state=', '-p', String(pid)], { encoding: 'utf8' }).charAt(0)
  } catch {
    return 'Z'
  }
}

/** Everything that was started with this TULLE_HOME and still runs, but for who asks; Linux. */
export function processesOf(home: string): readonly number[] {
  const mark = `TULLE_HOME=${home}\0`
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && environmentOf(name).includes(mark))
    .map(Number)
    .filter((pid) => pid !== process.pid && isRunning(pid))
}

function environmentOf(pid: string): string {
  try {
    return `${readFileSync(`/proc/${pid}/environ`, 'utf8')}\0`
  } catch {
    // It has gone, or is somebody else's.
    return ''
  }
}
