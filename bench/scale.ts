/**
 * A mesh of 1 000 services and 10 000 endpoints: the longest turn of the control plane's event loop, and the memory of one
 * sidecar, with everything and on demand.
 *
 *   node bench/scale.ts [--services 1000] [--endpoints 10] [--clients 20] [--calls 10] [-o json]
 *
 * Turns are measured in CPU time of the thread from one pass of the loop to the next, so that a busy machine does not
 * lengthen them; the control plane runs in this process, its clients and the sidecars in others. Every service is a
 * ServiceEntry with a VirtualService and a DestinationRule, each in a file of its own kind.
 */
import { fork } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { openControlPlane, type ControlPlane } from '../src/control/control-plane.ts'
import { systemClock } from '../src/lib/clock.ts'
import { createLog } from '../src/lib/log.ts'
import { systemRandom } from '../src/lib/random.ts'
import { onDemandBootstrap } from '../test/support/on-demand-scene.ts'
import type { ClientsMessage, StartClients } from './control-plane-clients.ts'
import { MeasuredProcess, nodeFlags } from './process.ts'
import { printTable, type Row } from './table.ts'

const { values } = parseArgs({
  options: {
    services: { type: 'string', default: '1000' },
    endpoints: { type: 'string', default: '10' },
    clients: { type: 'string', default: '20' },
    calls: { type: 'string', default: '10' },
    output: { type: 'string', short: 'o', default: 'table' },
  },
})
const services = Number(values.services)
const endpoints = Number(values.endpoints)
const settleMs = 1_500
const memorySettleMs = 8_000

/** CPU time of the longest pass of the loop since `start`. */
class LongestTurn {
  #longestMicros = 0
  #last = process.threadCpuUsage()
  #isOn = false

