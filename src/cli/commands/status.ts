/** `tulle status`: which sidecars are connected, whether each has the newest configuration, and what it refused. */
import type { ObjectList } from '../../api/object.ts'
import {
  viewPath,
  type ProxyObject,
  type ProxyTypeStatus,
  type WorkloadObject,
} from '../../api/view.ts'
import { apiClient } from '../api-client.ts'
import { meshFlags, outputFlag, type Command } from '../command.ts'
import type { Cell, Table } from '../output.ts'

export const statusCommand: Command = {
  name: 'status',
  summary: 'show which sidecars are connected, in sync, stale or refuse configuration',
  description:
    'Exit code 1 when a sidecar has refused something, or one that serves has gone; else 0. Inbound policy is not enforced ' +
    'against who dials an application past its sidecar.',
  flags: [outputFlag, ...meshFlags],
  examples: [{ command: 'tulle status', does: 'one line for each workload' }],
  async run({ flags, context }) {
    const api = apiClient(flags, context)
    const [proxies, workloads] = await Promise.all([
      api.get<ObjectList<ProxyObject>>(viewPath('proxies')),
      api.get<ObjectList<WorkloadObject>>(viewPath('workloads')),
    ])
    const rows = statusRows(proxies.items, workloads.items)
    const isBad = rows.some(
      ({ rejections, presence, serves }) =>
        rejections.length > 0 || (serves && presence === 'gone'),
    )
    return {
      exitCode: isBad ? 1 : 0,
      output: { data: rows, view: { kind: 'table', table: statusTable(rows) } },
    }
  },
}

export interface StatusRow {
  readonly name: string
  readonly namespace: string
  readonly presence: string
  readonly health: string
  readonly healthMessage: string
  /** False for a client: nobody misses it when it has gone. */
  readonly serves: boolean
  /** Of each resource type by its short name. */
  readonly types: Readonly<Record<string, ProxyTypeStatus['status']>>
  readonly lastPushMs: number | undefined
  readonly rejections: readonly { readonly type: string; readonly reason: string }[]
}

export function statusRows(
  proxies: readonly ProxyObject[],
  workloads: readonly WorkloadObject[],
): readonly StatusRow[] {
  const key = (item: ProxyObject | WorkloadObject) =>
    `${item.metadata.namespace ?? ''}/${item.metadata.name}`
  const byKey = new Map(workloads.map((workload) => [key(workload), workload]))
  const connected = new Set(proxies.map(key))
  const others = workloads.filter((workload) => !connected.has(key(workload)))
  return [
    ...proxies.map((proxy) => proxyRow(proxy, byKey.get(key(proxy)))),
    ...others.map((workload) => ({
      ...workloadPart(workload),
      types: {},
      lastPushMs: undefined,
      rejections: [],
    })),
  ].sort((a, b) => (`${a.namespace}/${a.name}` < `${b.namespace}/${b.name}` ? -1 : 1))
}

function proxyRow(
  { metadata, status }: ProxyObject,
  workload: WorkloadObject | undefined,
): StatusRow {
  const own =
    workload === undefined
      ? { presence: 'connected', health: '-', healthMessage: '', serves: false }
      : workloadPart(workload)
  return {
    ...own,
    name: metadata.name,
    namespace: metadata.namespace ?? '',
    types: Object.fromEntries(status.types.map((type) => [type.name, type.status])),
    lastPushMs: status.lastPushMs,
    rejections: status.types.flatMap(({ name, rejection }) =>
      rejection === undefined ? [] : [{ type: name, reason: rejection.reason }],
    ),
  }
}

function workloadPart({ metadata, status }: WorkloadObject) {
  return {
    name: metadata.name,
    namespace: metadata.namespace ?? '',
    presence: status.presence,
    health: status.health,
    healthMessage: status.healthMessage,
    serves: status.ports.length > 0,
  }
}

const typeColumns = ['CDS', 'LDS', 'EDS', 'RDS'] as const

export function statusTable(rows: readonly StatusRow[]): Table {
  return {
    columns: ['NAMESPACE', 'NAME', 'PRESENCE', 'HEALTH', ...typeColumns, 'PUSH MS', 'WHY'],
    rows: rows.map((row) => [
      row.namespace,
      row.name,
      row.presence,
      healthCell(row.health),
      ...typeColumns.map((type) => typeCell(row.types[type])),
      row.lastPushMs === undefined ? '-' : row.lastPushMs.toFixed(0),
      whyText(row),
    ]),
    empty: 'no workload has joined',
  }
}

function whyText({ rejections, health, healthMessage }: StatusRow): string {
  const refused = rejections.map(({ type, reason }) => `${type}: ${reason}`)
  const unhealthy = health === 'healthy' || healthMessage === '' ? [] : [healthMessage]
  return [...refused, ...unhealthy].join('; ')
}

function healthCell(health: string): Cell {
  return health === 'unhealthy' ? { text: health, colour: 'red' } : health
}

function typeCell(status: ProxyTypeStatus['status'] | undefined): Cell {
  if (status === undefined) return '-'
  if (status === 'REJECTED') return { text: status, colour: 'red' }
  return status === 'STALE' ? { text: status, colour: 'yellow' } : status
}
