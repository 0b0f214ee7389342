/** `tulle sidecar -c BOOTSTRAP`: the proxy alone, from an Envoy v3 bootstrap file, until it is told to end. */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'

import { runSidecar } from '../../agent/run-sidecar.ts'
import { systemClock } from '../../lib/clock.ts'
import { createLog, type LogLevel } from '../../lib/log.ts'
import { MeshError } from '../../lib/mesh-error.ts'
import { systemRandom } from '../../lib/random.ts'
import { usageError, type CliContext, type Command } from '../command.ts'
import { packageVersion } from '../package-version.ts'

export const sidecarCommand: Command = {
  name: 'sidecar',
  summary: 'run the proxy alone, from an Envoy v3 bootstrap file',
  description:
    'The same file runs in Envoy. What is not implemented is refused by name. SIGTERM and Ctrl-C drain and end it; ' +
    'so does POST /quitquitquit on its admin interface.',
  flags: [
    { flags: '-c, --config-path <file>', summary: 'the bootstrap, JSON or YAML' },
    { flags: '--concurrency <number>', summary: 'threads that carry traffic', default: '1' },
    {
      flags: '--drain-time-s <seconds>',
      summary:
        'how long connections may take to end (default: 5 when the process ends, 600 when a listener goes)',
    },
    {
      flags: '--drain-strategy <strategy>',
      summary: 'how connections are told: a growing share of them, or all at once',
      default: 'gradual',
      choices: ['gradual', 'immediate'],
    },
    {
      flags: '--take-over <socket>',
      summary:
        'Unix socket at which sidecars follow each other: takes the listening sockets over from the one that is there',
    },
    {
      flags: '--wire <kind>',
      summary: 'what carries bytes: handles of libuv where this Node allows it, or only net',
      default: 'handles',
      choices: ['handles', 'net'],
    },
    {
      flags: '-l, --log-level <level>',
      summary: 'of its own log, on standard error',
      default: 'info',
      choices: ['debug', 'info', 'warn', 'error', 'silent'],
    },
  ],
  examples: [
    {
      command: 'tulle sidecar -c bootstrap.yaml --take-over /run/sidecar.sock',
      does: 'the same line again, by a newer version too, replaces the one that runs, and refuses no connection',
    },
    { command: 'tulle sidecar -c bootstrap.yaml', does: 'a proxy with static resources or xDS' },
  ],
  async run({ flags, context }) {
    const path = flags.text('configPath')
    if (path === undefined) throw usageError('which bootstrap?', 'give it with -c FILE')
    const file = resolve(context.cwd, path)
    const stop = new AbortController()
    using _stop = context.onStop(() => stop.abort())
    await runSidecar({
      bootstrap: { file: path, text: readBootstrap(file) },
      concurrency: flags.number('concurrency', { low: 1, high: 1_024 }) ?? 1,
      drainTimeS: flags.number('drainTimeS', { low: 0, high: 86_400 }),
      drainStrategy: flags.text('drainStrategy') === 'immediate' ? 'immediate' : 'gradual',
      ...takeOverOf(flags.text('takeOver'), context),
      version: packageVersion(),
      wire: flags.text('wire') === 'net' ? 'net' : 'handles',
      clock: systemClock,
      random: systemRandom,
      log: createLog({ name: 'sidecar', level: (flags.text('logLevel') ?? 'info') as LogLevel }),
      signal: stop.signal,
    })
    return { exitCode: 0 }
  },
}

function takeOverOf(path: string | undefined, { cwd, supervisor }: CliContext) {
  if (path === undefined) return {}
  // An agent that started it waits for this.
  const onLive = (): void => supervisor?.send({ event: 'sidecar-live' })
  const onReplaced = (): void => supervisor?.send({ event: 'sidecar-replaced' })
  return { takeOverPath: resolve(cwd, path), onLive, onReplaced }
}

function readBootstrap(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new MeshError('MESH_BOOTSTRAP_INVALID', `cannot read ${file}`, {
      cause,
      remedy: 'check the path after -c',
    })
  }
}
