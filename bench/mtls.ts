/**
 * What mutual TLS between two sidecars costs: client → sidecar → mutual TLS → sidecar → origin, the same program at
 * both ends, beside HAProxy and Envoy in one run. Between the sidecars requests travel as HTTP/1.1, or as HTTP/2 streams.
 *
 * Both proxies of a pair share one core with one worker each; load (wrk) and origin (nginx) have the other. Turns alternate
 * over all pairs, as in the bench of one sidecar. Then, at the server's end alone:
 * - handshakes: `openssl s_time` connects anew for each one, with a certificate; printed is the server's CPU for a full
 *   handshake, and how many of them one core would do in a second;
 * - memory: connections that have shaken hands and wait.
 *
 * npm run bench -- mtls [--rounds N] [--turns N] [--seconds S] [--connections C] [--idle N] [--http2]
 *                       [--body BYTES]
 *                       [--only REGEX] [-o json]
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, type TLSSocket } from 'node:tls'
import { parseArgs, promisify } from 'node:util'

import { findProgram } from '../test/support/programs.ts'
import { runLoad, type LoadResult } from './load.ts'
import { listPairs, type Caller, type Pair } from './pairs.ts'
import { MeasuredProcess, cores, freePort, pinned } from './process.ts'
import { nginxOrigin } from './subjects.ts'
import { median, medianRatio, printTable, quartiles, type Row } from './table.ts'

const execute = promisify(execFile)

interface Settings {
  readonly rounds: number
  readonly turns: number
  readonly seconds: number
  readonly connections: number
  readonly idle: number
  /** Of each answer. */
  readonly bodyBytes: number
}

interface Samples {
  readonly pair: Pair
  /** One per turn, in step with those of every other pair. */
  readonly clientMicros: number[]
  readonly serverMicros: number[]
  readonly loads: LoadResult[]
  readonly handshakeMicros: number[]
  readonly idleKilobytes: number[]
}

interface Running {
  readonly samples: Samples
  readonly client: MeasuredProcess
  readonly server: MeasuredProcess
}