  start(): void {
    this.#longestMicros = 0
    this.#isOn = true
    this.#last = process.threadCpuUsage()
    setImmediate(() => this.#look())
  }

  stop(): number {
    this.#isOn = false
    return this.#longestMicros / 1_000
  }

  #look(): void {
    const { user, system } = process.threadCpuUsage(this.#last)
    this.#longestMicros = Math.max(this.#longestMicros, user + system)
    this.#last = process.threadCpuUsage()
    // A timer, so that the loop is not kept busy by the measurement.
    if (this.#isOn) setTimeout(() => setImmediate(() => this.#look()), 0)
  }
}

const hostOf = (at: number): string => `service-${at}.default.svc.cluster.local`

function serviceEntry(at: number, count = endpoints): string {
  const addresses = Array.from(
    { length: count },
    (_, index) =>
      `  - { address: 10.${at >> 8}.${at & 255}.${index + 1}, labels: { version: v${(index % 2) + 1} } }`,
  )
  return `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: service-${at}, namespace: default }
spec:
  hosts: [${hostOf(at)}]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{ number: 8080, name: http, protocol: HTTP }]
  endpoints:
${addresses.join('\n')}
`
}

function destinationRule(at: number): string {
  return `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: service-${at}, namespace: default }
spec:
  host: ${hostOf(at)}
  subsets: [{ name: v1, labels: { version: v1 } }, { name: v2, labels: { version: v2 } }]
`
}

function virtualService(at: number, weight = 10): string {
  return `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: service-${at}, namespace: default }
spec:
  hosts: [${hostOf(at)}]
  http:
  - route:
    - { destination: { host: ${hostOf(at)}, subset: v1 }, weight: ${100 - weight} }
    - { destination: { host: ${hostOf(at)}, subset: v2 }, weight: ${weight} }
`
}

/** The sidecars here have no agent that would give them certificates. */
const meshYaml = `apiVersion: tulle.dev/v1alpha1
kind: Mesh
metadata: { name: scale, namespace: default }
spec:
  meshConfig: { enableAutoMtls: false }
  config: [ ./config ]
`

function writeMesh(folder: string): void {
  const numbers = Array.from({ length: services - 1 }, (_, at) => at + 1)
  const write = (name: string, of: (at: number) => string) =>
    writeFileSync(join(folder, name), numbers.map((at) => of(at)).join('---\n'))
  write('services.yaml', serviceEntry)
  write('rules.yaml', destinationRule)
  write('routes.yaml', virtualService)
  writeFileSync(join(folder, 'moving.yaml'), serviceEntry(0))
  writeFileSync(join(folder, 'changing.yaml'), virtualService(0))
  writeFileSync(join(folder, 'rule.yaml'), destinationRule(0))
}

async function longestTurns(folder: string, controlPlane: ControlPlane): Promise<Row> {
  const turn = new LongestTurn()
  const during = async (work: () => unknown): Promise<number> => {
    turn.start()
    await work()
    await settle()
    return Number(turn.stop().toFixed(1))
  }
  const child = fork(join(import.meta.dirname, 'control-plane-clients.ts'))
  try {
    const ready = new Promise<void>((resolve, reject) => {
      child.on('message', (message: ClientsMessage) => {
        if (message.event === 'ready') resolve()
        if (message.event === 'failed') reject(new Error(message.reason))
      })
    })
    const options: StartClients = {
      target: controlPlane.plaintextXdsAddress,
      count: Number(values.clients),
      firstId: 0,
      variant: 'delta',
      gzip: true,
    }
    const issues = `${controlPlane.apiUrl}/apis/tulle.dev/v1alpha1/issues`
    return {
      'clients join': await during(async () => {
        child.send(options)
        await ready
      }),
      'an endpoint moves': await during(() =>
        writeFileSync(join(folder, 'moving.yaml'), serviceEntry(0, endpoints + 1)),
      ),
      'a VirtualService changes': await during(() =>
        writeFileSync(join(folder, 'changing.yaml'), virtualService(0, 20)),
      ),
      'somebody asks for the issues': await during(async () => (await fetch(issues)).text()),
    }
  } finally {
    child.kill('SIGKILL')
  }
}

async function sidecarMemory(controlPlane: ControlPlane, mode: 'on' | 'off'): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-bench-'))
  try {
    const [proxyPort, adminPort] = [await freePort(), await freePort()]
    const file = join(folder, 'bootstrap.json')
    const more = { ON_DEMAND: mode, ADMIN_ADDRESS: `127.0.0.1:${adminPort}` }
    writeFileSync(file, onDemandBootstrap(controlPlane.plaintextXdsAddress, proxyPort, more))
    const entry = join(import.meta.dirname, '../bin/tulle.mjs')
    const node = [process.execPath, ...nodeFlags]
    await using sidecar = await MeasuredProcess.start({
      name: 'sidecar',
      command: [...node, entry, 'sidecar', '-c', file],
      core: undefined,
      port: proxyPort,
    })
    for (let at = 1; at <= Number(values.calls); at += 1) await call(proxyPort, hostOf(at))
    // What only the start has used is given back after three seconds, or when the calls are over.
    await new Promise((resolve) => setTimeout(resolve, memorySettleMs))
    return Math.round(sidecar.residentMegabytes())
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Nobody answers at the endpoints' addresses; that the sidecar knows them is enough. */
function call(proxyPort: number, host: string): Promise<void> {
  return new Promise((resolve) => {
    const path = `http://${host}:8080/`
    const asked = request({ host: '127.0.0.1', port: proxyPort, path, timeout: 300 })
    asked.on('response', (response) => response.resume())
    asked.on('timeout', () => asked.destroy())
    asked.on('error', () => {})
    asked.on('close', resolve)
    asked.end()
  })
}

function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, settleMs))
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' ? (address?.port ?? 0) : 0))
    })
  })
}

const folder = mkdtempSync(join(tmpdir(), 'tulle-bench-'))
mkdirSync(join(folder, 'config'))
try {
  writeMesh(join(folder, 'config'))
  writeFileSync(join(folder, 'mesh.yaml'), meshYaml)
  await using controlPlane = await openControlPlane({
    meshFile: join(folder, 'mesh.yaml'),
    plaintextXds: { host: '127.0.0.1', port: 0 },
    api: { host: '127.0.0.1', port: 0 },
    clock: systemClock,
    random: systemRandom,
    log: createLog({ name: 'control-plane', level: 'warn' }),
  })
  const turns = await longestTurns(join(folder, 'config'), controlPlane)
  const memory = {
    'sidecar with everything, MB': await sidecarMemory(controlPlane, 'off'),
    'sidecar on demand, MB': await sidecarMemory(controlPlane, 'on'),
  }
  const named = Object.entries(turns).map(
    ([what, ms]) => [`longest turn, ms: ${what}`, ms] as const,
  )
  const size = { services, endpoints: services * endpoints, clients: Number(values.clients) }
  printTable(
    [{ ...size, ...Object.fromEntries(named), ...memory }],
    values.output === 'json' ? 'json' : 'table',
  )
} finally {
  rmSync(folder, { recursive: true, force: true })
}
