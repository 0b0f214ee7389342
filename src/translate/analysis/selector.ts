/**
 * Resources that choose workloads by labels: those that choose nobody, and those that choose the same ones where only
 * one can apply. Kinds that have no effect yet are looked at as well, as far as these findings need their specs.
 */
import { flatMapInSteps, type Steps } from '../../lib/steps.ts'
import type { Issue } from '../../model/issue.ts'
import { describeResource, type Resource } from '../../model/resource.ts'
import { issueOf } from '../finding.ts'
import { resolveHost } from '../host-name.ts'
import { byAge } from '../input.ts'
import { objectOf } from './gateway.ts'
import { labelsText, selects, type KnownWorkload, type Labels } from './known-workload.ts'

interface SelectorKind {
  /** Path of the labels. */
  readonly path: string
  /** Two without a selector in one namespace. */
  readonly twins?: string
  /** Two that choose one workload. */
  readonly overlap?: string
  readonly nobody: 'IST0101' | 'IST0127'
  /** Whether one without a selector is told too that its namespace has no workload. */
  readonly needsNamespace?: true
}

/** Istio's codes, kind by kind. PeerAuthentication is looked at where its levels are known. */
const selectorKinds: Readonly<Record<string, SelectorKind>> = {
  Sidecar: {
    path: 'spec.workloadSelector.labels',
    twins: 'IST0111',
    overlap: 'IST0110',
    nobody: 'IST0101',
  },
  Telemetry: {
    path: 'spec.selector.matchLabels',
    twins: 'IST0160',
    overlap: 'IST0159',
    nobody: 'IST0101',
  },
  AuthorizationPolicy: {
    path: 'spec.selector.matchLabels',
    nobody: 'IST0127',
    needsNamespace: true,
  },
  RequestAuthentication: { path: 'spec.selector.matchLabels', nobody: 'IST0127' },
  DestinationRule: {
    path: 'spec.workloadSelector.matchLabels',
    overlap: 'TUL0016',
    nobody: 'IST0127',
  },
}

interface Selecting {
  readonly resource: Resource
  readonly kind: SelectorKind
  /** Undefined: it is for all. */
  readonly labels: Labels | undefined
  /** Only those with the same one compete. */
  readonly group: string
}

export function* reportSelectors(
  resources: ReadonlyMap<string, Resource>,
  workloads: readonly KnownWorkload[],
  rootNamespace: string,
): Steps<Issue[]> {
  const all = [...resources.values()].sort(byAge).flatMap(readSelector)
  yield
  return yield* flatMapInSteps(all, (one) => [
    ...reportTwins(one, all),
    ...reportOverlap(one, all, workloads),
    ...reportNobody(one, workloads, rootNamespace),
    ...reportEmptyNamespace(one, workloads, rootNamespace),
  ])
}

function readSelector(resource: Resource): Selecting[] {
  const kind = Object.hasOwn(selectorKinds, resource.kind)
    ? selectorKinds[resource.kind]
    : undefined
  if (kind === undefined) return []
  const labels = kind.path
    .split('.')
    .slice(1)
    .reduce((value: unknown, step) => objectOf(value)[step], resource.spec)
  const entries = Object.entries(objectOf(labels)).map(([key, value]) => [key, String(value)])
  const { namespace } = resource.metadata
  const host = objectOf(resource.spec)['host']
  const group = typeof host === 'string' ? resolveHost(host, namespace) : ''
  return [
    {
      resource,
      kind,
      labels: entries.length === 0 ? undefined : Object.fromEntries(entries),
      group: `${resource.kind} ${namespace} ${group}`,
    },
  ]
}

function reportTwins(one: Selecting, all: readonly Selecting[]): Issue[] {
  const { twins } = one.kind
  if (twins === undefined || one.labels !== undefined) return []
  const others = all.filter(
    (other) => other !== one && other.group === one.group && other.labels === undefined,
  )
  if (others.length === 0) return []
  const { namespace } = one.resource.metadata
  return [
    issueOf(one.resource, {
      code: twins,
      severity: 'error',
      path: 'metadata.name',
      message:
        `${namesOf(others)} of namespace "${namespace}" has no workload selector either; ` +
        'which of them applies is not defined',
      remedy: 'Keep one without a selector, and give the others one.',
    }),
  ]
}

