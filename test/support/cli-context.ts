/** Runs command lines of the CLI inside the test's process, and keeps what they print. */
import type { CliContext, StopReason } from '../../src/cli/command.ts'
import { loadCommands } from '../../src/cli/commands.ts'
import { runProgram } from '../../src/cli/program.ts'
import { recordingTerminal } from './recording-terminal.ts'

export interface CliRun {
  readonly exitCode: number
  readonly out: string
  readonly error: string
}

export interface CliOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  readonly width?: number
  /** What stands on standard input. */
  readonly input?: string
  /** Given the function that asks the command to end. */
  readonly onStart?: (stop: (reason: StopReason) => void) => void
}

export async function runCli(words: readonly string[], options: CliOptions = {}): Promise<CliRun> {
  const terminal = recordingTerminal(options.width)
  const context: CliContext = {
    env: options.env ?? {},
    cwd: options.cwd ?? process.cwd(),
    terminal,
    readInput: () => Promise.resolve(options.input ?? ''),
    self: [],
    onStop: (listener) => {
      options.onStart?.(listener)
      return { [Symbol.dispose]() {} }
    },
    supervisor: undefined,
  }
  const commands = await loadCommands(words)
  const exitCode = await runProgram(words, { commands, context, version: '0.0.0' })
  return { exitCode, out: terminal.out(), error: terminal.error() }
}
