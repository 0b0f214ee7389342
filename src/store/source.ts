/**
 * Where configuration comes from. A `Source` can be listed and watched (a folder of YAML); a `Store` can also
 * be written with compare-and-set (memory now; embedded, etcd and Kubernetes later).
 *
 * One contract suite each in test/contract. Revisions are opaque and per source: compare them for equality only.
 */
import type { Issue } from '../model/issue.ts'
import type { Resource } from '../model/resource.ts'

export interface StoredResource {
  readonly resource: Resource
  /** Changes whenever this resource does. */
  readonly revision: string
}

/** All resources of a source at one moment, by `resourceKey`, with what is wrong in the rest. */
export interface SourceSnapshot {
  readonly revision: string
  readonly resources: ReadonlyMap<string, StoredResource>
  /** Problems in what could not be loaded, and warnings of what could. The last good version of a broken
   * resource stays in `resources`; `isStale` names the keys that hold an older version than the source. */
  readonly issues: readonly Issue[]
  readonly stale: ReadonlySet<string>
}

export interface Source {
  /** Name for messages and issues: a folder's path, `memory`. */
  readonly name: string
  list(): SourceSnapshot
  /** Calls back with each new snapshot, newest only when the reader is slow. Never during this call. */
  watch(listener: (snapshot: SourceSnapshot) => void): Disposable
}

export interface WriteOptions {
  /** Only when the stored revision is this one; `absent` = only when there is none; undefined = always. */
  readonly expect?: string
}

/** Rejections: MeshError MESH_STORE_CONFLICT, MESH_STORE_EXISTS, MESH_STORE_NOT_FOUND, MESH_STORE_UNAVAILABLE. */
export interface Store extends Source {
  put(resource: Resource, options?: WriteOptions): Promise<StoredResource>
  delete(key: string, options?: WriteOptions): Promise<void>
}
