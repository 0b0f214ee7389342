/**
 * How late answers are at a fixed rate of requests, through a sidecar and beside its peers: an open loop.
 *
 * wrk's connections each wait for an answer before they ask again, so a proxy that pauses is asked less, and its pause is
 * found in few of the latencies (coordinated omission). Here requests leave at the times they are meant to, over 64
 * connections, and latency counts from those times, also for those that had to wait for a connection (open-loop/main.go).
 *
 * First each proxy's capacity: what it serves to wrk with 64 connections. The rates are shares of the slowest one's, the
 * same for all. Then short turns alternate over all proxies, and the origin with no proxy before it. Each proxy has one core
 * with one worker; load and origin share the other. Printed are medians over the turns.
 *
 * npm run bench -- open [--turns N] [--seconds S] [--warm S] [--connections C] [--shares 25,50,75] [--only REGEX]
 *                       [--against CHECKOUT] [-o json]
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'

import { buildGo } from '../test/support/build-go.ts'
import { findProgram } from '../test/support/programs.ts'
import { allFeatures } from './bootstrap.ts'
import { runLoad } from './load.ts'
import { MeasuredProcess, cores, freePort, pinned } from './process.ts'
import { envoy, haproxy, nginx, nginxOrigin, tulle, type Subject } from './subjects.ts'
import { median, printTable, type Row } from './table.ts'

interface Settings {
  readonly turns: number
  readonly seconds: number
  readonly warmSeconds: number
  readonly connections: number
  /** Hundredths of the slowest proxy's capacity. */
  readonly shares: readonly number[]
}

/** What open-loop prints. */
interface Summary {
  readonly answered: number
  readonly unanswered: number
  readonly failed: number
  readonly p50Micros: number
  readonly p99Micros: number
  readonly p999Micros: number
}

interface Entry {
  readonly subject: Subject
  readonly capacity: number
  readonly proxy: MeasuredProcess | undefined
}

async function benchOpen(): Promise<void> {
  const { values } = parseArgs({
    options: {
      turns: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '2' },
      warm: { type: 'string', default: '2' },
      connections: { type: 'string', default: '64' },
      shares: { type: 'string', default: '25,50,75' },
      only: { type: 'string', default: '' },
      against: { type: 'string' },
      output: { type: 'string', short: 'o', default: 'table' },
    },
  })
  for (const program of ['wrk', 'nginx']) {
    if (findProgram(program) === undefined) throw new Error(`this bench needs ${program}`)
  }
  const settings = {
    turns: Number(values.turns),
    seconds: Number(values.seconds),
    warmSeconds: Number(values.warm),
    connections: Number(values.connections),
    shares: values.shares.split(',').map(Number),
  }
  const folder = mkdtempSync(join(tmpdir(), 'tulle-bench-'))
  try {
    const program = join(folder, 'open-loop')
    const lack = await buildGo(join(import.meta.dirname, 'open-loop'), program)
    if (lack !== false) throw new Error(`this bench needs a generator in Go: ${lack}`)
    const originPort = await freePort()
    const origin = nginxOrigin(folder, originPort)
    if (origin === undefined) throw new Error('nginx, which is the origin, is not installed')
    await using stack = new AsyncDisposableStack()
    stack.use(await MeasuredProcess.start({ ...origin, core: cores.load }))
    const subjects = await listSubjects(folder, originPort, values.against)
    const entries: Entry[] = [
      { subject: { ...origin, name: 'no proxy' }, capacity: Infinity, proxy: undefined },
    ]
    for (const subject of subjects.filter(({ name }) => new RegExp(values.only).test(name))) {
      const proxy = stack.use(await MeasuredProcess.start({ ...subject, core: cores.proxy }))
      await closedLoop(subject, { ...settings, seconds: settings.warmSeconds })
      const capacity = await closedLoop(subject, settings)
      entries.push({ subject, proxy, capacity })
    }
    const rows = await measureShares(program, entries, settings)
    printTable(rows, values.output === 'json' ? 'json' : 'table')
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function listSubjects(
  folder: string,
  originPort: number,
  against: string | undefined,
): Promise<readonly Subject[]> {
  const next = async () => ({ folder, originPort, port: await freePort() })
  const features = allFeatures
  const all = [
    haproxy(await next()),
    nginx(await next()),
    envoy(await next(), features),
    tulle(await next(), { features, name: 'Tulle, default features' }),
  ]
  if (against !== undefined) {
    const name = 'Tulle of the other checkout'
    all.push(tulle(await next(), { features, name, checkout: against }))
  }
  return all.filter((subject) => subject !== undefined)
}

async function closedLoop(
  { port }: Subject,
  { connections, seconds }: Pick<Settings, 'connections' | 'seconds'>,
): Promise<number> {
  const url = `http://127.0.0.1:${String(port)}/`
  const { requestsPerSecond } = await runLoad({ url, connections, seconds, core: cores.load })
  return requestsPerSecond
}

async function measureShares(
  program: string,
  entries: readonly Entry[],
  settings: Settings,
): Promise<readonly Row[]> {
  const slowest = Math.min(...entries.map(({ capacity }) => capacity))
  const rows: Row[] = []
  for (const share of settings.shares) {
    const rate = Math.round((slowest * share) / 100)
    process.stderr.write(`${String(rate)} requests/s\n`)
    const seen = entries.map((entry) => ({
      entry,
      summaries: [] as Summary[],
      micros: [] as number[],
    }))
    for (let turn = 0; turn < settings.turns; turn++) {
      for (const { entry, summaries, micros } of seen) {
        const before = entry.proxy?.cpuMicros() ?? 0
        const summary = await openLoop(program, { ...settings, port: entry.subject.port, rate })
        const cpu = (entry.proxy?.cpuMicros() ?? 0) - before
        summaries.push(summary)
        micros.push(cpu / Math.max(1, summary.answered))
      }
    }
    for (const { entry, summaries, micros } of seen) {
      rows.push({
        'of the slowest': `${String(share)} %`,
        'requests/s': rate,
        name: entry.subject.name,
        ...latencies(summaries),
        'CPU µs/request': entry.proxy === undefined ? '–' : median(micros),
        'capacity, requests/s': entry.proxy === undefined ? '–' : Math.round(entry.capacity),
        unanswered: sum(summaries.map(({ unanswered }) => unanswered)),
        failed: sum(summaries.map(({ failed }) => failed)),
      })
    }
  }
  return rows
}

function latencies(summaries: readonly Summary[]): Row {
  const of = (pick: (summary: Summary) => number): number => Math.round(median(summaries.map(pick)))
  return {
    'p50 µs': of(({ p50Micros }) => p50Micros),
    'p99 µs': of(({ p99Micros }) => p99Micros),
    'p99.9 µs': of(({ p999Micros }) => p999Micros),
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

interface OpenLoopOptions {
  readonly port: number
  readonly rate: number
  readonly seconds: number
  readonly connections: number
}

async function openLoop(
  program: string,
  { port, rate, seconds, connections }: OpenLoopOptions,
): Promise<Summary> {
  const args = [`127.0.0.1:${String(port)}`, String(rate), String(seconds), String(connections)]
  const [command = '', ...rest] = pinned([program, ...args], cores.load)
  const { stdout } = await promisify(execFile)(command, rest)
  return JSON.parse(stdout) as Summary
}

await benchOpen()
