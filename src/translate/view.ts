/** A client's view: what its scope class shares, with the workload's own part laid over it, copied nowhere. */
import {
  typeUrls,
  type EncodedResource,
  type LayeredResources,
  type ResourceView,
} from '../xds/resource-set.ts'
import type { WorkloadResources } from './workload.ts'

type ResourceMap = ReadonlyMap<string, EncodedResource>

/** What is not the workload's own. */
export interface OutboundPart {
  readonly clusters: ResourceMap
  readonly endpoints: ResourceMap
  readonly routes: ResourceMap
  /** On demand; undefined: they are in the routes. */
  readonly virtualHosts?: ResourceMap
}

export interface ViewParts {
  readonly revision: string
  readonly outbound: OutboundPart
  readonly own: WorkloadResources
  /** The view before: maps that would be the same are kept, so that a server can see that nothing changed. */
  readonly previous: WorkloadView | undefined
}

const none: ResourceMap = new Map()

export class WorkloadView implements ResourceView {
  readonly revision: string
  readonly outbound: OutboundPart
  readonly own: WorkloadResources
  readonly #maps: ReadonlyMap<string, ResourceMap>

  constructor({ revision, outbound, own, previous }: ViewParts) {
    this.revision = revision
    this.outbound = outbound
    this.own = own
    const isSameClusters =
      previous?.outbound.clusters === outbound.clusters && previous.own.clusters === own.clusters
    const isSameRoutes =
      previous?.outbound.routes === outbound.routes && previous.own.routes === own.routes
    const isSameEndpoints =
      previous?.outbound.endpoints === outbound.endpoints &&
      previous.own.endpoints === own.endpoints
    this.#maps = new Map([
      [typeUrls.listener, own.listeners],
      [
        typeUrls.cluster,
        isSameClusters
          ? previous.resources(typeUrls.cluster)
          : overlay(outbound.clusters, own.clusters),
      ],
      [
        typeUrls.endpoint,
        isSameEndpoints
          ? previous.resources(typeUrls.endpoint)
          : overlay(outbound.endpoints, own.endpoints),
      ],
      [typeUrls.virtualHost, outbound.virtualHosts ?? none],
      [
        typeUrls.route,
        isSameRoutes ? previous.resources(typeUrls.route) : overlay(outbound.routes, own.routes),
      ],
    ])
  }

  resources(typeUrl: string): ResourceMap {
    return this.#maps.get(typeUrl) ?? none
  }
}

function overlay(shared: ResourceMap, own: ResourceMap): ResourceMap {
  return own.size === 0 ? shared : new OverlayMap(shared, own)
}

/** Two maps read as one; names in `own` are not in `shared`. */
class OverlayMap implements LayeredResources {
  readonly shared: ResourceMap
  readonly own: ResourceMap

  constructor(shared: ResourceMap, own: ResourceMap) {
    this.shared = shared
    this.own = own
  }

  get size(): number {
    return this.shared.size + this.own.size
  }

  get(name: string): EncodedResource | undefined {
    return this.own.get(name) ?? this.shared.get(name)
  }

  has(name: string): boolean {
    return this.own.has(name) || this.shared.has(name)
  }

  forEach(
    visit: (resource: EncodedResource, name: string, map: ResourceMap) => void,
    self?: unknown,
  ): void {
    for (const [name, resource] of this) visit.call(self, resource, name, this)
  }

  *entries(): MapIterator<[string, EncodedResource]> {
    yield* this.shared.entries()
    yield* this.own.entries()
  }

  *keys(): MapIterator<string> {
    yield* this.shared.keys()
    yield* this.own.keys()
  }

  *values(): MapIterator<EncodedResource> {
    yield* this.shared.values()
    yield* this.own.values()
  }

  [Symbol.iterator](): MapIterator<[string, EncodedResource]> {
    return this.entries()
  }
}