async function benchMtls(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '2' },
      turns: { type: 'string', default: '6' },
      seconds: { type: 'string', default: '1' },
      connections: { type: 'string', default: '64' },
      idle: { type: 'string', default: '1000' },
      http2: { type: 'boolean', default: false },
      body: { type: 'string', default: '128' },
      only: { type: 'string', default: '' },
      output: { type: 'string', short: 'o', default: 'table' },
    },
  })
  for (const program of ['wrk', 'nginx', 'openssl']) {
    if (findProgram(program) === undefined) throw new Error(`this bench needs ${program}`)
  }
  const settings = {
    rounds: Number(values.rounds),
    turns: Number(values.turns),
    seconds: Number(values.seconds),
    connections: Number(values.connections),
    idle: Number(values.idle),
    bodyBytes: Number(values.body),
  }
  const folder = mkdtempSync(join(tmpdir(), 'tulle-bench-'))
  try {
    const selection = { only: new RegExp(values.only), alpn: values.http2 ? 'h2' : 'http/1.1' }
    const rows = await measureAll(folder, settings, selection)
    printTable(rows, values.output === 'json' ? 'json' : 'table')
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function measureAll(
  folder: string,
  settings: Settings,
  { only, alpn }: { readonly only: RegExp; readonly alpn: string },
): Promise<readonly Row[]> {
  const originPort = await freePort()
  const origin = nginxOrigin(folder, originPort, settings.bodyBytes)
  if (origin === undefined) throw new Error('nginx, which is the origin, is not installed')
  await using _ = await MeasuredProcess.start({ ...origin, core: cores.load })
  const { pairs, caller } = await listPairs({ folder, originPort, alpn })
  const all = pairs
    .filter(({ name }) => only.test(name))
    .map((pair): Samples => ({
      pair,
      clientMicros: [],
      serverMicros: [],
      loads: [],
      handshakeMicros: [],
      idleKilobytes: [],
    }))
  for (let round = 1; round <= settings.rounds; round++) {
    process.stderr.write(`round ${String(round)} of ${String(settings.rounds)}\n`)
    await measureRound(all, settings, caller)
  }
  return all.map((samples) => toRow(samples, all, settings.bodyBytes))
}

const warmSeconds = 2

async function measureRound(
  all: readonly Samples[],
  settings: Settings,
  caller: Caller,
): Promise<void> {
  await using stack = new AsyncDisposableStack()
  const running: Running[] = []
  for (const samples of all) {
    const { client, server } = samples.pair
    const behind = stack.use(await MeasuredProcess.start({ ...server, core: cores.proxy }))
    const before = stack.use(await MeasuredProcess.start({ ...client, core: cores.proxy }))
    await load(client.port, { ...settings, seconds: warmSeconds })
    running.push({ samples, client: before, server: behind })
  }
  for (let turn = 0; turn < settings.turns; turn++) {
    for (const one of running) await measureTurn(one, settings)
  }
  for (const { samples, server } of running) {
    samples.handshakeMicros.push(await handshakeMicros(server, samples.pair.server.port, caller))
    samples.idleKilobytes.push(
      await idleKilobytes(server, samples.pair.server.port, { caller, count: settings.idle }),
    )
  }
}

async function measureTurn(
  { samples, client, server }: Running,
  settings: Settings,
): Promise<void> {
  const [clientBefore, serverBefore] = [client.cpuMicros(), server.cpuMicros()]
  const result = await load(samples.pair.client.port, settings)
  const requests = Math.max(1, result.requests)
  samples.clientMicros.push((client.cpuMicros() - clientBefore) / requests)
  samples.serverMicros.push((server.cpuMicros() - serverBefore) / requests)
  samples.loads.push(result)
}

function load(
  port: number,
  { connections, seconds }: Pick<Settings, 'connections' | 'seconds'>,
): Promise<LoadResult> {
  const url = `http://127.0.0.1:${String(port)}/`
  return runLoad({ url, connections, seconds, core: cores.load })
}

/** CPU of the server for a full handshake with a client's certificate. */
async function handshakeMicros(
  server: MeasuredProcess,
  port: number,
  { files }: Caller,
): Promise<number> {
  const run = async (seconds: number): Promise<number> => {
    const command = ['openssl', 's_time', '-connect', `127.0.0.1:${String(port)}`, '-new']
    command.push('-cert', files.leafFile, '-key', files.leafFile, '-time', String(seconds))
    const [program = '', ...args] = pinned(command, cores.load)
    const { stdout } = await execute(program, args)
    const count = Number(/^(\d+) connections in [\d.]+ real/m.exec(stdout)?.[1] ?? 0)
    if (count === 0) throw new Error(`openssl s_time made no connection: ${stdout}`)
    return count
  }
  await run(1)
  const before = server.cpuMicros()
  const count = await run(2)
  return (server.cpuMicros() - before) / count
}

async function idleKilobytes(
  server: MeasuredProcess,
  port: number,
  { caller, count }: { readonly caller: Caller; readonly count: number },
): Promise<number> {
  const { leaf } = caller
  const sockets: TLSSocket[] = []
  const open = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const identity = { cert: leaf.chainPem, key: leaf.keyPem, rejectUnauthorized: false }
      const socket = connect({ host: '127.0.0.1', port, ...identity })
      sockets.push(socket)
      socket.once('error', reject)
      socket.once('secureConnect', () => {
        // An answer proves that the server has the connection, handshake and all.
        socket.write('GET / HTTP/1.1\r\nhost: origin\r\n\r\n')
        socket.once('data', () => resolve())
      })
    })
  // What the first ones need, such as code, is not theirs.
  for (let index = 0; index < 50; index++) await open()
  const before = server.residentMegabytes()
  for (let index = 0; index < count; index += 50) {
    await Promise.all(Array.from({ length: Math.min(50, count - index) }, open))
  }
  const kilobytes = ((server.residentMegabytes() - before) * 1024) / count
  for (const socket of sockets) socket.destroy()
  return kilobytes
}

function bothMicros({ clientMicros, serverMicros }: Samples): readonly number[] {
  return clientMicros.map((micros, turn) => micros + (serverMicros[turn] ?? 0))
}

function toRow(samples: Samples, all: readonly Samples[], bodyBytes: number): Row {
  const { pair, clientMicros, serverMicros, loads, handshakeMicros: handshakes } = samples
  const sums = bothMicros(samples)
  const ratioTo = (name: string): string => {
    const other = all.find((found) => found.pair.name.startsWith(name))
    return medianRatio(sums, other && bothMicros(other))
  }
  const [low, high] = quartiles(sums)
  const handshake = median(handshakes)
  return {
    name: pair.name,
    'CPU µs/request, both': median(sums),
    'middle half': `${low.toFixed(1)}–${high.toFixed(1)}`,
    '× HAProxy': ratioTo('HAProxy'),
    '× Envoy': ratioTo('Envoy'),
    ...(bodyBytes > 4096 && { 'CPU ms/GB, both': (median(sums) / bodyBytes) * 1e6 }),
    'client side': median(clientMicros),
    'server side': median(serverMicros),
    'requests/s': Math.round(median(loads.map((result) => result.requestsPerSecond))),
    'handshake µs': Math.round(handshake),
    'handshakes/s a core': Math.round(1_000_000 / handshake),
    'KB/idle connection': median(samples.idleKilobytes),
    errors: loads.reduce((sum, result) => sum + result.errors, 0),
  }
}

await benchMtls()
