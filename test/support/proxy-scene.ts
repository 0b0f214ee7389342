/**
 * A proxy put together by hand for tests of the transport: real listeners, routes, balancers, pools, stats and breakers,
 * with clusters and routes written down as data instead of xDS.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'

import { systemClock, type Clock } from '../../src/lib/clock.ts'
import type { Log } from '../../src/lib/log.ts'
import { silentLog } from '../../src/lib/log.ts'
import { systemRandom, type Random } from '../../src/lib/random.ts'
import { createBalancer } from '../../src/proxy/balance/create-balancer.ts'
import type { HttpFilter } from '../../src/proxy/filter/http-filter.ts'
import type {
  HttpConnectionManager,
  ListenerConfig,
} from '../../src/proxy/listener/listener-config.ts'
import { openListener, type Listener } from '../../src/proxy/listener/listener.ts'
import type { BreakerLimits } from '../../src/proxy/resilience/circuit-breaker.ts'
import { createCircuitBreaker } from '../../src/proxy/resilience/create-circuit-breaker.ts'
import { compileRouteConfiguration } from '../../src/proxy/route/compile-route-configuration.ts'
import type { RouteTable } from '../../src/proxy/route/route-table.ts'
import {
  createProxyRuntime,
  type ProxyRuntime,
  type ProxyRuntimeOptions,
} from '../../src/proxy/runtime.ts'
import {
  createClusterStats,
  createDownstreamStats,
  createHostStats,
  createTcpStats,
} from '../../src/proxy/telemetry/create-stats.ts'
import type { RequestRecord, TcpRecord } from '../../src/proxy/telemetry/request-record.ts'
import { createSlots } from '../../src/proxy/telemetry/shared-slots.ts'
import { StatsRegistry } from '../../src/proxy/telemetry/stats-registry.ts'
import type { Cluster } from '../../src/proxy/upstream/cluster.ts'
import type { Host } from '../../src/proxy/upstream/host.ts'
import { addressText } from '../../src/proxy/wire/connector.ts'
import { findHandleInternals } from '../../src/proxy/wire/node-handle.ts'
import type { WireAddress } from '../../src/proxy/wire/wire.ts'
import { envoyMessage } from './envoy-message.ts'

export interface ClusterSketch {
  readonly name: string
  readonly addresses: readonly WireAddress[]
  readonly limits?: Partial<BreakerLimits>
  readonly settings?: Partial<Cluster>
}

export interface SceneOptions {
  readonly clusters?: readonly ClusterSketch[]
  readonly clock?: Clock
  readonly random?: Random
  /** Routes of the one virtual host, as YAML. */
  readonly routes?: readonly string[]
  /** More fields of that virtual host, each with a comma behind it. */
  readonly virtualHost?: string
  readonly manager?: Partial<HttpConnectionManager>
  readonly filters?: readonly HttpFilter[]
  readonly listener?: Partial<ListenerConfig>
  readonly runtime?: Partial<ProxyRuntimeOptions>
  /** Exchanges a part of the runtime before anything uses it. */
  readonly replace?: (runtime: ProxyRuntime) => ProxyRuntime
}

export interface Scene {
  readonly runtime: ProxyRuntime
  readonly registry: StatsRegistry
  readonly listener: Listener
  readonly port: number
  readonly records: RequestRecord[]
  readonly tcpRecords: TcpRecord[]
  /** Bugs that were caught on the way; a test fails on them when the scene ends. */
  readonly bugs: unknown[]
  readonly clusters: ReadonlyMap<string, Cluster>
  manager(changes?: Partial<HttpConnectionManager>): HttpConnectionManager
  open(config: ListenerConfig): Promise<Listener>
  [Symbol.asyncDispose](): Promise<void>
}

/** What a sidecar uses by default, without its check at start. */
function usableHandles(): ProxyRuntimeOptions['handles'] {
  const found = findHandleInternals()
  return typeof found === 'string' ? undefined : found
}

