/** Turns the list of commands into a command line: parsing, help, errors and exit codes. */
import { Command as CommanderCommand, CommanderError, Option } from 'commander'

import { describeError, MeshError } from '../lib/mesh-error.ts'
import { FlagValues, type CliContext, type Command, type Flag } from './command.ts'
import type { OutputFormat } from './output.ts'
import { printable, type Terminal } from './terminal.ts'

export interface ProgramOptions {
  readonly commands: readonly Command[]
  readonly context: CliContext
  readonly version: string
}

/** Runs a command line without the program's name; resolves with the exit code and never rejects. */
export async function runProgram(
  words: readonly string[],
  options: ProgramOptions,
): Promise<number> {
  const { terminal } = options.context
  let exitCode = 0
  const program = buildProgram(options, (code) => {
    exitCode = code
  })
  try {
    await program.parseAsync(words, { from: 'user' })
    return exitCode
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    return printError(error, terminal)
  }
}

/** `tulle: what happened`, the code and the next step; returns the exit code. */
export function printError(error: unknown, terminal: Terminal): number {
  const message = printable(describeError(error))
  terminal.writeError(`${terminal.colour('red', 'tulle:')} ${message}\n`)
  if (!(error instanceof MeshError)) {
    if (error instanceof Error && error.stack !== undefined) {
      terminal.writeError(`${printable(error.stack)}\n`)
    }
    return 1
  }
  if (error.remedy !== undefined) terminal.writeError(`  next: ${printable(error.remedy)}\n`)
  terminal.writeError(`  code: ${error.code}\n`)
  return error.code === 'MESH_USAGE' ? 2 : 1
}

function buildProgram(
  { commands, context, version }: ProgramOptions,
  finish: (exitCode: number) => void,
): CommanderCommand {
  const { terminal } = context
  const program = new CommanderCommand('tulle')
    .description("a service mesh with Istio's resources, on any host where Node runs")
    .version(version, '--version', 'print the version')
    .helpCommand('help [command]', 'help of a command')
    .showSuggestionAfterError(true)
    .showHelpAfterError('(tulle --help lists the commands)')
    // Flags after a command's own words belong to those words: tulle run curl -s URL.
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.write(text),
      writeErr: (text) => terminal.writeError(text),
      getOutHelpWidth: () => terminal.width ?? 100,
      getErrHelpWidth: () => terminal.width ?? 100,
      outputError: (text, write) => write(text.replace(/^error: /, 'tulle: ')),
    })
  for (const command of commands) {
    const hidden = command.isInternal === true
    program.addCommand(buildCommand(command, program, { context, finish }), { hidden })
  }
  return program
}

function buildCommand(
  command: Command,
  program: CommanderCommand,
  { context, finish }: { context: CliContext; finish: (exitCode: number) => void },
): CommanderCommand {
  const built = program
    .createCommand(command.name)
    .copyInheritedSettings(program)
    .summary(command.summary)
    .description(paragraphs(command))
    .showHelpAfterError(`(tulle ${command.name} --help shows the usage)`)
  if (command.hasForeignFlags === true) built.passThroughOptions()
  for (const { name, summary } of command.arguments ?? []) built.argument(name, summary)
  for (const flag of command.flags) built.addOption(buildOption(flag))
  if (command.examples.length > 0) built.addHelpText('after', `\n${exampleText(command)}`)
  built.action(async () => {
    const flags = new FlagValues(built.opts())
    const result = await command.run({
      arguments: built.processedArgs.flat() as string[],
      flags,
      context,
    })
    const format = (flags.text('output') ?? 'table') as OutputFormat
    if (result.output !== undefined) {
      // Not loaded by what runs for long, which prints nothing at its end.
      const { printOutput } = await import('./output.ts')
      printOutput(result.output, format, context.terminal)
    }
    finish(result.exitCode)
  })
  return built
}

function buildOption(flag: Flag): Option {
  const option = new Option(flag.flags, flag.summary)
  if (flag.choices !== undefined) option.choices(flag.choices)
  if (flag.isRepeatable === true) {
    option.argParser((value: string, previous: string[] | undefined) => [
      ...(previous ?? []),
      value,
    ])
  }
  if (flag.default !== undefined) option.default(flag.default)
  return option
}

function paragraphs(command: Command): string {
  const first = `${command.summary.charAt(0).toUpperCase()}${command.summary.slice(1)}.`
  return command.description === undefined ? first : `${first}\n\n${command.description}`
}

function exampleText(command: Command): string {
  const lines = command.examples.map(({ command, does }) => `  # ${does}\n  ${command}`)
  return `Examples:\n${lines.join('\n')}`
}
