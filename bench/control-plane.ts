/**
 * The control plane under load: the time from a changed VirtualService, and from changed endpoints, until every connected
 * client has acknowledged it, and what that costs the control plane.
 *
 *   node bench/control-plane.ts [--services 1000] [--clients 1,100,1000] [--rounds 5]
 *     [--variants delta,sotw] [--no-gzip] [--bare] [-o json]
 *
 * Every service is a ServiceEntry with two endpoints; without `--bare` each has a VirtualService and a
 * DestinationRule too. No Sidecar scopes: each client gets every service. Clients run in two processes of their
 * own, so that the control plane's CPU time is its alone (Linux: it is read from /proc).
 */
import { fork, type ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import type { ClientsMessage, StartClients } from './control-plane-clients.ts'
import { MeasuredProcess } from './process.ts'
import { median, printTable, type Row } from './table.ts'

const { values } = parseArgs({
  options: {
    services: { type: 'string', default: '1000' },
    clients: { type: 'string', default: '1,100,1000' },
    rounds: { type: 'string', default: '5' },
    variants: { type: 'string', default: 'delta' },
    'no-gzip': { type: 'boolean', default: false },
    bare: { type: 'boolean', default: false },
    output: { type: 'string', short: 'o', default: 'table' },
  },
})

const services = Number(values.services)
const clientProcesses = 2
/** For what is left of a change to settle before the next. */
const settleMs = 700

async function measure(variant: 'sotw' | 'delta', clients: number): Promise<Row> {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-bench-'))
  const groups: ClientGroup[] = []
  try {
    writeMesh(folder)
    const [xds, api] = [await freePort(), await freePort()]
    const script = join(import.meta.dirname, 'control-plane-subject.ts')
    const command = [process.execPath, script, folder, String(xds), String(api)]
    await using subject = await MeasuredProcess.start({
      name: 'control plane',
      command,
      core: undefined,
      port: api,
    })
    const joinedFrom = { ms: performance.now(), cpu: subject.cpuMicros() }
    const target = `127.0.0.1:${xds}`
    groups.push(...startGroups({ target, clients, variant, gzip: !values['no-gzip'] }))
    await Promise.all(groups.map((group) => group.next('ready')))
    const joinMs = performance.now() - joinedFrom.ms
    const joinCpuMs = (subject.cpuMicros() - joinedFrom.cpu) / 1_000
    await settle()
    const change = (round: number) =>
      writeFileSync(join(folder, 'changing.yaml'), virtualService(0, 10 + round))
    const { times, cpus, bytes } = await rounds(groups, subject, { event: 'routes', change })
    const move = (round: number) =>
      writeFileSync(join(folder, 'moving.yaml'), serviceEntry(services, 2 + round))
    const moved = await rounds(groups, subject, { event: 'endpoints', change: move })
    return {
      variant,
      clients,
      services,
      'all joined, ms': Math.round(joinMs),
      'CPU of joining, ms': Math.round(joinCpuMs),
      'changed to all acknowledged, ms (median)': Math.round(median(times)),
      'worst, ms': Math.round(Math.max(...times)),
      'CPU of a change, ms': Math.round(median(cpus)),
      'bytes to a client, KB': Math.round(median(bytes) / clients / 1_024),
      'endpoint: changed to all acknowledged, ms (median)': Math.round(median(moved.times)),
      'endpoint: CPU, ms': Math.round(median(moved.cpus)),
      'memory, MB': Math.round(subject.residentMegabytes()),
    }
  } finally {
    for (const group of groups) group.kill()
    rmSync(folder, { recursive: true, force: true })
  }
}

interface Change {
  readonly event: 'routes' | 'endpoints'
  readonly change: (round: number) => void
}

async function rounds(
  groups: readonly ClientGroup[],
  subject: MeasuredProcess,
  { event, change }: Change,
): Promise<{ times: number[]; cpus: number[]; bytes: number[] }> {
  const [times, cpus, bytes]: [number[], number[], number[]] = [[], [], []]
  // The first round warms the code up.
  for (let round = 0; round <= Number(values.rounds); round += 1) {
    for (const group of groups) group.forget()
    const all = Promise.all(groups.map((group) => group.next(event)))
    const cpu = subject.cpuMicros()
    const startMs = performance.now()
    change(round)
    const seen = await all
    const ms = performance.now() - startMs
    await settle()
    if (round === 0) continue
    times.push(ms)
    cpus.push((subject.cpuMicros() - cpu) / 1_000)
    bytes.push(
      seen.reduce((sum, message) => sum + (message.event === event ? message.bytes : 0), 0),
    )
  }
  return { times, cpus, bytes }
}

function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, settleMs))
}