/** Opens a listener with an HTTP connection manager on a free port of 127.0.0.1. */
export async function startScene(options: SceneOptions = {}): Promise<Scene> {
  const registry = new StatsRegistry(createSlots())
  const clusters = new Map(
    (options.clusters ?? []).map((sketch) => [
      sketch.name,
      createCluster(sketch, { registry, ...options }),
    ]),
  )
  const bugs: unknown[] = []
  const made = createProxyRuntime({
    clock: options.clock ?? systemClock,
    random: options.random ?? systemRandom,
    log: recordingLog(bugs),
    clusters,
    handles: usableHandles(),
    ...options.runtime,
  })
  const runtime = options.replace?.(made) ?? made
  const records: RequestRecord[] = []
  const tcpRecords: TcpRecord[] = []
  const table = createTable(options)
  const stats = createDownstreamStats(registry, 'test')
  const manager = (changes: Partial<HttpConnectionManager> = {}): HttpConnectionManager => ({
    ...managerDefaults,
    stats,
    routes: () => table,
    filters: options.filters ?? [],
    observers: [{ onEnd: (record) => records.push({ ...record }) }],
    ...options.manager,
    ...changes,
  })
  const listeners: Listener[] = []
  const open = async (config: ListenerConfig): Promise<Listener> => {
    const listener = await openListener({ config, runtime })
    listeners.push(listener)
    return listener
  }
  const listener = await open({
    ...listenerDefaults,
    chains: [{ name: 'all', network: { kind: 'http', manager: manager() } }],
    ...options.listener,
  })
  const port = listener.address.kind === 'ip' ? listener.address.port : 0
  return {
    runtime,
    registry,
    listener,
    port,
    records,
    tcpRecords,
    bugs,
    clusters,
    manager,
    open,
    async [Symbol.asyncDispose]() {
      for (const opened of listeners) await opened.close()
      made.pools.close()
      if (bugs.length !== 0) throw new Error(`a bug was caught: ${JSON.stringify(bugs)}`)
    },
  }
}

export const listenerDefaults: ListenerConfig = {
  name: 'test',
  address: { kind: 'ip', address: '127.0.0.1', port: 0 },
  bindToPort: true,
  connectionsMax: 0,
  bufferLimitBytes: 1024 * 1024,
  trafficDirection: 'outbound',
  chains: [],
}

const managerDefaults: Omit<HttpConnectionManager, 'stats' | 'routes' | 'filters' | 'observers'> = {
  statPrefix: 'test',
  headersBytesMax: 60 * 1024,
  headersCountMax: 100,
  idleTimeoutMs: 3_600_000,
  streamIdleTimeoutMs: 300_000,
  requestTimeoutMs: 0,
  requestHeadersTimeoutMs: 0,
  maxConnectionDurationMs: 0,
  drainTimeoutMs: 5_000,
  requestsPerConnectionMax: 0,
  serverName: 'envoy',
  serverHeader: 'overwrite',
  generateRequestId: true,
  preserveExternalRequestId: false,
  useRemoteAddress: false,
  xffTrustedHops: 0,
  skipXffAppend: false,
  normalizePath: false,
  mergeSlashes: false,
  escapedSlashes: 'keep',
  stripPort: 'none',
  acceptHttp10: false,
  allowAbsoluteUrl: true,
  upgrades: new Set(),
  via: undefined,
}

/** A route for every path to one cluster, as text; `fields` are more of its `route`. */
export function forwardTo(cluster: string, fields = ''): string {
  return `{ name: all, match: { prefix: / }, route: { cluster: ${cluster}, ${fields} } }`
}

/** A route for CONNECT, which ends here where `connect_config` says so. */
export function connectTo(cluster: string, options: { readonly endsHere: boolean }): string {
  const config = options.endsHere
    ? 'upgrade_configs: [{ upgrade_type: CONNECT, connect_config: {} }]'
    : ''
  return `{ match: { connect_matcher: {} }, route: { cluster: ${cluster}, ${config} } }`
}

/** One retry, at another host where there is one, nearly at once. */
export const retryOnce = retryPolicy('num_retries: 1')

