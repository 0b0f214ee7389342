/**
 * A program in a process group of its own, so that it can be ended with everything it started.
 *
 * The group is registered with a reaper for the case that we die first. A terminal's Ctrl-C reaches only our
 * own group; we decide what is passed on. When the leader exits, what it left behind is ended too.
 */
import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process'
import { accessSync, constants, type Stats, statSync } from 'node:fs'
import { delimiter, isAbsolute, join, resolve } from 'node:path'

import type { Clock } from '../../lib/clock.ts'
import { MeshError, type MeshErrorCode } from '../../lib/mesh-error.ts'
import type { Reaper } from './reaper.ts'

export interface ProcessGroupOptions {
  readonly command: readonly string[]
  readonly cwd: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly stdio: StdioOptions
  readonly reaper: Reaper
  readonly clock: Clock
}

export interface ProcessExit {
  /** The leader's exit code; 128 + signal number when a signal ended it, as shells say. */
  readonly code: number
  readonly signal: NodeJS.Signals | undefined
}

/** How often a group is asked whether anything of it still lives. */
const pollMs = 20

export class ProcessGroup {
  readonly #child: ChildProcess
  readonly #options: ProcessGroupOptions
  #hasExited = false
  /** Resolves when the leader has exited; what it left behind has then been told to end. */
  readonly exited: Promise<ProcessExit>

  private constructor(child: ChildProcess, options: ProcessGroupOptions) {
    this.#child = child
    this.#options = options
    this.exited = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        this.#hasExited = true
        this.signal('SIGTERM')
        this.#options.clock.setTimer(1_000, () => this.#forget())
        resolve({ code: code ?? 128 + signalNumber(signal), signal: signal ?? undefined })
      })
    })
  }

  /** Resolves when the program runs; rejects with MESH_COMMAND_FAILED when it cannot. */
  static start(options: ProcessGroupOptions): Promise<ProcessGroup> {
    const [program = '', ...args] = options.command
    return new Promise((resolve, reject) => {
      const failed = (cause: unknown) => reject(describeStartFailure(program, options, cause))
      let child: ChildProcess
      try {
        const { cwd, env, stdio } = options
        child = spawn(program, args, { cwd, env, stdio, detached: true })
      } catch (error) {
        failed(error)
        return
      }
      const group = new ProcessGroup(child, options)
      if (child.pid !== undefined) options.reaper.add(child.pid)
      child.once('error', failed)
      child.once('spawn', () => resolve(group))
    })
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** For pipes and messages that `stdio` asked for. */
  get child(): ChildProcess {
    return this.#child
  }

  get hasExited(): boolean {
    return this.#hasExited
  }

  /** Sends a signal to the whole group; false when nothing of it lives. */
  signal(signal: NodeJS.Signals | 0): boolean {
    // Group 0 would be our own.
    if (this.pid === 0) return false
    try {
      process.kill(-this.pid, signal)
      return true
    } catch {
      // ESRCH: everything has ended.
      return false
    }
  }

  /** Asks the group to end, and kills what still lives after `graceMs`. */
  async stop(graceMs: number): Promise<ProcessExit> {
    const { clock } = this.#options
    const deadlineMs = clock.monotonicMs() + graceMs
    this.signal('SIGTERM')
    while (this.signal(0) && clock.monotonicMs() < deadlineMs) {
      // A child that was stopped (SIGSTOP) never answers SIGTERM; the deadline is for it.
      await new Promise<void>((resolve) => clock.setTimer(pollMs, resolve))
    }
    this.signal('SIGKILL')
    const exit = await this.exited
    this.#forget()
    return exit
  }

  #forget(): void {
    this.signal('SIGKILL')
    this.#options.reaper.remove(this.pid)
  }
}

function signalNumber(signal: NodeJS.Signals | null): number {
  const numbers: Partial<Record<NodeJS.Signals, number>> = {
    SIGHUP: 1,
    SIGINT: 2,
    SIGQUIT: 3,
    SIGABRT: 6,
    SIGKILL: 9,
    SIGSEGV: 11,
    SIGPIPE: 13,
    SIGTERM: 15,
  }
  return signal === null ? 0 : (numbers[signal] ?? 0)
}

/** Node says ENOENT both for a missing program and for a missing folder; a reader needs to know which. */
function describeStartFailure(
  program: string,
  options: ProcessGroupOptions,
  cause: unknown,
): MeshError {
  const because = (message: string, remedy: string, code: MeshErrorCode = 'MESH_COMMAND_FAILED') =>
    new MeshError(code, message, { cause, remedy })
  if (!isFolder(options.cwd)) {
    return because(`cannot start ${program}: ${options.cwd} is not a folder`, 'correct cwd')
  }
  if (findExecutable(program, options) === undefined) {
    const where = program.includes('/') ? `in ${options.cwd}` : 'on PATH'
    const found = program.includes('/') ? statOf(resolve(options.cwd, program)) : undefined
    if (found === undefined) {
      const message = `cannot start ${program}: no such program ${where}`
      return because(message, 'build or install it', 'MESH_COMMAND_NOT_FOUND')
    }
    const what = found.isDirectory() ? 'is a folder' : 'may not be executed'
    const remedy = found.isDirectory() ? 'name a program' : `chmod +x ${program}`
    return because(`cannot start ${program}: it ${what}`, remedy, 'MESH_COMMAND_NOT_EXECUTABLE')
  }
  return because(`cannot start ${program} in ${options.cwd}`, 'run the command there by hand')
}

function isFolder(path: string): boolean {
  return statOf(path)?.isDirectory() ?? false
}

/** Undefined: nothing is there, or nobody may look. */
function statOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false })
  } catch {
    // A file stands where a folder of the path should be, or a folder may not be entered.
    return undefined
  }
}

/** Full path of what would be run, or undefined. */
export function findExecutable(
  program: string,
  { cwd, env }: Pick<ProcessGroupOptions, 'cwd' | 'env'>,
): string | undefined {
  const folders = program.includes('/') ? [''] : (env['PATH'] ?? '').split(delimiter)
  for (const folder of folders) {
    const path = isAbsolute(program) ? program : resolve(cwd, join(folder, program))
    try {
      accessSync(path, constants.X_OK)
      if (!isFolder(path)) return path
    } catch {
      // Not here, or not executable.
    }
  }
  return undefined
}
