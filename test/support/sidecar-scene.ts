/**
 * A sidecar fed by a real ADS server in the same process, and upstreams that say their names: for tests of what a change of
 * configuration does to traffic.
 */
import { type Server, createServer } from 'node:http'
import { Agent, request } from 'node:http'
import type { AddressInfo } from 'node:net'

import { systemClock } from '../../src/lib/clock.ts'
import { silentLog } from '../../src/lib/log.ts'
import { systemRandom } from '../../src/lib/random.ts'
import { type Sidecar, openSidecar } from '../../src/proxy/sidecar.ts'
import { type AdsServer, openAdsServer } from '../../src/xds/ads-server.ts'
import { encodedResource } from '../../src/xds/encode.ts'
import { Cluster } from '../../src/xds/proto/generated/envoy/config/cluster/v3/cluster.ts'
import { ClusterLoadAssignment } from '../../src/xds/proto/generated/envoy/config/endpoint/v3/endpoint.ts'
import { Listener } from '../../src/xds/proto/generated/envoy/config/listener/v3/listener.ts'
import { RouteConfiguration } from '../../src/xds/proto/generated/envoy/config/route/v3/route.ts'
import { Any } from '../../src/xds/proto/generated/google/protobuf/any.ts'
import { type EncodedResource, type ResourceView, typeUrls } from '../../src/xds/resource-set.ts'
import type { TypeStatus } from '../../src/xds/server/stream-status.ts'
import { TestSource } from './ads-source.ts'
import { envoyMessage } from './envoy-message.ts'

/** YAML of each resource. */
export interface SceneResources {
  readonly clusters?: readonly string[]
  readonly assignments?: readonly string[]
  readonly listeners?: readonly string[]
  readonly routes?: readonly string[]
}

export interface SidecarSceneOptions {
  readonly variant?: 'sotw' | 'delta'
  readonly concurrency?: number
  readonly resources: SceneResources
}

