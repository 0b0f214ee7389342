/** Objects of any kind as a table: name, namespace, and for the kinds we know what they are about. */
import type { Table } from './output.ts'
import { list, object, text, type Json } from './proxy-config/config-dump.ts'

/** The column that tells most about an object of a kind, and how to read it. */
const columns: Readonly<Record<string, readonly [title: string, read: (spec: Json) => string]>> = {
  VirtualService: ['HOSTS', (spec) => texts(spec['hosts'])],
  DestinationRule: ['HOST', (spec) => text(spec['host'])],
  ServiceEntry: ['HOSTS', (spec) => texts(spec['hosts'])],
  WorkloadEntry: ['ADDRESS', (spec) => text(spec['address'])],
  Service: [
    'PORTS',
    (spec) =>
      list(spec['ports'])
        .map((port) => text(port['port']))
        .join(','),
  ],
}

export function objectTable(kind: string, items: readonly Json[]): Table {
  const extra = columns[kind]
  return {
    columns: ['NAMESPACE', 'NAME', ...(extra === undefined ? [] : [extra[0]])],
    rows: items.map((item) => {
      const metadata = object(item['metadata'])
      const own = extra === undefined ? [] : [extra[1](object(item['spec']))]
      return [text(metadata['namespace'], '-'), text(metadata['name'], '-'), ...own]
    }),
    empty: `no objects of kind ${kind}`,
  }
}

function texts(value: unknown): string {
  return Array.isArray(value) ? value.map(String).join(',') : ''
}
