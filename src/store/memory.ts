/**
 * A store in memory: for tests, for tools that work offline, and for what is written through the API while no
 * durable store is configured. It forgets everything when the process ends.
 *
 * An object without a creationTimestamp gets the time at which it was first put, and keeps it, as Kubernetes'
 * API server would do. Bound: `resourcesMax`; a put beyond it fails with MESH_STORE_UNAVAILABLE.
 */
import { systemClock } from '../lib/clock.ts'
import type { Clock } from '../lib/clock.ts'
import { MeshError } from '../lib/mesh-error.ts'
import { describeResource } from '../model/resource.ts'
import type { Resource } from '../model/resource.ts'
import { keyOf } from './identity.ts'
import { SnapshotPublisher } from './publisher.ts'
import type { SourceSnapshot, Store, StoredResource, WriteOptions } from './source.ts'

export interface MemoryStoreOptions {
  readonly name?: string
  readonly clock?: Clock
  readonly resourcesMax?: number
}

export function createMemoryStore(options: MemoryStoreOptions = {}): Store {
  return new MemoryStore(options)
}

class MemoryStore implements Store {
  readonly name: string
  readonly #clock: Clock
  readonly #resourcesMax: number
  readonly #publisher: SnapshotPublisher
  #writes = 0

  constructor(options: MemoryStoreOptions) {
    this.name = options.name ?? 'memory'
    this.#clock = options.clock ?? systemClock
    this.#resourcesMax = options.resourcesMax ?? 100_000
    this.#publisher = new SnapshotPublisher(snapshotOf(new Map(), 'm0'))
  }

  list(): SourceSnapshot {
    return this.#publisher.current
  }

  watch(listener: (snapshot: SourceSnapshot) => void): Disposable {
    return this.#publisher.watch(listener)
  }

  async put(resource: Resource, options: WriteOptions = {}): Promise<StoredResource> {
    const key = keyOf(resource)
    const stored = this.list().resources.get(key)
    checkExpectation({ what: describeResource(resource), stored, expect: options.expect })
    if (stored === undefined && this.list().resources.size >= this.#resourcesMax) {
      throw new MeshError(
        'MESH_STORE_UNAVAILABLE',
        `put ${describeResource(resource)}: ${this.name} holds ${this.#resourcesMax} resources, its ceiling`,
        { remedy: 'delete resources that are not needed, or raise resourcesMax' },
      )
    }
    const revision = `m${++this.#writes}`
    const written = { resource: this.#withAge(resource, stored), revision }
    this.#publisher.publish(snapshotOf(new Map(this.list().resources).set(key, written), revision))
    return written
  }

  async delete(key: string, options: WriteOptions = {}): Promise<void> {
    const stored = this.list().resources.get(key)
    const expect = options.expect
    if (stored === undefined) throw notFound(key)
    checkExpectation({ what: describeResource(stored.resource), stored, expect })
    const rest = new Map(this.list().resources)
    rest.delete(key)
    this.#publisher.publish(snapshotOf(rest, `m${++this.#writes}`))
  }

  #withAge(resource: Resource, stored: StoredResource | undefined): Resource {
    if (resource.metadata.creationTimestampMs !== undefined) return resource
    const creationTimestampMs = stored?.resource.metadata.creationTimestampMs ?? this.#clock.nowMs()
    return { ...resource, metadata: { ...resource.metadata, creationTimestampMs } }
  }
}

interface Expectation {
  readonly what: string
  readonly stored: StoredResource | undefined
  readonly expect: string | undefined
}

function checkExpectation({ what, stored, expect }: Expectation): void {
  if (expect === undefined || expect === stored?.revision) return
  if (expect === 'absent') {
    if (stored === undefined) return
    throw new MeshError(
      'MESH_STORE_EXISTS',
      `${what} exists already, at revision ${stored.revision}`,
      {
        remedy: 'update it instead, or choose another name',
      },
    )
  }
  if (stored === undefined) throw notFound(what)
  throw new MeshError(
    'MESH_STORE_CONFLICT',
    `${what} is at revision ${stored.revision}, expected ${expect}`,
    { remedy: 'read it again and repeat the change' },
  )
}

function notFound(what: string): MeshError {
  return new MeshError('MESH_STORE_NOT_FOUND', `${what} is not in the store`, {
    remedy: 'check kind, namespace and name',
  })
}

function snapshotOf(
  resources: ReadonlyMap<string, StoredResource>,
  revision: string,
): SourceSnapshot {
  return { revision, resources, issues: [], stale: new Set() }
}
