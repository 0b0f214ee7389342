/**
 * Workloads that manifests for a cluster declare: Pods, and what makes them. Tulle starts none of them; their labels
 * tell whether a subset or a selector chooses anybody, so that a folder of manifests is analyzed as a cluster would
 * see it.
 */
import { LineCounter, parseAllDocuments } from 'yaml'

import { listOf, objectOf } from '../../translate/analysis/gateway.ts'
import type { DeclaredWorkload } from '../../translate/analysis/known-workload.ts'

/** Where a kind has the labels of its pods. */
const podTemplates: Readonly<Record<string, readonly string[]>> = {
  Pod: [],
  Deployment: ['spec', 'template'],
  StatefulSet: ['spec', 'template'],
  DaemonSet: ['spec', 'template'],
  ReplicaSet: ['spec', 'template'],
  ReplicationController: ['spec', 'template'],
  Job: ['spec', 'template'],
  CronJob: ['spec', 'jobTemplate', 'spec', 'template'],
}

/** What manifests say of a cluster. */
export interface ClusterFacts {
  readonly workloads: readonly DeclaredWorkload[]
  /** Namespaces that are declared. */
  readonly namespaces: readonly string[]
}

/** By file: its text. */
export function readManifests(texts: ReadonlyMap<string, string>, namespace: string): ClusterFacts {
  const kinds = [...Object.keys(podTemplates), 'Namespace']
  const items = [...texts].flatMap(([file, text]) =>
    kinds.some((kind) => text.includes(kind)) ? itemsOf(text, file, namespace) : [],
  )
  return {
    workloads: items.flatMap(({ value, place }) => workloadOf(value, place)),
    namespaces: items.flatMap(({ value }) => namespaceOf(objectOf(value))),
  }
}

function namespaceOf({ apiVersion, kind, metadata }: Readonly<Record<string, unknown>>): string[] {
  const { name } = objectOf(metadata)
  return kind === 'Namespace' && apiVersion === 'v1' && typeof name === 'string' ? [name] : []
}

interface PlacedItem {
  readonly value: unknown
  readonly place: Place
}

function itemsOf(text: string, file: string, namespace: string): readonly PlacedItem[] {
  const lineCounter = new LineCounter()
  const documents = parseAllDocuments(text, { lineCounter, logLevel: 'silent' })
  return [...documents].flatMap((document) => {
    // What is no YAML is reported by the parser of resources.
    if (document.errors.length > 0) return []
    const value: unknown = document.toJS({ maxAliasCount: 100 })
    const offset = document.contents?.range?.[0] ?? document.range[0]
    const { line, col: column } = lineCounter.linePos(offset)
    const { kind, items } = objectOf(value)
    const all = kind === 'List' ? listOf(items) : [value]
    return all.map((item) => ({ value: item, place: { file, line, column, namespace } }))
  })
}

interface Place {
  readonly file: string
  readonly line: number
  readonly column: number
  readonly namespace: string
}

function workloadOf(value: unknown, place: Place): DeclaredWorkload[] {
  const resource = objectOf(value)
  const kind = String(resource['kind'])
  const path = Object.hasOwn(podTemplates, kind) ? podTemplates[kind] : undefined
  if (path === undefined) return []
  const metadata = objectOf(resource['metadata'])
  const template = path.reduce((at: unknown, step) => objectOf(at)[step], resource)
  const pod = objectOf(objectOf(template)['metadata'])
  if (objectOf(pod['annotations'])['sidecar.istio.io/inject'] === 'false') return []
  const own = metadata['namespace']
  const namespace = typeof own === 'string' ? own : place.namespace
  const labels = Object.fromEntries(
    Object.entries(objectOf(pod['labels'])).map(([key, text]) => [key, String(text)]),
  )
  const { file, line, column } = place
  const name = `${namespace}/${String(metadata['name'])}`
  return [{ kind, name, namespace, labels, file, line, column }]
}
