/**
 * The resources of one sidecar as JSON in Envoy's own field names: read from `/config_dump` and `/clusters` of
 * our sidecar or of Envoy, or made offline by the translation.
 */
import { askAdmin } from '../../agent/admin-client.ts'
import { MeshError } from '../../lib/mesh-error.ts'

export type Json = Readonly<Record<string, unknown>>

export interface ProxyResources {
  readonly bootstrap: Json | undefined
  readonly listeners: readonly Json[]
  /** Live only, by name: why the listener, or its newest version, is not in force. */
  readonly refusedListeners?: ReadonlyMap<string, string>
  readonly routes: readonly Json[]
  readonly clusters: readonly Json[]
  /** ClusterLoadAssignments. */
  readonly assignments: readonly Json[]
  /** Live only, without keys. */
  readonly secrets: readonly DumpedSecret[] | undefined
  /** Live only: each host as its sidecar sees it. */
  readonly hosts: readonly HostState[] | undefined
}

export interface DumpedSecret {
  readonly status: string
  readonly secret: Json
}

export interface HostState {
  readonly cluster: string
  readonly address: string
  /** `healthy`, or every reason why it gets no requests. */
  readonly health: string
  readonly weight: number
  readonly activeRequests: number
  readonly totalRequests: number
  readonly failedRequests: number
}

export async function readProxyResources(admin: string): Promise<ProxyResources> {
  const dump = await askJson(admin, '/config_dump?include_eds')
  const clusters = await askJson(admin, '/clusters?format=json')
  return {
    ...parseConfigDump(dump, servingIn(clusters)),
    hosts: parseHosts(clusters),
  }
}

/** Names of clusters that serve. */
function servingIn(clusters: unknown): ReadonlySet<string> {
  return new Set(list(object(clusters)['cluster_statuses']).map((one) => text(one['name'])))
}

async function askJson(address: string, path: string): Promise<unknown> {
  const { status, text } = await askAdmin({ address, path, timeoutMs: 30_000 })
  if (status !== 200) {
    throw new MeshError(
      'MESH_API_FAILED',
      `GET ${path} of the sidecar at ${address}: status ${status}`,
    )
  }
  return JSON.parse(text) as unknown
}

/** `serving`: clusters that requests are sent to; one that warms meanwhile is shown as it will be. */
export function parseConfigDump(
  dump: unknown,
  serving: ReadonlySet<string> = new Set(),
): ProxyResources {
  const sections = list(object(dump)['configs'])
  const items = (type: string, keys: readonly string[]) =>
    sections
      .filter((section) => text(section['@type']).endsWith(type))
      .flatMap((section) => keys.flatMap((key) => list(section[key])))
  const clusters = items('ClustersConfigDump', ['static_clusters', 'dynamic_active_clusters'])
  const routes = items('RoutesConfigDump', ['static_route_configs', 'dynamic_route_configs'])
  const endpoints = items('EndpointsConfigDump', [
    'static_endpoint_configs',
    'dynamic_endpoint_configs',
  ])
  const bootstrap = sections.find((section) =>
    text(section['@type']).endsWith('BootstrapConfigDump'),
  )
  return {
    bootstrap: optionalObject(bootstrap?.['bootstrap']),
    listeners: [
      ...items('ListenersConfigDump', ['static_listeners']).map((item) => object(item['listener'])),
      ...items('ListenersConfigDump', ['dynamic_listeners']).flatMap((item) => {
        const active = object(item['active_state'])['listener']
        return active === undefined ? [] : [object(active)]
      }),
    ],
    refusedListeners: new Map(
      items('ListenersConfigDump', ['dynamic_listeners']).flatMap((item) => {
        const { details } = object(item['error_state'])
        return details === undefined ? [] : [[text(item['name']), text(details)] as const]
      }),
    ),
    routes: routes.map((item) => object(item['route_config'])),
    clusters: [
      ...clusters.map((item) => object(item['cluster'])),
      ...items('ClustersConfigDump', ['dynamic_warming_clusters'])
        .map((item) => object(item['cluster']))
        .filter((cluster) => serving.has(text(cluster['name']))),
    ],
    assignments: endpoints.map((item) => object(item['endpoint_config'])),
    secrets: dumpedSecrets(sections),
    hosts: undefined,
  }
}

