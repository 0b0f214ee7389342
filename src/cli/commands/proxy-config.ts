/**
 * `tulle proxy-config WHAT WORKLOAD`: what a sidecar has, live from its admin interface; or, with `-f`, what the
 * workload of a mesh file would get, without a running mesh.
 */
import { resourceLists } from '../../agent/resource-json.ts'
import type { ObjectList } from '../../api/object.ts'
import { firstCallPath, viewPath, type FirstCall, type ProxyObject } from '../../api/view.ts'
import { systemClock } from '../../lib/clock.ts'
import { apiClient } from '../api-client.ts'
import {
  meshFlags,
  namespaceFlag,
  outputFlag,
  usageError,
  type Command,
  type CommandInput,
} from '../command.ts'
import { loadOffline, nodeOf, pickWorkload, viewOf } from '../offline.ts'
import type { Output, Table } from '../output.ts'
import { adminAddressOf, pickProxy } from '../proxy-config/admin-address.ts'
import { readProxyResources, type Json, type ProxyResources } from '../proxy-config/config-dump.ts'
import { isOnDemand, resourcesOfFirstCall } from '../proxy-config/on-demand.ts'
import {
  clusterTable,
  endpointRows,
  endpointTable,
  listenerTable,
  routeTable,
} from '../proxy-config/resource-table.ts'
import { secretRows, secretTable } from '../proxy-config/secret-table.ts'

const kinds = [
  'listeners',
  'routes',
  'clusters',
  'endpoints',
  'secrets',
  'bootstrap',
  'all',
] as const

export const proxyConfigCommand: Command = {
  name: 'proxy-config',
  summary: "show a sidecar's listeners, routes, clusters, endpoints, secrets or bootstrap",
  description:
    'WHAT is listeners, routes, clusters, endpoints, secrets, bootstrap or all. Live, endpoints show whether ' +
    'outlier detection has ejected them, and secrets the certificate and the roots that are in use (never a ' +
    "key). JSON and YAML show the resources in full, in Envoy's field names.",
  arguments: [
    { name: '<what>', summary: `one of ${kinds.join(', ')}` },
    { name: '[workload]', summary: 'name of a workload, such as my-go-service-v2-1 or load' },
  ],
  flags: [
    outputFlag,
    {
      flags: '-f, --file <path>',
      summary: 'offline: what the workload would get from these files',
      isRepeatable: true,
    },
    {
      flags: '--host <text>',
      summary: 'only what has this text in its name (clusters, endpoints, routes)',
    },
    {
      flags: '--first-call <host>',
      summary:
        'of a sidecar on demand: what the first call of this host (reviews:9080) would bring',
    },
    {
      flags: '--admin <address>',
      summary: 'ask this admin address, 127.0.0.1:15000 or unix:/path',
    },
    namespaceFlag,
    ...meshFlags,
  ],
  examples: [
    {
      command: 'tulle proxy-config endpoints load',
      does: 'every endpoint as the workload load sees it',
    },
    {
      command: 'tulle proxy-config secret load',
      does: 'its certificate, how long it is valid, and whom it believes',
    },
    { command: 'tulle proxy-config routes load -o yaml', does: 'its routes in full' },
    {
      command: 'tulle proxy-config clusters load -f mesh.yaml',
      does: 'the same without a running mesh',
    },
  ],
  async run(input) {
    const [what = ''] = input.arguments
    const kind = kinds.find((name) => name === what || name === `${what}s`)
    if (kind === undefined) throw usageError(`cannot show ${what}`, `one of ${kinds.join(', ')}`)
    const isOffline = input.flags.list('file').length > 0
    const firstCall = input.flags.text('firstCall')
    if (isOffline && firstCall !== undefined) {
      throw usageError('files know no first call', 'leave -f out, and ask a running mesh')
    }
    const resources = await readResources(input, firstCall)
    if (kind === 'secrets' && isOffline) {
      throw usageError('files have no secrets', 'leave -f out, and ask a running sidecar')
    }
    const host = input.flags.text('host')
    return {
      exitCode: 0,
      output: outputOf(kind, host === undefined ? resources : only(resources, host)),
    }
  },
}

