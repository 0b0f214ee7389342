/**
 * Every resource that the sidecar was told about, by type and name: the last good one, and beside it the one that was
 * refused last, with the reason and the time (Envoy's `error_state`).
 *
 * The main thread's half of the boundary: it compares bytes, so that what has not changed is not compiled again (a state
 * of the world sends every resource each time), packs what has changed, hands it to every data plane, and says what was
 * refused, which the ADS client turns into a NACK.
 */
import type { Clock } from '../../lib/clock.ts'
import { typeUrls } from '../../xds/resource-set.ts'
import type { ApplyResult, DataPlane, Rejection } from './data-plane.ts'
import { type ResourceBatch, type ResourceBytes, packBatch } from './resource-batch.ts'

export type ResourceOrigin = 'static' | 'dynamic'

export interface AcceptedResource {
  readonly version: string
  readonly value: Uint8Array
  readonly updatedMs: number
  /** Other names that it was asked for by. */
  readonly aliases?: readonly string[]
}

export interface RejectedResource extends AcceptedResource {
  readonly reason: string
}

export interface StoredResource {
  readonly name: string
  readonly origin: ResourceOrigin
  readonly accepted: AcceptedResource | undefined
  readonly rejected: RejectedResource | undefined
  /** Of a listener: what is in force again if `accepted` cannot be opened. */
  readonly previous?: AcceptedResource | undefined
}

export interface ResourceUpdate {
  readonly typeUrl: string
  readonly resources: readonly ResourceBytes[]
  /** Names that are gone; 'absent': every dynamic resource that is not in the list. */
  readonly removed: readonly string[] | 'absent'
  /** Names that requests wait for, and that this answers. */
  readonly answered?: readonly string[]
}

/**
 * That of ADS: a data plane keeps no route table and no secret that nobody refers to, so these come after those who do.
 * Secrets come first, too, since those of the bootstrap are looked up by who refers to them.
 */
const replayOrder = [
  typeUrls.secret,
  typeUrls.cluster,
  typeUrls.endpoint,
  typeUrls.listener,
  typeUrls.secret,
  typeUrls.route,
  typeUrls.virtualHost,
]

export class ResourceStore {
  readonly #clock: Clock
  readonly #planes: readonly DataPlane[]
  readonly #byType = new Map<string, Map<string, StoredResource>>()
  readonly #versions = new Map<string, string>()

  constructor(clock: Clock, planes: readonly DataPlane[]) {
    this.#clock = clock
    this.#planes = planes
  }

