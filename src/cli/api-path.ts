/** Where the API keeps a kind: Kubernetes' paths for resources, and our own read-only group for what runs. */
import { viewPath, type ViewPlural } from '../api/view.ts'
import { findKindByName, kinds } from '../model/kinds.ts'
import { usageError } from './command.ts'

export interface KindPath {
  /** `VirtualService`; `Proxy`, `Workload`, `Issue` and `Service.tulle.dev` for what runs. */
  readonly kind: string
  readonly isNamespaced: boolean
  /** Group and version: `/apis/networking.istio.io/v1`. */
  readonly base: string
  readonly plural: string
}

/** What runs, as the control plane sees it. `services` alone means Kubernetes' Service. */
const views: Readonly<Record<ViewPlural, readonly string[]>> = {
  proxies: ['proxies', 'proxy', 'px'],
  workloads: ['workloads', 'workload', 'wl'],
  services: ['services.tulle.dev', 'service.tulle.dev', 'mesh-services'],
  issues: ['issues', 'issue'],
}

const viewKinds: Readonly<Record<ViewPlural, string>> = {
  proxies: 'Proxy',
  workloads: 'Workload',
  services: 'Service.tulle.dev',
  issues: 'Issue',
}

/** What a person may type after `tulle get`: kind, plural, singular or short name in any case. */
export function kindPath(name: string): KindPath {
  const wanted = name.toLowerCase()
  for (const plural of Object.keys(views) as ViewPlural[]) {
    if (!views[plural].includes(wanted)) continue
    const base = viewPath(plural).slice(0, -plural.length - 1)
    return { kind: viewKinds[plural], isNamespaced: plural !== 'issues', base, plural }
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

/** Path of a list (all namespaces when `namespace` is undefined), or of one object. */
export function objectPath(kind: KindPath, namespace: string | undefined, name?: string): string {
  const inNamespace =
    kind.isNamespaced && namespace !== undefined ? `/namespaces/${segment(namespace)}` : ''
  const object = name === undefined ? '' : `/${segment(name)}`
  return `${kind.base}${inNamespace}/${kind.plural}${object}`
}

function allNames(): readonly string[] {
  const named = kinds.map((entry) => entry.shortNames[0] ?? entry.singular)
  return [...Object.values(views).map((names) => names[0] ?? ''), ...named]
}

/** One part of a path, whatever it holds: dots alone would climb in it. */
function segment(text: string): string {
  if (/^\.*$/.test(text)) throw usageError(`expected a name, got ${JSON.stringify(text)}`)
  return encodeURIComponent(text)
}
