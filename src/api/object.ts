/** The shapes that every answer of the API shares with Kubernetes' API: metadata, lists, watch events, errors. */

export interface ObjectMeta {
  readonly name: string
  /** Absent for objects that belong to no namespace. */
  readonly namespace?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  /** RFC 3339, in seconds. */
  readonly creationTimestamp?: string
  /** Opaque: compare for equality only, and give it back with a write or a watch. */
  readonly resourceVersion: string
  readonly uid: string
}

export interface ApiObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: ObjectMeta
}

/** A resource of the mesh's configuration; `spec` is what was written. */
export interface ConfigObject extends ApiObject {
  readonly spec: unknown
}

export interface ObjectList<T extends ApiObject = ApiObject> {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly resourceVersion: string
    /** Ask again with it for the rest. */
    readonly continue?: string
    readonly remainingItemCount?: number
  }
  readonly items: readonly T[]
}

export type WatchEventType = 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR'

/** One line of a watch. */
export interface WatchEvent<T = ApiObject> {
  readonly type: WatchEventType
  readonly object: T
}

/** How every refusal looks; `message` says what is wrong and what to do. */
export interface Status {
  readonly kind: 'Status'
  readonly apiVersion: 'v1'
  readonly metadata: Readonly<Record<string, never>>
  readonly status: 'Success' | 'Failure'
  readonly message: string
  /** `NotFound`, `Conflict`, `Invalid`, … */
  readonly reason: string
  readonly code: number
  readonly details?: StatusDetails
}

export interface StatusDetails {
  readonly name?: string
  readonly group?: string
  readonly kind?: string
  readonly causes?: readonly {
    readonly reason: string
    readonly message: string
    readonly field: string
  }[]
}

/** On an object that a file declares: `config/routes.yaml:12`. */
export const declaredInAnnotation = 'tulle.dev/declared-in'
