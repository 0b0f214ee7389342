/** One port of the application: the listener that stands before it and the cluster that leads to it. */
import type { ConnectionPoolSettings } from '../model/istio/destination-rule.ts'
import type { IngressListener, IngressTls } from '../model/istio/sidecar.ts'
import type { MeshPort } from '../registry/node-metadata.ts'
import { parseProtocol } from '../registry/protocol.ts'
import type { PortProtocol, Service, ServicePort } from '../registry/service.ts'
import { encodeResource } from '../xds/encode.ts'
import {
  Cluster,
  Cluster_DiscoveryType,
} from '../xds/proto/generated/envoy/config/cluster/v3/cluster.ts'
import { TrafficDirection } from '../xds/proto/generated/envoy/config/core/v3/base.ts'
import { Listener } from '../xds/proto/generated/envoy/config/listener/v3/listener.ts'
import { RouteConfiguration } from '../xds/proto/generated/envoy/config/route/v3/route.ts'
import { typeUrls, type EncodedResource } from '../xds/resource-set.ts'
import type { Client } from './client.ts'
import { connectionManager } from './connection-manager.ts'
import { translateConnectionPool } from './connection-pool.ts'
import type { MergedRule } from './destination-rule-index.ts'
import { inboundClusterName } from './host-name.ts'
import { inboundChains, type Spoken } from './inbound-chain.ts'
import type { MeshSettings, MtlsMode } from './input.ts'
import { noTimeout, socketAddress } from './message.ts'
import { ruleConfig } from './provenance.ts'
import { proxyHeadersOf, sharedHeadersOf } from './proxy-header.ts'
import { translateInboundRetries } from './retry.ts'
import { altStatName, statName, type StatNameInput } from './stat-name.ts'
import { tcpFilters } from './tcp-proxy.ts'
import { serverDownstream } from './tls-context.ts'
import { effectivePolicy } from './traffic-policy.ts'
import { isHttp } from './virtual-host.ts'

export interface InboundInput {
  readonly meshPort: MeshPort
  /** What the port serves, oldest name first; empty while no service is known. */
  readonly served: readonly { readonly service: Service; readonly port: ServicePort }[]
  /** Rule that the workload's own namespace sees for the first service: its limits hold here too. */
  readonly rule: MergedRule | undefined
  readonly client: Client
  /** What the port takes, by PeerAuthentication. */
  readonly mode: MtlsMode
  /** What a Sidecar says of this port. */
  readonly ingress: IngressListener | undefined
  /** What it says of all ports. */
  readonly inboundPool: ConnectionPoolSettings | undefined
  readonly mesh: MeshSettings
}

export interface InboundResources {
  readonly listener: EncodedResource
  readonly cluster: EncodedResource
}

export function translateInbound(input: InboundInput): InboundResources {
  return { listener: inboundListener(input), cluster: inboundCluster(input) }
}

function inboundListener(input: InboundInput): EncodedResource {
  const { meshPort, client, mesh, mode } = input
  const name = inboundClusterName(meshPort.appPort)
  const protocol = protocolOf(input)
  const routes = isHttp({ protocol }) ? inboundRoutes(input, name) : undefined
  const named = statNameInput(input)
  const statPrefix = named && statName(mesh.inboundStatName, named)
  const filters = (security: 'mutual-tls' | 'none', spoken: Spoken) =>
    routes === undefined || spoken === 'tcp'
      ? tcpFilters({
          target: name,
          statPrefix,
          reporter: 'destination',
          client,
          mesh,
        })
      : [
          connectionManager({
            direction: 'inbound',
            statPrefix: `inbound_${client.bindAddress}_${meshPort.appPort}`,
            routes,
            acceptsConnect: false,
            readsGrpcWeb: protocol === 'grpc-web',
            saysWhoCalls: security === 'mutual-tls',
            client,
            mesh,
          }),
        ]
  const message = Listener.fromPartial({
    name,
    address: socketAddress(client.bindAddress, meshPort.meshPort),
    trafficDirection: TrafficDirection.INBOUND,
    ...inboundChains({
      mode,
      protocol: spokenOn(protocol),
      mesh,
      serverTls: isTerminated(input) ? serverDownstream(input.ingress.tls, mesh) : undefined,
      filters,
    }),
  })
  return encodeResource({ name, typeUrl: typeUrls.listener, codec: Listener, message })
}

function spokenOn(protocol: PortProtocol): Spoken | 'auto' {
  if (protocol === 'auto') return 'auto'
  return isHttp({ protocol }) ? 'http' : 'tcp'
}

