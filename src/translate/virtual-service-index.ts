/**
 * Which VirtualService speaks for a host, for clients of one namespace.
 *
 * Istio's rules for sidecars: of several for the same host the oldest applies, they are not merged; one for the
 * exact host goes before any with a wildcard; of wildcards the most specific goes first. A VirtualService of
 * which no route is left for this client (by port, source labels or namespace) leaves its host to the next one.
 */
import type { VirtualServiceSpec } from '../model/istio/virtual-service.ts'
import type { Resource } from '../model/resource.ts'
import { delegatesOf, joinDelegates, type Delegates, type PlacedRoute } from './delegate.ts'
import { bySpecificity, isCoveredBy, isExportedTo, isWildcard, resolveHost } from './host-name.ts'
import { byAge, type TranslationInput } from './input.ts'
import { destinationsOfRoute } from './route-destination.ts'

/** One VirtualService bound to the mesh, its hosts fully qualified. */
export interface VirtualService {
  readonly resource: Resource<VirtualServiceSpec>
  /** Its HTTP routes, with those of its delegates in their places. */
  readonly routes: readonly PlacedRoute[]
  /** What else it was made from. */
  readonly delegates: readonly Resource<VirtualServiceSpec>[]
  readonly hosts: readonly string[]
  readonly exportTo: readonly string[]
  /** Destinations of its HTTP routes, those of copies among them, fully qualified, once each. */
  readonly destinationHosts: readonly string[]
  /** Those of its TCP and TLS routes. */
  readonly l4Hosts: readonly string[]
  /** `host|subset` of each destination that names a subset. */
  readonly subsetReferences: readonly string[]
  /** Where it is exported to when it does not say so. */
  readonly fallback: readonly string[]
}

export interface VirtualServiceIndex {
  /** Oldest first. */
  readonly all: readonly VirtualService[]
  /** Hosts as written (fully qualified, wildcards among them), oldest VirtualService first. */
  readonly byHost: ReadonlyMap<string, readonly VirtualService[]>
  /** Wildcard hosts, most specific first. */
  readonly wildcards: readonly string[]
  /** Those with TCP or TLS routes, oldest first. */
  readonly l4: readonly VirtualService[]
}

/** Cheap enough to make anew with every change: one pass over the VirtualServices. */
export class VirtualServices {
  readonly all: readonly VirtualService[]
  /** Those without hosts, by `namespace/name`. */
  readonly delegates: Delegates
  readonly #views = new Map<string, VirtualServiceIndex>()
  readonly #isRestricted: boolean

  constructor(input: TranslationInput, previous?: VirtualServices) {
    const known = new Map(previous?.all.map((entry) => [entry.resource, entry]))
    const fallback = input.mesh.virtualServiceExportTo
    const resources = [...input.resources.values()].filter(isVirtualService).sort(byAge)
    const delegates = delegatesOf(resources)
    this.delegates = delegates
    this.all = resources
      .filter((resource) => isBoundToMesh(resource.spec))
      .map((resource) => {
        const entry = known.get(resource)
        const isKnown = entry?.fallback === fallback && !delegatesAnywhere(resource)
        return isKnown ? entry : keepSame(readVirtualService(resource, fallback, delegates), entry)
      })
    this.#isRestricted = this.all.some(({ exportTo }) => !exportTo.includes('*'))
  }

  /** What clients in a namespace see; one answer for all namespaces when nothing is restricted. */
  visibleIn(namespace: string): VirtualServiceIndex {
    const key = this.#isRestricted ? namespace : ''
    const known = this.#views.get(key)
    if (known !== undefined) return known
    const index = indexOf(
      this.all.filter(({ resource, exportTo }) =>
        isExportedTo(exportTo, { own: resource.metadata.namespace, client: namespace }),
      ),
    )
    this.#views.set(key, index)
    return index
  }
}

