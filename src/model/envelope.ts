/** What every resource has around its spec: apiVersion, kind and metadata, as Kubernetes' API server takes them. */
import { clusterKinds, findKind, kinds, kindsOfGroup, splitApiVersion } from './kinds.ts'
import type { Kind } from './kinds.ts'
import type { ResourceMetadata } from './resource.ts'
import { labels } from './schema/field-shape.ts'
import { annotationKey, dnsLabel, dnsSubdomain, serviceName } from './schema/name-format.ts'
import { nearestName } from './schema/nearest.ts'
import { clip, mapOf, objectAlsoKnowing, text } from './schema/shape.ts'
import type { Check, Problem, Reading, Shape } from './schema/shape.ts'
import { nodeAt } from './schema/source-node.ts'
import type { SourceNode } from './schema/source-node.ts'

export type KindLookup =
  | { readonly found: true; readonly kind: Kind }
  | { readonly found: false; readonly path: string; readonly problem: Problem }

/** The kind that a document names, or what is wrong with the name. */
export function lookUpKind(apiVersion: string, kind: string): KindLookup {
  const { group, version } = splitApiVersion(apiVersion)
  const entry = findKind(group, kind)
  if (entry === undefined) return missing(group, kind)
  if (entry.versions.includes(version)) return { found: true, kind: entry }
  const written = entry.versions.map((known) => (group === '' ? known : `${group}/${known}`))
  return {
    found: false,
    path: 'apiVersion',
    problem: {
      code: 'TUL0007',
      message: `${kind} has no version "${clip(version)}" (it has ${entry.versions.join(', ')})`,
      remedy: `Write ${String(written[0])}.`,
    },
  }
}

function missing(group: string, kind: string): KindLookup {
  const groups = new Set(kinds.map((entry) => entry.group).filter((name) => name !== ''))
  const home = kinds.find((entry) => entry.kind === kind)
  if (group === '') return missingInCore(kind, home)
  if (groups.has(group)) {
    const nearest = nearestName(
      kind,
      kindsOfGroup(group).map((entry) => entry.kind),
    )
    return unknownKind(kind, group, nearest)
  }
  const nearestGroup = nearestName(group, groups)
  if (nearestGroup === undefined) return skipped(kind, group)
  return {
    found: false,
    path: 'apiVersion',
    problem: {
      code: 'TUL0007',
      message: `unknown API group "${clip(group)}", did you mean "${nearestGroup}"?`,
      remedy: `Write ${nearestGroup}/${findKind(nearestGroup, kind)?.versions[0] ?? 'v1'}.`,
    },
  }
}

function missingInCore(kind: string, home: Kind | undefined): KindLookup {
  if (clusterKinds.has(kind)) return skipped(kind, '')
  if (home !== undefined) {
    return {
      found: false,
      path: 'apiVersion',
      problem: {
        code: 'TUL0007',
        message: `${kind} is not a kind of Kubernetes' core group`,
        remedy: `Write apiVersion: ${home.group}/${String(home.versions[0])}.`,
      },
    }
  }
  return unknownKind(kind, 'core', nearestName(kind, ['Service', ...clusterKinds]))
}

function unknownKind(kind: string, group: string, nearest: string | undefined): KindLookup {
  const question = nearest === undefined ? '' : `, did you mean "${nearest}"?`
  return {
    found: false,
    path: 'kind',
    problem: {
      code: 'TUL0007',
      message: `unknown kind "${clip(kind)}" in group ${group}${question}`,
      remedy: nearest === undefined ? 'Correct apiVersion or kind.' : `Write ${nearest}.`,
    },
  }
}

/** Those from which the analysis learns what would run in a cluster, and where. */
const describingKinds: ReadonlySet<string> = new Set([
  'Pod',
  'Deployment',
  'StatefulSet',
  'DaemonSet',
  'ReplicaSet',
  'ReplicationController',
  'Job',
  'CronJob',
  'Namespace',
])

