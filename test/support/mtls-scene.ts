/** Sidecars and Envoys run from a bootstrap, an application behind them, and ways to look at what they counted. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type IncomingHttpHeaders, createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { systemClock } from '../../src/lib/clock.ts'
import { type Log, type LogFields, silentLog } from '../../src/lib/log.ts'
import { systemRandom } from '../../src/lib/random.ts'
import { openSidecar } from '../../src/proxy/sidecar.ts'
import { eventually } from './eventually.ts'
import { findEnvoy } from './programs.ts'
import { httpGet } from './sidecar-scene.ts'

export interface RunningProxy extends AsyncDisposable {
  /** Of its first listener. */
  readonly port: number
  /** By name of the listener. */
  readonly ports: ReadonlyMap<string, number>
  readonly admin: string
  /** Lines of its log: fields and message. */
  readonly lines: readonly (LogFields & { readonly message: string })[]
  /** Value of a stat of admin /stats; 0 when it is not there. */
  stat(name: string): Promise<number>
  get(path: string): Promise<string>
}

export async function runTulle(bootstrap: string, concurrency = 1): Promise<RunningProxy> {
  const lines: (LogFields & { message: string })[] = []
  const sidecar = await openSidecar({
    bootstrap: { text: bootstrap, file: 'bootstrap.json' },
    clock: systemClock,
    random: systemRandom,
    log: recordingLog(lines),
    drainTimeMs: 1_000,
    concurrency,
  })
  const admin = sidecar.adminAddress ?? ''
  const ports = await listenerPorts(admin)
  return proxyAt(admin, { lines, ports, close: () => sidecar.close() })
}

export async function runEnvoy(bootstrap: string): Promise<RunningProxy> {
  const folder = mkdtempSync(join(tmpdir(), 'envoy-'))
  const file = join(folder, 'bootstrap.json')
  const addressFile = join(folder, 'admin')
  writeFileSync(file, bootstrap)
  const options = ['--concurrency', '1', '--log-level', 'error', '--use-dynamic-base-id']
  const flush = ['--file-flush-interval-msec', '50', '--admin-address-path', addressFile]
  const errors: string[] = []
  const child: ChildProcess = spawn(findEnvoy() ?? '', ['-c', file, ...options, ...flush], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  child.stderr?.on('data', (chunk: Buffer) => errors.push(chunk.toString()))
  let hasExited = false
  const exited = new Promise<void>((resolve) => {
    const onEnd = (): void => {
      hasExited = true
      resolve()
    }
    child.once('exit', onEnd)
    child.once('error', onEnd)
  })
  const close = async (): Promise<void> => {
    child.kill('SIGTERM')
    await exited
    rmSync(folder, { recursive: true })
  }
  try {
    const admin = await eventually(
      async () => {
        if (hasExited) throw new Error(`envoy ended: ${errors.join('')}`)
        const address = readFileSync(addressFile, 'utf8').trim()
        const port = Number(address.split(':')[1])
        return (await httpGet({ port, path: '/ready' })).status === 200 ? address : undefined
      },
      { deadlineMs: 30_000 },
    )
    return proxyAt(admin, { lines: [], ports: await listenerPorts(admin), close })
  } catch (error) {
    await close()
    throw new Error(`envoy did not start: ${errors.join('')}`, { cause: error })
  }
}

export interface ProxyParts {
  readonly ports: ReadonlyMap<string, number>
  readonly lines: readonly (LogFields & { readonly message: string })[]
  readonly close: () => Promise<void>
}

export function proxyAt(admin: string, { lines, ports, close }: ProxyParts): RunningProxy {
  const get = async (path: string): Promise<string> => {
    const adminPort = Number(admin.split(':')[1])
    return (await httpGet({ port: adminPort, path })).body
  }
  return {
    port: [...ports.values()][0] ?? 0,
    ports,
    admin,
    lines,
    get,
    async stat(name) {
      const text = await get('/stats')
      const line = text.split('\n').find((candidate) => candidate.startsWith(`${name}: `))
      return line === undefined ? 0 : Number(line.slice(name.length + 2))
    },
    [Symbol.asyncDispose]: close,
  }
}

export async function listenerPorts(admin: string): Promise<ReadonlyMap<string, number>> {
  const port = Number(admin.split(':')[1])
  const { body } = await httpGet({ port, path: '/listeners' })
  const lines = body.split('\n').map((line) => /^(.+)::127\.0\.0\.1:(\d+)$/.exec(line))
  return new Map(lines.flatMap((match) => (match ? [[match[1] ?? '', Number(match[2])]] : [])))
}

function recordingLog(lines: (LogFields & { message: string })[]): Log {
  const record = (fields: LogFields, message: string): void =>
    void lines.push({ ...fields, message })
  return { ...silentLog, warn: record, error: record, child: () => recordingLog(lines) }
}

export interface RecordingApp extends AsyncDisposable {
  readonly port: number
  /** Headers of each request, in order. */
  readonly requests: IncomingHttpHeaders[]
}

/** Answers `hello`, and keeps what it was asked. */
export async function runApp(): Promise<RecordingApp> {
  const requests: IncomingHttpHeaders[] = []
  const server = createServer((request, response) => {
    requests.push(request.headers)
    response.end('hello')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port, // it listens on TCP
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
