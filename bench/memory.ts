/**
 * Memory of a sidecar, beside its peers: before the first request, of a connection that waits, with 1 000 clusters, and of
 * each further sidecar in one process (ours only: openSidecar is an instance; Envoy and HAProxy are a process each).
 *
 * Resident memory is read when the process has done nothing for a while, because what was used for starting is given back
 * by then. Ours starts once before it is measured: a first start with changed sources strips their types, which the compile
 * cache then has.
 *
 * npm run bench -- memory [--settle S] [--idle N] [--clusters N] [--sidecars N] [--only REGEX] [--against CHECKOUT]
 *                         [-o json]
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { parseArgs } from 'node:util'

import { allFeatures, type Scale } from './bootstrap.ts'
import type { ManyMessage } from './many-sidecars.ts'
import { MeasuredProcess, cores, freePort, nodeFlags } from './process.ts'
import { envoy, haproxy, nginx, nginxOrigin, tulle, type Subject } from './subjects.ts'
import { printTable, type Row } from './table.ts'

interface Settings {
  readonly settleMs: number
  /** Connections that wait. */
  readonly idle: number
  readonly clusters: number
  /** Further ones in one process. */
  readonly sidecars: number
  readonly only: RegExp
  readonly against: string | undefined
}

async function benchMemory(): Promise<void> {
  const { values } = parseArgs({
    options: {
      settle: { type: 'string', default: '10' },
      idle: { type: 'string', default: '4000' },
      clusters: { type: 'string', default: '1000' },
      sidecars: { type: 'string', default: '20' },
      only: { type: 'string', default: '' },
      against: { type: 'string' },
      output: { type: 'string', short: 'o', default: 'table' },
    },
  })
  const settings = {
    settleMs: Number(values.settle) * 1_000,
    idle: Number(values.idle),
    clusters: Number(values.clusters),
    sidecars: Number(values.sidecars),
    only: new RegExp(values.only),
    against: values.against,
  }
  const folder = mkdtempSync(join(tmpdir(), 'tulle-bench-'))
  try {
    const originPort = await freePort()
    const origin = nginxOrigin(folder, originPort)
    if (origin === undefined) throw new Error('nginx, which is the origin, is not installed')
    await using _ = await MeasuredProcess.start({ ...origin, core: cores.load })
    const rows = await measureAll({ folder, originPort }, settings)
    printTable(rows, values.output === 'json' ? 'json' : 'table')
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

interface Place {
  readonly folder: string
  readonly originPort: number
}

async function measureAll(place: Place, settings: Settings): Promise<readonly Row[]> {
  const rows: Row[] = []
  for (const { name, of } of makers(settings.against)) {
    if (!settings.only.test(name)) continue
    process.stderr.write(`${name}\n`)
    const make = async (scale: Scale = {}) => of({ ...place, port: await freePort(), scale })
    const subject = await make()
    if (subject === undefined) continue
    const own = await measureOne(subject, settings)
    const many = await make({ routes: 1, clusters: settings.clusters })
    const takesClusters = many !== undefined && /Envoy|Tulle/.test(name)
    rows.push({
      name,
      'MB before the first request': Math.round(own.idle),
      'KB/idle connection': own.connectionKilobytes,
      [`MB with ${settings.clusters} clusters`]: takesClusters
        ? Math.round(await idleMegabytes(many, settings))
        : '–',
      'MB/further sidecar in the process':
        name === ours ? await furtherMegabytes(place, settings) : '–',
    })
  }
  return rows
}

const ours = 'Tulle, default features'

function makers(against: string | undefined) {
  const features = allFeatures
  type Options = Parameters<typeof nginx>[0]
  const all: { name: string; of: (options: Options) => Subject | undefined }[] = [
    { name: 'HAProxy', of: (options) => haproxy(options) },
    { name: 'nginx', of: nginx },
    { name: 'Envoy, as Istio sets it up', of: (options) => envoy(options, features) },
    { name: ours, of: (options) => tulle(options, { features, name: ours }) },
  ]
  if (against !== undefined) {
    const name = 'Tulle of the other checkout'
    all.push({ name, of: (options) => tulle(options, { features, name, checkout: against }) })
  }
  return all
}

/** Started once before, for what is written at the end of a first start. */
async function start(subject: Subject, { settleMs }: Settings): Promise<MeasuredProcess> {
  if (subject.name.startsWith('Tulle')) {
    await using _ = await MeasuredProcess.start({ ...subject, core: cores.proxy })
    await setTimeout(Math.min(settleMs, cacheWrittenMs))
  }
  return MeasuredProcess.start({ ...subject, core: cores.proxy })
}

const warmConnections = 1_000

/** src/bin/settle.ts is at work after three seconds. */
const cacheWrittenMs = 4_000

async function idleMegabytes(subject: Subject, settings: Settings): Promise<number> {
  await using proxy = await start(subject, settings)
  await setTimeout(settings.settleMs)
  return proxy.residentMegabytes()
}

async function measureOne(subject: Subject, settings: Settings) {
  await using proxy = await start(subject, settings)
  await setTimeout(settings.settleMs)
  const idle = proxy.residentMegabytes()
  // The first ones make room that the others use, for code that runs and for garbage.
  const first = await openIdle(subject.port, warmConnections)
  const before = proxy.residentMegabytes()
  const others = await openIdle(subject.port, settings.idle)
  const connectionKilobytes = ((proxy.residentMegabytes() - before) * 1024) / settings.idle
  for (const socket of [...first, ...others]) socket.destroy()
  return { idle, connectionKilobytes }
}

async function openIdle(port: number, count: number): Promise<readonly Socket[]> {
  const sockets: Socket[] = []
  while (sockets.length < count) sockets.push(await openOne(port))
  return sockets
}

function openOne(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('error', reject)
    socket.once('data', () => resolve(socket))
    socket.write('GET / HTTP/1.1\r\nHost: origin\r\n\r\n')
  })
}

/** Sidecars in one process, each with the default features and a listener of its own; all answer. */
async function furtherMegabytes(place: Place, { sidecars }: Settings): Promise<number> {
  const ports: number[] = []
  while (ports.length <= sidecars) ports.push(await freePort())
  const files = ports.map((port) => {
    const { command } = tulle({ ...place, port }, { name: ours, features: allFeatures })
    return command[command.indexOf('-c') + 1] ?? ''
  })
  const child = fork(join(import.meta.dirname, 'many-sidecars.ts'), files, {
    execArgv: [...nodeFlags, '--disable-warning=ExperimentalWarning'],
  })
  try {
    const [{ firstMegabytes, allMegabytes }] = (await once(child, 'message')) as [ManyMessage]
    for (const port of ports) (await openOne(port)).destroy()
    return (allMegabytes - firstMegabytes) / sidecars
  } finally {
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }
}

await benchMemory()
