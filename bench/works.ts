/**
 * What other kinds of work cost a sidecar, beside its peers in one run: HTTP/2 shaped like gRPC, gRPC streams, a new
 * connection for each request, bodies of four sizes, a mix of them, and TCP.
 *
 * Each proxy has one core with one worker to itself while it is measured; load and origin share the other. Turns
 * alternate over all proxies, as in the bench of one sidecar. Envoy and Tulle run from one bootstrap file with the
 * default features.
 *
 * npm run bench -- works [--work REGEX] [--turns N] [--seconds S] [--warm S] [--only REGEX]
 *                        [--against CHECKOUT] [-o json]
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'

import { buildGo } from '../test/support/build-go.ts'
import { findProgram } from '../test/support/programs.ts'
import { allFeatures, type SubjectOptions } from './bootstrap.ts'
import { runLoad } from './load.ts'
import { MeasuredProcess, cores, freePort, pinned } from './process.ts'
import {
  envoy,
  haproxy,
  haproxyOrigin,
  nginx,
  nginxOrigin,
  tulle,
  type Subject,
} from './subjects.ts'
import { median, medianRatio, printTable, quartiles, type Row } from './table.ts'

const execute = promisify(execFile)

interface Settings {
  readonly turns: number
  readonly seconds: number
  readonly warmSeconds: number
  readonly only: RegExp
  readonly against: string | undefined
}

/** What the origin gave in one turn. */
interface Done {
  /** Requests, or gigabytes. */
  readonly units: number
  readonly errors: number
}

interface Work {
  readonly name: string
  /** Of a figure; what is printed is CPU for each unit. */
  readonly unit: string
  /** CPU microseconds for each unit are divided by it. */
  readonly scale: number
  readonly origin: (folder: string, port: number) => Subject | undefined
  readonly subject: Partial<Pick<SubjectOptions, 'isTcp' | 'isUpstreamHttp2'>>
  /** It ends a connection on which an answer comes before the request's body, as this origin's do. */
  readonly leavesNginxOut?: boolean
  readonly haproxy?: { readonly bind?: string; readonly server?: string }
  /** Whether origin and load are programs in Go. */
  readonly needsGo?: boolean
  readonly run: (port: number, seconds: number, folder: string) => Promise<Done>
}

/** Bytes of the answers of a mix: nine in ten, nine in a hundred, one in a hundred. */
const mixed = [1_024, 65_536, 1_048_576] as const

const micros = { unit: 'CPU µs/request', scale: 1 }
const perGigabyte = { unit: 'CPU ms/GB', scale: 1_000 }

const grpcShape = {
  subject: { isUpstreamHttp2: true },
  haproxy: { bind: 'proto h2', server: 'proto h2' },
}

const works: readonly Work[] = [
  {
    ...micros,
    ...grpcShape,
    name: 'gRPC-shaped HTTP/2, 10 connections of 10 streams',
    origin: haproxyOrigin,
    leavesNginxOut: true,
    run: runGrpcShaped,
  },
  streams('server-streaming gRPC, messages of 64 bytes, 10 × 10 streams', 'download'),
  streams('bidirectional gRPC, a message for each, 10 × 10 streams', 'chat'),
  {
    ...micros,
    name: 'a new connection for each request, 64 at once',
    origin: nginxOrigin,
    subject: {},
    run: (port, seconds) => runWrk(port, { seconds, headers: ['Connection: close'] }),
  },
  {
    ...micros,
    name: 'TCP, 64 connections',
    origin: nginxOrigin,
    subject: { isTcp: true },
    run: runTcp,
  },
  {
    ...micros,
    name: 'a mix of 90 % 1 KB, 9 % 64 KB, 1 % 1 MiB, 64 connections',
    origin: (folder, port) => nginxOrigin(folder, port, mixed),
    subject: {},
    run: runMix,
  },
  {
    ...micros,
    name: 'bodies of 1 KB, 64 connections',
    origin: (folder, port) => nginxOrigin(folder, port, 1_024),
    subject: {},
    run: (port, seconds) => runWrk(port, { seconds }),
  },
  bodies('64 KB', 65_536, 64),
  bodies('1 MiB', 1_048_576, 16),
  bodies('10 MB', 10_000_000, 4),
]

