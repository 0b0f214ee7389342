/** Where the API keeps a kind: Kubernetes' paths for resources, and our own read-only group for what runs. */
import { findKindByName, kinds } from '../model/kinds.ts'
import { usageError } from './command.ts'

export interface KindPath {
  /** `VirtualService`; for what runs the plural: `workloads`. */
  readonly kind: string
  readonly isNamespaced: boolean
  /** Group and version: `/apis/networking.istio.io/v1`. */
  readonly base: string
  readonly plural: string
}

/** What runs, as the control plane sees it. `services` alone means Kubernetes' Service. */
const views: Readonly<Record<string, readonly string[]>> = {
  proxies: ['proxies', 'proxy', 'px'],
  workloads: ['workloads', 'workload', 'wl'],
  services: ['services.tulle.dev', 'service.tulle.dev', 'running-services'],
  issues: ['issues', 'issue'],
}

/** What a person may type after `tulle get`: kind, plural, singular or short name in any case. */
export function kindPath(name: string): KindPath {
  const wanted = name.toLowerCase()
  for (const [plural, names] of Object.entries(views)) {
    if (names.includes(wanted)) return viewPath(plural)
  }
  const found = findKindByName(wanted)
  if (found === undefined) {
    throw usageError(`unknown kind ${JSON.stringify(name)}`, `one of ${allNames().join(', ')}`)
  }
  const { group, versions, kind, plural, isNamespaced } = found
  const version = versions[0] ?? 'v1'
  const base = group === '' ? `/api/${version}` : `/apis/${group}/${version}`
  return { kind, isNamespaced, base, plural }
}

export function viewPath(plural: string): KindPath {
  return { kind: plural, isNamespaced: false, base: '/apis/tulle.dev/v1alpha1', plural }
}

/** Path of a list (all namespaces when `namespace` is undefined), or of one object. */
export function objectPath(kind: KindPath, namespace: string | undefined, name?: string): string {
  const inNamespace =
    kind.isNamespaced && namespace !== undefined
      ? `/namespaces/${encodeURIComponent(namespace)}`
      : ''
  const object = name === undefined ? '' : `/${encodeURIComponent(name)}`
  return `${kind.base}${inNamespace}/${kind.plural}${object}`
}

function allNames(): readonly string[] {
  const named = kinds.map((entry) => entry.shortNames[0] ?? entry.singular)
  return [...Object.keys(views).filter((view) => view !== 'services'), ...named]
}