/** One route for everything. */
function inboundRoutes(input: InboundInput, name: string): RouteConfiguration {
  const [first] = input.served
  const port = first?.port.number ?? input.meshPort.servicePort ?? input.meshPort.appPort
  const isGrpc = protocolOf(input) === 'grpc'
  const retryPolicy = isGrpc ? undefined : translateInboundRetries(input.mesh.inboundRetryPolicy)
  return RouteConfiguration.fromPartial({
    name,
    validateClusters: false,
    virtualHosts: [
      {
        name: `inbound|http|${port}`,
        domains: ['*'],
        routes: [
          {
            name: 'default',
            match: { pathSpecifier: { $case: 'prefix', value: '/' } },
            decorator: { operation: `${first?.service.hostname ?? ''}:${port}/*` },
            action: {
              $case: 'route',
              value: {
                clusterSpecifier: { $case: 'cluster', value: name },
                timeout: noTimeout,
                maxStreamDuration: {
                  maxStreamDuration: noTimeout,
                  grpcTimeoutHeaderMax: noTimeout,
                },
                ...(retryPolicy !== undefined && { retryPolicy }),
              },
            },
          },
        ],
      },
    ],
  })
}

function inboundCluster(input: InboundInput): EncodedResource {
  const { meshPort, mesh, rule, served, client } = input
  const name = inboundClusterName(meshPort.appPort)
  const port = served[0]?.port.number ?? meshPort.servicePort ?? meshPort.appPort
  const policy = effectivePolicy({ rule: rule?.trafficPolicy, subset: undefined, port, mesh })
  const message = Cluster.fromPartial({
    name,
    ...altStatName(mesh.inboundStatName, statNameInput(input)),
    clusterDiscoveryType: { $case: 'type', value: Cluster_DiscoveryType.STATIC },
    ...translateConnectionPool({
      settings: input.ingress?.connectionPool ?? input.inboundPool ?? policy.connectionPool,
      retryBudget: policy.retryBudget,
      port: { protocol: protocolOf(input) },
      mesh,
      direction: 'inbound',
      preservesCase: sharedHeadersOf(proxyHeadersOf(client, mesh)).preservesCase,
    }),
    loadAssignment: {
      clusterName: name,
      endpoints: [
        {
          lbEndpoints: [
            {
              hostIdentifier: {
                $case: 'endpoint',
                value: { address: applicationAddress(input) },
              },
            },
          ],
        },
      ],
    },
    metadata: {
      filterMetadata: {
        istio: {
          services: served.map(({ service }) => ({
            host: service.hostname,
            name: service.name,
            namespace: service.namespace,
          })),
          // Of a rule that has subsets only nothing counts here.
          ...(rule?.trafficPolicy !== undefined && ruleConfig(rule)),
        },
      },
    },
  })
  return encodeResource({ name, typeUrl: typeUrls.cluster, codec: Cluster, message })
}

/** Undefined while no service is known that could name it. */
function statNameInput({ served, meshPort }: InboundInput): StatNameInput | undefined {
  const [first] = served
  return first && { ...first, targetPort: meshPort.appPort }
}

/** Where the application listens: on its port, or where a Sidecar says. */
function applicationAddress({ ingress, meshPort }: InboundInput) {
  const { defaultEndpoint = '' } = ingress ?? {}
  if (defaultEndpoint.startsWith('unix://')) {
    return { address: { $case: 'pipe' as const, value: { path: defaultEndpoint.slice(7) } } }
  }
  const colon = defaultEndpoint.lastIndexOf(':')
  if (colon < 0) return socketAddress('127.0.0.1', meshPort.appPort)
  const isIPv6 = defaultEndpoint.startsWith('[::1]')
  return socketAddress(isIPv6 ? '::1' : '127.0.0.1', Number(defaultEndpoint.slice(colon + 1)))
}

/** Istio's rule: TLS of the application's own is for ports without mTLS; elsewhere mTLS is what they take. */
function isTerminated(
  input: InboundInput,
): input is InboundInput & { readonly ingress: { readonly tls: IngressTls } } {
  return input.mode === 'DISABLE' && input.ingress?.tls !== undefined
}

/** A Sidecar's word, the service's, else the name of the port, as Istio reads names: `http`, `grpc-web`, `tcp-orders`. */
function protocolOf(input: InboundInput): PortProtocol {
  const { served, meshPort, ingress } = input
  const said = ingress === undefined ? undefined : parseProtocol(ingress.port.protocol ?? '')
  if (isTerminated(input)) return said === 'https' ? 'http' : 'tcp'
  if (said !== undefined) return said
  return served[0]?.port.protocol ?? protocolOfName(meshPort.name)
}

const protocolsByName: Readonly<Record<string, PortProtocol>> = {
  http: 'http',
  http2: 'http2',
  grpc: 'grpc',
  'grpc-web': 'grpc-web',
  https: 'https',
  tls: 'tls',
  tcp: 'tcp',
  mongo: 'mongo',
  redis: 'tcp',
  mysql: 'tcp',
  udp: 'udp',
}

function protocolOfName(name: string): PortProtocol {
  const lower = name.toLowerCase()
  const [prefix = ''] = lower.split('-')
  return (lower.startsWith('grpc-web') ? 'grpc-web' : protocolsByName[prefix]) ?? 'auto'
}
