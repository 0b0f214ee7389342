/**
 * What a request costs where there is much configuration: 1, 100, 1 000 and 10 000 routes in its virtual host, of which
 * it takes the last, and 1 000 clusters, of which it takes one; beside Envoy in one run, from one bootstrap file.
 *
 * Proxies have one core with one worker, load and origin the other; short turns alternate over all subjects of a kind of
 * route, so that whatever the machine does meets all alike. The ratio is to the same proxy with one route, in one turn.
 * Memory is resident, after load, in a process of its own.
 *
 * npm run bench -- routes [--turns N] [--seconds S] [--connections C] [--only REGEX] [-o json]
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { allFeatures, lastRoutePath, type RouteKind, type Scale } from './bootstrap.ts'
import { runLoad } from './load.ts'
import { MeasuredProcess, cores, freePort } from './process.ts'
import { envoy, nginxOrigin, tulle, type Subject } from './subjects.ts'
import { median, printTable, type Row } from './table.ts'

const kinds: readonly RouteKind[] = ['prefix', 'exact', 'regex']
const counts = [1, 100, 1000, 10_000]
const warmSeconds = 2

interface Settings {
  readonly turns: number
  readonly seconds: number
  readonly connections: number
}

interface Entry {
  readonly proxy: string
  readonly what: string
  readonly scale: Scale
  readonly subject: Subject
  readonly micros: number[]
  megabytes: number
}

async function benchRoutes(): Promise<void> {
  const { values } = parseArgs({
    options: {
      turns: { type: 'string', default: '6' },
      seconds: { type: 'string', default: '1' },
      connections: { type: 'string', default: '64' },
      only: { type: 'string', default: '' },
      output: { type: 'string', short: 'o', default: 'table' },
    },
  })
  const settings = {
    turns: Number(values.turns),
    seconds: Number(values.seconds),
    connections: Number(values.connections),
  }
  const only = new RegExp(values.only)
  const folder = mkdtempSync(join(tmpdir(), 'tulle-bench-'))
  try {
    const originPort = await freePort()
    const origin = nginxOrigin(folder, originPort)
    if (origin === undefined) throw new Error('nginx, which is the origin, is not installed')
    await using _ = await MeasuredProcess.start({ ...origin, core: cores.load })
    const rows: Row[] = []
    for (const scales of groups()) {
      const entries: Entry[] = []
      for (const [what, scale] of scales)
        entries.push(...(await entriesOf({ folder, originPort, what, scale })))
      const chosen = entries.filter(({ proxy, what }) => only.test(`${proxy}, ${what}`))
      await measure(chosen, settings)
      rows.push(...chosen.map((entry) => toRow(entry, chosen)))
    }
    printTable(rows, values.output === 'json' ? 'json' : 'table')
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** What is measured together; the first of a group is what the others are divided by. */
function groups(): (readonly (readonly [what: string, scale: Scale])[])[] {
  const routes = kinds.map((kind) =>
    counts.map((count): readonly [string, Scale] => [
      `${String(count)} ${kind} ${count === 1 ? 'route' : 'routes'}`,
      { routes: count, kind },
    ]),
  )
  const clusters = [1, 1000].map((count): readonly [string, Scale] => [
    `${String(count)} ${count === 1 ? 'cluster' : 'clusters'}`,
    { routes: 1, clusters: count },
  ])
  return [...routes, clusters]
}

interface Wanted {
  readonly folder: string
  readonly originPort: number
  readonly what: string
  readonly scale: Scale
}

async function entriesOf({ folder, originPort, what, scale }: Wanted): Promise<readonly Entry[]> {
  const options = async () => ({ folder, originPort, port: await freePort(), scale })
  const ours = tulle(await options(), { name: `Tulle, ${what}`, features: allFeatures })
  const peer = envoy(await options(), allFeatures, `Envoy, ${what}`)
  return [
    { proxy: 'Tulle', subject: ours },
    { proxy: 'Envoy', subject: peer },
  ].flatMap(({ proxy, subject }) =>
    subject === undefined ? [] : [{ proxy, what, scale, subject, micros: [], megabytes: 0 }],
  )
}

async function measure(entries: readonly Entry[], settings: Settings): Promise<void> {
  await using stack = new AsyncDisposableStack()
  const running: { readonly entry: Entry; readonly process: MeasuredProcess }[] = []
  for (const entry of entries) {
    process.stderr.write(`${entry.subject.name}\n`)
    const started = stack.use(await MeasuredProcess.start({ ...entry.subject, core: cores.proxy }))
    await load(entry, { ...settings, seconds: warmSeconds })
    running.push({ entry, process: started })
  }
  for (let turn = 0; turn < settings.turns; turn++) {
    for (const { entry, process: proxy } of running) {
      const before = proxy.cpuMicros()
      const { requests, errors } = await load(entry, settings)
      if (errors > 0) throw new Error(`${entry.subject.name}: ${String(errors)} errors`)
      entry.micros.push((proxy.cpuMicros() - before) / Math.max(1, requests))
    }
  }
  for (const { entry, process: proxy } of running) entry.megabytes = proxy.residentMegabytes()
}

function load({ subject, scale }: Entry, settings: Pick<Settings, 'connections' | 'seconds'>) {
  const url = `http://127.0.0.1:${String(subject.port)}${lastRoutePath(scale.routes ?? 1)}`
  return runLoad({ ...settings, url, core: cores.load })
}

function toRow(entry: Entry, all: readonly Entry[]): Row {
  const reference = all.find(({ proxy }) => proxy === entry.proxy) ?? entry
  const ratios = entry.micros.map((micros, turn) => micros / (reference.micros[turn] ?? micros))
  return {
    what: entry.what,
    proxy: entry.proxy,
    'CPU µs/request': median(entry.micros),
    [`× one`]: median(ratios).toFixed(2),
    'memory MB': Math.round(entry.megabytes),
  }
}

await benchRoutes()
