/** Objects of any kind as a table: namespace, name, and for the kinds we know what they are about. */
import { declaredInAnnotation } from '../api/object.ts'
import type { Table } from './output.ts'
import { list, object, text, type Json } from './proxy-config/config-dump.ts'

interface Column {
  readonly title: string
  read(item: Json): string
}

const spec = (title: string, key: string): Column => ({
  title,
  read: (item) => texts(object(item['spec'])[key]),
})

const status = (title: string, key: string): Column => ({
  title,
  read: (item) => texts(object(item['status'])[key]),
})

const declaredIn: Column = {
  title: 'DECLARED IN',
  read: (item) => text(object(object(item['metadata'])['annotations'])[declaredInAnnotation], '-'),
}

/** What tells most about an object of a kind. */
const columns: Readonly<Record<string, readonly Column[]>> = {
  VirtualService: [spec('HOSTS', 'hosts'), declaredIn],
  DestinationRule: [spec('HOST', 'host'), declaredIn],
  ServiceEntry: [spec('HOSTS', 'hosts'), declaredIn],
  WorkloadEntry: [spec('ADDRESS', 'address'), declaredIn],
  Service: [
    { title: 'PORTS', read: (item) => portNumbers(object(item['spec']), 'port') },
    declaredIn,
  ],
  'Service.tulle.dev': [
    { title: 'PORTS', read: (item) => portNumbers(object(item['spec']), 'number') },
    { title: 'ENDPOINTS', read: (item) => endpointCount(object(item['status'])) },
    spec('DECLARED BY', 'declaredBy'),
  ],
  Workload: [
    status('PRESENCE', 'presence'),
    status('HEALTH', 'health'),
    status('ADDRESS', 'address'),
    { title: 'PORTS', read: (item) => portNumbers(object(item['status']), 'meshPort') },
    status('WHY', 'healthMessage'),
  ],
  Proxy: [
    status('WORKLOAD', 'workload'),
    status('ADMIN', 'adminAddress'),
    status('CONNECTED SINCE', 'connectedSince'),
  ],
}

export function objectTable(kind: string, items: readonly Json[]): Table {
  const own = columns[kind] ?? [declaredIn]
  return {
    columns: ['NAMESPACE', 'NAME', ...own.map(({ title }) => title)],
    rows: items.map((item) => {
      const metadata = object(item['metadata'])
      return [
        text(metadata['namespace'], '-'),
        text(metadata['name'], '-'),
        ...own.map((column) => column.read(item)),
      ]
    }),
    empty: `no objects of kind ${kind}`,
  }
}

function portNumbers(parent: Json, key: string): string {
  return list(parent['ports'])
    .map((port) => text(port[key]))
    .join(',')
}

/** `2/3`: healthy ones of all. */
function endpointCount(parent: Json): string {
  const endpoints = list(parent['endpoints'])
  const healthy = endpoints.filter((endpoint) => endpoint['health'] === 'healthy')
  return `${healthy.length}/${endpoints.length}`
}

function texts(value: unknown): string {
  return Array.isArray(value) ? value.map((item) => text(item)).join(',') : text(value)
}