/** Origin and load are grpc-go; what is counted are messages. */
function streams(name: string, kind: 'download' | 'chat'): Work {
  return {
    ...grpcShape,
    name,
    unit: 'CPU µs/message',
    scale: 1,
    needsGo: true,
    origin: (folder, port) => ({
      name: 'origin',
      command: [grpcGo(folder), 'server', String(port)],
      port,
    }),
    run: (port, seconds, folder) => runStreams(grpcGo(folder), { port, seconds, kind }),
  }
}

/** Answers of one size; counted in what the client got of bodies. */
function bodies(size: string, bytes: number, connections: number): Work {
  return {
    ...perGigabyte,
    name: `bodies of ${size}, ${connections} connections`,
    origin: (folder, port) => nginxOrigin(folder, port, bytes),
    subject: {},
    run: async (port, seconds) => {
      const { units, errors } = await runWrk(port, { seconds, connections })
      return { units: (units * bytes) / 1e9, errors }
    },
  }
}

async function benchWorks(): Promise<void> {
  const { values } = parseArgs({
    options: {
      work: { type: 'string', default: '' },
      turns: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '1' },
      warm: { type: 'string', default: '2' },
      only: { type: 'string', default: '' },
      against: { type: 'string' },
      output: { type: 'string', short: 'o', default: 'table' },
    },
  })
  for (const program of ['wrk', 'nginx', 'h2load', 'haproxy']) {
    if (findProgram(program) === undefined) throw new Error(`this bench needs ${program}`)
  }
  const settings: Settings = {
    turns: Number(values.turns),
    seconds: Number(values.seconds),
    warmSeconds: Number(values.warm),
    only: new RegExp(values.only),
    against: values.against,
  }
  const format = values.output === 'json' ? 'json' : 'table'
  const chosen = new RegExp(values.work)
  for (const work of works.filter(({ name }) => chosen.test(name))) {
    await inFolder(async (folder) => {
      const lack = work.needsGo === true && (await buildGo(grpcGoSource, grpcGo(folder)))
      if (lack === false) printTable(await measureWork(folder, work, settings), format)
      else process.stderr.write(`left out: ${work.name}: ${lack}\n`)
    })
  }
}