export class SidecarScene implements AsyncDisposable {
  readonly sidecar: Sidecar
  readonly source: TestSource
  readonly #server: AdsServer
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 16 })
  #revision = 0

  constructor(parts: { sidecar: Sidecar; source: TestSource; server: AdsServer }) {
    this.sidecar = parts.sidecar
    this.source = parts.source
    this.#server = parts.server
  }

  set(resources: SceneResources): void {
    this.source.setView(viewOf(resources, ++this.#revision))
  }

  /** What the control plane knows of a type that the sidecar asked for. */
  typeStatus(typeUrl: string): TypeStatus | undefined {
    const [stream] = this.#server.statuses()
    return stream?.types.find((type) => type.typeUrl === typeUrl)
  }

  async stopControlPlane(): Promise<void> {
    await this.#server[Symbol.asyncDispose]()
  }

  /** The real port of a listener, by name. */
  async portOf(listener: string): Promise<number> {
    const { listeners } = await this.sidecar.status()
    const address = listeners.find(({ name }) => name === listener)?.address
    return address?.kind === 'ip' ? address.port : 0
  }

  get(port: number, path = '/'): Promise<Answer> {
    return httpGet({ port, path, agent: this.#agent, headers: { host: 'app.test' } })
  }

  admin(path: string, method = 'GET', headers: Record<string, string> = {}): Promise<Answer> {
    const port = Number(this.sidecar.adminAddress?.split(':')[1])
    return httpGet({ port, path, method, headers })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#agent.destroy()
    await this.sidecar.close()
    await this.#server[Symbol.asyncDispose]()
  }
}

export interface Answer {
  readonly status: number
  readonly body: string
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
}

export async function openSidecarScene(options: SidecarSceneOptions): Promise<SidecarScene> {
  const source = new TestSource()
  source.setView(viewOf(options.resources, 0))
  const server = await openAdsServer({
    listen: { host: '127.0.0.1', port: 0 },
    source,
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    debounce: { leadingMs: 0, quietMs: 0, waitMsMax: 1 },
  })
  const sidecar = await openSidecar({
    bootstrap: { text: bootstrapFor(server.address, options.variant ?? 'delta'), file: 'scene' },
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    drainTimeMs: 2_000,
    concurrency: options.concurrency ?? 1,
  })
  return new SidecarScene({ sidecar, source, server })
}

/** The bootstrap that an agent writes: an admin interface and an ADS server. */
export function bootstrapFor(adsAddress: string, variant: 'sotw' | 'delta'): string {
  const [host, port] = adsAddress.split(':')
  return `
node: {id: sidecar~127.0.0.1~a.default~default.svc.cluster.local, cluster: a}
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}
bootstrap_extensions:
- name: envoy.bootstrap.internal_listener
  typed_config: {"@type": type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener}
dynamic_resources:
  ads_config:
    api_type: ${variant === 'delta' ? 'DELTA_GRPC' : 'GRPC'}
    transport_api_version: V3
    grpc_services: [{envoy_grpc: {cluster_name: xds-grpc}}]
  cds_config: {ads: {}, resource_api_version: V3, initial_fetch_timeout: 0s}
  lds_config: {ads: {}, resource_api_version: V3, initial_fetch_timeout: 0s}
static_resources:
  clusters:
  - name: xds-grpc
    type: STATIC
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {http2_protocol_options: {}}
    load_assignment:
      cluster_name: xds-grpc
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: ${host}, port_value: ${port}}}}}]}]
`
}

export const sceneResource = {
  edsCluster: (name: string, more = ''): string =>
    `{name: ${name}, type: EDS, connect_timeout: 1s, eds_cluster_config: {eds_config: {ads: {}}}, ${more}}`,
  assignment: (cluster: string, ports: readonly number[]): string => {
    const list = ports.map(
      (port) =>
        `{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: ${port}}}}}`,
    )
    return `{cluster_name: ${cluster}, endpoints: [{lb_endpoints: [${list.join(',')}]}]}`
  },
  /** A listener on any port whose routes come by RDS. */
  listener: (name: string, routes: string, more = ''): string => `
name: ${name}
traffic_direction: OUTBOUND
address: {socket_address: {address: 127.0.0.1, port_value: 0}}
filter_chains:
- filters:
  - name: hcm
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
      stat_prefix: ${name}
      rds: {route_config_name: ${routes}, config_source: {ads: {}}}
      ${more}
      http_filters:
      - {name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}`,
  routes: (name: string, cluster: string, more = ''): string =>
    `{name: ${name}, virtual_hosts: [{name: all, domains: ["*"], ${more} routes: [{match: {prefix: /}, route: {cluster: ${cluster}}}]}]}`,
}

function viewOf(resources: SceneResources, revision: number): ResourceView {
  const maps = new Map<string, ReadonlyMap<string, EncodedResource>>()
  const put = (typeUrl: string, list: readonly (readonly [string, Uint8Array])[]): void => {
    maps.set(
      typeUrl,
      new Map(list.map(([name, value]) => [name, encodedResource(name, typeUrl, value)])),
    )
  }
  put(
    typeUrls.cluster,
    (resources.clusters ?? []).map((text) => {
      const message = envoyMessage.cluster(text)
      return [message.name, Cluster.encode(message).finish()]
    }),
  )
  put(
    typeUrls.endpoint,
    (resources.assignments ?? []).map((text) => {
      const message = envoyMessage.assignment(text)
      return [message.clusterName, ClusterLoadAssignment.encode(message).finish()]
    }),
  )
  put(
    typeUrls.listener,
    (resources.listeners ?? []).map((text) => {
      const message = envoyMessage.listener(text)
      return [message.name, Listener.encode(message).finish()]
    }),
  )
  put(
    typeUrls.route,
    (resources.routes ?? []).map((text) => {
      const message = envoyMessage.routes(text)
      return [message.name, RouteConfiguration.encode(message).finish()]
    }),
  )
  const none = new Map<string, EncodedResource>()
  return { revision: String(revision), resources: (typeUrl) => maps.get(typeUrl) ?? none }
}

/** The same view with listeners on free ports. */
export function onAnyPort(view: ResourceView): ResourceView {
  const moved = Array.from(view.resources(typeUrls.listener).values(), ({ name, any }) => {
    const message = Listener.decode(Any.decode(any).value)
    const address = message.address?.address
    if (address?.$case === 'socketAddress') {
      address.value.portSpecifier = { $case: 'portValue', value: 0 }
    }
    const bytes = Listener.encode(message).finish()
    return [name, encodedResource(name, typeUrls.listener, bytes)] as const
  })
  const listeners = new Map(moved)
  return {
    revision: view.revision,
    resources: (typeUrl) => (typeUrl === typeUrls.listener ? listeners : view.resources(typeUrl)),
  }
}

export interface NamedUpstream extends AsyncDisposable {
  readonly port: number
  readonly server: Server
}

/** Answers every request with its name. */
export async function openNamedUpstream(name: string): Promise<NamedUpstream> {
  const server = createServer((_request, response) => response.end(name))
  server.keepAliveTimeout = 60_000
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port, // it listens on TCP
    server,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

interface HttpGet {
  readonly port: number
  readonly path: string
  readonly method?: string
  readonly headers?: Record<string, string>
  readonly agent?: Agent
}

export function httpGet(options: HttpGet): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', ...options }, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        body += chunk
      })
      response.on('error', reject)
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, body, headers: response.headers })
      })
    })
    sent.on('error', reject)
    sent.end()
  })
}
