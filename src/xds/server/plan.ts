/**
 * What a stream is owed of one type when it moves to a set of resources: the decision, without the bytes.
 *
 * Streams with the same subscription and the same past get the same arrays, by identity where they follow the
 * wildcard, so that their responses can be shared.
 */
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire'

import type { EncodedResource } from '../resource-set.ts'
import {
  noNames,
  noResources,
  type ResourceDiff,
  type ResourceDiffs,
  type ResourceMap,
} from './resource-diff.ts'
import type { AdsVariant } from './response.ts'
import type { TypeState } from './type-state.ts'

export interface TypePlan {
  readonly state: TypeState
  readonly target: ResourceMap
  readonly changed: readonly EncodedResource[]
  readonly removed: readonly string[]
  /** Virtual hosts that were asked for and mean nothing. */
  readonly unresolved?: readonly string[]
}

/** Changed and removed resources that the stream must hear of. Undefined when there is nothing to say; the
 * stream then counts as having come to `target`. */
export function planType(
  variant: AdsVariant,
  state: TypeState,
  { target, diffs }: { readonly target: ResourceMap; readonly diffs: ResourceDiffs },
): TypePlan | undefined {
  if (!state.isSubscribed) return undefined
  if (state.isByAlias) return planHosts(state, target, diffs)
  const isSettled = state.overrides.size === 0 && state.forced.size === 0
  if (isSettled && state.base === target && !state.owesFirst) return undefined
  const diff = diffs.between(state.base, target)
  const owed = isSettled ? covered(state, diff) : coveredOneByOne(state, target, diff)
  // In state of the world only LDS and CDS can say that a resource is gone: by leaving it out.
  const removed = variant === 'delta' || state.isComplete ? owed.removed : noNames
  if (owed.changed.length + removed.length === 0 && !state.owesFirst) {
    state.settle(target)
    return undefined
  }
  return { state, target, changed: owed.changed, removed }
}

/**
 * Virtual hosts: all that there are for the client, which is what it asked for; under what name it asked is an alias of
 * theirs, and is answered in any case.
 */
function planHosts(
  state: TypeState,
  target: ResourceMap,
  diffs: ResourceDiffs,
): TypePlan | undefined {
  const { changed, removed } = diffs.between(state.base, target)
  const owed = new Map<string, EncodedResource>()
  for (const resource of changed) {
    if (state.knownVersion(resource.name) !== resource.version) owed.set(resource.name, resource)
  }
  const gone = new Set(removed)
  for (const name of state.overrides.keys()) if (!target.has(name)) gone.add(name)
  const unresolved = oweForced(state, target, owed)
  if (owed.size + gone.size + unresolved.length === 0 && !state.owesFirst) {
    state.settle(target)
    return undefined
  }
  return { state, target, changed: [...owed.values()], removed: [...gone], unresolved }
}

/** What was asked for; returns what means nothing. */
function oweForced(
  { forced }: TypeState,
  target: ResourceMap,
  owed: Map<string, EncodedResource>,
): readonly string[] {
  if (forced.size === 0) return noNames
  const byName = new Map<string, EncodedResource>()
  for (const resource of target.values()) {
    for (const name of [resource.name, ...(resource.aliases ?? [])]) byName.set(name, resource)
  }
  for (const name of forced) {
    const resource = byName.get(name)
    if (resource !== undefined) owed.set(resource.name, resource)
  }
  return [...forced].filter((name) => !byName.has(name))
}

/** All resources of a set that the stream is subscribed to, for an answer that must be complete. */
export function allOf(
  state: TypeState,
  target: ResourceMap,
  diffs: ResourceDiffs,
): readonly EncodedResource[] {
  const all = diffs.between(noResources, target).changed
  return state.isWildcard ? all : filtered(all, (resource) => state.names.has(resource.name))
}

function covered(state: TypeState, diff: ResourceDiff): ResourceDiff {
  if (state.isWildcard) return diff
  return {
    changed: filtered(diff.changed, (resource) => state.names.has(resource.name)),
    removed: filtered(diff.removed, (name) => state.names.has(name)),
  }
}

/** For streams whose client differs from the set that they came from. */
function coveredOneByOne(state: TypeState, target: ResourceMap, diff: ResourceDiff): ResourceDiff {
  const changed = new Map<string, EncodedResource>()
  const removed = new Set<string>()
  const consider = (name: string) => {
    const resource = target.get(name)
    if (!state.covers(name)) return
    if (resource === undefined) removed.add(name)
    else if (state.forced.has(name) || state.knownVersion(name) !== resource.version) {
      changed.set(name, resource)
    }
  }
  for (const resource of diff.changed) consider(resource.name)
  for (const name of diff.removed) consider(name)
  for (const name of state.overrides.keys()) consider(name)
  for (const name of state.forced) consider(name)
  // The common case of a new client that asks for everything shares the arrays of its like.
  const isWhole = changed.size === diff.changed.length && removed.size === diff.removed.length
  if (isWhole && diff.changed.every((resource) => changed.has(resource.name))) {
    return { changed: diff.changed, removed: removed.size === 0 ? noNames : [...removed] }
  }
  return { changed: [...changed.values()], removed: [...removed] }
}

/** The same array when nothing is left out. */
function filtered<T>(items: readonly T[], keep: (item: T) => boolean): readonly T[] {
  if (items.length === 0) return items
  const kept = items.filter(keep)
  return kept.length === items.length ? items : kept
}

/**
 * Endpoints that a changed cluster waits for: after each update of a cluster Envoy warms it until an EDS
 * response names it, even if its endpoints are the same as before.
 */
export class WarmingIndex {
  readonly #edsNames = new WeakMap<EncodedResource, string>()

  forceEndpoints(clusters: readonly EncodedResource[], endpoints: TypeState): void {
    for (const cluster of clusters) {
      const name = this.#edsNameOf(cluster)
      if (endpoints.covers(name)) endpoints.forced.add(name)
    }
  }

  #edsNameOf(cluster: EncodedResource): string {
    let name = this.#edsNames.get(cluster)
    if (name === undefined) {
      name = serviceNameIn(cluster.any) || cluster.name
      this.#edsNames.set(cluster, name)
    }
    return name
  }
}

/** `eds_cluster_config.service_name` of an encoded Cluster, without decoding the rest. */
function serviceNameIn(any: Uint8Array): string {
  const cluster = subMessage(any, 2)
  const edsConfig = cluster && subMessage(cluster, 3)
  const serviceName = edsConfig && subMessage(edsConfig, 2)
  return serviceName === undefined ? '' : Buffer.from(serviceName).toString()
}

/** The last length-delimited field of this number. */
function subMessage(bytes: Uint8Array, wanted: number): Uint8Array | undefined {
  const reader = new BinaryReader(bytes)
  let found: Uint8Array | undefined
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag()
    if (field === wanted && wireType === WireType.LengthDelimited) found = reader.bytes()
    else reader.skip(wireType, field)
  }
  return found
}