export function retryPolicy(fields: string): string {
  return `retry_policy: {
    retry_on: "5xx,connect-failure,reset", ${fields},
    retry_host_predicate: [{ name: envoy.retry_host_predicates.previous_hosts, typed_config: {
      "@type": type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate } }],
    host_selection_retry_max_attempts: 3,
    retry_back_off: { base_interval: 0.001s, max_interval: 0.001s } }`
}

function createTable(options: SceneOptions): RouteTable {
  const text = `{ name: test, virtual_hosts: [{ name: all, domains: ["*"], ${options.virtualHost ?? ''}
    routes: [${(options.routes ?? []).join(', ')}] }] }`
  const table = compileRouteConfiguration(envoyMessage.routes(text), {
    random: options.random ?? systemRandom,
  })
  if (!table.ok) throw new Error(table.reasons.join('; '))
  return table.value
}

interface ClusterScope {
  readonly registry: StatsRegistry
  readonly random?: Random
}

function createCluster(sketch: ClusterSketch, scope: ClusterScope): Cluster {
  const { registry, random = systemRandom } = scope
  const stats = createClusterStats(registry, sketch.name)
  const limits = {
    connectionsMax: 1024,
    pendingMax: 1024,
    requestsMax: 1024,
    retriesMax: 3,
    ...sketch.limits,
  }
  const hosts = sketch.addresses.map((address) => createHost(address, registry))
  return {
    name: sketch.name,
    service: { host: '', name: '', namespace: '' },
    connectTimeoutMs: 5_000,
    idleTimeoutMs: 3_600_000,
    requestsPerConnectionMax: 0,
    protocol: 'http1',
    bufferLimitBytes: 1024 * 1024,
    balancer: createBalancer({ policy: 'round-robin', random, hosts, stats: () => stats }),
    breaker: createCircuitBreaker({
      name: sketch.name,
      slots: registry.slots,
      clock: systemClock,
      limits,
      stats,
    }),
    outlierDetector: undefined,
    stats,
    hosts,
    resolveHost: undefined,
    removed: new AbortController().signal,
    ...sketch.settings,
  }
}

/** A cluster by itself, for tests below the listener. */
export function createSketchedCluster(sketch: ClusterSketch): Cluster {
  return createCluster(sketch, { registry: new StatsRegistry(createSlots()) })
}

function createHost(address: WireAddress, registry: StatsRegistry): Host {
  const host: Host = {
    address,
    addressText: addressText(address),
    hostname: '',
    weight: 1,
    health: 'healthy',
    metadata: {
      workload: '',
      namespace: '',
      canonicalName: '',
      canonicalRevision: '',
      cluster: '',
      tlsMode: undefined,
    },
    stats: createHostStats(registry.slots),
    isEjected: false,
    isAvailable: () => !host.isEjected,
  }
  return host
}

function recordingLog(bugs: unknown[]): Log {
  return { ...silentLog, error: (fields) => bugs.push(fields) }
}

/** A server of Node's own on a free port. */
export async function startOrigin(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<{
  readonly address: WireAddress
  readonly server: Server
  [Symbol.asyncDispose](): Promise<void>
}> {
  const server = createServer(answer)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    server,
    address: { kind: 'ip', address: '127.0.0.1', port },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Sends bytes and collects what comes back until the peer ends, or `isEnough`. */
export async function exchangeBytes(
  port: number,
  bytes: string | readonly string[],
  isEnough: (received: string) => boolean = () => false,
): Promise<string> {
  const socket: Socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  let received = ''
  return await new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      socket.destroy()
      reject(new Error(`no end of the answer: ${JSON.stringify(received)}`))
    }, 5_000)
    const finish = (): void => {
      clearTimeout(timer)
      socket.destroy()
      resolve(received)
    }
    socket.on('error', finish)
    socket.on('close', finish)
    socket.on('end', finish)
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1')
      if (isEnough(received)) finish()
    })
    const parts = typeof bytes === 'string' ? [bytes] : bytes
    const sendNext = (index: number): void => {
      const part = parts[index]
      if (part !== undefined && !socket.destroyed)
        socket.write(part, 'latin1', () => setImmediate(sendNext, index + 1))
    }
    sendNext(0)
  })
}

export { createTcpStats }
