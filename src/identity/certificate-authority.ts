/**
 * The mesh's certificate authority: which roots the mesh believes, which one signs, and the signing.
 *
 * ```
 *   add ──▶ believed ──use──▶ signs ──(another is used)──▶ believed ──drop──▶ gone
 * ```
 *
 * The root is changed in three commands, with time between them for everybody to learn: `add` (believed by all,
 * signs nothing), `use` (signs from now on), `drop` (no longer believed). The root that signs stands first in every
 * bundle: who holds a certificate below another one renews it.
 *
 * State is one file, replaced as a whole; the keys are in the authorities' folders (authority.ts); every
 * certificate is in the book before it leaves (issue-log.ts). So a `kill -9` at any point loses no key and repeats
 * no serial. Bounds: signatures at once (so that a thousand callers never hold up the event loop), callers that
 * wait, authorities believed at once.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'

import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { describeError, MeshError } from '../lib/mesh-error.ts'
import {
  findOpenKeys,
  listAuthorities,
  makeAuthority,
  openAuthorityFolder,
  readMadeAuthority,
  readPluggedAuthority,
  renewSigning,
  wholeSecond,
  type Authority,
  type MakeOptions,
} from './authority.ts'
import { fingerprintOf } from './certificate.ts'
import { createAuthorityKey, createLeafCertificate, keyPem, spkiOf } from './create-certificate.ts'
import { readIfThere, writeDurably } from './durable-file.ts'
import { openIssueLog, readIssueLog, type IssueEntry, type IssueLog } from './issue-log.ts'
import { readCsr, type CertificateRequest } from './read-csr.ts'
import type { SpiffeId } from './spiffe-id.ts'
import { clockSkewMs, TrustBundle } from './trust-bundle.ts'
import { WorkLimit } from './work-limit.ts'

export interface CertificateAuthorityOptions {
  /** Made when it is not there, with rights for its owner only. */
  readonly folder: string
  readonly trustDomain: string
  /** Former names of the trust domain, believed by the same roots. */
  readonly trustDomainAliases?: readonly string[]
  /** A folder with Istio's `cacerts`, used instead of a root of our own. */
  readonly pluggedFolder?: string | undefined
  readonly leafLifetimeMs?: number | undefined
  readonly leafLifetimeMsMax?: number | undefined
  readonly rootLifetimeMs?: number
  readonly intermediateLifetimeMs?: number
  readonly clock: Clock
  readonly log: Log
}

export interface SignRequest {
  readonly csrPem: string
  /** The same, when it was read already. */
  readonly csr?: CertificateRequest
  readonly spiffeId: SpiffeId
  /** Cut to the authority's ceiling; 0 or undefined: its default. */
  readonly ttlMs?: number | undefined
  readonly workloadGroup?: string | undefined
  /** For the book: how the caller proved itself. */
  readonly via: string
}

