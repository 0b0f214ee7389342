/**
 * How much a sidecar costs, beside nginx, HAProxy and Envoy in one run.
 *
 * Each proxy has one core with one worker to itself while it is measured; the load (wrk) and the origin (nginx) share
 * the other. A round starts every subject afresh, because what a JIT makes of a program differs from start to start,
 * and warms each of them. Then many short turns alternate over all, so that whatever the machine does meets all
 * alike. Printed are medians over all turns, the middle half's spread, and the ratio to the reference within a turn,
 * which holds better from machine to machine than figures do. Latency is that of one connection, less what it is without
 * a proxy, in half as many short turns; the bench `open` has that of many at a fixed rate.
 *
 * npm run bench -- sidecar [--rounds N] [--turns N] [--seconds S] [--warm S] [--connections C]
 *                          [--only REGEX] [--against CHECKOUT] [-o json]
 *
 * `--against` adds the Tulle of another checkout, for a change and what was before it.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { findProgram } from '../test/support/programs.ts'
import { allFeatures } from './bootstrap.ts'
import { runLoad, type LoadResult } from './load.ts'
import { MeasuredProcess, cores, freePort } from './process.ts'
import { envoy, haproxy, nginx, nginxOrigin, tulle, type Subject } from './subjects.ts'
import { median, medianRatio, printTable, quartiles, type Row } from './table.ts'

interface Settings {
  readonly rounds: number
  readonly turns: number
  readonly seconds: number
  readonly warmSeconds: number
  readonly connections: number
}

interface Selection {
  readonly only: RegExp
  readonly against: string | undefined
}

/** What was seen of one subject. */
interface Samples {
  readonly subject: Subject
  /** One per turn, in step with those of every other subject. */
  readonly cpuMicrosPerRequest: number[]
  readonly loads: LoadResult[]
  readonly lone: LoadResult[]
  readonly residentMegabytes: number[]
  readonly startMs: number[]
}