async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-bench-'))
  try {
    await run(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

interface Samples {
  readonly proxy: MeasuredProcess
  readonly subject: Subject
  readonly cpu: number[]
  readonly units: number[]
  errors: number
}

async function measureWork(
  folder: string,
  work: Work,
  { turns, seconds, warmSeconds, only, against }: Settings,
): Promise<readonly Row[]> {
  process.stderr.write(`${work.name}\n`)
  const originPort = await freePort()
  const origin = work.origin(folder, originPort)
  if (origin === undefined) throw new Error(`the origin of ${work.name} is not installed`)
  await using stack = new AsyncDisposableStack()
  stack.use(await MeasuredProcess.start({ ...origin, core: cores.load }))
  const all: Samples[] = []
  for (const subject of await subjectsOf({ folder, originPort, ...work.subject }, work, against)) {
    if (!only.test(subject.name)) continue
    const proxy = stack.use(await MeasuredProcess.start({ ...subject, core: cores.proxy }))
    await work.run(subject.port, warmSeconds, folder)
    all.push({ subject, proxy, cpu: [], units: [], errors: 0 })
  }
  for (let turn = 0; turn < turns; turn += 1) {
    for (const samples of all) {
      const before = samples.proxy.cpuMicros()
      const { units, errors } = await work.run(samples.subject.port, seconds, folder)
      const cpu = samples.proxy.cpuMicros() - before
      samples.cpu.push(cpu / work.scale / Math.max(units, 1e-9))
      samples.units.push(units / seconds)
      samples.errors += errors
    }
  }
  return all.map((samples) => toRow(samples, work, all))
}

function toRow(samples: Samples, work: Work, all: readonly Samples[]): Row {
  const { cpu, units, errors, subject, proxy } = samples
  const [low, high] = quartiles(cpu)
  const ratioTo = (name: string): string =>
    medianRatio(cpu, all.find((other) => other.subject.name.startsWith(name))?.cpu)
  const isBulk = work.scale !== 1
  const unitName = work.unit.split('/').at(-1) ?? ''
  return {
    [work.name]: subject.name,
    [work.unit]: median(cpu) < 10 ? median(cpu).toFixed(2) : median(cpu),
    'middle half': `${low.toFixed(1)}–${high.toFixed(1)}`,
    '× HAProxy': ratioTo('HAProxy'),
    '× Envoy': ratioTo('Envoy'),
    [isBulk ? 'GB/s' : `${unitName}s/s`]: isBulk
      ? median(units).toFixed(2)
      : Math.round(median(units)),
    'memory MB': Math.round(proxy.residentMegabytes()),
    errors,
  }
}

async function subjectsOf(
  options: Omit<SubjectOptions, 'port'>,
  work: Pick<Work, 'haproxy' | 'leavesNginxOut'>,
  against?: string,
): Promise<readonly Subject[]> {
  const next = async (): Promise<SubjectOptions> => ({ ...options, port: await freePort() })
  const features = allFeatures
  const all = [
    haproxy(await next(), work.haproxy),
    work.leavesNginxOut === true ? undefined : nginx(await next()),
    envoy(await next(), features),
    tulle(await next(), { features, name: 'Tulle, default features' }),
  ]
  if (against !== undefined) {
    const name = 'Tulle of the other checkout'
    all.push(tulle(await next(), { features, name, checkout: against }))
  }
  return all.filter((subject) => subject !== undefined)
}

// Loads.

interface WrkOptions {
  readonly seconds: number
  readonly connections?: number
  readonly headers?: readonly string[]
  readonly script?: string
}

async function runWrk(
  port: number,
  { seconds, connections = 64, headers = [], script }: WrkOptions,
): Promise<Done> {
  const url = `http://127.0.0.1:${port}/`
  const { requests, errors } = await runLoad({
    url,
    connections,
    seconds,
    headers,
    script,
    core: cores.load,
  })
  return { units: requests, errors }
}

/** The same requests in the same order, for every proxy. */
async function runMix(port: number, seconds: number): Promise<Done> {
  const [small, middle, large] = mixed
  const script = join(tmpdir(), `tulle-bench-mix-${process.pid}.lua`)
  writeFileSync(
    script,
    `local turn = 0
request = function()
  turn = (turn + 37) % 100
  local size = ${small}
  if turn == 0 then size = ${large} elseif turn < 10 then size = ${middle} end
  return wrk.format("GET", "/size-" .. size)
end
`,
  )
  try {
    return await runWrk(port, { seconds, script })
  } finally {
    rmSync(script, { force: true })
  }
}

function runTcp(port: number, seconds: number): Promise<Done> {
  return runWrk(port, { seconds })
}

/** Unary calls: POST with a message of 64 bytes, the answer's status among its headers. */
async function runGrpcShaped(port: number, seconds: number): Promise<Done> {
  const file = join(tmpdir(), `tulle-bench-message-${process.pid}`)
  writeFileSync(file, Buffer.concat([Buffer.from([0, 0, 0, 0, 59]), Buffer.alloc(59, 'x')]))
  const load = ['h2load', '-c', '10', '-m', '10', '-D', String(seconds), '-d', file]
  const headers = ['-H', 'content-type: application/grpc', '-H', 'te: trailers']
  const command = [...load, ...headers, `http://127.0.0.1:${port}/bench.Echo/Unary`]
  const [program = '', ...args] = pinned(command, cores.load)
  try {
    const { stdout } = await execute(program, args)
    const [, done = '0', failed = '0'] = /(\d+) succeeded, (\d+) failed/.exec(stdout) ?? []
    return { units: Number(done), errors: Number(failed) }
  } finally {
    rmSync(file, { force: true })
  }
}

const grpcGoSource = join(import.meta.dirname, '../test/support/grpc-go')

function grpcGo(folder: string): string {
  return join(folder, 'grpc-go')
}

interface StreamOptions {
  readonly port: number
  readonly seconds: number
  readonly kind: 'download' | 'chat'
}

/** What grpc-go prints. */
interface StreamsSeen {
  readonly messages: number
  readonly errors: number
  readonly lastError: string | null
}

async function runStreams(program: string, { port, seconds, kind }: StreamOptions): Promise<Done> {
  const args = ['load', `127.0.0.1:${String(port)}`, kind, String(seconds)]
  const [command = '', ...rest] = pinned([program, ...args], cores.load)
  const { stdout } = await execute(command, rest)
  const { messages, errors, lastError } = JSON.parse(stdout) as StreamsSeen
  if (errors > 0) process.stderr.write(`${String(errors)} errors, of them: ${String(lastError)}\n`)
  return { units: messages, errors }
}

await benchWorks()