export interface SignedCertificate {
  readonly serial: string
  /** PEM: leaf, intermediates, and all roots in one last element, as Istio's agent expects them. */
  readonly chain: readonly string[]
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

export interface ServerCertificate {
  readonly keyPem: string
  /** PEM of leaf, intermediates and root: who knows only the root's hash needs the root too. */
  readonly chainPem: string
  readonly notAfterMs: number
}

export interface RootStatus {
  readonly id: string
  /** SHA-256, lower-case hex. */
  readonly fingerprint: string
  readonly subject: string
  readonly kind: Authority['kind']
  readonly signs: boolean
  readonly notAfterMs: number
  readonly signingNotAfterMs: number
  readonly addedAtMs: number
  readonly pem: string
}

const day = 86_400_000
const defaults = {
  leafLifetimeMs: day,
  leafLifetimeMsMax: 90 * day,
  rootLifetimeMs: 3_650 * day,
  intermediateLifetimeMs: 365 * day,
}
/** An intermediate is made anew when less than this share of its life is left. */
const renewShare = 0.2
/** About 3 ms each, in slices: more at once would not be faster. */
const signingsMax = 4
const waitingMax = 20_000
const authoritiesMax = 8
const stateFile = 'ca.json'

interface State {
  readonly version: 1
  readonly signs: string
  readonly authorities: readonly StoredAuthority[]
}

interface StoredAuthority {
  readonly id: string
  readonly kind: Authority['kind']
  /** Of a plugged one: an absolute path. */
  readonly folder?: string
  readonly addedAtMs: number
}

interface Held {
  readonly stored: StoredAuthority
  readonly authority: Authority
}

/** Rejections: MESH_CA_UNAVAILABLE, MESH_IDENTITY_INVALID. One process at a time may have the folder open. */
export async function openCertificateAuthority(
  options: CertificateAuthorityOptions,
): Promise<CertificateAuthority> {
  openAuthorityFolder(options.folder)
  const book = await openIssueLog({ folder: options.folder })
  try {
    const authority = new CertificateAuthority(options, book)
    await authority.load()
    return authority
  } catch (error) {
    await book[Symbol.asyncDispose]()
    throw error
  }
}

export class CertificateAuthority implements AsyncDisposable {
  readonly trustDomain: string
  readonly #options: CertificateAuthorityOptions & typeof defaults
  readonly #book: IssueLog
  readonly #limit = new WorkLimit({ runningMax: signingsMax, waitingMax })
  readonly #listeners = new Set<() => void>()
  #held: readonly Held[] = []
  #signs = ''
  #bundle = new TrustBundle({})
  #renewal: Promise<void> | undefined
  #lastIssuedAtMs: number | undefined

  /** For `openCertificateAuthority`. */
  constructor(options: CertificateAuthorityOptions, book: IssueLog) {
    this.trustDomain = options.trustDomain
    this.#options = {
      ...options,
      leafLifetimeMs: options.leafLifetimeMs ?? defaults.leafLifetimeMs,
      leafLifetimeMsMax: options.leafLifetimeMsMax ?? defaults.leafLifetimeMsMax,
      rootLifetimeMs: options.rootLifetimeMs ?? defaults.rootLifetimeMs,
      intermediateLifetimeMs: options.intermediateLifetimeMs ?? defaults.intermediateLifetimeMs,
    }
    this.#book = book
  }

  /** The root that signs first, then the others; aliases have the same. A new object after each change. */
  get bundle(): TrustBundle {
    return this.#bundle
  }

  get leafLifetimeMs(): number {
    return this.#options.leafLifetimeMs
  }

  /** When the last certificate was given, by the clock of then; undefined: never. */
  get lastIssuedAtMs(): number | undefined {
    return this.#lastIssuedAtMs
  }

  /** Keys that others than their owner may read. */
  openKeys(): readonly string[] {
    return this.#held.flatMap(({ authority }) => findOpenKeys(authority))
  }

  roots(): readonly RootStatus[] {
    return this.#ordered().map(({ stored, authority }) => statusOf(stored, authority, this.#signs))
  }

