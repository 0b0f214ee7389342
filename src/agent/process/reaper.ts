/**
 * Ends process groups whose owner died without saying so, even by kill -9.
 *
 * A small `sh` in a session of its own reads lines from a pipe that only the owner holds: `add GROUP`,
 * `remove GROUP`, `quit`. When the pipe ends, the owner is gone: every group still listed gets SIGTERM, and
 * SIGKILL after the grace period. A shell, because it costs 1 MB where another Node would cost 45.
 * Between the start of a process and its `add` lies one turn of the event loop, in which a kill -9 of the owner
 * would leave the process behind.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'

/** One line, because the shell reads it from the pipe: a list of processes would show it as an argument. */
const script = [
  `trap '' INT TERM HUP; groups='';`,
  `while IFS=' ' read -r verb group; do`,
  `  case $verb in`,
  `    add) groups="$groups $group";;`,
  `    remove) left=''; for each in $groups; do [ "$each" = "$group" ] || left="$left $each"; done;`,
  `      groups=$left;;`,
  `    quit) exit 0;;`,
  `  esac;`,
  `done;`,
  `for each in $groups; do kill -TERM "-$each" 2>/dev/null; done;`,
  `tries=$1;`,
  `while [ "$tries" -gt 0 ]; do`,
  `  alive='';`,
  `  for each in $groups; do kill -0 "-$each" 2>/dev/null && alive=yes; done;`,
  `  [ -n "$alive" ] || exit 0;`,
  `  sleep 0.1 || sleep 1; tries=$((tries - 1));`,
  `done;`,
  `for each in $groups; do kill -KILL "-$each" 2>/dev/null; done`,
].join(' ')

export interface ReaperOptions {
  /** From SIGTERM to SIGKILL once the owner is gone. */
  readonly graceMs: number
}

export class Reaper implements AsyncDisposable {
  readonly #shell: ChildProcess

  constructor(options: ReaperOptions) {
    const tries = String(Math.ceil(options.graceMs / 100))
    const run = 'IFS= read -r script; eval "$script"'
    this.#shell = spawn('/bin/sh', ['-c', run, 'tulle-reaper', tries], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
      // The reaper outlives its owner; it must not hold the owner's folder.
      cwd: '/',
    })
    // A reaper that died can not be written to; the owner's own clean-up is then all there is.
    this.#shell.on('error', () => {})
    this.#shell.stdin?.on('error', () => {})
    this.#shell.stdin?.write(`${script}\n`)
    this.#shell.unref()
  }

  get pid(): number | undefined {
    return this.#shell.pid
  }

  add(group: number): void {
    this.#shell.stdin?.write(`add ${group}\n`)
  }

  remove(group: number): void {
    this.#shell.stdin?.write(`remove ${group}\n`)
  }

  /** The owner ends in good order and has ended its groups itself. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#shell.exitCode !== null || this.#shell.signalCode !== null) return
    const exited = once(this.#shell, 'exit')
    this.#shell.stdin?.end('quit\n')
    await exited
  }
}