  /** Sorted by name. */
  list(typeUrl: string): readonly StoredResource[] {
    const all = [...(this.#byType.get(typeUrl)?.values() ?? [])]
    return all.sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  /** Version of the last response of that type that was accepted whole. */
  version(typeUrl: string): string {
    return this.#versions.get(typeUrl) ?? ''
  }

  noteVersion(typeUrl: string, version: string): void {
    this.#versions.set(typeUrl, version)
  }

  /** Applies what changed, in the order given. Resources of the bootstrap are never changed by the control plane. */
  async update(update: ResourceUpdate, origin: ResourceOrigin): Promise<readonly Rejection[]> {
    const duplicate = firstDuplicate(update.resources)
    if (duplicate !== undefined) return [{ name: duplicate, reason: 'is twice in one response' }]
    const known = this.#ofType(update.typeUrl)
    const changed = update.resources.filter((resource) => {
      const stored = known.get(resource.name)
      if (stored?.origin === 'static' && origin === 'dynamic') return false
      return !hasSameBytes(stored, resource)
    })
    for (const resource of update.resources) this.#noteUnchanged(known, resource)
    const removed = removedNames(update, known)
    const { typeUrl } = update
    const answered = answeredNames(update, changed)
    if (changed.length + removed.length + answered.length === 0) return []
    const waited = answered.length > 0 && { answered }
    const batch = packBatch({ typeUrl, resources: changed, removed, ...waited })
    const results = await Promise.all(this.#planes.map((plane) => plane.apply(batch)))
    const rejections = mergeRejections(results)
    const nowMs = this.#clock.nowMs()
    for (const resource of changed) {
      const reason = rejections.get(resource.name)
      const before = known.get(resource.name)
      const after = next(before, { resource, reason, origin, nowMs })
      const previous = reason === undefined ? before?.accepted : before?.previous
      known.set(resource.name, typeUrl === typeUrls.listener ? { ...after, previous } : after)
    }
    for (const name of removed) known.delete(name)
    return [...rejections].map(([name, reason]) => ({ name, reason }))
  }

  /** Everything that is in force, for a data plane that knows nothing. */
  batches(): readonly ResourceBatch[] {
    return replayOrder.flatMap((typeUrl) => {
      const resources = this.list(typeUrl).flatMap(({ name, accepted }) =>
        accepted === undefined ? [] : [{ name, ...accepted }],
      )
      return resources.length === 0 ? [] : [packBatch({ typeUrl, resources, removed: [] })]
    })
  }

  /** A listener that was accepted could not be opened afterwards: the one before it goes on, and it may come again. */
  noteFailure(typeUrl: string, failure: Rejection): void {
    const known = this.#ofType(typeUrl)
    const stored = known.get(failure.name)
    if (stored?.accepted === undefined) return
    const rejected = { ...stored.accepted, reason: failure.reason, updatedMs: this.#clock.nowMs() }
    const { name, origin, previous } = stored
    known.set(name, { name, origin, accepted: previous, rejected })
  }

  /** Forgets what nobody refers to any more (EDS and RDS are asked for by name). */
  keepOnly(typeUrl: string, names: readonly string[], nameOf = (name: string) => name): void {
    const known = this.#ofType(typeUrl)
    const wanted = new Set(names)
    for (const [name, { origin }] of known) {
      if (origin === 'dynamic' && !wanted.has(nameOf(name))) known.delete(name)
    }
  }

  #ofType(typeUrl: string): Map<string, StoredResource> {
    const known = this.#byType.get(typeUrl)
    if (known !== undefined) return known
    const made = new Map<string, StoredResource>()
    this.#byType.set(typeUrl, made)
    return made
  }

  /** The last good one has come again: what was refused in between is history. */
  #noteUnchanged(known: Map<string, StoredResource>, resource: ResourceBytes): void {
    const stored = known.get(resource.name)
    if (stored?.accepted === undefined || !hasSameBytes(stored, resource)) return
    const accepted = { ...stored.accepted, version: resource.version }
    known.set(resource.name, { ...stored, accepted, rejected: undefined })
  }
}

interface Judged {
  readonly resource: ResourceBytes
  readonly reason: string | undefined
  readonly origin: ResourceOrigin
  readonly nowMs: number
}

function next(stored: StoredResource | undefined, judged: Judged): StoredResource {
  const { resource, reason, origin, nowMs } = judged
  const { name, version } = resource
  // A copy: the bytes of a response may be a view of a whole message that should not stay.
  const value = Uint8Array.from(resource.value)
  const { aliases } = resource
  const state = { version, value, updatedMs: nowMs, ...(aliases && { aliases }) }
  if (reason === undefined) return { name, origin, accepted: state, rejected: undefined }
  return { name, origin, accepted: stored?.accepted, rejected: { ...state, reason } }
}

function hasSameBytes(stored: StoredResource | undefined, resource: ResourceBytes): boolean {
  const accepted = stored?.accepted
  return accepted !== undefined && Buffer.compare(accepted.value, resource.value) === 0
}

function removedNames(
  update: ResourceUpdate,
  known: ReadonlyMap<string, StoredResource>,
): readonly string[] {
  const isDynamic = (name: string): boolean => known.get(name)?.origin === 'dynamic'
  if (update.removed !== 'absent') return update.removed.filter(isDynamic)
  const present = new Set(update.resources.map((resource) => resource.name))
  return [...known.keys()].filter((name) => !present.has(name) && isDynamic(name))
}

/** With the assignments that came again as they were: a changed cluster waits for its one. */
function answeredNames(
  { typeUrl, resources, answered = [] }: ResourceUpdate,
  changed: readonly ResourceBytes[],
): readonly string[] {
  if (typeUrl !== typeUrls.endpoint || changed.length === resources.length) return answered
  const isChanged = new Set(changed.map(({ name }) => name))
  return resources.flatMap(({ name }) => (isChanged.has(name) ? [] : [name]))
}

function mergeRejections(results: readonly ApplyResult[]): ReadonlyMap<string, string> {
  const merged = new Map<string, string>()
  for (const { rejected } of results) {
    for (const { name, reason } of rejected) merged.set(name, reason)
  }
  return merged
}

function firstDuplicate(resources: readonly ResourceBytes[]): string | undefined {
  const seen = new Set<string>()
  for (const { name } of resources) {
    if (seen.has(name)) return name
    seen.add(name)
  }
  return undefined
}
