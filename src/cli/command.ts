/**
 * What a command of the CLI is: a plain object with its name, its flags, examples, and a function that returns
 * data. It neither prints nor exits: output.ts prints what it returns, program.ts turns it into an exit code.
 *
 * Exit codes: 0 fine, 1 found problems, 2 misuse. `tulle run` passes on its application's.
 */
import { MeshError } from '../lib/mesh-error.ts'
import type { Output } from './output.ts'
import type { Terminal } from './terminal.ts'

export interface Command {
  readonly name: string
  /** One line for the list of commands: lower-case start, no full stop. */
  readonly summary: string
  /** Further sentences for the command's own help. */
  readonly description?: string
  readonly arguments?: readonly Argument[]
  readonly flags: readonly Flag[]
  readonly examples: readonly Example[]
  /** Flags after its first argument are not ours: they belong to a command that it runs. */
  readonly hasForeignFlags?: boolean
  /** Not in the list: for our own processes. */
  readonly isInternal?: boolean
  run(input: CommandInput): Promise<CommandResult>
}

export interface Argument {
  /** `<file>` required, `[name]` optional, `[path...]` many, as commander writes them. */
  readonly name: string
  readonly summary: string
}

export interface Flag {
  /** `-o, --output <format>` */
  readonly flags: string
  readonly summary: string
  readonly default?: string | number | boolean
  readonly choices?: readonly string[]
  /** May be given more than once; its value is a list. */
  readonly isRepeatable?: boolean
}

export interface Example {
  readonly command: string
  readonly does: string
}

export interface CommandInput {
  readonly arguments: readonly string[]
  readonly flags: FlagValues
  readonly context: CliContext
}

export interface CommandResult {
  readonly exitCode: number
  /** Undefined: the command has already said all, or has nothing to say. */
  readonly output?: Output
}

/** The process around a command, passed as an argument so that tests can stand in for it. */
export interface CliContext {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  readonly terminal: Terminal
  /** All of standard input, up to its end. Rejections: MESH_USAGE beyond `inputBytesMax`. */
  readonly readInput: () => Promise<string>
  /** Program and arguments that start this CLI again. */
  readonly self: readonly string[]
  /** Calls back when this process is asked to end: SIGINT, SIGTERM, SIGHUP, or the end of its supervisor. */
  onStop(listener: (reason: StopReason) => void): Disposable
  /** The supervisor's side, when `tulle up` started this process; undefined when a person did. */
  readonly supervisor: Supervisor | undefined
}

export type StopReason = 'SIGINT' | 'SIGTERM' | 'SIGHUP' | 'supervisor-ended'

export interface Supervisor {
  /** The first message that it sends. */
  readonly firstMessage: Promise<unknown>
  send(message: object): void
}

/** Flags by their long name in camel case, as the command line gave them. */
export class FlagValues {
  readonly #values: Readonly<Record<string, unknown>>

  constructor(values: Readonly<Record<string, unknown>>) {
    this.#values = values
  }

  text(name: string): string | undefined {
    const value = this.#values[name]
    return typeof value === 'string' ? value : undefined
  }

  isSet(name: string): boolean {
    return this.#values[name] === true
  }

  list(name: string): readonly string[] {
    const value = this.#values[name]
    return Array.isArray(value) ? value.map(String) : []
  }

  number(name: string, range: { readonly low: number; readonly high: number }): number | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    const value = Number(text)
    if (!/^\d+$/.test(text) || value < range.low || value > range.high) {
      throw usageError(
        `--${kebab(name)}: expected a whole number from ${range.low} to ${range.high}, got ${text}`,
      )
    }
    return value
  }
}

/** An error that means the command line was wrong: exit code 2. */
export function usageError(message: string, remedy?: string): MeshError {
  return new MeshError('MESH_USAGE', message, remedy === undefined ? {} : { remedy })
}

/** `gracePeriodS` is the flag `--grace-period-s`. */
export function kebab(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

/** Flags that many commands share, so that they read the same everywhere. */
export const outputFlag: Flag = {
  flags: '-o, --output <format>',
  summary: 'table, json or yaml',
  default: 'table',
  choices: ['table', 'json', 'yaml'],
}

export const namespaceFlag: Flag = {
  flags: '-n, --namespace <namespace>',
  summary: "namespace (default: the mesh's own)",
}

export const meshFlags: readonly Flag[] = [
  { flags: '--mesh <name>', summary: 'which running mesh, when there are several' },
  {
    flags: '--api <url>',
    summary: "the control plane's API, instead of a mesh found on this host",
  },
]
