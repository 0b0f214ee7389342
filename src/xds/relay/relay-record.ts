/**
 * Listens to a stream that passes through and keeps what its client accepted: a response counts once its nonce
 * has come back without an error.
 */
import {
  decodeDeltaResponse,
  decodeSotwResponse,
  type ReceivedResponse,
} from '../client/received.ts'
import { typeUrls } from '../resource-set.ts'
import type { AdsRequest } from '../server/ads-request.ts'
import type { AdsVariant } from '../server/response.ts'
import { toEncoded, type RelayCache } from './relay-cache.ts'

/** Responses that wait for their answer; the oldest is given up beyond this. */
const pendingMax = 64

export interface RelayTypeRecord {
  readonly version: string
  readonly rejection: string | undefined
}

export class RelayRecord {
  readonly #variant: AdsVariant
  readonly #cache: RelayCache | undefined
  readonly #pending = new Map<string, ReceivedResponse>()
  readonly #types = new Map<string, RelayTypeRecord>()
  /** Types that this stream has asked for, and those whose next answer starts anew. */
  readonly #seen = new Set<string>()
  readonly #restarted = new Set<string>()

  constructor(variant: AdsVariant, cache: RelayCache | undefined) {
    this.#variant = variant
    this.#cache = cache
  }

  get types(): ReadonlyMap<string, RelayTypeRecord> {
    return this.#types
  }

  onResponse(bytes: Uint8Array): void {
    const response =
      this.#variant === 'sotw' ? decodeSotwResponse(bytes) : decodeDeltaResponse(bytes)
    this.#pending.set(`${response.typeUrl} ${response.nonce}`, response)
    if (this.#pending.size > pendingMax) {
      for (const key of this.#pending.keys()) {
        this.#pending.delete(key)
        break
      }
    }
  }

  onRequest(request: AdsRequest): void {
    this.#noteSubscription(request)
    if (request.nonce === '') return
    const key = `${request.typeUrl} ${request.nonce}`
    const response = this.#pending.get(key)
    if (response === undefined) return
    this.#pending.delete(key)
    const version = this.#types.get(request.typeUrl)?.version ?? ''
    if (request.error !== undefined) {
      this.#types.set(request.typeUrl, { version, rejection: request.error })
      return
    }
    this.#types.set(request.typeUrl, { version: response.version, rejection: undefined })
    this.#keep(response, request)
  }

  /** A client that starts with nothing makes what was kept before it out of date. */
  #noteSubscription(request: AdsRequest): void {
    const { typeUrl } = request
    if (!this.#seen.has(typeUrl)) {
      this.#seen.add(typeUrl)
      const isNew = request.version === '' && Object.keys(request.initialVersions).length === 0
      if (isNew) this.#restarted.add(typeUrl)
    }
    if (this.#cache === undefined || request.unsubscribe.length === 0) return
    const kept = new Map(this.#cache.resources(typeUrl))
    const gone = new Set(request.unsubscribe)
    for (const [name, { aliases = [] }] of kept) {
      if (gone.has(name) || aliases.some((alias) => gone.has(alias))) kept.delete(name)
    }
    this.#cache.replace(typeUrl, kept)
  }

  #keep(response: ReceivedResponse, request: AdsRequest): void {
    if (this.#cache === undefined) return
    const { typeUrl } = response
    const isComplete =
      this.#variant === 'sotw' && (typeUrl === typeUrls.listener || typeUrl === typeUrls.cluster)
    const fresh = toEncoded(response.resources)
    const isWhole = isComplete || this.#restarted.delete(typeUrl)
    const kept = isWhole ? fresh : new Map([...this.#cache.resources(typeUrl), ...fresh])
    for (const name of response.removed) kept.delete(name)
    if (this.#variant === 'sotw' && !isComplete) {
      // Here nobody says what is gone; the client's own list does.
      const wanted = new Set(request.names)
      for (const name of kept.keys()) {
        if (!wanted.has(name) && !wanted.has('*')) kept.delete(name)
      }
    }
    this.#cache.replace(typeUrl, kept)
  }
}
