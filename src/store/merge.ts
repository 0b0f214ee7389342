/**
 * Several sources as one view, in order of precedence: an object has one owner, the first source that has it.
 *
 * A key that two sources hold is an issue that names both places. Files come before everything that the API can
 * write, so that what a person reads in the folder is what the mesh does; `guardOwned` refuses API writes to
 * what a file owns.
 */
import { MeshError } from '../lib/mesh-error.ts'
import type { Issue } from '../model/issue.ts'
import { describeResource } from '../model/resource.ts'
import type { Resource, ResourceOrigin } from '../model/resource.ts'
import { keyOf } from './identity.ts'
import { SnapshotPublisher } from './publisher.ts'
import type { Source, SourceSnapshot, Store, StoredResource, WriteOptions } from './source.ts'

export interface MergedSource extends Source, Disposable {
  /** The source that a key's object comes from. */
  ownerOf(key: string): Source | undefined
}

/** `sources` in order of precedence. Stays subscribed to them until it is disposed of; does not close them. */
export function mergeSources(sources: readonly Source[]): MergedSource {
  return new Merge(sources)
}

class Merge implements MergedSource {
  readonly name: string
  readonly #sources: readonly Source[]
  readonly #publisher: SnapshotPublisher
  readonly #subscriptions: readonly Disposable[]
  #merges = 0

  constructor(sources: readonly Source[]) {
    this.name = sources.map((source) => source.name).join(' + ')
    this.#sources = sources
    this.#publisher = new SnapshotPublisher(this.#merged())
    this.#subscriptions = sources.map((source) =>
      source.watch(() => this.#publisher.publish(this.#merged())),
    )
  }

  list(): SourceSnapshot {
    return this.#publisher.current
  }

  watch(listener: (snapshot: SourceSnapshot) => void): Disposable {
    return this.#publisher.watch(listener)
  }

  ownerOf(key: string): Source | undefined {
    return this.#sources.find((source) => source.list().resources.has(key))
  }

  [Symbol.dispose](): void {
    for (const subscription of this.#subscriptions) subscription[Symbol.dispose]()
    this.#publisher.close()
  }

  #merged(): SourceSnapshot {
    const resources = new Map<string, StoredResource>()
    const owners = new Map<string, Source>()
    const issues: Issue[] = []
    const stale = new Set<string>()
    for (const source of this.#sources) {
      const snapshot = source.list()
      issues.push(...snapshot.issues)
      for (const [key, stored] of snapshot.resources) {
        const owner = owners.get(key)
        const first = resources.get(key)
        if (owner !== undefined && first !== undefined) {
          issues.push(ownedTwice({ first, owner, second: stored, other: source }))
          continue
        }
        resources.set(key, stored)
        owners.set(key, source)
        if (snapshot.stale.has(key)) stale.add(key)
      }
    }
    this.#merges += 1
    return { revision: `v${this.#merges}`, resources, issues, stale }
  }
}

interface TwoOwners {
  readonly first: StoredResource
  readonly owner: Source
  readonly second: StoredResource
  readonly other: Source
}

function ownedTwice({ first, owner, second, other }: TwoOwners): Issue {
  const { origin } = second.resource
  const here = placeOf(origin, other)
  const there = placeOf(first.resource.origin, owner)
  return {
    code: 'TUL0202',
    severity: 'error',
    file: origin.file,
    line: origin.line,
    column: origin.column,
    resource: describeResource(second.resource),
    path: 'metadata.name',
    message: `declared in ${there} and again in ${here}; the one in ${there} is in force`,
    remedy: 'Keep it in one place and delete the other.',
  }
}

function placeOf(origin: ResourceOrigin, source: Source): string {
  return origin.file === '' ? source.name : `${origin.file}:${origin.line}`
}

/** `store` with its writes refused, by MESH_STORE_OWNED_BY_FILE, for every object that `files` holds. */
export function guardOwned(store: Store, files: Source): Store {
  const refuseOwned = (key: string): void => {
    const owned = files.list().resources.get(key)
    if (owned === undefined) return
    const { origin } = owned.resource
    throw new MeshError(
      'MESH_STORE_OWNED_BY_FILE',
      `${describeResource(owned.resource)} is declared in ${origin.file}:${origin.line}`,
      { remedy: 'edit that file; the change takes effect when it is saved' },
    )
  }
  return {
    name: store.name,
    list: () => store.list(),
    watch: (listener) => store.watch(listener),
    async put(resource: Resource, options?: WriteOptions) {
      refuseOwned(keyOf(resource))
      return store.put(resource, options)
    },
    async delete(key: string, options?: WriteOptions) {
      refuseOwned(key)
      return store.delete(key, options)
    },
  }
}
