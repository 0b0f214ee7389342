/**
 * What one stream subscribed to, and has been given, of one type.
 *
 * A stream does not remember the version of each resource that it sent: it remembers the set (`base`), shared
 * with all its like, from which its last answer came, and the few names where its client differs from that set
 * (`overrides`: what a reconnecting client said it has). Thousands of streams with thousands of resources each
 * would otherwise hold millions of entries.
 */
import { MeshError } from '../../lib/mesh-error.ts'
import { typeUrls } from '../resource-set.ts'
import type { NameSets } from './name-sets.ts'
import { noResources, type ResourceMap } from './resource-diff.ts'

/** Names that one stream may subscribe to of one type. */
const namesMax = 200_000

export interface Rejection {
  readonly reason: string
  readonly atMs: number
  /** The version that was refused. */
  readonly version: string
}

export type TypeSyncStatus = 'SYNCED' | 'STALE' | 'NOT SENT' | 'REJECTED'

interface Unacknowledged {
  readonly nonce: string
  readonly bytes: number
  readonly version: string
}

export type Acknowledgement = 'newest' | 'older' | 'unknown'

export class TypeState {
  readonly typeUrl: string
  isWildcard = false
  /** An empty list of names means "all" only until a name was given on the stream. */
  hasNamed = false
  /** The client came back and said what it has. */
  hasInitialVersions = false
  base: ResourceMap = noResources
  readonly overrides = new Map<string, string>()
  /** To be sent whether the client has them or not. */
  readonly forced = new Set<string>()
  /** Owed an answer even if that holds nothing: Envoy waits for it at start. */
  owesFirst = false

  lastSequence = 0
  sentVersion = ''
  ackedVersion = ''
  nonce = ''
  sentAtMs = 0
  ackedAtMs = 0
  rejection: Rejection | undefined
  #unacked: Unacknowledged[] = []
  #names = new Set<string>()
  /** Others hold the set too: it is copied before a change. */
  #isShared = false

  constructor(typeUrl: string) {
    this.typeUrl = typeUrl
  }

  /** LDS and CDS: absence from a complete answer means deletion, and no names may mean all. */
  get isComplete(): boolean {
    return this.typeUrl === typeUrls.listener || this.typeUrl === typeUrls.cluster
  }

  /** What it is asked for by is not its name (VHDS). */
  get isByAlias(): boolean {
    return this.typeUrl === typeUrls.virtualHost
  }

  get isSubscribed(): boolean {
    return this.isWildcard || this.names.size > 0
  }

  get inFlightBytes(): number {
    return this.#unacked.reduce((sum, response) => sum + response.bytes, 0)
  }

  get hasUnacknowledged(): boolean {
    return this.#unacked.length > 0
  }

  get status(): TypeSyncStatus {
    if (this.rejection !== undefined) return 'REJECTED'
    if (this.#unacked.length > 0) return 'STALE'
    return this.sentVersion === '' ? 'NOT SENT' : 'SYNCED'
  }

  covers(name: string): boolean {
    return this.isWildcard || this.names.has(name)
  }

  /** Version that the client has, as far as we know. */
  knownVersion(name: string): string | undefined {
    return this.overrides.get(name) ?? this.base.get(name)?.version
  }

  get names(): ReadonlySet<string> {
    return this.#names
  }

  subscribe(name: string): void {
    if (this.#names.size >= namesMax) {
      throw new MeshError(
        'MESH_XDS_PROTOCOL',
        `${this.typeUrl}: expected at most ${namesMax} names in one stream`,
      )
    }
    this.#own().add(name)
  }

  /** Whether it had been subscribed. */
  unsubscribe(name: string): boolean {
    return this.#names.has(name) && this.#own().delete(name)
  }

  /** Holds an equal set together with other streams, if there is one. */
  shareNames(sets: NameSets): void {
    if (this.#isShared) return
    // Never changed while shared: hence the cast.
    this.#names = sets.share(this.#names) as Set<string>
    this.#isShared = true
  }

  #own(): Set<string> {
    if (this.#isShared) {
      this.#names = new Set(this.#names)
      this.#isShared = false
    }
    return this.#names
  }

  /** The client now has what it subscribed to of this set. */
  settle(base: ResourceMap): void {
    this.base = base
    this.overrides.clear()
    this.forced.clear()
    this.owesFirst = false
  }

  /** A client that came back has all of this version already. */
  confirm(version: string): void {
    this.sentVersion = version
    this.ackedVersion = version
  }

  sent(response: Unacknowledged & { readonly sequence: number }, nowMs: number): void {
    this.lastSequence = response.sequence
    this.nonce = response.nonce
    this.sentVersion = response.version
    this.sentAtMs = nowMs
    this.#unacked.push(response)
  }

  /** An answer to one response answers those before it too: a client takes them in order. */
  acknowledge(nonce: string, nowMs: number, reason: string | undefined): Acknowledgement {
    const at = this.#unacked.findIndex((response) => response.nonce === nonce)
    const response = this.#unacked[at]
    if (response === undefined) return this.#answerAgain(nonce, nowMs, reason)
    this.#unacked = this.#unacked.slice(at + 1)
    if (reason === undefined) {
      this.ackedVersion = response.version
      this.ackedAtMs = nowMs
      this.rejection = undefined
    } else {
      this.rejection = { reason, atMs: nowMs, version: response.version }
    }
    return this.#unacked.length === 0 ? 'newest' : 'older'
  }

  /** What was accepted turns out not to work: a listener whose port is taken, known when its routes have come. */
  #answerAgain(nonce: string, nowMs: number, reason: string | undefined): Acknowledgement {
    if (nonce !== this.nonce) return 'unknown'
    if (reason !== undefined) this.rejection = { reason, atMs: nowMs, version: this.sentVersion }
    return 'newest'
  }
}