/** Candidates for a host of the registry, best first. */
export function candidatesFor(host: string, index: VirtualServiceIndex): readonly VirtualService[] {
  const exact = index.byHost.get(host)
  if (exact !== undefined) return exact
  const wildcard = index.wildcards.find((pattern) => isCoveredBy(host, pattern))
  const covering = wildcard === undefined ? undefined : index.byHost.get(wildcard)
  return covering === undefined ? [] : covering.slice(0, 1)
}

/** All that have a say in the connections of a host, oldest first. */
export function l4CandidatesFor(
  host: string,
  { l4 }: VirtualServiceIndex,
): readonly VirtualService[] {
  if (l4.length === 0) return l4
  return l4.filter(({ hosts }) => hosts.some((pattern) => isCoveredBy(host, pattern)))
}

export function isVirtualService(resource: Resource): resource is Resource<VirtualServiceSpec> {
  return resource.kind === 'VirtualService'
}

/** No gateways means the mesh; a list of gateways means the mesh only when it says `mesh`. */
export function isBoundToMesh(spec: VirtualServiceSpec): boolean {
  const gateways = spec.gateways ?? []
  return (spec.hosts ?? []).length > 0 && (gateways.length === 0 || gateways.includes('mesh'))
}

function delegatesAnywhere({ spec }: Resource<VirtualServiceSpec>): boolean {
  return (spec.http ?? []).some(({ delegate }) => delegate !== undefined)
}

/** The entry before, when it was made from the same. */
function keepSame(entry: VirtualService, before: VirtualService | undefined): VirtualService {
  return before !== undefined && isSameEntry(entry, before) ? before : entry
}

/** Made from the same resources. */
export function isSameEntry(left: VirtualService, right: VirtualService): boolean {
  return (
    left.resource === right.resource &&
    left.fallback === right.fallback &&
    left.delegates.length === right.delegates.length &&
    left.delegates.every((delegate, index) => delegate === right.delegates[index])
  )
}

export function readVirtualService(
  resource: Resource<VirtualServiceSpec>,
  defaultExportTo: readonly string[],
  known: Delegates,
): VirtualService {
  const { spec, metadata } = resource
  const { routes, delegates } = joinDelegates(resource, known, defaultExportTo)
  const destinations = routes.flatMap((route) =>
    destinationsOfRoute(route.http, route.path).map(({ destination }) => ({
      host: resolveHost(destination.host, route.resource.metadata.namespace),
      subset: destination.subset ?? '',
    })),
  )
  const l4 = [...(spec.tcp ?? []), ...(spec.tls ?? [])].flatMap(({ route = [] }) =>
    route.map(({ destination }) => ({
      host: resolveHost(destination.host, metadata.namespace),
      subset: destination.subset ?? '',
    })),
  )
  destinations.push(...l4)
  const named = destinations.filter(({ subset }) => subset !== '')
  return {
    resource,
    routes,
    delegates,
    hosts: [...new Set((spec.hosts ?? []).map((host) => resolveHost(host, metadata.namespace)))],
    exportTo: (spec.exportTo ?? []).length > 0 ? (spec.exportTo ?? []) : defaultExportTo,
    l4Hosts: [...new Set(l4.map(({ host }) => host))],
    destinationHosts: [...new Set(destinations.map(({ host }) => host))],
    subsetReferences: [...new Set(named.map(({ host, subset }) => `${host}|${subset}`))],
    fallback: defaultExportTo,
  }
}

export function indexOf(all: readonly VirtualService[]): VirtualServiceIndex {
  const byHost = new Map<string, VirtualService[]>()
  for (const virtualService of all) {
    for (const host of virtualService.hosts) {
      const list = byHost.get(host)
      if (list === undefined) byHost.set(host, [virtualService])
      else list.push(virtualService)
    }
  }
  const wildcards = [...byHost.keys()].filter(isWildcard).sort(bySpecificity)
  return { all, byHost, wildcards, l4: all.filter(({ l4Hosts }) => l4Hosts.length > 0) }
}
