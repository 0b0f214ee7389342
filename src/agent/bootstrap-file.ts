/**
 * Writes the bootstrap of a workload's sidecar: an Envoy v3 bootstrap as JSON that Envoy itself runs too.
 *
 * Node id and metadata are Istio's (registry/node-metadata.ts has the table). The static clusters are `xds-grpc`
 * and `sds-grpc`; both lead to the agent, which relays the one to the control plane and gives the secrets itself.
 * `local_cluster` is whom zone-aware routing compares the destination with; the control plane fills it.
 */
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'

import { replaceFile } from '../lib/replace-file.ts'
import type { Json } from './bootstrap-json.ts'
import { statsConfig } from './bootstrap-stats.ts'
import type { ProxyPlan, WorkloadAddresses, WorkloadPlan } from './workload-plan.ts'

/** Where the relay listens: `/path/of/socket` or `127.0.0.1:port`. */
export interface BootstrapOptions {
  readonly plan: WorkloadPlan
  readonly addresses: WorkloadAddresses
  readonly relayAddress: string
  /** Name of the machine; absent: it is not told. */
  readonly node?: string
}

export function nodeId(plan: WorkloadPlan): string {
  const { instance, namespace } = plan
  return `sidecar~127.0.0.1~${instance}.${namespace}~${namespace}.svc.cluster.local`
}

export function createBootstrap(options: BootstrapOptions): Record<string, Json> {
  const { plan, addresses, relayAddress, node } = options
  const [region = '', zone = '', subZone = ''] = plan.locality.split('/')
  return {
    node: {
      id: nodeId(plan),
      cluster: plan.proxy.cluster ?? `${plan.labels['app'] ?? plan.workload}.${plan.namespace}`,
      metadata: {
        ...nodeMetadata(plan, addresses),
        ...(node === undefined ? {} : { NODE_NAME: node }),
      },
      ...(plan.locality === '' ? {} : { locality: { region, zone, sub_zone: subZone } }),
    },
    admin: { address: envoyAddress(addresses.admin) },
    bootstrap_extensions: [
      {
        name: 'envoy.bootstrap.internal_listener',
        typed_config: {
          '@type':
            'type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener',
        },
      },
    ],
    cluster_manager: { local_cluster_name: localCluster },
    overload_manager: overloadManager,
    ...statsConfig(plan),
    ...layeredRuntime(plan.proxy),
    dynamic_resources: dynamicResources(),
    static_resources: { clusters: staticClusters(relayAddress) },
  }
}

/** In one step, so that a reader never sees half a file. */
export function writeBootstrap(path: string, bootstrap: Record<string, unknown>): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  replaceFile(path, `${JSON.stringify(bootstrap, undefined, 2)}\n`)
}

function nodeMetadata(plan: WorkloadPlan, addresses: WorkloadAddresses): Record<string, Json> {
  return {
    CLUSTER_ID: 'Kubernetes',
    MESH_ID: plan.mesh.trustDomain,
    NETWORK: '',
    ...plan.proxy.metadata,
    NAMESPACE: plan.namespace,
    WORKLOAD_NAME: plan.workload,
    NAME: plan.instance,
    SERVICE_ACCOUNT: plan.serviceAccount,
    LABELS: labelsOf(plan),
    BIND_ADDRESS: plan.bindAddress,
    ADMIN_ADDRESS: addresses.admin,
    HTTP_PROXY_PORT: addresses.httpProxyPort,
    ON_DEMAND: onDemandOf(plan),
    MESH_PORTS: addresses.ports.map((port) => ({
      name: port.name,
      ...(port.servicePort === undefined ? {} : { servicePort: port.servicePort }),
      appPort: port.appPort,
      meshPort: port.meshPort,
    })),
    UPSTREAMS: addresses.upstreams.map(({ host, port, localPort }) => ({ host, port, localPort })),
    ...(plan.proxy.config === undefined ? {} : { PROXY_CONFIG: plan.proxy.config as Json }),
    ...(plan.group === undefined ? {} : { AUTO_REGISTER_GROUP: plan.group }),
    ...(plan.service === undefined ? {} : { SERVICE: plan.service }),
  }
}

/** A real Envoy answers the first request with a body 404: who wants that must say so. */
function onDemandOf({ proxy: { kind, onDemand = 'auto' } }: WorkloadPlan): string {
  return kind === 'envoy' && onDemand === 'auto' ? 'off' : onDemand
}

/** What Istio's injection adds: callers learn from it that the sidecar takes mTLS. */
function labelsOf({ identity, labels }: WorkloadPlan): Record<string, string> {
  return identity === undefined
    ? { ...labels }
    : { ...labels, 'security.istio.io/tlsMode': 'istio' }
}

/** As Istio sets it up: connections are counted, and the ceiling is as good as none. */
const overloadManager: Json = {
  resource_monitors: [
    {
      name: 'envoy.resource_monitors.global_downstream_max_connections',
      typed_config: {
        '@type':
          'type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig',
        max_active_downstream_connections: 2_147_483_647,
      },
    },
  ],
}

/** A layer of its own, so that what Envoy's defaults are can be seen beside it. */
function layeredRuntime({ runtime = {} }: ProxyPlan): Record<string, Json> {
  const written = Object.entries(runtime).filter(([, value]) => value !== '')
  if (written.length === 0) return {}
  const values = written.map(([key, value]) => [key, runtimeValue(value)] as const)
  return {
    layered_runtime: {
      layers: [
        { name: 'global config', static_layer: Object.fromEntries(values) },
        { name: 'admin', admin_layer: {} },
      ],
    },
  }
}

/** Envoy takes a feature's switch as a boolean only. */
function runtimeValue(text: string): Json {
  return text === 'true' || text === 'false' ? text === 'true' : text
}

function dynamicResources(): Json {
  const ads = { ads: {}, initial_fetch_timeout: '0s', resource_api_version: 'V3' }
  return {
    ads_config: {
      api_type: 'DELTA_GRPC',
      transport_api_version: 'V3',
      set_node_on_first_message_only: true,
      grpc_services: [{ envoy_grpc: { cluster_name: 'xds-grpc' } }],
    },
    lds_config: ads,
    cds_config: ads,
  }
}

function staticClusters(relayAddress: string): readonly Json[] {
  return [...['xds-grpc', 'sds-grpc'].map((name) => agentCluster(name, relayAddress)), fellows]
}

/** Istio's name for the workloads of the same service; by their places the sidecar knows its zone's share of requests. */
const localCluster = 'local_cluster'

const fellows: Json = {
  name: localCluster,
  type: 'EDS',
  connect_timeout: '1s',
  eds_cluster_config: {
    // A control plane that does not know the cluster must not hold up the start: without fellows no zone is preferred.
    eds_config: { ads: {}, initial_fetch_timeout: '0.5s', resource_api_version: 'V3' },
  },
}

function agentCluster(name: string, relayAddress: string): Json {
  const address = envoyAddress(relayAddress)
  return {
    name,
    type: 'STATIC',
    connect_timeout: '1s',
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
        explicit_http_config: { http2_protocol_options: {} },
      },
    },
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }],
    },
  }
}

/** `127.0.0.1:15000`, `unix:/path` or `/path` as Envoy writes an address. */
function envoyAddress(address: string): Json {
  const path = address.replace(/^unix:/, '')
  if (path.startsWith('/')) return { pipe: { path } }
  const colon = address.lastIndexOf(':')
  return {
    socket_address: {
      address: address.slice(0, colon),
      port_value: Number(address.slice(colon + 1)),
    },
  }
}
