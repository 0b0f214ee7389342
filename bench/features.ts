/**
 * Where the microseconds of a request go: the default features of a sidecar are switched off one at a time, and what a
 * request costs less without each is printed. Two of them may share work (a metric and its labels), so the lines need not
 * add up to what all cost together, which is printed too.
 *
 * Every subject has one core with one worker to itself while it is measured; load (wrk) and origin (nginx) share the other.
 * A round starts every subject afresh, because what a JIT makes of a program differs from start to start; short turns
 * alternate over all, and a difference is taken within a turn.
 *
 * npm run bench -- features [--rounds N] [--turns N] [--seconds S] [--warm S] [--connections C] [--proxy REGEX]
 *                           [-o json]
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { findProgram } from '../test/support/programs.ts'
import { allFeatures, featureTable, type Feature, type SubjectOptions } from './bootstrap.ts'
import { runLoad } from './load.ts'
import { MeasuredProcess, cores, freePort } from './process.ts'
import { envoy, nginxOrigin, tulle, type Subject } from './subjects.ts'
import { median, printTable, quartiles, type Row } from './table.ts'

interface Settings {
  readonly rounds: number
  readonly turns: number
  readonly seconds: number
  readonly warmSeconds: number
  readonly connections: number
}

interface Entry {
  readonly proxy: string
  readonly what: string
  readonly subject: Subject
  readonly micros: number[]
}

async function benchFeatures(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '4' },
      turns: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '1' },
      warm: { type: 'string', default: '2' },
      connections: { type: 'string', default: '64' },
      proxy: { type: 'string', default: 'Tulle' },
      output: { type: 'string', short: 'o', default: 'table' },
    },
  })
  if (findProgram('wrk') === undefined) throw new Error('this bench needs wrk')
  const settings = {
    rounds: Number(values.rounds),
    turns: Number(values.turns),
    seconds: Number(values.seconds),
    warmSeconds: Number(values.warm),
    connections: Number(values.connections),
  }
  const folder = mkdtempSync(join(tmpdir(), 'tulle-bench-'))
  try {
    const originPort = await freePort()
    const origin = nginxOrigin(folder, originPort)
    if (origin === undefined) throw new Error('nginx, which is the origin, is not installed')
    await using _ = await MeasuredProcess.start({ ...origin, core: cores.load })
    const wanted = new RegExp(values.proxy)
    const entries: Entry[] = []
    for (const proxy of ['Tulle', 'Envoy'] as const) {
      if (wanted.test(proxy)) entries.push(...(await entriesOf(proxy, { folder, originPort })))
    }
    for (let round = 1; round <= settings.rounds; round++) {
      process.stderr.write(`round ${String(round)} of ${String(settings.rounds)}\n`)
      await measureRound(entries, settings)
    }
    const rows = entries.map((entry) => toRow(entry, entries))
    printTable(rows, values.output === 'json' ? 'json' : 'table')
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** The first of a proxy is what the others are compared with. */
async function entriesOf(
  proxy: 'Tulle' | 'Envoy',
  options: Omit<SubjectOptions, 'port'>,
): Promise<readonly Entry[]> {
  const entries: Entry[] = []
  const add = async (what: string, features: readonly Feature[], flags: string[] = []) => {
    const own = { ...options, port: await freePort() }
    const name = `${proxy}, ${what}`
    const subject =
      proxy === 'Envoy' ? envoy(own, features, name) : tulle(own, { name, features, flags })
    if (subject !== undefined) entries.push({ proxy, what, subject, micros: [] })
  }
  await add('all', allFeatures)
  for (const feature of allFeatures) {
    const others = allFeatures.filter((other) => other !== feature)
    await add(`without ${feature}: ${featureTable[feature]}`, others)
  }
  await add('none of them', [])
  if (proxy === 'Tulle') await add('all, on net.Socket', allFeatures, ['--wire', 'net'])
  return entries
}

async function measureRound(entries: readonly Entry[], settings: Settings): Promise<void> {
  await using stack = new AsyncDisposableStack()
  const running: { readonly entry: Entry; readonly proxy: MeasuredProcess }[] = []
  for (const entry of entries) {
    const proxy = stack.use(await MeasuredProcess.start({ ...entry.subject, core: cores.proxy }))
    await load(entry, { ...settings, seconds: settings.warmSeconds })
    running.push({ entry, proxy })
  }
  for (let turn = 0; turn < settings.turns; turn++) {
    for (const { entry, proxy } of running) {
      const before = proxy.cpuMicros()
      const { requests, errors } = await load(entry, settings)
      if (errors > 0) throw new Error(`${entry.subject.name}: ${String(errors)} errors`)
      entry.micros.push((proxy.cpuMicros() - before) / Math.max(1, requests))
    }
  }
}

function load({ subject }: Entry, settings: Pick<Settings, 'connections' | 'seconds'>) {
  const url = `http://127.0.0.1:${String(subject.port)}/`
  return runLoad({ ...settings, url, core: cores.load })
}

function toRow(entry: Entry, all: readonly Entry[]): Row {
  const reference = all.find(({ proxy }) => proxy === entry.proxy) ?? entry
  const saved = entry.micros.map((micros, turn) => (reference.micros[turn] ?? micros) - micros)
  const [low, high] = quartiles(saved)
  return {
    proxy: entry.proxy,
    features: entry.what,
    'CPU µs/request': median(entry.micros),
    'less than with all, µs': median(saved).toFixed(2),
    'middle half': `${low.toFixed(2)}–${high.toFixed(2)}`,
  }
}

await benchFeatures()
