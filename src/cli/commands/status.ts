/** `tulle status`: which sidecars are connected, whether each has the newest configuration, and what it refused. */
import { credentialLines, type AgentStatus } from '../../agent/status-server.ts'
import type { ObjectList } from '../../api/object.ts'
import {
  viewPath,
  type ProxyObject,
  type ProxyTypeStatus,
  type WorkloadObject,
} from '../../api/view.ts'
import { systemClock } from '../../lib/clock.ts'
import { apiClient } from '../api-client.ts'
import { meshFlags, outputFlag, type Command } from '../command.ts'
import { tulleHome } from '../home.ts'
import { renderTable, type Cell, type Table } from '../output.ts'
import { leftText } from '../proxy-config/secret-table.ts'
import { readAgents } from '../status/agent.ts'
import { readExposures, type Exposure } from '../status/exposure.ts'
import { hopTable, readHops, type Hop } from '../status/hop.ts'
import type { Terminal } from '../terminal.ts'

export const statusCommand: Command = {
  name: 'status',
  summary: 'show which sidecars are connected, in sync, stale or refuse configuration',
  description:
    'CERT is what is left of its certificate, renewed at half. The second table says of each hop whether it is mutual ' +
    'TLS, as both sidecars saw it. INBOUND is "not enforced" where the application can be dialled past its ' +
    'sidecar: from its own host, or from the network when it listens beyond loopback. ' +
    'Exit code 1 when a sidecar has refused something, or one that serves has gone; else 0.',
  flags: [outputFlag, ...meshFlags],
  examples: [{ command: 'tulle status', does: 'one line for each workload' }],
  async run({ flags, context }) {
    const api = apiClient(flags, context)
    const [proxies, workloads] = await Promise.all([
      api.get<ObjectList<ProxyObject>>(viewPath('proxies')),
      api.get<ObjectList<WorkloadObject>>(viewPath('workloads')),
    ])
    const [hops, exposures, agents] = await Promise.all([
      readHops(proxies.items),
      readExposures(workloads.items),
      readAgents(proxies.items, api.mesh && tulleHome(context.env).stateOf(api.mesh.name)),
    ])
    const rows = statusRows(proxies.items, workloads.items, { hops, exposures, agents })
    const isBad = rows.some(
      ({ rejections, presence, serves }) =>
        rejections.length > 0 || (serves && presence === 'gone'),
    )
    return {
      exitCode: isBad ? 1 : 0,
      output: {
        data: rows,
        view: { kind: 'text', text: statusText(rows, hops, context.terminal) },
      },
    }
  },
}

export interface StatusRow {
  readonly name: string
  readonly workload: string
  readonly namespace: string
  readonly presence: string
  readonly health: string
  readonly healthMessage: string
  /** False for a client: nobody misses it when it has gone. */
  readonly serves: boolean
  /** Undefined: none, or no connection that could tell. */
  readonly certificate: ProxyObject['status']['certificate'] | undefined
  /** Why its agent, when it is on this host, could not renew the certificate. */
  readonly renewalFailure: string | undefined
  /** What is wrong, or may be, with credentials that its agent, when it is on this host, was asked for. */
  readonly credentials: readonly string[]
  /** How its application can be reached past its sidecar. */
  readonly exposure: Exposure
  /** Who has called its workload. */
  readonly callers: readonly Pick<Hop, 'from' | 'lock' | 'principal' | 'count'>[]
  /** Of each resource type by its short name. */
  readonly types: Readonly<Record<string, ProxyTypeStatus['status']>>
  readonly lastPushMs: number | undefined
  readonly rejections: readonly { readonly type: string; readonly reason: string }[]
}

export interface Seen {
  readonly hops: readonly Hop[]
  /** By `namespace/name`. */
  readonly exposures: ReadonlyMap<string, Exposure>
  readonly agents: ReadonlyMap<string, AgentStatus>
}

export function statusRows(
  proxies: readonly ProxyObject[],
  workloads: readonly WorkloadObject[],
  { hops, exposures, agents }: Seen,
): readonly StatusRow[] {
  const key = (item: ProxyObject | WorkloadObject) =>
    `${item.metadata.namespace ?? ''}/${item.metadata.name}`
  const byKey = new Map(workloads.map((workload) => [key(workload), workload]))
  const connected = new Set(proxies.map(key))
  const others = workloads.filter((workload) => !connected.has(key(workload)))
  const rows = [
    ...proxies.map((proxy) => proxyRow(proxy, byKey.get(key(proxy)))),
    ...others.map((workload) => ({
      ...workloadPart(workload),
      certificate: undefined,
      types: {},
      lastPushMs: undefined,
      rejections: [],
    })),
  ]
  const seen = rows.map((row) => ({
    ...row,
    credentials: credentialLines(agents.get(`${row.namespace}/${row.name}`) ?? {}),
    renewalFailure: agents.get(`${row.namespace}/${row.name}`)?.identity?.failure,
    exposure: exposures.get(`${row.namespace}/${row.name}`) ?? ('none' as const),
    callers: hops
      .filter(({ to, namespace }) => to === row.workload && namespace === row.namespace)
      .map(({ from, lock, principal, count }) => ({ from, lock, principal, count })),
  }))
  return seen.sort((a, b) => (`${a.namespace}/${a.name}` < `${b.namespace}/${b.name}` ? -1 : 1))
}

