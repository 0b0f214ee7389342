/**
 * Opens the sidecar that a plan asks for: our proxy in this process, or a real Envoy beside it.
 *
 * For our own, the ports that others may call are bound before it starts, so that nobody else can take them
 * while the first configuration is on its way.
 */
import { once } from 'node:events'
import { readFileSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:net'

import { describeError, MeshError } from '../lib/mesh-error.ts'
import { openSidecar as openProxy } from '../proxy/sidecar.ts'
import { EarlyConnections } from './early-connections.ts'
import { openEnvoySidecar } from './envoy-sidecar.ts'
import { OwnSidecar } from './own-sidecar.ts'
import type { OpenSidecar, OpenSidecarOptions, WorkloadSidecar } from './sidecar.ts'
import { agentSocketPath } from './socket-path.ts'
import { threadsOf } from './thread-count.ts'
import type { WorkloadAddresses, WorkloadPlan } from './workload-plan.ts'

export const openSidecar: OpenSidecar = (options) =>
  options.plan.proxy.kind === 'envoy' ? openEnvoySidecar(options) : openOwnSidecar(options)

async function openOwnSidecar(options: OpenSidecarOptions): Promise<WorkloadSidecar> {
  const { plan, addresses, bootstrapFile, clock, random, log, onFailure } = options
  const early = new EarlyConnections({ clock, log })
  const listenSockets = await bindPorts(plan, addresses, early)
  const bootstrap = { file: bootstrapFile, text: readFileSync(bootstrapFile, 'utf8') }
  const { drainTimeMs } = plan.proxy
  const concurrency = threadsOf(plan.proxy)
  const parts = { bootstrap, clock, random, log, listenSockets }
  const takeOverPath = agentSocketPath(plan.stateFolder, 'take-over.sock')
  // What a run before has left: nobody is to be taken over from.
  rmSync(takeOverPath, { force: true })
  const own = new OwnSidecar(options, listenSockets, early)
  const sidecar = await own.open((events) =>
    openProxy({ ...parts, ...events, drainTimeMs, concurrency, takeOverPath }),
  )
  sidecar.ready.catch((error: unknown) => {
    onFailure(error instanceof Error ? error : new Error(describeError(error)))
  })
  return own
}

async function bindPorts(
  plan: WorkloadPlan,
  addresses: WorkloadAddresses,
  early: EarlyConnections,
): Promise<Map<string, Server>> {
  const wanted = [
    ...addresses.ports.map(({ meshPort }) => ({ host: plan.bindAddress, port: meshPort })),
    { host: '127.0.0.1', port: addresses.httpProxyPort },
    ...addresses.upstreams.map(({ localPort }) => ({ host: '127.0.0.1', port: localPort })),
  ]
  const servers = new Map<string, Server>()
  for (const { host, port } of wanted) {
    const server = await bind(host, port)
    early.hold(server)
    servers.set(`${host}:${port}`, server)
  }
  return servers
}

async function bind(host: string, port: number): Promise<Server> {
  // As the proxy makes its own: half-open connections are its affair.
  const server = createServer({ allowHalfOpen: true, noDelay: true })
  server.listen({ host, port })
  try {
    await once(server, 'listening')
    return server
  } catch (cause) {
    throw new MeshError('MESH_LISTEN_FAILED', `listen on ${host}:${port} for the sidecar`, {
      cause,
      remedy: 'end what listens there; at the next start another port is taken',
    })
  }
}