export function dumpedSecrets(sections: readonly Json[]): readonly DumpedSecret[] {
  const section = sections.find((one) => text(one['@type']).endsWith('SecretsConfigDump')) ?? {}
  const states = [
    ['static_secrets', 'ACTIVE'],
    ['dynamic_active_secrets', 'ACTIVE'],
    ['dynamic_warming_secrets', 'WARMING'],
  ] as const
  return states.flatMap(([key, status]) =>
    list(section[key]).map((item) => ({
      status,
      secret: withoutKey({ name: item['name'], ...object(item['secret']) }),
    })),
  )
}

function withoutKey(secret: Json): Json {
  const certificate = secret['tls_certificate']
  if (certificate === undefined) return secret
  return {
    ...secret,
    tls_certificate: { certificate_chain: object(certificate)['certificate_chain'] },
  }
}

export function parseHosts(clusters: unknown): readonly HostState[] {
  return list(object(clusters)['cluster_statuses']).flatMap((cluster) =>
    list(cluster['host_statuses']).map((host) => parseHost(text(cluster['name']), host)),
  )
}

function parseHost(cluster: string, host: Json): HostState {
  const stats = new Map(
    list(host['stats']).map((stat) => [text(stat['name']), Number(stat['value'] ?? 0)]),
  )
  return {
    cluster,
    address: addressText(object(host['address'])),
    health: healthText(object(host['health_status'])),
    weight: Number(host['weight'] ?? 1),
    activeRequests: stats.get('rq_active') ?? 0,
    totalRequests: stats.get('rq_total') ?? 0,
    failedRequests: stats.get('rq_error') ?? 0,
  }
}

/** Envoy writes each failed check as a flag, and what the control plane says as `eds_health_status`. */
function healthText(status: Json): string {
  const names: Readonly<Record<string, string>> = {
    failed_outlier_check: 'ejected',
    failed_active_health_check: 'failed health check',
    failed_active_degraded_check: 'degraded',
    pending_dynamic_removal: 'leaving',
    pending_active_hc: 'not checked yet',
    excluded_via_immediate_hc_fail: 'excluded',
  }
  const reasons = Object.entries(names)
    .filter(([flag]) => status[flag] === true)
    .map(([, name]) => name)
  const told = text(status['eds_health_status'], 'HEALTHY').toLowerCase()
  if (told !== 'healthy' && told !== 'unknown') reasons.push(told)
  return reasons.length === 0 ? 'healthy' : reasons.join(', ')
}

/** `127.0.0.1:80`, `/path`, or the name of an internal listener. */
export function addressText(address: Json): string {
  const socket = optionalObject(address['socket_address'])
  if (socket !== undefined) {
    return `${text(socket['address'])}:${text(socket['port_value'], '0')}`
  }
  const pipe = optionalObject(address['pipe'])
  if (pipe !== undefined) return text(pipe['path'])
  const internal = optionalObject(address['envoy_internal_address'])
  return internal === undefined ? '-' : `internal ${text(internal['server_listener_name'])}`
}

export function object(value: unknown): Json {
  return optionalObject(value) ?? {}
}

export function optionalObject(value: unknown): Json | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Json)
    : undefined
}

/** The objects of a list; anything else counts as an empty one. */
export function list(value: unknown): readonly Json[] {
  return Array.isArray(value) ? value.map(object) : []
}

/** A string or number as text; anything else is `fallback`. */
export function text(value: unknown, fallback = ''): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : fallback
}
