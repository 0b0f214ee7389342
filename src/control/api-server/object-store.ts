/**
 * All collections of the API, kept in step with what they show: the configuration by the source's snapshots, the
 * views by asking again when somebody lists or watches them.
 */
import { declaredInAnnotation, type ApiObject } from '../../api/object.ts'
import type { ViewPlural } from '../../api/view.ts'
import type { Clock, Timer } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import { describeError } from '../../lib/mesh-error.ts'
import { splitApiVersion } from '../../model/kinds.ts'
import type { Resource } from '../../model/resource.ts'
import type { Source, SourceSnapshot, StoredResource } from '../../store/source.ts'
import { secondsText } from '../view-object.ts'
import { apiKinds, type ApiKind } from './api-kind.ts'
import { Collection, type CollectedObject, type VersionCounter } from './collection.ts'

type ViewObjects = readonly CollectedObject['object'][]

/** One that takes long does its work in slices. */
export type ViewReaders = Readonly<Record<ViewPlural, () => ViewObjects | Promise<ViewObjects>>>

export interface ObjectStoreOptions {
  readonly source: Source
  readonly views: ViewReaders
  readonly clock: Clock
  readonly log: Pick<Log, 'warn'>
}

/** While a view is watched it is looked at so often. */
const viewPollMs = 250

export class ObjectStore implements Disposable {
  readonly #options: ObjectStoreOptions
  readonly #counter: VersionCounter
  readonly #collections = new Map<ApiKind, Collection>()
  readonly #watch: Disposable
  #snapshot: SourceSnapshot | undefined
  #poll: Timer | undefined
  #isClosed = false

  constructor(options: ObjectStoreOptions) {
    this.#options = options
    this.#counter = { value: options.clock.nowMs() }
    for (const kind of apiKinds) this.#collections.set(kind, new Collection(this.#counter))
    this.#watch = options.source.watch(() => this.#readSource())
    this.#readSource()
  }

  /** Brings a view up to date; what is not looked at costs nothing. */
  async refresh(kind: ApiKind): Promise<void> {
    if (kind.view === undefined) return
    const objects = await this.#options.views[kind.view]()
    const collected = objects.map((object) => ({ object, contentKey: JSON.stringify(object) }))
    this.#collections.get(kind)?.replace(collected)
  }

  /** Configuration is up to date at this moment, a view as of its last `refresh`. */
  collection(kind: ApiKind): Collection {
    this.#readSource()
    return this.#collections.get(kind) ?? new Collection(this.#counter)
  }

  /** Keeps a watched view in step. */
  follow(): void {
    this.#poll ??= this.#options.clock.setTimer(viewPollMs, () => {
      void this.#refreshWatched()
    })
  }

  async #refreshWatched(): Promise<void> {
    const watched = [...this.#collections].filter(
      ([kind, collection]) => kind.view !== undefined && collection.isWatched,
    )
    for (const [kind] of watched) await this.#refreshOrTell(kind)
    this.#poll = undefined
    if (watched.length > 0 && !this.#isClosed) this.follow()
  }

  /** Who watches keeps what was seen last; the next look may succeed. */
  async #refreshOrTell(kind: ApiKind): Promise<void> {
    try {
      await this.refresh(kind)
    } catch (error) {
      const fields = { view: kind.view, error: describeError(error) }
      this.#options.log.warn(fields, 'a view could not be read')
    }
  }

  stored(resource: { readonly group: string; readonly kind: string }, place: Place) {
    const key = `${resource.group}/${resource.kind}/${place.namespace}/${place.name}`
    return this.#options.source.list().resources.get(key)
  }

  [Symbol.dispose](): void {
    this.#isClosed = true
    this.#watch[Symbol.dispose]()
    this.#poll?.cancel()
  }

  #readSource(): void {
    const snapshot = this.#options.source.list()
    if (snapshot === this.#snapshot) return
    this.#snapshot = snapshot
    const byKind = new Map<string, CollectedObject[]>()
    for (const stored of snapshot.resources.values()) {
      const { apiVersion, kind } = stored.resource
      const key = `${splitApiVersion(apiVersion).group}/${kind}`
      const list = byKind.get(key) ?? []
      // A line that moved is a change too: the object says where it stands.
      const { file, line } = stored.resource.origin
      const contentKey = `${stored.revision} ${file}:${line}`
      list.push({ object: configObject(stored), contentKey })
      byKind.set(key, list)
    }
    for (const [kind, collection] of this.#collections) {
      if (kind.view === undefined)
        collection.replace(byKind.get(`${kind.group}/${kind.kind}`) ?? [])
    }
  }
}

export interface Place {
  readonly namespace: string
  readonly name: string
}

function configObject({ resource }: StoredResource): CollectedObject['object'] {
  const { apiVersion, kind, metadata, spec } = resource
  const { name, namespace, labels, creationTimestampMs } = metadata
  const annotations = { ...metadata.annotations, ...declaredIn(resource) }
  return {
    apiVersion,
    kind,
    metadata: {
      name,
      ...(namespace === '' ? {} : { namespace }),
      ...(Object.keys(labels).length === 0 ? {} : { labels }),
      ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
      ...(creationTimestampMs === undefined
        ? {}
        : { creationTimestamp: secondsText(creationTimestampMs) }),
    },
    // Known to the reader of a config object, unknown to what all objects share.
    ...({ spec } as object),
  }
}

function declaredIn({ origin }: Resource): Record<string, string> {
  return origin.file === '' ? {} : { [declaredInAnnotation]: `${origin.file}:${origin.line}` }
}

/** Versions of a kind are one object: it is shown in the version that was asked for. */
export function inVersion(object: ApiObject, kind: ApiKind, version: string): ApiObject {
  const apiVersion = kind.group === '' ? version : `${kind.group}/${version}`
  return object.apiVersion === apiVersion ? object : { ...object, apiVersion }
}
