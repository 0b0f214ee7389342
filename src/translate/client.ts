/** What the translation reads of a client: its node id and the metadata of registry/node-metadata.ts. */
import { parseDurationMs } from '../model/duration.ts'
import { proxyHeadersShape } from '../model/mesh/proxy-config-shape.ts'
import type { ProxyHeaders } from '../model/mesh/proxy-config.ts'
import { nodeOfValue } from '../model/schema/source-node.ts'
import { localityOf, withNode } from '../registry/label.ts'
import type { MeshPort, Upstream } from '../registry/node-metadata.ts'
import type { RegistrySnapshot } from '../registry/service.ts'
import type { StreamNode } from '../xds/resource-set.ts'
import type { ClientKind } from './ability.ts'

export interface Client {
  /** The node id. */
  readonly id: string
  readonly kind: ClientKind
  readonly namespace: string
  readonly workload: string
  /** One of several of a workload: the name in its node id. */
  readonly instance: string
  readonly labels: Readonly<Record<string, string>>
  readonly cluster: string
  readonly network: string
  /** `region/zone/subzone`; '' where nobody says. */
  readonly locality: string
  /** Name of the service that an ad-hoc workload says it serves. */
  readonly service: string | undefined
  readonly address: string
  /** What destinations that hash by source hash; absent: none does. */
  readonly hashedAs?: string
  readonly bindAddress: string
  readonly meshPorts: readonly MeshPort[]
  readonly httpProxyPort: number | undefined
  readonly upstreams: readonly Upstream[]
  /** Of its own ProxyConfig; undefined: it says none, and the mesh's counts. */
  readonly proxyHeaders: ProxyHeaders | undefined
  /** How long a connection may be idle, where it says so (ISTIO_META_IDLE_TIMEOUT). */
  readonly idleTimeout: string | undefined
  /** Whether it takes HTTP/1.0 (ISTIO_META_HTTP10). */
  readonly takesHttp10: boolean
  /** Its standard output is its application's: a log that is to go there goes to standard error. */
  readonly keepsStdout: boolean
  /** File of the authorities that its host trusts. */
  readonly systemRoots: string
  /** Undefined: it cannot fetch what it first calls. */
  readonly onDemand: 'auto' | 'on' | 'off' | undefined
  /** What it had asked for before this stream: `http_proxy/<authority>`. */
  readonly rememberedHosts: readonly string[]
}

const onDemandWishes = ['auto', 'on', 'off'] as const
/** Names beyond are fetched again when they are called. */
const rememberedMax = 2_000

/** Where Debian, Alpine and their children have it; an agent that finds it elsewhere says so. */
const systemRootsDefault = '/etc/ssl/certs/ca-certificates.crt'

/** Tolerates anything in the metadata: what is not of the expected shape counts as absent. */
export function clientOf(node: StreamNode): Client {
  const { metadata } = node
  // `sidecar~10.0.0.1~name.namespace~namespace.svc.cluster.local`
  const [, address = '', name = ''] = node.id.split('~')
  const dot = name.lastIndexOf('.')
  const instance = dot < 0 ? name : name.slice(0, dot)
  return {
    id: node.id,
    kind: node.userAgentName === 'envoy' ? 'envoy' : 'tulle',
    namespace: text(metadata['NAMESPACE']) ?? (dot < 0 ? 'default' : name.slice(dot + 1)),
    workload: text(metadata['WORKLOAD_NAME']) ?? text(metadata['AUTO_REGISTER_GROUP']) ?? instance,
    instance,
    labels: withNode(labelsOf(metadata['LABELS']), text(metadata['NODE_NAME'])),
    ...whereOf(node),
    service: text(metadata['SERVICE']),
    address,
    bindAddress: text(metadata['BIND_ADDRESS']) ?? '0.0.0.0',
    meshPorts: list(metadata['MESH_PORTS']).flatMap(meshPortOf),
    httpProxyPort: port(metadata['HTTP_PROXY_PORT']),
    upstreams: list(metadata['UPSTREAMS']).flatMap(upstreamOf),
    ...proxySettingsOf(metadata),
    systemRoots: text(metadata['SYSTEM_ROOTS']) ?? systemRootsDefault,
    onDemand: onDemandWishes.find((wish) => wish === metadata['ON_DEMAND']),
    rememberedHosts: texts(metadata['ON_DEMAND_HOSTS']).slice(0, rememberedMax),
  }
}

