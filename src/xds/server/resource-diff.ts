/**
 * What differs between two sets of resources, worked out once for all streams that go from one to the other.
 *
 * Views are immutable, so results are kept by identity and vanish with the sets that they speak of. Digests of
 * sets are sums, independent of order: equal digests mean equal names and contents (64 bits, no adversary).
 */
import { hash } from 'node:crypto'

import { isLayered, type EncodedResource } from '../resource-set.ts'

export type ResourceMap = ReadonlyMap<string, EncodedResource>

export const noResources: ResourceMap = new Map()
export const noChanges: readonly EncodedResource[] = []
export const noNames: readonly string[] = []

export interface ResourceDiff {
  /** New, or of another version, in the order of the newer set. */
  readonly changed: readonly EncodedResource[]
  readonly removed: readonly string[]
}

const noDiff: ResourceDiff = { changed: noChanges, removed: noNames }

type Digest = readonly [high: number, low: number]

export class ResourceDiffs {
  readonly #diffs = new WeakMap<ResourceMap, WeakMap<ResourceMap, ResourceDiff>>()
  readonly #unions = new WeakMap<ResourceMap, WeakMap<ResourceMap, ResourceMap>>()
  readonly #versions = new WeakMap<ResourceMap, string>()
  readonly #digests = new WeakMap<EncodedResource, Digest>()
  readonly #listDigests = new WeakMap<readonly EncodedResource[], string>()

  between(from: ResourceMap, to: ResourceMap): ResourceDiff {
    if (from === to) return noDiff
    // What differs is then in the shared part alone, and is worked out once for all clients of the class.
    if (isLayered(from) && isLayered(to) && from.own === to.own) {
      return this.between(from.shared, to.shared)
    }
    let known = this.#diffs.get(to)
    if (known === undefined) this.#diffs.set(to, (known = new WeakMap()))
    let diff = known.get(from)
    if (diff === undefined) known.set(from, (diff = compare(from, to)))
    return diff
  }

  /** The newer set with what only the older one has: the step between the two when removals come last. */
  union(from: ResourceMap, to: ResourceMap): ResourceMap {
    let known = this.#unions.get(to)
    if (known === undefined) this.#unions.set(to, (known = new WeakMap()))
    let union = known.get(from)
    if (union === undefined) known.set(from, (union = new Map([...from, ...to])))
    return union
  }

  /** Version of the whole set: equal for equal contents, in whatever order, from whatever process. */
  versionOf(resources: ResourceMap): string {
    let version = this.#versions.get(resources)
    if (version === undefined) {
      this.#versions.set(resources, (version = this.versionOfSome(resources.values())))
    }
    return version
  }

  /** Digest of a list that is used again and again, kept by identity. */
  digestOf(resources: readonly EncodedResource[]): string {
    let digest = this.#listDigests.get(resources)
    if (digest === undefined) {
      this.#listDigests.set(resources, (digest = this.versionOfSome(resources)))
    }
    return digest
  }

  versionOfSome(resources: Iterable<EncodedResource>): string {
    let high = 0
    let low = 0
    for (const resource of resources) {
      const digest = this.#digestOne(resource)
      high = (high + digest[0]) >>> 0
      low = (low + digest[1]) >>> 0
    }
    return high.toString(16).padStart(8, '0') + low.toString(16).padStart(8, '0')
  }

  #digestOne(resource: EncodedResource): Digest {
    let digest = this.#digests.get(resource)
    if (digest === undefined) {
      const bytes = hash('sha256', `${resource.name}\0${resource.version}`, 'buffer')
      digest = [bytes.readUInt32BE(0), bytes.readUInt32BE(4)]
      this.#digests.set(resource, digest)
    }
    return digest
  }
}

function compare(from: ResourceMap, to: ResourceMap): ResourceDiff {
  const changed: EncodedResource[] = []
  const removed: string[] = []
  for (const resource of to.values()) {
    if (from.get(resource.name)?.version !== resource.version) changed.push(resource)
  }
  for (const name of from.keys()) if (!to.has(name)) removed.push(name)
  return changed.length + removed.length === 0 ? noDiff : { changed, removed }
}