  /** Told after each change of the roots. */
  onChange(listener: () => void): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) }
  }

  /** Rejections: MESH_IDENTITY_INVALID (the request), MESH_CA_UNAVAILABLE (the disk, too many callers). */
  sign(request: SignRequest): Promise<SignedCertificate> {
    return this.#limit.run(async () => {
      const { publicKey } = request.csr ?? (await readCsr(request.csrPem))
      const { spiffeId, workloadGroup, via, ttlMs } = request
      return this.#issue({ kind: 'workload', publicKey, spiffeId, workloadGroup, via, ttlMs })
    })
  }

  /** The control plane's own certificate. */
  async createServerCertificate(
    spiffeId: SpiffeId,
    hosts: readonly string[],
  ): Promise<ServerCertificate> {
    const key = await createAuthorityKey()
    const issued = await this.#issue({
      kind: 'server',
      publicKey: spkiOf(key),
      spiffeId,
      hosts,
      via: 'control plane',
      ttlMs: undefined,
      workloadGroup: undefined,
    })
    const [root] = this.#signing().roots
    const below = issued.chain.slice(0, -1)
    const chainPem = [...below, String(root)].join('')
    return { keyPem: keyPem(key), chainPem, notAfterMs: issued.notAfterMs }
  }

  /** Believed from now on. A new root of our own, or a plugged one. */
  async addRoot(pluggedFolder?: string): Promise<RootStatus> {
    if (this.#held.length >= authoritiesMax) {
      throw refused(`${authoritiesMax} roots are believed already`, 'drop one first')
    }
    const authority =
      pluggedFolder === undefined
        ? await makeAuthority(this.#makeOptions())
        : readPluggedAuthority(pluggedFolder)
    if (this.#held.some(({ stored }) => stored.id === authority.id)) {
      throw refused(`root ${authority.id} is believed already`, 'see tulle ca root list')
    }
    const stored = this.#storedOf(authority)
    this.#replace([...this.#held, { stored, authority }], this.#signs || authority.id)
    return statusOf(stored, authority, this.#signs)
  }

  /** Signs from now on. */
  useRoot(id: string): RootStatus {
    const { stored, authority } = this.#find(id)
    this.#replace(this.#held, stored.id)
    return statusOf(stored, authority, this.#signs)
  }

  /** No longer believed; a key of our own is deleted. */
  dropRoot(id: string): void {
    const { stored, authority } = this.#find(id)
    if (stored.id === this.#signs) {
      throw refused(`root ${stored.id} signs`, 'use another one first (tulle ca root use ID)')
    }
    this.#replace(
      this.#held.filter((held) => held.stored.id !== stored.id),
      this.#signs,
    )
    if (stored.kind === 'made') rmSync(authority.folder, { recursive: true, force: true })
  }

  /** Called once, by `openCertificateAuthority`. */
  async load(): Promise<void> {
    const { folder, pluggedFolder, log } = this.#options
    const text = readIfThere(join(folder, stateFile))
    if (text !== undefined) this.#read(parseState(text, join(folder, stateFile)))
    else if (!this.#adopt()) {
      await this.addRoot(pluggedFolder)
      log.info({ root: this.#signs, trustDomain: this.trustDomain }, 'root made')
    }
    if (pluggedFolder !== undefined) await this.#addPlugged(pluggedFolder)
    for (const path of this.openKeys()) {
      log.warn({ path }, 'this key can be read by others than its owner: chmod 600')
    }
    const last = readIssueLog(folder).at(-1)
    if (last !== undefined) this.#lastIssuedAtMs = Date.parse(last.issuedAt)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#renewal
    await this.#book[Symbol.asyncDispose]()
  }

  /** A folder that is plugged in later is believed first, and used when a person says so. */
  async #addPlugged(folder: string): Promise<void> {
    if (this.#held.some(({ authority }) => authority.folder === folder)) return
    const { id } = await this.addRoot(folder)
    this.#options.log.warn({ root: id, folder }, 'root added; it signs after: tulle ca root use')
  }

  /** A run that was killed at its first start, or a state file that somebody removed: no key is lost. */
  #adopt(): boolean {
    const { folder, log } = this.#options
    const found = listAuthorities(folder).map((id) => readMadeAuthority(join(folder, id)))
    const newest = found.sort(
      (a, b) => b.signing.validFromDate.getTime() - a.signing.validFromDate.getTime(),
    )[0]
    if (newest === undefined) return false
    const held = found.map((authority) => ({ stored: this.#storedOf(authority), authority }))
    this.#replace(held, newest.id)
    log.warn({ root: newest.id }, `${stateFile} was not there; the authorities beside it are used`)
    return true
  }

  #read(state: State): void {
    for (const id of listAuthorities(this.#options.folder)) {
      // Made and never believed, or dropped, by a run that was killed on the way.
      const isKnown = state.authorities.some((stored) => stored.id === id)
      if (!isKnown) rmSync(join(this.#options.folder, id), { recursive: true, force: true })
    }
    const held = state.authorities.map((stored) => ({
      stored,
      authority:
        stored.kind === 'made'
          ? readMadeAuthority(join(this.#options.folder, stored.id))
          : readPluggedAuthority(stored.folder ?? ''),
    }))
    if (!held.some(({ stored }) => stored.id === state.signs)) {
      throw new MeshError('MESH_CA_UNAVAILABLE', `no authority has the id ${state.signs}`)
    }
    this.#set(held, state.signs)
  }

  #storedOf({ id, kind, folder }: Authority): StoredAuthority {
    const addedAtMs = this.#options.clock.nowMs()
    return kind === 'made' ? { id, kind, addedAtMs } : { id, kind, folder, addedAtMs }
  }

  #replace(held: readonly Held[], signs: string): void {
    const state: State = { version: 1, signs, authorities: held.map(({ stored }) => stored) }
    try {
      writeDurably(
        join(this.#options.folder, stateFile),
        `${JSON.stringify(state, undefined, 2)}\n`,
      )
    } catch (cause) {
      throw new MeshError('MESH_CA_UNAVAILABLE', 'write the state of the authority', { cause })
    }
    this.#set(held, signs)
    for (const listener of this.#listeners) listener()
  }

  #set(held: readonly Held[], signs: string): void {
    this.#held = held
    this.#signs = signs
    const roots = this.#ordered().flatMap(({ authority }) => authority.roots)
    const unique = [...new Map(roots.map((root) => [fingerprintOf(root), root])).values()]
    const domains = [this.trustDomain, ...(this.#options.trustDomainAliases ?? [])]
    this.#bundle = new TrustBundle(Object.fromEntries(domains.map((domain) => [domain, unique])))
  }

  /** The one that signs first. */
  #ordered(): readonly Held[] {
    const isSigning = (held: Held) => held.stored.id === this.#signs
    return [...this.#held.filter(isSigning), ...this.#held.filter((held) => !isSigning(held))]
  }

  #find(id: string): Held {
    const found = this.#held.filter(({ stored }) => id !== '' && stored.id.startsWith(id))
    const [held] = found
    if (held !== undefined && found.length === 1) return held
    const what = found.length === 0 ? 'no root' : 'more than one root'
    throw refused(`${what} has an id that begins with "${id}"`, 'see tulle ca root list')
  }

  #signing(): Authority {
    return this.#find(this.#signs).authority
  }

  async #issue(leaf: Leaf): Promise<SignedCertificate> {
    await this.#renewSigning()
    const { clock, leafLifetimeMs, leafLifetimeMsMax } = this.#options
    const { signer, signing, intermediates, id } = this.#signing()
    const nowMs = clock.nowMs()
    const lifetimeMs = Math.min(leaf.ttlMs || leafLifetimeMs, leafLifetimeMsMax)
    const notAfter = wholeSecond(Math.min(nowMs + lifetimeMs, signing.validToDate.getTime()))
    const notBefore = wholeSecond(Math.max(nowMs - clockSkewMs, signing.validFromDate.getTime()))
    if (notAfter.getTime() <= nowMs) {
      throw new MeshError('MESH_CA_UNAVAILABLE', `the certificate of root ${id} has expired`, {
        remedy: 'tulle ca root add, then tulle ca root use ID',
      })
    }
    const serial = this.#book.takeSerial()
    const { kind, spiffeId, via } = leaf
    const subject = spiffeId
    const [pem] = await Promise.all([
      createLeafCertificate({ ...leaf, serial, notBefore, notAfter, signer }),
      this.#book.append(this.#entry({ kind, serial, subject, authority: id, via, notAfter })),
    ])
    this.#lastIssuedAtMs = nowMs
    const roots = this.#bundle.rootsOf(this.trustDomain).map(String).join('')
    return {
      serial,
      chain: [pem, ...intermediates, roots],
      notBeforeMs: notBefore.getTime(),
      notAfterMs: notAfter.getTime(),
    }
  }

  #entry(fields: Omit<IssueEntry, 'issuedAt' | 'notAfter'> & { readonly notAfter: Date }) {
    const issuedAt = new Date(this.#options.clock.nowMs()).toISOString()
    return { ...fields, issuedAt, notAfter: fields.notAfter.toISOString() }
  }

  /** Makes the intermediate anew near its end; only that of a root of our own can be. */
  #renewSigning(): Promise<void> {
    const authority = this.#signing()
    const { validFromDate, validToDate } = authority.signing
    const lifetimeMs = validToDate.getTime() - validFromDate.getTime()
    const leftMs = validToDate.getTime() - this.#options.clock.nowMs()
    if (authority.kind === 'plugged' || leftMs > lifetimeMs * renewShare) return Promise.resolve()
    const [root] = authority.roots
    // The last intermediate of a root ends with the root: a new one would not live longer.
    if (root !== undefined && root.validToDate.getTime() <= validToDate.getTime()) {
      return Promise.resolve()
    }
    this.#renewal ??= this.#renew(authority).finally(() => {
      this.#renewal = undefined
    })
    return this.#renewal
  }

  async #renew(authority: Authority): Promise<void> {
    const { log } = this.#options
    try {
      const renewed = await renewSigning(authority, this.#makeOptions())
      const held = this.#held.map((one) =>
        one.authority === authority ? { ...one, authority: renewed } : one,
      )
      this.#set(held, this.#signs)
      log.info({ root: authority.id }, 'the certificate that signs was made anew')
    } catch (error) {
      // The old one is still good for a fifth of its life.
      log.error(
        { root: authority.id, error: describeError(error) },
        'renewal of the intermediate failed',
      )
    }
  }

  #makeOptions(): MakeOptions {
    const { folder, clock, rootLifetimeMs, intermediateLifetimeMs } = this.#options
    return {
      folder,
      trustDomain: this.trustDomain,
      nowMs: clock.nowMs(),
      rootLifetimeMs,
      intermediateLifetimeMs,
      record: async (kind, subject, notAfter) => {
        const serial = this.#book.takeSerial()
        const entry = { kind, serial, subject, authority: 'itself', via: 'control plane', notAfter }
        await this.#book.append(this.#entry(entry))
        return serial
      },
    }
  }
}

interface Leaf {
  readonly kind: 'workload' | 'server'
  readonly publicKey: Buffer
  readonly spiffeId: SpiffeId
  readonly workloadGroup: string | undefined
  readonly hosts?: readonly string[]
  readonly via: string
  readonly ttlMs: number | undefined
}

function statusOf(stored: StoredAuthority, authority: Authority, signs: string): RootStatus {
  const [root] = authority.roots
  if (root === undefined) throw new MeshError('MESH_CA_UNAVAILABLE', `${stored.id} has no root`)
  return {
    id: stored.id,
    fingerprint: fingerprintOf(root),
    subject: root.subject.replaceAll('\n', ', '),
    kind: stored.kind,
    signs: stored.id === signs,
    notAfterMs: root.validToDate.getTime(),
    signingNotAfterMs: authority.signing.validToDate.getTime(),
    addedAtMs: stored.addedAtMs,
    pem: root.toString(),
  }
}

function parseState(text: string, path: string): State {
  try {
    const state = JSON.parse(text) as State
    if (state.version === 1 && Array.isArray(state.authorities)) return state
  } catch {
    // Said below.
  }
  throw new MeshError('MESH_CA_UNAVAILABLE', `${path} is damaged`, {
    remedy: 'restore it from a copy; the keys beside it are whole',
  })
}

function refused(message: string, remedy: string): MeshError {
  return new MeshError('MESH_IDENTITY_REFUSED', message, { remedy })
}
