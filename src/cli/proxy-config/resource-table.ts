/** The tables of `tulle proxy-config`: listeners, routes, clusters and endpoints of one sidecar. */
import type { Table } from '../output.ts'
import {
  addressText,
  list,
  object,
  optionalObject,
  text,
  type HostState,
  type Json,
  type ProxyResources,
} from './config-dump.ts'

export function listenerTable({ listeners, refusedListeners = none }: ProxyResources): Table {
  const known = new Set(listeners.map((listener) => text(listener['name'])))
  const unknown = [...refusedListeners].filter(([name]) => !known.has(name))
  return {
    columns: ['NAME', 'ADDRESS', 'DIRECTION', 'DOES'],
    rows: [
      ...listeners.map((listener) => listenerRow(listener, refusedListeners)),
      ...unknown.map(([name, reason]) => [name, '-', '-', `refused: ${reason}`]),
    ],
    empty: 'no listeners',
  }
}

const none: ReadonlyMap<string, string> = new Map()

function listenerRow(listener: Json, refused: ReadonlyMap<string, string>): string[] {
  const name = text(listener['name'])
  const reason = refused.get(name)
  const chains = list(listener['filter_chains']).map(chainText)
  return [
    name,
    listener['internal_listener'] === undefined
      ? addressText(object(listener['address']))
      : 'internal',
    text(listener['traffic_direction'], 'UNSPECIFIED').toLowerCase(),
    [...chains, ...(reason === undefined ? [] : [`refused: ${reason}`])].join('; '),
  ]
}

/** What the last network filter of a chain does: it is the one that ends the connection. */
function chainText(chain: Json): string {
  const config = object(list(chain['filters']).at(-1)?.['typed_config'])
  const rds = optionalObject(config['rds'])
  if (rds !== undefined) return `http: routes ${text(rds['route_config_name'])}`
  const inline = optionalObject(config['route_config'])
  if (inline !== undefined) return `http: own routes ${text(inline['name'], '')}`.trim()
  if (config['cluster'] !== undefined) return `tcp: ${text(config['cluster'])}`
  const weighted = optionalObject(config['weighted_clusters'])
  return weighted === undefined ? '-' : `tcp: ${clustersText(weighted)}`
}

export function routeTable({ routes }: ProxyResources): Table {
  return {
    columns: ['ROUTES', 'VIRTUAL HOST', 'DOMAINS', 'MATCH', 'GOES TO'],
    rows: routes.flatMap((config) =>
      list(config['virtual_hosts']).flatMap((host) =>
        list(host['routes']).map((route) => [
          text(config['name'], ''),
          text(host['name']),
          domainsText(host['domains']),
          matchText(object(route['match'])),
          actionText(route),
        ]),
      ),
    ),
    empty: 'no routes',
  }
}

function domainsText(domains: unknown): string {
  const names = Array.isArray(domains) ? domains.map(String) : []
  const first = names.slice(0, 2).join(', ')
  return names.length > 2 ? `${first} +${names.length - 2}` : first
}

function matchText(match: Json): string {
  const path = ['prefix', 'path', 'path_separated_prefix'].find((key) => match[key] !== undefined)
  const regex = optionalObject(match['safe_regex'])
  const parts = [
    ...(path === undefined ? [] : [`${path} ${text(match[path])}`]),
    ...(regex === undefined ? [] : [`regex ${text(regex['regex'])}`]),
    ...(match['connect_matcher'] === undefined ? [] : ['CONNECT']),
    ...list(match['headers']).map((header) => `header ${text(header['name'])}`),
    ...list(match['query_parameters']).map((parameter) => `query ${text(parameter['name'])}`),
  ]
  return parts.join(', ')
}

function actionText(route: Json): string {
  const action = optionalObject(route['route'])
  if (action !== undefined) {
    const weighted = optionalObject(action['weighted_clusters'])
    if (weighted !== undefined) return clustersText(weighted)
    return text(action['cluster'], text(action['cluster_header'], '-'))
  }
  const direct = optionalObject(route['direct_response'])
  if (direct !== undefined) return `answer ${text(direct['status'])}`
  return route['redirect'] === undefined ? '-' : 'redirect'
}

function clustersText(weighted: Json): string {
  return list(weighted['clusters'])
    .map((cluster) => `${text(cluster['name'])} ${text(cluster['weight'], '0')}`)
    .join(', ')
}

export function clusterTable({ clusters }: ProxyResources): Table {
  return {
    columns: ['HOST', 'PORT', 'SUBSET', 'DIRECTION', 'TYPE', 'BALANCES BY'],
    rows: clusters.map(clusterCells),
    empty: 'no clusters',
  }
}

function clusterCells(cluster: Json): readonly string[] {
  const type = optionalObject(cluster['cluster_type'])
  return [
    ...nameCells(text(cluster['name'])),
    text(type?.['name'], text(cluster['type'], 'STATIC')),
    text(cluster['lb_policy'], 'ROUND_ROBIN').toLowerCase(),
  ]
}

/** Host, port, subset and direction of `outbound|8080|v1|my-go-service.default.svc.cluster.local`. */
function nameCells(name: string): readonly string[] {
  const [direction = '', port = '', subset = '', host] = name.split('|')
  if (host === undefined) return [name, '-', '-', '-']
  return [host === '' ? name : host, port, subset === '' ? '-' : subset, direction]
}

export interface EndpointRow {
  readonly endpoint: string
  readonly health: string
  readonly cluster: string
  readonly weight: number
  readonly requests: number | undefined
  readonly errors: number | undefined
}

/** Live: each host as the sidecar sees it, ejection included. Offline: what the assignments say. */
export function endpointRows(resources: ProxyResources): readonly EndpointRow[] {
  if (resources.hosts !== undefined) {
    // What the application calls comes before what the sidecar needs for itself.
    const isOwn = (host: HostState) => (host.cluster.includes('|') ? 0 : 1)
    const hosts = resources.hosts.toSorted((a, b) => isOwn(a) - isOwn(b))
    return hosts.map((host) => ({
      endpoint: host.address,
      health: host.health,
      cluster: host.cluster,
      weight: host.weight,
      requests: host.totalRequests,
      errors: host.failedRequests,
    }))
  }
  return resources.assignments.flatMap((assignment) =>
    list(assignment['endpoints']).flatMap((locality) =>
      list(locality['lb_endpoints']).map((entry) => ({
        endpoint: addressText(object(object(entry['endpoint'])['address'])),
        health: text(entry['health_status'], 'HEALTHY').toLowerCase(),
        cluster: text(assignment['cluster_name']),
        weight: Number(entry['load_balancing_weight'] ?? 1),
        requests: undefined,
        errors: undefined,
      })),
    ),
  )
}

export function endpointTable(rows: readonly EndpointRow[]): Table {
  return {
    columns: ['ENDPOINT', 'HEALTH', 'CLUSTER', 'WEIGHT', 'REQUESTS', 'ERRORS'],
    rows: rows.map((row) => [
      row.endpoint,
      row.health === 'healthy' ? row.health : { text: row.health, colour: 'red' },
      row.cluster,
      String(row.weight),
      text(row.requests, '-'),
      text(row.errors, '-'),
    ]),
    empty: 'no endpoints',
  }
}