async function benchSidecar(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '3' },
      turns: { type: 'string', default: '6' },
      seconds: { type: 'string', default: '1' },
      warm: { type: 'string', default: '2' },
      connections: { type: 'string', default: '64' },
      only: { type: 'string', default: '' },
      against: { type: 'string' },
      output: { type: 'string', short: 'o', default: 'table' },
    },
  })
  const settings = {
    rounds: Number(values.rounds),
    turns: Number(values.turns),
    seconds: Number(values.seconds),
    warmSeconds: Number(values.warm),
    connections: Number(values.connections),
  }
  const selection = { only: new RegExp(values.only), against: values.against }
  if (findProgram('wrk') === undefined || findProgram('nginx') === undefined) {
    throw new Error('this bench needs wrk and nginx (Debian: apt-get install wrk nginx-light)')
  }
  const folder = mkdtempSync(join(tmpdir(), 'tulle-bench-'))
  try {
    const rows = await measureAll(folder, settings, selection)
    printTable(rows, values.output === 'json' ? 'json' : 'table')
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function measureAll(
  folder: string,
  settings: Settings,
  selection: Selection,
): Promise<readonly Row[]> {
  const originPort = await freePort()
  const origin = nginxOrigin(folder, originPort)
  if (origin === undefined) throw new Error('nginx, which is the origin, is not installed')
  await using _ = await MeasuredProcess.start({ ...origin, core: cores.load })
  const subjects = await listSubjects(folder, originPort, selection)
  const all = subjects.map((subject): Samples => ({
    subject,
    cpuMicrosPerRequest: [],
    loads: [],
    lone: [],
    residentMegabytes: [],
    startMs: [],
  }))
  const direct: LoadResult[] = []
  for (let round = 1; round <= settings.rounds; round++) {
    process.stderr.write(`round ${String(round)} of ${String(settings.rounds)}\n`)
    await measureRound(all, settings, async () => {
      direct.push(await load(originPort, lone))
    })
  }
  return all.map((samples) => toRow(samples, { all, direct }))
}

const lone = { connections: 1, seconds: 1 }

async function measureRound(
  all: readonly Samples[],
  settings: Settings,
  measureDirect: () => Promise<void>,
): Promise<void> {
  await using stack = new AsyncDisposableStack()
  const running: { readonly samples: Samples; readonly proxy: MeasuredProcess }[] = []
  for (const samples of all) {
    const { subject } = samples
    const proxy = stack.use(await MeasuredProcess.start({ ...subject, core: cores.proxy }))
    samples.startMs.push(proxy.startMs)
    await load(subject.port, { ...settings, seconds: settings.warmSeconds })
    running.push({ samples, proxy })
  }
  for (let turn = 0; turn < settings.turns; turn++) {
    for (const { samples, proxy } of running) {
      const before = proxy.cpuMicros()
      const result = await load(samples.subject.port, settings)
      const cpu = proxy.cpuMicros() - before
      samples.loads.push(result)
      samples.cpuMicrosPerRequest.push(cpu / Math.max(1, result.requests))
    }
  }
  for (const { samples, proxy } of running) {
    samples.residentMegabytes.push(proxy.residentMegabytes())
  }
  for (let turn = 0; turn < settings.turns; turn += 2) {
    await measureDirect()
    for (const { samples } of running) samples.lone.push(await load(samples.subject.port, lone))
  }
}

function load(
  port: number,
  { connections, seconds }: Pick<Settings, 'connections' | 'seconds'>,
): Promise<LoadResult> {
  const url = `http://127.0.0.1:${String(port)}/`
  return runLoad({ url, connections, seconds, core: cores.load })
}

async function listSubjects(
  folder: string,
  originPort: number,
  { only, against }: Selection,
): Promise<readonly Subject[]> {
  const next = async (): Promise<{ folder: string; originPort: number; port: number }> => ({
    folder,
    originPort,
    port: await freePort(),
  })
  const peers = [
    haproxy(await next()),
    nginx(await next()),
    envoy(await next(), []),
    envoy(await next(), allFeatures),
  ]
  const ours = [
    tulle(await next(), { features: [], name: 'Tulle, plain' }),
    tulle(await next(), { features: allFeatures, name: 'Tulle, default features' }),
  ]
  if (against !== undefined) {
    const other = { features: allFeatures, checkout: against }
    ours.push(tulle(await next(), { ...other, name: 'Tulle of the other checkout' }))
  }
  return [...peers, ...ours].filter(
    (subject) => subject !== undefined && only.test(subject.name),
  ) as Subject[] // undefined is filtered out
}

interface Comparison {
  readonly all: readonly Samples[]
  readonly direct: readonly LoadResult[]
}

function toRow(samples: Samples, { all, direct }: Comparison): Row {
  const { cpuMicrosPerRequest: cpu, loads, lone } = samples
  const added = (pick: (result: LoadResult) => number): number =>
    median(lone.map(pick)) - median(direct.map(pick))
  const [low, high] = quartiles(cpu)
  const ratioTo = (name: string): string =>
    medianRatio(cpu, all.find(({ subject }) => subject.name === name)?.cpuMicrosPerRequest)
  return {
    name: samples.subject.name,
    'CPU µs/request': median(cpu),
    'middle half': `${low.toFixed(1)}–${high.toFixed(1)}`,
    '× HAProxy': ratioTo('HAProxy'),
    '× Envoy, as Istio': ratioTo('Envoy, as Istio sets it up'),
    'requests/s': Math.round(median(loads.map((result) => result.requestsPerSecond))),
    'added p50 µs': Math.round(added((result) => result.p50Micros)),
    'added p99 µs': Math.round(added((result) => result.p99Micros)),
    'memory MB': Math.round(median(samples.residentMegabytes)),
    'start ms': Math.round(median(samples.startMs)),
    errors: loads.reduce((sum, result) => sum + result.errors, 0),
  }
}

await benchSidecar()