function readResources(
  input: CommandInput,
  firstCall: string | undefined,
): Promise<ProxyResources> {
  if (input.flags.list('file').length > 0) return readOffline(input)
  return firstCall === undefined ? readLive(input) : readFirstCall(input, firstCall)
}

async function readFirstCall(
  { flags, arguments: words, context }: CommandInput,
  host: string,
): Promise<ProxyResources> {
  const api = apiClient(flags, context)
  const { items } = await api.get<ObjectList<ProxyObject>>(viewPath('proxies'))
  const proxy = pickProxy(items, words[1], flags.text('namespace'))
  const given = await api.get<FirstCall>(firstCallPath(proxy, host))
  if (given.isOnDemand) return resourcesOfFirstCall(given)
  throw usageError(
    `${proxy.metadata.name} is not on demand`,
    'leave --first-call out: it has what it may call',
  )
}

async function readLive(input: CommandInput): Promise<ProxyResources> {
  const admin = input.flags.text('admin') ?? (await adminAddressOf(input, input.arguments[1]))
  return readProxyResources(admin)
}

async function readOffline({
  arguments: words,
  flags,
  context: { readInput },
}: CommandInput): Promise<ProxyResources> {
  const namespace = flags.text('namespace')
  const offline = await loadOffline({ paths: flags.list('file'), namespace, readInput })
  const { bootstrap } = pickWorkload(offline.bootstraps, words[1])
  const lists = resourceLists(viewOf(offline, nodeOf(bootstrap)))
  return {
    bootstrap,
    listeners: lists.listeners as Json[],
    routes: lists.routes as Json[],
    clusters: lists.clusters as Json[],
    assignments: lists.assignments as Json[],
    secrets: undefined,
    hosts: undefined,
  }
}

function only(resources: ProxyResources, host: string): ProxyResources {
  const named = (key: string) => (item: Json) => JSON.stringify(item[key] ?? '').includes(host)
  return {
    ...resources,
    clusters: resources.clusters.filter(named('name')),
    assignments: resources.assignments.filter(named('cluster_name')),
    hosts: resources.hosts?.filter(({ cluster }) => cluster.includes(host)),
    routes: resources.routes.map((config) => {
      const hosts = config['virtual_hosts']
      return {
        ...config,
        virtual_hosts: Array.isArray(hosts) ? (hosts as Json[]).filter(named('domains')) : [],
      }
    }),
  }
}

const onDemandNote =
  'on demand: what it has not called is not here; --first-call HOST shows what a first call would bring'

function outputOf(kind: (typeof kinds)[number], resources: ProxyResources): Output {
  const { bootstrap = {}, listeners, routes, clusters, assignments, secrets, hosts } = resources
  const nowMs = systemClock.nowMs()
  const data = (value: unknown): Output => ({ data: value, view: { kind: 'data' } })
  const note = isOnDemand(resources) ? { note: onDemandNote } : {}
  const table = (value: unknown, view: Table): Output => ({
    data: value,
    view: { kind: 'table', table: { ...view, ...note } },
  })
  const rows = endpointRows(resources)
  const outputs: Record<(typeof kinds)[number], () => Output> = {
    listeners: () => table(listeners, listenerTable(resources)),
    routes: () => table(routes, routeTable(resources)),
    clusters: () => table(clusters, clusterTable(resources)),
    endpoints: () => table(rows, endpointTable(rows)),
    secrets: () => {
      const all = secretRows(secrets ?? [], nowMs)
      return table(all, secretTable(all, nowMs))
    },
    bootstrap: () => data(bootstrap),
    all: () => data({ bootstrap, listeners, routes, clusters, assignments, secrets, hosts }),
  }
  return outputs[kind]()
}