function reportOverlap(
  one: Selecting,
  all: readonly Selecting[],
  workloads: readonly KnownWorkload[],
): Issue[] {
  const { overlap, path } = one.kind
  const { labels } = one
  if (overlap === undefined || labels === undefined) return []
  const { namespace } = one.resource.metadata
  const own = workloads.filter(
    (workload) => workload.namespace === namespace && selects(labels, workload),
  )
  const others = all.filter(
    (other) =>
      other !== one &&
      other.group === one.group &&
      other.labels !== undefined &&
      (isSameSelector(labels, other.labels)
        ? overlap !== 'TUL0016'
        : own.some((workload) => selects(other.labels ?? {}, workload))),
  )
  if (others.length === 0) return []
  const shared = own.find((workload) =>
    others.some((other) => selects(other.labels ?? {}, workload)),
  )
  const what = shared === undefined ? 'the same workloads' : `the workload ${shared.name}`
  return [
    issueOf(one.resource, {
      code: overlap,
      severity: overlap === 'TUL0016' ? 'warning' : 'error',
      path,
      message: `${namesOf(others)} selects ${what} too; only one of them applies to it`,
      remedy: 'Let each workload be selected by one of them.',
    }),
  ]
}

/** Rules of one host with one selector are merged. */
function isSameSelector(left: Labels, right: Labels): boolean {
  const names = Object.keys(left)
  return (
    names.length === Object.keys(right).length && names.every((name) => left[name] === right[name])
  )
}

function namesOf(others: readonly Selecting[]): string {
  return others.map(({ resource }) => describeResource(resource)).join(', ')
}

function reportNobody(
  { resource, kind, labels }: Selecting,
  workloads: readonly KnownWorkload[],
  rootNamespace: string,
): Issue[] {
  if (labels === undefined || workloads.length === 0) return []
  const { namespace } = resource.metadata
  // In the root namespace a policy selects in the whole mesh.
  const isEverywhere = namespace === rootNamespace && kind.path.startsWith('spec.selector')
  const isThere = workloads.some(
    (workload) => (isEverywhere || workload.namespace === namespace) && selects(labels, workload),
  )
  if (isThere) return []
  const isReference = kind.nobody === 'IST0101'
  return [
    issueOf(resource, {
      code: kind.nobody,
      severity: isReference ? 'error' : 'warning',
      path: kind.path,
      message: isReference
        ? `referenced selector not found: "${labelsText(labels)}": no workload of namespace "${namespace}" has these labels`
        : `no workload of ${isEverywhere ? 'the mesh' : `namespace "${namespace}"`} has the labels ${labelsText(labels)}`,
      remedy: 'Correct the labels, or start a workload that has them.',
    }),
  ]
}

/** As in Istio a policy for a whole namespace is told where nothing runs there; one for a gateway is for nobody here. */
function reportEmptyNamespace(
  { resource, kind, labels }: Selecting,
  workloads: readonly KnownWorkload[],
  rootNamespace: string,
): Issue[] {
  const { namespace } = resource.metadata
  const isJudged = kind.needsNamespace === true && labels === undefined && workloads.length > 0
  if (!isJudged || namespace === rootNamespace || isForTarget(resource)) return []
  if (workloads.some((workload) => workload.namespace === namespace)) return []
  return [
    issueOf(resource, {
      code: kind.nobody,
      severity: 'warning',
      path: 'metadata.namespace',
      message: `namespace "${namespace}" has no workload`,
      remedy: 'Correct the namespace, or start a workload in it.',
    }),
  ]
}

function isForTarget({ spec }: Resource): boolean {
  const { targetRef, targetRefs } = objectOf(spec)
  return targetRef !== undefined || (Array.isArray(targetRefs) && targetRefs.length > 0)
}
