/**
 * `watch=true`: one JSON object a line, for as long as the client stays.
 *
 * Without a resourceVersion the stream starts with everything that is there; with one, with what has changed
 * since, or 410 Gone when that is no longer known. A client that reads too slowly is cut off at
 * `bufferedBytesMax`: it lists again, as it must know how to.
 */
import type { ServerResponse } from 'node:http'

import type { ApiObject, WatchEventType } from '../../api/object.ts'
import type { Clock, Timer } from '../../lib/clock.ts'
import type { Collection, CollectionEvent } from './collection.ts'
import { inVersion, type ObjectStore } from './object-store.ts'
import { selectionOf, type ReadContext } from './read.ts'
import { parseListQuery, startVersion, type ListQuery } from './request.ts'
import type { Matches } from './selector.ts'
import { ApiError } from './status.ts'
import { tableOf } from './table.ts'

const bufferedBytesMax = 8 << 20
const bookmarkMs = 30_000
/** Kubernetes ends watches after 30 to 60 minutes too. */
const timeoutSecondsMax = 3_600

/** Rejections (before anything is sent): ApiError. */
export function openWatch(
  store: ObjectStore,
  context: ReadContext,
  { response, clock }: { readonly response: ServerResponse; readonly clock: Clock },
): Watch {
  return new Watch({ store, context, response, clock })
}

interface WatchOptions {
  readonly store: ObjectStore
  readonly context: ReadContext
  readonly response: ServerResponse
  readonly clock: Clock
}

export class Watch {
  readonly #options: WatchOptions
  readonly #collection: Collection
  readonly #query: ListQuery
  readonly #matches: Matches
  readonly #subscription: Disposable
  readonly #timeout: Timer
  #bookmark: Timer | undefined

  constructor(options: WatchOptions) {
    this.#options = options
    const { store, context, response, clock } = options
    this.#query = parseListQuery(context.query)
    this.#matches = selectionOf(named(context), this.#query)
    this.#collection = store.collection(context.target.kind)
    const missed = this.#missed()
    response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-store' })
    response.flushHeaders()
    if (missed === undefined) this.#sendAll()
    else this.#sendEvents(missed)
    this.#subscription = this.#collection.watch((events) => this.#sendEvents(events))
    const seconds = Math.min(this.#query.timeoutSeconds ?? timeoutSecondsMax, timeoutSecondsMax)
    this.#timeout = clock.setTimer(seconds * 1_000, () => response.end())
    if (this.#query.allowsBookmarks) this.#bookmarkLater()
    response.once('close', () => this.close())
    if (context.target.kind.view !== undefined) store.follow()
  }

  close(): void {
    this.#subscription[Symbol.dispose]()
    this.#timeout.cancel()
    this.#bookmark?.cancel()
    this.#options.response.end()
  }

  /** Events since the version that was asked for; undefined when everything is to be sent. */
  #missed(): readonly CollectionEvent[] | undefined {
    const start = startVersion(this.#query.resourceVersion)
    if (start === undefined || this.#query.sendsInitialEvents) return undefined
    const missed = this.#collection.since(start)
    if (missed !== undefined) return missed
    const message = `too old resource version: ${start} (${this.#collection.version})`
    throw new ApiError('Expired', message)
  }

  #sendAll(): void {
    for (const object of this.#collection.list().filter(this.#matches)) this.#send('ADDED', object)
    if (this.#query.sendsInitialEvents) this.#sendBookmark({ 'k8s.io/initial-events-end': 'true' })
  }

  #sendEvents(events: readonly CollectionEvent[]): void {
    for (const { type, object, previous } of events) {
      const isIn = type !== 'DELETED' && this.#matches(object)
      const wasIn = previous !== undefined && this.#matches(previous)
      // To a client with a selector, a change may look like coming or going.
      if (isIn) this.#send(wasIn ? 'MODIFIED' : 'ADDED', object)
      else if (wasIn) this.#send('DELETED', object)
    }
  }

  #sendBookmark(annotations: Readonly<Record<string, string>> = {}): void {
    const { target } = this.#options.context
    const apiVersion =
      target.kind.group === '' ? target.version : `${target.kind.group}/${target.version}`
    const metadata = { resourceVersion: String(this.#collection.version), annotations }
    this.#write('BOOKMARK', { apiVersion, kind: target.kind.kind, metadata })
  }

  #send(type: WatchEventType, object: ApiObject): void {
    const { target, isTable } = this.#options.context
    const shown = inVersion(object, target.kind, target.version)
    this.#write(type, isTable ? tableOf(target.kind, [shown], {}) : shown)
  }

  #write(type: WatchEventType, object: unknown): void {
    const { response } = this.#options
    if (response.destroyed || response.writableEnded) return
    response.write(`${JSON.stringify({ type, object })}\n`)
    if (response.writableLength > bufferedBytesMax) response.destroy()
  }

  #bookmarkLater(): void {
    this.#bookmark = this.#options.clock.setTimer(bookmarkMs, () => {
      this.#sendBookmark()
      this.#bookmarkLater()
    })
  }
}

/** A watch of one object is a watch of the list with that name. */
function named({ target }: ReadContext) {
  return { ...target, name: undefined }
}
