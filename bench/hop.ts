/**
 * What large bodies do to a hop: client → sidecar → mutual TLS and HTTP/2 → sidecar → origin, the same program at both ends.
 *
 * - Fairness: the 99th percentile of small requests alone, beside a download that nobody reads, and beside one that is
 *   read at a steady rate, all over the same hop. Aim: beside the one that stands still at most twice what it is alone.
 * - Memory: a body down and a body up, and how far the memory of either end rose while it passed.
 *
 * npm run bench -- hop [--turns N] [--seconds S] [--connections C] [--bytes N] [--only REGEX] [-o json]
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs, promisify } from 'node:util'

import { findProgram } from '../test/support/programs.ts'
import { runLoad } from './load.ts'
import { listPairs, type Pair } from './pairs.ts'
import { MeasuredProcess, cores, freePort, pinned } from './process.ts'
import { median, printTable, type Row } from './table.ts'

interface Settings {
  readonly turns: number
  readonly seconds: number
  readonly connections: number
  readonly bytes: number
}

/** What goes on beside the small requests, with the flags of curl. */
const besides = {
  alone: undefined,
  // Few bytes, and then none for as long as a turn takes.
  stalled: ['--limit-rate', '1'],
  steady: ['--limit-rate', '20M'],
} as const

type Beside = keyof typeof besides

const settleMs = 500

async function benchHop(): Promise<void> {
  const { values } = parseArgs({
    options: {
      turns: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '2' },
      connections: { type: 'string', default: '8' },
      bytes: { type: 'string', default: String(1024 ** 3) },
      only: { type: 'string', default: '' },
      output: { type: 'string', short: 'o', default: 'table' },
    },
  })
  for (const program of ['wrk', 'curl']) {
    if (findProgram(program) === undefined) throw new Error(`this bench needs ${program}`)
  }
  const settings = {
    turns: Number(values.turns),
    seconds: Number(values.seconds),
    connections: Number(values.connections),
    bytes: Number(values.bytes),
  }
  const folder = mkdtempSync(join(tmpdir(), 'tulle-bench-'))
  try {
    const port = await freePort()
    const command = [process.execPath, join(import.meta.dirname, 'hop-origin.ts'), String(port)]
    await using _ = await MeasuredProcess.start({ name: 'origin', command, port, core: cores.load })
    const { pairs } = await listPairs({ folder, originPort: port, alpn: 'h2' })
    const only = new RegExp(values.only)
    const rows: Row[] = []
    for (const pair of pairs.filter(({ name }) => only.test(name))) {
      rows.push(await measurePair(pair, settings))
    }
    printTable(rows, values.output === 'json' ? 'json' : 'table')
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function measurePair(pair: Pair, settings: Settings): Promise<Row> {
  process.stderr.write(`${pair.name}\n`)
  await using server = await MeasuredProcess.start({ ...pair.server, core: cores.proxy })
  await using client = await MeasuredProcess.start({ ...pair.client, core: cores.proxy })
  const base = `http://127.0.0.1:${String(pair.client.port)}`
  await load(base, settings)
  const samples: Record<Beside, number[]> = { alone: [], stalled: [], steady: [] }
  let errors = 0
  for (let turn = 0; turn < settings.turns; turn++) {
    for (const beside of ['alone', 'stalled', 'steady'] as const) {
      const result = await measureBeside(base, beside, settings)
      // Where nothing came through there is no percentile.
      samples[beside].push(result.requests === 0 ? Infinity : result.p99Micros)
      errors += result.errors
    }
  }
  const alone = median(samples.alone)
  const ends = { client, server }
  const down = await measureBody(ends, settings, ['-o', '/dev/null', bulkUrl(base, settings)])
  const up = await measureBody(ends, settings, ['-o', '/dev/null', '-T', '-', `${base}/sink`])
  return {
    name: pair.name,
    'p99 alone, µs': micros(alone),
    'beside a stalled download': micros(median(samples.stalled)),
    '× alone': (median(samples.stalled) / alone).toFixed(2),
    'beside 20 MB/s': micros(median(samples.steady)),
    '× alone ': (median(samples.steady) / alone).toFixed(2),
    'down: CPU ms/GB, both': Math.round(down.cpuMs),
    'memory +MB, client / server': down.memory,
    'up: CPU ms/GB, both': Math.round(up.cpuMs),
    'memory +MB, client / server ': up.memory,
    errors,
  }
}

function micros(value: number): number | string {
  return Number.isFinite(value) ? Math.round(value) : 'none came through'
}

function load(base: string, { connections, seconds }: Settings) {
  return runLoad({ url: `${base}/`, connections, seconds, core: cores.load })
}

function bulkUrl(base: string, { bytes }: Settings): string {
  return `${base}/bulk?bytes=${String(bytes)}`
}

async function measureBeside(base: string, beside: Beside, settings: Settings) {
  const flags = besides[beside]
  if (flags === undefined) return load(base, settings)
  const download = startCurl([...flags, '-o', '/dev/null', bulkUrl(base, settings)])
  const exited = once(download, 'exit')
  try {
    // What it takes before it stands still is over by then.
    await delay(settleMs)
    return await load(base, settings)
  } finally {
    download.kill('SIGKILL')
    await exited
  }
}

function startCurl(args: readonly string[]): ChildProcess {
  const [program = '', ...rest] = pinned(['curl', '-sS', ...args], cores.load)
  return spawn(program, rest, { stdio: ['ignore', 'ignore', 'inherit'] })
}

interface Ends {
  readonly client: MeasuredProcess
  readonly server: MeasuredProcess
}

/** One body through both, and how far the memory of each rose meanwhile. */
async function measureBody({ client, server }: Ends, { bytes }: Settings, args: readonly string[]) {
  const before = [client.residentMegabytes(), server.residentMegabytes()]
  const most = [...before]
  const look = (): void => {
    for (const [index, end] of [client, server].entries()) {
      most[index] = Math.max(most[index] ?? 0, end.residentMegabytes())
    }
  }
  const timer = setInterval(look, 20)
  const cpuBefore = client.cpuMicros() + server.cpuMicros()
  try {
    // Only an upload reads its input.
    const script = `head -c ${String(bytes)} /dev/zero | "$@"`
    const command = ['sh', '-c', script, 'sh', 'curl', '-sS', ...args]
    const [program = '', ...rest] = pinned(command, cores.load)
    await promisify(execFile)(program, rest)
  } finally {
    clearInterval(timer)
  }
  look()
  const rise = most.map((megabytes, index) => Math.round(megabytes - (before[index] ?? 0)))
  const cpuMs = (client.cpuMicros() + server.cpuMicros() - cpuBefore) / 1_000
  return { cpuMs: (cpuMs * 1e9) / bytes, memory: rise.join(' / ') }
}

await benchHop()