function proxySettingsOf(metadata: StreamNode['metadata']) {
  const idleTimeout = text(metadata['IDLE_TIMEOUT'])
  return {
    proxyHeaders: proxyHeadersOf(metadata['PROXY_CONFIG']),
    idleTimeout: (parseDurationMs(idleTimeout ?? '') ?? -1) < 0 ? undefined : idleTimeout,
    takesHttp10: metadata['HTTP10'] === '1',
    keepsStdout: metadata['KEEP_STDOUT'] === 'true',
  }
}

/** What is not of the shape counts as absent; a ProxyConfig that says nothing of headers leaves the mesh's in force. */
function proxyHeadersOf(config: unknown): ProxyHeaders | undefined {
  if (!isRecord(config)) return undefined
  const headers = config['proxyHeaders']
  if (!isRecord(headers)) return undefined
  const reading = { namespace: '', report: () => {}, isPresent: () => false }
  return proxyHeadersShape.read(nodeOfValue(headers), '', reading)
}

function whereOf({
  metadata,
  locality,
}: StreamNode): Pick<Client, 'cluster' | 'network' | 'locality'> {
  return {
    cluster: text(metadata['CLUSTER_ID']) ?? '',
    network: text(metadata['NETWORK']) ?? '',
    locality: localityText(locality, labelsOf(metadata['LABELS'])),
  }
}

/** The node's own, or that of its labels. */
function localityText(
  { region, zone, subZone }: StreamNode['locality'],
  labels: Readonly<Record<string, string>>,
): string {
  const own = [region, zone, subZone].join('/').replace(/\/+$/, '')
  return localityOf(own, labels)
}

/**
 * With the labels, and the place if it says none itself, that the registry knows of the workload besides its own: those of
 * its WorkloadGroup, or of the mesh file. The same object when there are none.
 */
export function withRegisteredLabels(client: Client, registry: RegistrySnapshot): Client {
  const registered = registry.workloads.get(client.id)
  if (registered === undefined) return client
  const labels = { ...registered.labels, ...client.labels }
  const locality = client.locality || registered.locality
  const network = client.network || registered.network
  const isSameLabels = Object.keys(labels).length === Object.keys(client.labels).length
  return isSameLabels && locality === client.locality && network === client.network
    ? client
    : { ...client, labels, locality, network }
}

function meshPortOf(value: Readonly<Record<string, unknown>>): MeshPort[] {
  const appPort = port(value['appPort'])
  const meshPort = port(value['meshPort'])
  if (appPort === undefined || meshPort === undefined) return []
  const name = text(value['name']) ?? ''
  return [{ name, servicePort: port(value['servicePort']), appPort, meshPort }]
}

function upstreamOf(value: Readonly<Record<string, unknown>>): Upstream[] {
  const host = text(value['host'])
  const upstreamPort = port(value['port'])
  const localPort = port(value['localPort'])
  if (host === undefined || upstreamPort === undefined || localPort === undefined) return []
  return [{ host, port: upstreamPort, localPort }]
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

function texts(value: unknown): string[] {
  if (!Array.isArray(value)) return []
  return value.filter((member): member is string => typeof member === 'string')
}

function port(value: unknown): number | undefined {
  const number = typeof value === 'string' && value !== '' ? Number(value) : value
  return typeof number === 'number' && Number.isInteger(number) && number > 0 && number < 65_536
    ? number
    : undefined
}

function list(value: unknown): Readonly<Record<string, unknown>>[] {
  return Array.isArray(value) ? value.filter(isRecord) : []
}

function labelsOf(value: unknown): Record<string, string> {
  if (!isRecord(value)) return {}
  return Object.fromEntries(
    Object.entries(value).filter(
      (entry): entry is [string, string] => typeof entry[1] === 'string',
    ),
  )
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