function skipped(kind: string, group: string): KindLookup {
  const name = group === '' ? kind : `${clip(kind)} of ${clip(group)}`
  return {
    found: false,
    path: 'kind',
    problem: {
      code: 'TUL0008',
      severity: 'info',
      message: `${name} has no effect here: only a Kubernetes cluster can use it`,
      remedy: describingKinds.has(kind)
        ? 'Nothing: `tulle analyze` reads names and labels from it, and nobody else does.'
        : 'Nothing: nobody reads it.',
    },
  }
}

interface WrittenMetadata {
  readonly name?: string
  readonly namespace?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly creationTimestamp?: string
}

/** What the API server adds to objects that come from a cluster; it has no meaning here. */
const serverFields = (
  'uid resourceVersion generation managedFields ownerReferences finalizers selfLink deletionTimestamp ' +
  'deletionGracePeriodSeconds generateName'
).split(' ')

const rfc3339 = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)$/

const timestamp: Check<string> = (value) =>
  rfc3339.test(value) && !Number.isNaN(Date.parse(value))
    ? undefined
    : {
        message: `must be a time such as 2026-01-31T12:00:00Z, got "${clip(value)}"`,
        remedy: 'Write the time so, or remove the field.',
      }

const shape: Shape<WrittenMetadata> = objectAlsoKnowing<WrittenMetadata>(serverFields, {
  name: text(),
  namespace: text(dnsLabel),
  labels: labels(),
  annotations: mapOf(text(), annotationKey),
  creationTimestamp: text(timestamp),
})

/** Metadata with defaults; undefined when there is no usable name. Problems are TUL0006. */
export function readMetadata(
  root: SourceNode,
  kind: Kind,
  reading: Reading,
): ResourceMetadata | undefined {
  const node = nodeAt(root, 'metadata')
  const report: Reading['report'] = (path, problem) => {
    reading.report(path, { ...problem, code: problem.code ?? 'TUL0006' })
  }
  const written =
    node === undefined || !reading.isPresent('metadata')
      ? {}
      : (shape.read(node, 'metadata', { ...reading, report }) ?? {})
  reportName(written, kind, { ...reading, report })
  reportScope(written, kind, report)
  if (written.name === undefined || written.name === '') return undefined
  return {
    name: written.name,
    namespace: kind.isNamespaced ? reading.namespace : '',
    labels: written.labels ?? {},
    annotations: written.annotations ?? {},
    creationTimestampMs:
      written.creationTimestamp === undefined ? undefined : Date.parse(written.creationTimestamp),
  }
}

function reportName(written: WrittenMetadata, kind: Kind, reading: Reading): void {
  const { name } = written
  if (name === undefined || name === '') {
    if (name === undefined && reading.isPresent('metadata.name')) return
    const isGenerated = reading.isPresent('metadata.generateName')
    reading.report('metadata.name', {
      message: 'metadata.name is required',
      remedy: isGenerated
        ? 'Write a name: generateName works in a cluster only.'
        : 'Add metadata with a name.',
    })
    return
  }
  const problem = kind.kind === 'Service' ? serviceName(name) : dnsSubdomain(name)
  if (problem !== undefined) reading.report('metadata.name', problem)
}

function reportScope(written: WrittenMetadata, kind: Kind, report: Reading['report']): void {
  if (!kind.isNamespaced && written.namespace !== undefined) {
    report('metadata.namespace', {
      message: `${kind.kind} belongs to no namespace, got "${written.namespace}"`,
      remedy: 'Remove metadata.namespace.',
    })
  }
  if (
    kind.kind === 'AuthorizationPolicy' ||
    written.annotations?.['istio.io/dry-run'] === undefined
  ) {
    return
  }
  report('metadata.annotations[istio.io/dry-run]', {
    code: 'IST0106',
    message: `annotation istio.io/dry-run is for AuthorizationPolicy only, not for ${kind.kind}`,
    remedy: 'Remove the annotation.',
  })
}
