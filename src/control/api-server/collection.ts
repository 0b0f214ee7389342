/**
 * The objects of one kind, with resource versions and the events that watches follow.
 *
 * Versions of all kinds come from one counter that starts at the time of the process's start, so that a version
 * from before a restart is older than anything here, and a watch from it gets 410 Gone and lists again. Events
 * are kept in a ring; a watch from before the oldest gets the same answer. Bound: `eventsMax`.
 */
import { createHash } from 'node:crypto'

import type { ApiObject, ObjectMeta } from '../../api/object.ts'

/** An object before it has a version. `contentKey` is equal while nothing changed. */
export interface CollectedObject {
  readonly object: Omit<ApiObject, 'metadata'> & {
    readonly metadata: Omit<ObjectMeta, 'resourceVersion' | 'uid'>
  }
  readonly contentKey: unknown
}

export interface CollectionEvent {
  readonly version: number
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'
  readonly object: ApiObject
  /** The object before a change. */
  readonly previous: ApiObject | undefined
}

export interface VersionCounter {
  value: number
}

interface Held {
  readonly object: ApiObject
  readonly contentKey: unknown
}

const eventsMax = 4_096

export class Collection {
  readonly #counter: VersionCounter
  readonly #held = new Map<string, Held>()
  readonly #listeners = new Set<(events: readonly CollectionEvent[]) => void>()
  #events: CollectionEvent[] = []
  /** Changes up to this version can no longer be told. */
  #forgotten: number

  constructor(counter: VersionCounter) {
    this.#counter = counter
    this.#forgotten = counter.value
  }

  /** Version of the newest state. */
  get version(): number {
    return this.#counter.value
  }

  get isWatched(): boolean {
    return this.#listeners.size > 0
  }

  /** In order of namespace and name. */
  list(): ApiObject[] {
    return [...this.#held.keys()].sort().flatMap((key) => this.#held.get(key)?.object ?? [])
  }

  get(namespace: string, name: string): ApiObject | undefined {
    return this.#held.get(keyOf(namespace, name))?.object
  }

  /** Makes these all of the collection's objects. */
  replace(objects: Iterable<CollectedObject>): void {
    const events: CollectionEvent[] = []
    const seen = new Set<string>()
    for (const { object, contentKey } of objects) {
      const key = keyOf(object.metadata.namespace ?? '', object.metadata.name)
      seen.add(key)
      const held = this.#held.get(key)
      if (held !== undefined && held.contentKey === contentKey) continue
      const version = ++this.#counter.value
      const added = versioned(object, version)
      this.#held.set(key, { object: added, contentKey })
      const type = held === undefined ? 'ADDED' : 'MODIFIED'
      events.push({ version, type, object: added, previous: held?.object })
    }
    for (const [key, { object }] of this.#held) {
      if (seen.has(key)) continue
      this.#held.delete(key)
      const version = ++this.#counter.value
      events.push({
        version,
        type: 'DELETED',
        object: versioned(object, version),
        previous: object,
      })
    }
    if (events.length > 0) this.#tell(events)
  }

  /** Events after this version; undefined when some of them are forgotten. */
  since(version: number): readonly CollectionEvent[] | undefined {
    if (version < this.#forgotten || version > this.#counter.value) return undefined
    return this.#events.filter((event) => event.version > version)
  }

  watch(listener: (events: readonly CollectionEvent[]) => void): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) }
  }

  #tell(events: readonly CollectionEvent[]): void {
    this.#events.push(...events)
    if (this.#events.length > eventsMax) {
      const dropped = this.#events.splice(0, this.#events.length - eventsMax)
      this.#forgotten = dropped.at(-1)?.version ?? this.#forgotten
    }
    for (const listener of this.#listeners) listener(events)
  }
}

function keyOf(namespace: string, name: string): string {
  return `${namespace}\0${name}`
}

function versioned(object: CollectedObject['object'], version: number): ApiObject {
  const { apiVersion, kind, metadata, ...rest } = object
  const { name, namespace = '' } = metadata
  const group = apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : ''
  const uid = uidOf([group, kind, namespace, name].join('/'))
  return {
    apiVersion,
    kind,
    metadata: { ...metadata, uid, resourceVersion: String(version) },
    ...rest,
  }
}

/** The same object has the same uid for as long as it is called so. */
function uidOf(key: string): string {
  const hex = createHash('sha256').update(key).digest('hex')
  const parts = [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `5${hex.slice(13, 16)}`,
    `8${hex.slice(17, 20)}`,
  ]
  return `${parts.join('-')}-${hex.slice(20, 32)}`
}
