/** Reads the process's surroundings into a context, and runs the command line in it. */
import { MeshError } from '../lib/mesh-error.ts'
import type { CliContext, StopReason, Supervisor } from './command.ts'
import { loadCommands } from './commands.ts'
import { packageVersion } from './package-version.ts'
import { runProgram } from './program.ts'
import { readInput } from './read-input.ts'
import { createTerminal } from './terminal.ts'

export async function main(host: NodeJS.Process): Promise<number> {
  const { stdout, stderr, env } = host
  const context: CliContext = {
    env,
    cwd: host.cwd(),
    terminal: createTerminal({ stdout, stderr, env }),
    readInput: () => readInput(host.stdin),
    self: [host.execPath, ...host.execArgv, host.argv[1] ?? ''],
    onStop: (listener) => onStop(host, listener),
    supervisor: supervisorOf(host),
  }
  const words = host.argv.slice(2)
  const commands = await loadCommands(words)
  return runProgram(words, { commands, context, version: packageVersion() })
}

function onStop(host: NodeJS.Process, listener: (reason: StopReason) => void): Disposable {
  const reasons = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  const listeners = reasons.map((reason) => [reason, () => listener(reason)] as const)
  const onDisconnect = () => listener('supervisor-ended')
  for (const [reason, call] of listeners) host.on(reason, call)
  host.on('disconnect', onDisconnect)
  return {
    [Symbol.dispose]() {
      for (const [reason, call] of listeners) host.off(reason, call)
      host.off('disconnect', onDisconnect)
    },
  }
}

/** Only a process that was started with an IPC channel has one. */
function supervisorOf(host: NodeJS.Process): Supervisor | undefined {
  if (host.send === undefined || !host.connected) return undefined
  const firstMessage = new Promise<unknown>((resolve, reject) => {
    host.once('message', resolve)
    host.once('disconnect', () => reject(new MeshError('MESH_USAGE', 'the supervisor has gone')))
  })
  // Most commands never ask for it.
  firstMessage.catch(() => {})
  return {
    firstMessage,
    send: (message) => {
      // The supervisor may be gone; then nobody wants to know.
      if (host.connected) host.send?.(message, () => {})
    },
  }
}
