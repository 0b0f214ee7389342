/**
 * The routes of a VirtualService with those that it delegates to in their places.
 *
 * Istio's rules: a route that delegates is replaced by the routes of a VirtualService without hosts, each narrowed to
 * what the route itself matches, with what it leaves unset taken from the route. A route whose match goes beyond the
 * delegating one's is dropped, and so is a delegating route whose delegate does not exist or is not exported to the
 * namespace: later routes then get its requests.
 */
import type {
  Destination,
  HttpMatchRequest,
  HttpRoute,
  VirtualServiceSpec,
} from '../model/istio/virtual-service.ts'
import type { Resource } from '../model/resource.ts'
import { isMatchConflict } from './delegate-conflict.ts'
import { isExportedTo, resolveHost } from './host-name.ts'

/** One route that is in force, and where it was written. */
export interface PlacedRoute {
  readonly http: HttpRoute
  /** The VirtualService itself, or the one it delegates to. Short hosts are meant in its namespace. */
  readonly resource: Resource<VirtualServiceSpec>
  /** In `resource`: `spec.http[0]`. */
  readonly path: string
  /** Of each match of `http`, in the same order. */
  readonly matchPaths: readonly string[]
}

export interface DelegateProblem {
  readonly kind: 'missing' | 'hidden' | 'conflict'
  /** The delegating VirtualService, or for a conflict the delegate. */
  readonly resource: Resource<VirtualServiceSpec>
  readonly path: string
  /** Of the delegating route. */
  readonly from: string
  /** `namespace/name` of the delegate. */
  readonly delegate: string
}

export interface DelegatedRoutes {
  readonly routes: readonly PlacedRoute[]
  /** Delegates that the routes were taken from, as they were written. */
  readonly delegates: readonly Resource<VirtualServiceSpec>[]
  readonly problems: readonly DelegateProblem[]
}

/** VirtualServices without hosts, by `namespace/name`. */
export type Delegates = ReadonlyMap<string, Resource<VirtualServiceSpec>>

export function delegatesOf(resources: Iterable<Resource<VirtualServiceSpec>>): Delegates {
  const delegates = new Map<string, Resource<VirtualServiceSpec>>()
  for (const resource of resources) {
    if ((resource.spec.hosts ?? []).length > 0) continue
    delegates.set(`${resource.metadata.namespace}/${resource.metadata.name}`, resource)
  }
  return delegates
}

export function joinDelegates(
  root: Resource<VirtualServiceSpec>,
  delegates: Delegates,
  exportTo: readonly string[],
): DelegatedRoutes {
  const joined = new Join(root, delegates, exportTo)
  for (const [index, http] of (root.spec.http ?? []).entries()) {
    joined.add(placed(root, http, index), index)
  }
  return joined
}

class Join implements DelegatedRoutes {
  readonly routes: PlacedRoute[] = []
  readonly delegates: Resource<VirtualServiceSpec>[] = []
  readonly problems: DelegateProblem[] = []
  readonly #root: Resource<VirtualServiceSpec>
  readonly #known: Delegates
  readonly #exportTo: readonly string[]

  constructor(root: Resource<VirtualServiceSpec>, known: Delegates, exportTo: readonly string[]) {
    this.#root = root
    this.#known = known
    this.#exportTo = exportTo
  }

