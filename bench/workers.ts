/**
 * What a second thread of a sidecar is worth, in Tulle and in Envoy.
 *
 * On a machine of few cores the load and the origin take what a second thread would need, so requests per second say how
 * much the load side could send, and no more. What limits a proxy whose threads have a core each is its busiest thread:
 * so the CPU time of each thread is read, and a proxy's capacity is one second of its busiest thread divided by what that
 * spends on a request. It counts what a second thread adds (messages, shared counters, an uneven share), and cannot see
 * what cores take from each other (memory, caches).
 *
 * Nothing is pinned: threads, load and origin share all cores. Many connections are kept; or each request has its own,
 * which the main thread accepts and hands over.
 *
 * npm run bench -- workers [--turns N] [--seconds S] [--connections C] [-o json]
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { findProgram } from '../test/support/programs.ts'
import { allFeatures } from './bootstrap.ts'
import { type LoadResult, runLoad } from './load.ts'
import { MeasuredProcess, freePort } from './process.ts'
import { type Subject, envoy, nginxOrigin, tulle } from './subjects.ts'
import { median, printTable, type Row } from './table.ts'

interface Settings {
  readonly turns: number
  readonly seconds: number
  readonly connections: number
}

const works = [
  { name: 'kept connections', headers: [] },
  { name: 'a connection for each request', headers: ['Connection: close'] },
] as const

interface Sample {
  readonly perRequest: number
  readonly busiestPerRequest: number
  readonly load: LoadResult
}

async function benchWorkers(): Promise<void> {
  const { values } = parseArgs({
    options: {
      turns: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '2' },
      connections: { type: 'string', default: '64' },
      output: { type: 'string', short: 'o', default: 'table' },
    },
  })
  if (findProgram('wrk') === undefined) throw new Error('this bench needs wrk')
  const settings = {
    turns: Number(values.turns),
    seconds: Number(values.seconds),
    connections: Number(values.connections),
  }
  process.stderr.write(
    `${String(availableParallelism())} cores for threads, load and origin: requests/s is what the load side could send\n`,
  )
  const folder = mkdtempSync(join(tmpdir(), 'tulle-bench-'))
  try {
    printTable(await measureAll(folder, settings), values.output === 'json' ? 'json' : 'table')
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function measureAll(folder: string, settings: Settings): Promise<readonly Row[]> {
  const originPort = await freePort()
  const origin = nginxOrigin(folder, originPort)
  if (origin === undefined) throw new Error('nginx, which is the origin, is not installed')
  await using _ = await MeasuredProcess.start({ ...origin, core: undefined })
  const rows: Row[] = []
  for (const work of works) {
    for (const make of [ofTulle, ofEnvoy]) {
      const next = async () => ({ folder, originPort, port: await freePort() })
      const subjects = [make(await next(), 1), make(await next(), 2)].filter(
        (subject) => subject !== undefined,
      )
      rows.push(...(await measureWork(subjects, work, settings)))
    }
  }
  return rows
}

interface Running {
  readonly subject: Subject
  readonly proxy: MeasuredProcess
  readonly samples: Sample[]
}

/** Turns alternate, so that whatever the machine does meets both alike. */
async function measureWork(
  subjects: readonly Subject[],
  { name, headers }: (typeof works)[number],
  settings: Settings,
): Promise<readonly Row[]> {
  await using stack = new AsyncDisposableStack()
  const running: Running[] = []
  for (const subject of subjects) {
    const proxy = stack.use(await MeasuredProcess.start({ ...subject, core: undefined }))
    await send(subject, { ...settings, seconds: 2 }, headers)
    running.push({ subject, proxy, samples: [] })
  }
  for (let turn = 0; turn < settings.turns; turn += 1) {
    for (const { subject, proxy, samples } of running) {
      samples.push(await measure(proxy, () => send(subject, settings, headers)))
    }
  }
  return running.map((each) => toRow(name, each, running[0]?.samples ?? []))
}

type MakeSubject = (
  options: { readonly folder: string; readonly originPort: number; readonly port: number },
  threads: number,
) => Subject | undefined

const ofTulle: MakeSubject = (options, threads) =>
  tulle(options, {
    name: `Tulle, ${String(threads)}`,
    features: allFeatures,
    flags: ['--concurrency', String(threads)],
  })

const ofEnvoy: MakeSubject = (options, threads) => {
  const subject = envoy(options, allFeatures, `Envoy, ${String(threads)}`)
  if (subject === undefined) return undefined
  const at = subject.command.indexOf('--concurrency') + 1
  return { ...subject, command: subject.command.with(at, String(threads)) }
}

function send(
  { port }: Subject,
  { connections, seconds }: Settings,
  headers: readonly string[],
): Promise<LoadResult> {
  const url = `http://127.0.0.1:${String(port)}/`
  return runLoad({ url, connections, seconds, core: undefined, headers })
}

async function measure(proxy: MeasuredProcess, run: () => Promise<LoadResult>): Promise<Sample> {
  const before = proxy.threadMicros()
  const load = await run()
  const spent = [...proxy.threadMicros()].map(([id, micros]) => micros - (before.get(id) ?? 0))
  const requests = Math.max(1, load.requests)
  return {
    perRequest: spent.reduce((sum, micros) => sum + micros, 0) / requests,
    busiestPerRequest: Math.max(...spent) / requests,
    load,
  }
}

function toRow(work: string, { subject, proxy, samples }: Running, one: readonly Sample[]): Row {
  const busiest = median(samples.map(({ busiestPerRequest }) => busiestPerRequest))
  const gains = samples.map(
    ({ busiestPerRequest }, turn) => (one[turn]?.busiestPerRequest ?? 0) / busiestPerRequest,
  )
  return {
    work,
    'proxy, threads': subject.name,
    'CPU µs/request': median(samples.map(({ perRequest }) => perRequest)),
    'busiest thread': busiest,
    'capacity, requests/s': Math.round(1_000_000 / busiest),
    '× one thread': median(gains).toFixed(2),
    'requests/s here': Math.round(median(samples.map(({ load }) => load.requestsPerSecond))),
    'memory MB': Math.round(proxy.residentMegabytes()),
    errors: samples.reduce((sum, { load }) => sum + load.errors, 0),
  }
}

await benchWorkers()
