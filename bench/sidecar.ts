/**
 * How much a sidecar costs, beside nginx, HAProxy and Envoy in one run.
 *
 * Each proxy runs alone on one core with one worker; the load (wrk) and the origin (nginx) share the other.
 * Rounds alternate over all subjects, so that whatever the machine does meets all alike; medians are printed,
 * and ratios, which hold better from machine to machine than figures do.
 *
 * npm run bench -- sidecar [--rounds N] [--seconds S] [--connections C] [-o json]
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { findProgram } from '../test/support/programs.ts'
import { runLoad, type LoadResult } from './load.ts'
import { MeasuredProcess } from './process.ts'
import { allFeatures, envoy, haproxy, nginx, nginxOrigin, tulle, type Subject } from './subjects.ts'
import { median, printTable, type Row } from './table.ts'

interface Sample {
  readonly load: LoadResult
  readonly cpuMicrosPerRequest: number
  readonly residentMegabytes: number
}

interface Settings {
  readonly rounds: number
  readonly seconds: number
  readonly connections: number
}

async function benchSidecar(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '4' },
      connections: { type: 'string', default: '64' },
      features: { type: 'boolean', default: false },
      output: { type: 'string', short: 'o', default: 'table' },
    },
  })
  const settings = {
    rounds: Number(values.rounds),
    seconds: Number(values.seconds),
    connections: Number(values.connections),
  }
  if (findProgram('wrk') === undefined || findProgram('nginx') === undefined) {
    throw new Error('this bench needs wrk and nginx (Debian: apt-get install wrk nginx-light)')
  }
  const folder = mkdtempSync(join(tmpdir(), 'tulle-bench-'))
  try {
    const rows = await measureAll(folder, settings, values.features)
    printTable(rows, values.output === 'json' ? 'json' : 'table')
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function measureAll(
  folder: string,
  settings: Settings,
  byFeature: boolean,
): Promise<readonly Row[]> {
  const cores =
    availableParallelism() >= 2 ? { proxy: 1, load: 0 } : { proxy: undefined, load: undefined }
  const originPort = await freePort()
  const origin = nginxOrigin(folder, originPort)
  if (origin === undefined) throw new Error('nginx, which is the origin, is not installed')
  await using originProcess = await MeasuredProcess.start({ ...origin, core: cores.load })
  const subjects = await listSubjects(folder, originPort, byFeature)
  const samples = new Map<string, Sample[]>(subjects.map((subject) => [subject.name, []]))
  const starts = new Map<string, number[]>(subjects.map((subject) => [subject.name, []]))
  const lone = new Map<string, LoadResult[]>([
    ['direct', []],
    ...subjects.map((s) => [s.name, []] as [string, LoadResult[]]),
  ])
  for (let round = 1; round <= settings.rounds; round++) {
    process.stderr.write(`round ${String(round)} of ${String(settings.rounds)}\n`)
    lone.get('direct')?.push(await load(originProcess.pid === 0 ? 0 : originPort, 1, 1))
    for (const subject of subjects) {
      await using proxy = await MeasuredProcess.start({ ...subject, core: cores.proxy })
      starts.get(subject.name)?.push(proxy.startMs)
      await load(subject.port, settings.connections, 2)
      const before = proxy.cpuMicros()
      const result = await load(subject.port, settings.connections, settings.seconds)
      const cpu = proxy.cpuMicros() - before
      samples.get(subject.name)?.push({
        load: result,
        cpuMicrosPerRequest: cpu / Math.max(1, result.requests),
        residentMegabytes: proxy.residentMegabytes(),
      })
      lone.get(subject.name)?.push(await load(subject.port, 1, 1))
    }
  }
  return subjects.map((subject) =>
    toRow(subject.name, {
      samples: samples.get(subject.name) ?? [],
      starts: starts.get(subject.name) ?? [],
      lone: lone.get(subject.name) ?? [],
      direct: lone.get('direct') ?? [],
    }),
  )

  function load(port: number, connections: number, seconds: number): Promise<LoadResult> {
    return runLoad({
      url: `http://127.0.0.1:${String(port)}/`,
      connections,
      seconds,
      core: cores.load,
    })
  }
}

async function listSubjects(
  folder: string,
  originPort: number,
  byFeature: boolean,
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
    tulle(await next(), [], 'Tulle, plain'),
    tulle(await next(), allFeatures, 'Tulle, default features'),
  ]
  const single = byFeature ? allFeatures : []
  for (const feature of single)
    ours.push(tulle(await next(), [feature], `Tulle, plain and ${feature}`))
  return [...peers.filter((peer) => peer !== undefined), ...ours]
}

interface Measured {
  readonly samples: readonly Sample[]
  readonly starts: readonly number[]
  readonly lone: readonly LoadResult[]
  readonly direct: readonly LoadResult[]
}

function toRow(name: string, measured: Measured): Row {
  const { samples, starts, lone, direct } = measured
  const added = (pick: (result: LoadResult) => number): number =>
    median(lone.map(pick)) - median(direct.map(pick))
  return {
    name,
    'CPU µs/request': median(samples.map((sample) => sample.cpuMicrosPerRequest)),
    'requests/s': Math.round(median(samples.map((sample) => sample.load.requestsPerSecond))),
    'added p50 µs': Math.round(added((result) => result.p50Micros)),
    'added p99 µs': Math.round(added((result) => result.p99Micros)),
    'memory MB': Math.round(median(samples.map((sample) => sample.residentMegabytes))),
    'start ms': Math.round(median(starts)),
    errors: samples.reduce((sum, sample) => sum + sample.load.errors, 0),
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() =>
        resolve(typeof address === 'object' && address !== null ? address.port : 0),
      )
    })
  })
}

await benchSidecar()
