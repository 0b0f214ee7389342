/** Lists as tables (`Accept: application/json;as=Table`): the columns that `kubectl get` prints. */
import type { ApiObject } from '../../api/object.ts'
import type { IssueObject, ProxyObject, ServiceObject, WorkloadObject } from '../../api/view.ts'
import type { ApiKind } from './api-kind.ts'

interface Column {
  readonly name: string
  readonly read: (object: ApiObject) => string | number
}

export function wantsTable(accept: string): boolean {
  return accept.split(',').some((choice) => /;\s*as=Table/.test(choice))
}

export function tableOf(kind: ApiKind, objects: readonly ApiObject[], metadata: unknown): unknown {
  const columns = [nameColumn, ...columnsOf(kind)]
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata,
    columnDefinitions: columns.map(({ name }, at) => ({
      name,
      type: 'string',
      format: at === 0 ? 'name' : '',
      description: '',
      priority: 0,
    })),
    rows: objects.map((object) => ({
      cells: columns.map(({ read }) => read(object)),
      object: {
        kind: 'PartialObjectMetadata',
        apiVersion: 'meta.k8s.io/v1',
        metadata: object.metadata,
      },
    })),
  }
}

const nameColumn: Column = { name: 'Name', read: (object) => object.metadata.name }

/** The casts hold because a collection has objects of its own kind only. */
const viewColumns: Readonly<Record<string, readonly Column[]>> = {
  proxies: [
    { name: 'Workload', read: (object) => (object as ProxyObject).status.workload },
    { name: 'State', read: (object) => proxyState(object as ProxyObject) },
    { name: 'Connected', read: (object) => (object as ProxyObject).status.connectedSince },
  ],
  services: [
    {
      name: 'Ports',
      read: (object) =>
        (object as ServiceObject).spec.ports
          .map((port) => `${port.number}/${port.protocol}`)
          .join(','),
    },
    { name: 'Endpoints', read: (object) => (object as ServiceObject).status.endpoints.length },
  ],
  workloads: [
    { name: 'Address', read: (object) => (object as WorkloadObject).status.address },
    { name: 'Health', read: (object) => (object as WorkloadObject).status.health },
    { name: 'Presence', read: (object) => (object as WorkloadObject).status.presence },
  ],
  issues: [
    { name: 'Severity', read: (object) => (object as IssueObject).issue.severity },
    { name: 'Code', read: (object) => (object as IssueObject).issue.code },
    { name: 'Resource', read: (object) => (object as IssueObject).issue.resource },
    { name: 'Message', read: (object) => (object as IssueObject).issue.message },
  ],
}

/** Istio's printer columns. */
const configColumns: Readonly<Record<string, readonly [name: string, field: string][]>> = {
  VirtualService: [
    ['Gateways', 'gateways'],
    ['Hosts', 'hosts'],
  ],
  DestinationRule: [['Host', 'host']],
  ServiceEntry: [
    ['Hosts', 'hosts'],
    ['Location', 'location'],
    ['Resolution', 'resolution'],
  ],
  WorkloadEntry: [['Address', 'address']],
}

function columnsOf(kind: ApiKind): readonly Column[] {
  if (kind.view !== undefined) return viewColumns[kind.view] ?? []
  const own = (configColumns[kind.kind] ?? []).map(([name, field]) => ({
    name,
    read: (object: ApiObject) => cell((object as { spec?: Record<string, unknown> }).spec?.[field]),
  }))
  const created = (object: ApiObject) => object.metadata.creationTimestamp ?? ''
  return [...own, { name: 'Created', read: created }]
}

function cell(value: unknown): string {
  if (value === undefined) return ''
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function proxyState({ status }: ProxyObject): string {
  const worst = ['REJECTED', 'STALE', 'NOT SENT'].find((state) =>
    status.types.some((type) => type.status === state),
  )
  return worst ?? 'SYNCED'
}
