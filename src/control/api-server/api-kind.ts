/**
 * Every kind that the API serves, in one form: the mesh's configuration (model/kinds.ts) and our own views.
 * Kubernetes' discovery documents are made from this table.
 */
import { viewGroup, viewVersion, type ViewPlural } from '../../api/view.ts'
import { kinds } from '../../model/kinds.ts'

export interface ApiKind {
  readonly group: string
  readonly versions: readonly string[]
  readonly kind: string
  readonly plural: string
  readonly singular: string
  readonly shortNames: readonly string[]
  readonly isNamespaced: boolean
  /** What runs: made by the control plane, never written. */
  readonly view: ViewPlural | undefined
}

const views: readonly ApiKind[] = [
  view('proxies', 'Proxy', ['px'], true),
  view('services', 'Service', [], true),
  view('workloads', 'Workload', ['wl'], true),
  view('issues', 'Issue', [], false),
]

export const apiKinds: readonly ApiKind[] = [
  ...kinds.map((kind) => ({ ...kind, view: undefined })),
  ...views,
]

export function findApiKind(group: string, version: string, plural: string): ApiKind | undefined {
  return apiKinds.find(
    (kind) => kind.group === group && kind.plural === plural && kind.versions.includes(version),
  )
}

/** Groups but the core one, in the order of the table. */
export function apiGroups(): readonly string[] {
  return [...new Set(apiKinds.map((kind) => kind.group))].filter((group) => group !== '')
}

/** Versions of a group, best first. */
export function versionsOfGroup(group: string): readonly string[] {
  const own = apiKinds.filter((kind) => kind.group === group)
  const versions = [...new Set(own.flatMap((kind) => kind.versions))]
  return versions.sort((a, b) => rank(a) - rank(b))
}

/** v1 before v1beta1 before v1alpha3, as Kubernetes orders them. */
function rank(version: string): number {
  const match = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version)
  if (match === null) return 0
  const stage = { alpha: 2, beta: 1 }[match[2] ?? ''] ?? 0
  return stage * 10_000 - Number(match[1]) * 100 - Number(match[3] ?? 0)
}

function view(
  ...[plural, kind, shortNames, isNamespaced]: [ViewPlural, string, string[], boolean]
): ApiKind {
  return {
    group: viewGroup,
    versions: [viewVersion],
    kind,
    plural,
    singular: kind.toLowerCase(),
    shortNames,
    isNamespaced,
    view: plural,
  }
}