function proxyRow(
  { metadata, status }: ProxyObject,
  workload: WorkloadObject | undefined,
): Omit<StatusRow, 'exposure' | 'callers' | 'renewalFailure' | 'credentials'> {
  const own =
    workload === undefined
      ? { presence: 'connected', health: '-', healthMessage: '', serves: false }
      : workloadPart(workload)
  return {
    ...own,
    name: metadata.name,
    workload: status.workload,
    namespace: metadata.namespace ?? '',
    certificate: status.certificate,
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
    workload: status.workload,
    namespace: metadata.namespace ?? '',
    presence: status.presence,
    health: status.health,
    healthMessage: status.healthMessage,
    serves: status.ports.length > 0,
  }
}

const typeColumns = ['CDS', 'LDS', 'EDS', 'RDS'] as const

export function statusText(
  rows: readonly StatusRow[],
  hops: readonly Hop[],
  terminal: Terminal,
): string {
  const isOpen = rows.some(({ exposure }) => exposure !== 'none')
  return [
    renderTable(statusTable(rows, systemClock.nowMs()), terminal),
    renderTable(hopTable(hops), terminal),
    ...(isOpen ? [`${notEnforcedText}\n`] : []),
  ].join('\n')
}

const notEnforcedText =
  'not enforced: capture mode env leaves the application itself reachable, past its sidecar and without mTLS.'

export function statusTable(rows: readonly StatusRow[], nowMs: number): Table {
  return {
    columns: [
      'NAMESPACE',
      'NAME',
      'PRESENCE',
      'HEALTH',
      ...typeColumns,
      'PUSH MS',
      'CERT',
      'INBOUND',
      'WHY',
    ],
    rows: rows.map((row) => [
      row.namespace,
      row.name,
      row.presence,
      healthCell(row.health),
      ...typeColumns.map((type) => typeCell(row.types[type])),
      row.lastPushMs === undefined ? '-' : row.lastPushMs.toFixed(0),
      certificateCell(row.certificate, nowMs),
      exposureCell(row.exposure),
      whyText(row),
    ]),
    empty: 'no workload has joined',
  }
}

/** Yellow when renewal is overdue: it is at half, and a third is left. */
function certificateCell(certificate: StatusRow['certificate'], nowMs: number): Cell {
  if (certificate === undefined) return { text: 'none', colour: 'yellow' }
  const leftMs = Date.parse(certificate.notAfter) - nowMs
  const lifeMs = Date.parse(certificate.notAfter) - Date.parse(certificate.notBefore) - skewMs
  const text = leftText(leftMs)
  if (leftMs <= 0) return { text, colour: 'red' }
  return leftMs < lifeMs / 3 ? { text, colour: 'yellow' } : text
}

/** Certificates begin so much before they are made, for clocks that are late. */
const skewMs = 120_000

function exposureCell(exposure: Exposure): Cell {
  if (exposure === 'none') return '-'
  return exposure === 'host'
    ? { text: 'not enforced', colour: 'yellow' }
    : { text: 'not enforced, open to the network', colour: 'red' }
}

function whyText({
  rejections,
  health,
  healthMessage,
  renewalFailure,
  credentials,
}: StatusRow): string {
  const refused = rejections.map(({ type, reason }) => `${type}: ${reason}`)
  const unhealthy = health === 'healthy' || healthMessage === '' ? [] : [healthMessage]
  const renewal = renewalFailure === undefined ? [] : [`renewal: ${renewalFailure}`]
  return [...refused, ...renewal, ...credentials, ...unhealthy].join('; ')
}

function healthCell(health: string): Cell {
  return health === 'unhealthy' ? { text: health, colour: 'red' } : health
}

function typeCell(status: ProxyTypeStatus['status'] | undefined): Cell {
  if (status === undefined) return '-'
  if (status === 'REJECTED') return { text: status, colour: 'red' }
  return status === 'STALE' ? { text: status, colour: 'yellow' } : status
}