class ClientGroup {
  readonly #child: ChildProcess
  readonly #messages: ClientsMessage[] = []
  #wake: (() => void) | undefined

  constructor(options: StartClients) {
    this.#child = fork(join(import.meta.dirname, 'control-plane-clients.ts'))
    this.#child.on('message', (message: ClientsMessage) => {
      this.#messages.push(message)
      this.#wake?.()
    })
    this.#child.send(options)
  }

  async next(event: ClientsMessage['event']): Promise<ClientsMessage> {
    for (;;) {
      const message = this.#messages.shift()
      if (message?.event === event) return message
      if (message?.event === 'failed') throw new Error(`a client failed: ${message.reason}`)
      if (message !== undefined) continue
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  /** What came of itself between two changes. */
  forget(): void {
    this.#messages.length = 0
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }
}

function startGroups(options: {
  readonly target: string
  readonly clients: number
  readonly variant: 'sotw' | 'delta'
  readonly gzip: boolean
}): ClientGroup[] {
  const { target, clients, variant, gzip } = options
  const share = Math.ceil(clients / clientProcesses)
  const groups: ClientGroup[] = []
  for (let firstId = 0; firstId < clients; firstId += share) {
    const count = Math.min(share, clients - firstId)
    groups.push(new ClientGroup({ target, count, firstId, variant, gzip }))
  }
  return groups
}

function writeMesh(folder: string): void {
  const documents: string[] = []
  for (let at = 0; at < services; at += 1) {
    documents.push(serviceEntry(at))
    if (values.bare) continue
    documents.push(destinationRule(at))
    if (at > 0) documents.push(virtualService(at, 10))
  }
  writeFileSync(join(folder, 'mesh.yaml'), documents.join('---\n'))
  writeFileSync(join(folder, 'changing.yaml'), virtualService(0, 1))
  writeFileSync(join(folder, 'moving.yaml'), serviceEntry(services, 1))
}

function serviceEntry(at: number, last = 1): string {
  const address = `10.${(at >> 8) & 255}.${at & 255}`
  return `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: service-${at} }
spec:
  hosts: [service-${at}.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{ number: 8080, name: http, protocol: HTTP }]
  endpoints:
  - { address: ${address}.${last}, labels: { version: v1 } }
  - { address: ${address}.${last + 1}, labels: { version: v2 } }
`
}

function destinationRule(at: number): string {
  return `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: service-${at} }
spec:
  host: service-${at}.default.svc.cluster.local
  subsets:
  - { name: v1, labels: { version: v1 } }
  - { name: v2, labels: { version: v2 } }
`
}

function virtualService(at: number, weight: number): string {
  const host = `service-${at}.default.svc.cluster.local`
  return `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: service-${at} }
spec:
  hosts: [${host}]
  http:
  - route:
    - { destination: { host: ${host}${values.bare ? '' : ', subset: v1'} }, weight: ${100 - weight} }
    - { destination: { host: ${host}${values.bare ? '' : ', subset: v2'} }, weight: ${weight} }
`
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      const port = typeof address === 'object' && address !== null ? address.port : 0
      server.close(() => resolve(port))
    })
  })
}

// At the end, so that the classes above exist.
const rows: Row[] = []
for (const variant of values.variants.split(',') as ('sotw' | 'delta')[]) {
  for (const clients of values.clients.split(',').map(Number)) {
    rows.push(await measure(variant, clients))
  }
}
printTable(rows, values.output === 'json' ? 'json' : 'table')
