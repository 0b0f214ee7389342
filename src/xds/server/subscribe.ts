/**
 * How a request changes what a stream is subscribed to, by the rules of Envoy's xDS protocol page
 * ("How the client specifies what resources to return", "Incremental xDS").
 */
import type { AdsRequest } from './ads-request.ts'
import type { ResourceDiffs, ResourceMap } from './resource-diff.ts'
import type { TypeState } from './type-state.ts'

const wildcard = '*'

export interface SubscribeContext {
  readonly state: TypeState
  readonly request: AdsRequest
  /** First request of this type on its stream. */
  readonly isFirst: boolean
  readonly resources: ResourceMap
  readonly diffs: ResourceDiffs
}

/** State of the world: the request holds the whole list. */
export function subscribeSotw(context: SubscribeContext): void {
  const { state, request, isFirst, resources } = context
  const wasAll = state.isWildcard
  if (request.names.length > 0) state.hasNamed = true
  state.isWildcard = request.names.includes(wildcard) || (state.isComplete && !state.hasNamed)
  const added = replaceNames(state, request.names, resources)
  if (isFirst && isCurrent(context)) {
    state.settle(resources)
    state.confirm(request.version)
  } else if (state.isWildcard) {
    if (isFirst || !wasAll) state.owesFirst = true
  } else {
    for (const name of added) if (resources.has(name)) state.forced.add(name)
  }
}

/** Returns the names that were not there before. */
function replaceNames(
  state: TypeState,
  names: readonly string[],
  resources: ResourceMap,
): readonly string[] {
  const wanted = new Set(names)
  wanted.delete(wildcard)
  for (const name of state.names) if (!wanted.has(name)) state.unsubscribe(name)
  const added = []
  for (const name of wanted) {
    if (state.names.has(name)) continue
    const sharedName = shared(resources, name)
    state.subscribe(sharedName)
    added.push(sharedName)
  }
  return added
}

/** Whether a client that comes back already has exactly what it asks for. */
function isCurrent({ state, request, resources, diffs }: SubscribeContext): boolean {
  if (request.version === '' || request.error !== undefined) return false
  return request.version === versionFor(state, resources, diffs)
}

/** Version of what a stream gets of a set: of the whole set when it gets all of it. */
export function versionFor(state: TypeState, resources: ResourceMap, diffs: ResourceDiffs): string {
  if (state.isWildcard) return diffs.versionOf(resources)
  const found = []
  for (const name of state.names) {
    const resource = resources.get(name)
    if (resource !== undefined) found.push(resource)
  }
  return found.length === resources.size ? diffs.versionOf(resources) : diffs.versionOfSome(found)
}

/** Delta: the request holds what is added and what is given up. */
export function subscribeDelta(context: SubscribeContext): void {
  const { state, request, isFirst, resources } = context
  const initial = Object.entries(request.initialVersions)
  if (isFirst) {
    for (const [name, version] of initial) state.overrides.set(shared(resources, name), version)
    state.hasInitialVersions = initial.length > 0
    const isLegacyWildcard = state.isComplete && request.subscribe.length === 0
    // Which virtual hosts there are for the client is the view's to say.
    if (isLegacyWildcard || state.isByAlias) state.isWildcard = true
  }
  for (const name of request.subscribe) {
    if (name === wildcard) state.isWildcard = true
    else addName(context, name)
  }
  // Also to a client that comes back: an answer that holds nothing says that the server is there.
  if (isFirst && state.isWildcard) state.owesFirst = true
  for (const name of request.unsubscribe) {
    if (name === wildcard) dropWildcard(state)
    else dropName(state, name)
  }
}

function addName({ state, request, isFirst, resources }: SubscribeContext, name: string): void {
  const isReconnect = isFirst && request.initialVersions[name] !== undefined
  const sharedName = shared(resources, name)
  state.subscribe(sharedName)
  // Asked for again means: send it again. A client that comes back tells what it has instead.
  if (!isReconnect) state.forced.add(sharedName)
}

function dropName(state: TypeState, name: string): void {
  if (!state.unsubscribe(name) || state.isByAlias) return
  if (state.isWildcard) {
    // The client may have dropped it on its side: it is told again what holds under the wildcard.
    state.forced.add(name)
    return
  }
  state.overrides.delete(name)
  state.forced.delete(name)
}

function dropWildcard(state: TypeState): void {
  state.isWildcard = false
  for (const name of state.overrides.keys())
    if (!state.names.has(name)) state.overrides.delete(name)
}

/** The view's own string for a name, so that a thousand streams do not hold a thousand copies. */
function shared(resources: ResourceMap, name: string): string {
  return resources.get(name)?.name ?? name
}