  add(route: PlacedRoute, index: number): void {
    const reference = route.http.delegate
    if (reference === undefined) {
      this.routes.push(route)
      return
    }
    const { namespace: own } = this.#root.metadata
    const name = `${reference.namespace || own}/${reference.name ?? ''}`
    const delegate = this.#known.get(name)
    const path = `spec.http[${index}].delegate`
    const problem = { resource: this.#root, path, from: path, delegate: name }
    if (delegate === undefined) {
      this.problems.push({ ...problem, kind: 'missing' })
      return
    }
    if (!this.delegates.includes(delegate)) this.delegates.push(delegate)
    const written = delegate.spec.exportTo ?? []
    const exportTo = written.length > 0 ? written : this.#exportTo
    if (!isExportedTo(exportTo, { own: delegate.metadata.namespace, client: own })) {
      this.problems.push({ ...problem, kind: 'hidden' })
      return
    }
    for (const [place, http] of (delegate.spec.http ?? []).entries()) {
      const merged = mergeRoute(route, placed(delegate, http, place))
      if (merged !== undefined) this.routes.push(merged)
      else {
        const at = `spec.http[${place}]`
        this.problems.push({ ...problem, kind: 'conflict', resource: delegate, path: at })
      }
    }
  }
}

function placed(
  resource: Resource<VirtualServiceSpec>,
  http: HttpRoute,
  index: number,
): PlacedRoute {
  const path = `spec.http[${index}]`
  return { http, resource, path, matchPaths: matchPaths(http, path) }
}

function matchPaths({ match }: HttpRoute, path: string): string[] {
  return (match ?? []).map((_, index) => `${path}.match[${index}]`)
}

/** Undefined when the delegate's route matches what the delegating one does not. */
function mergeRoute(root: PlacedRoute, leaf: PlacedRoute): PlacedRoute | undefined {
  const matches = mergeMatches(root.http.match ?? [], leaf)
  if (matches === undefined) return undefined
  const name = joinNames(root.http.name, leaf.http.name)
  const { delegate: _, match: __, ...inherited } = withFullMirrors(root)
  const http: HttpRoute = {
    ...inherited,
    ...withoutUnset(leaf.http),
    ...(name !== undefined && { name }),
    match: matches.map(({ match }) => match),
  }
  return {
    http,
    resource: leaf.resource,
    path: leaf.path,
    matchPaths: matches.map(({ path }) => path),
  }
}

/** What a delegate inherits means what it meant where it was written. */
function withFullMirrors({ http, resource }: PlacedRoute): HttpRoute {
  const full = (destination: Destination): Destination => ({
    ...destination,
    host: resolveHost(destination.host, resource.metadata.namespace),
  })
  const { mirror, mirrors } = http
  return {
    ...http,
    ...(mirror !== undefined && { mirror: full(mirror) }),
    ...(mirrors !== undefined && {
      mirrors: mirrors.map((policy) => ({ ...policy, destination: full(policy.destination) })),
    }),
  }
}

/** A field that is there and says nothing is as good as absent. */
function withoutUnset(http: HttpRoute): HttpRoute {
  return Object.fromEntries(Object.entries(http).filter(([, value]) => value !== undefined))
}

interface PlacedMatch {
  readonly match: HttpMatchRequest
  readonly path: string
}

/** Every match of the delegate with every one of the root that it agrees with; each needs at least one. */
function mergeMatches(
  roots: readonly HttpMatchRequest[],
  { http, path, matchPaths: paths }: PlacedRoute,
): readonly PlacedMatch[] | undefined {
  const leaves = http.match ?? []
  if (leaves.length === 0) return roots.map((match) => ({ match, path }))
  const merged: PlacedMatch[] = []
  for (const [index, leaf] of leaves.entries()) {
    const at = paths[index] ?? path
    if (roots.length === 0) merged.push({ match: leaf, path: at })
    const agreeing = roots.filter((root) => !isMatchConflict(root, leaf))
    if (roots.length > 0 && agreeing.length === 0) return undefined
    for (const root of agreeing) merged.push({ match: mergeMatch(root, leaf), path: at })
  }
  return merged
}

function mergeMatch(root: HttpMatchRequest, leaf: HttpMatchRequest): HttpMatchRequest {
  const name = joinNames(root.name, leaf.name)
  const merged: HttpMatchRequest = {
    ...root,
    ...Object.fromEntries(Object.entries(leaf).filter(([, value]) => isSet(value))),
    ...(name !== undefined && { name }),
  }
  const maps = ['headers', 'withoutHeaders', 'queryParams', 'sourceLabels'] as const
  const joined = maps.flatMap((field) =>
    root[field] === undefined && leaf[field] === undefined
      ? []
      : [[field, { ...root[field], ...leaf[field] }] as const],
  )
  return { ...merged, ...Object.fromEntries(joined) }
}

/** Zero, the empty text and the empty list are protobuf's absence. */
function isSet(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0
  return value !== undefined && value !== 0 && value !== '' && value !== false
}

function joinNames(root: string | undefined, leaf: string | undefined): string | undefined {
  const names = [root, leaf].filter((name) => name !== undefined && name !== '')
  return names.length === 0 ? undefined : names.join('-')
}
