/**
 * One TLS context in time: a plan, and the secrets that it names, as they come and change.
 *
 * `current` is what the next handshake uses. Whatever changes, connections that stand go on; those made before a change
 * are retired at a jittered age (`retireAtMs`), so that a thousand connections are not made again in one moment, and a
 * peer that the new trust would refuse is retired at once.
 */
import type { Clock, Timer } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import { describeError } from '../../lib/mesh-error.ts'
import type { Random } from '../../lib/random.ts'
import type { CertificateFacts } from '../connection-security.ts'
import { certificateFacts } from './certificate-facts.ts'
import type { HandshakePacer } from './handshake-pacer.ts'
import type { RefusalLog } from './refusal-log.ts'
import type { PeerChain } from './root-set.ts'
import type { SecretStore } from './secret-store.ts'
import type { SecureContexts, SharedContext } from './secure-contexts.ts'
import type { KeyPair, SecretRef, TlsPlan, Validation } from './tls-plan.ts'
import { type SanMatcher, type TrustRules, judgePeer } from './trust.ts'
import { mergeValidation } from './validation.ts'

/** What the TLS of one sidecar shares. */
export interface TlsScope {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly secrets: SecretStore
  readonly contexts: SecureContexts
  readonly pacer: HandshakePacer
  readonly refusals: RefusalLog
}

/** Everything that one handshake needs; never changes. */
export interface TlsState {
  readonly shared: SharedContext
  readonly rules: TrustRules | undefined
  readonly local: CertificateFacts | undefined
  readonly pairs: readonly KeyPair[]
  readonly validation: Validation | undefined
  /** Counts changes of the context that it belongs to. */
  readonly generation: number
  /** Monotonic time of the change that made it. */
  readonly sinceMs: number
}

/** Connections of an older certificate are gone after this long at the latest, and after half of its rest. */
const retireMsMax = 600_000

export interface LiveTlsOptions {
  readonly plan: TlsPlan & {
    readonly resumes: boolean
    readonly sessionTimeoutSeconds?: number | undefined
  }
  readonly side: 'client' | 'server'
  readonly scope: TlsScope
  /** Called once: the secrets are there, or have been waited for long enough. Not before the constructor returned. */
  readonly onReady: () => void
}

export class LiveTls {
  readonly #options: LiveTlsOptions
  readonly #refs: readonly SecretRef[]
  readonly #stops: (() => void)[] = []
  #state: TlsState | undefined
  #isDirty = true
  #isReady = false
  #generation = 0
  #retireWithinMs = 0
  #timer: Timer | undefined

  constructor(options: LiveTlsOptions) {
    this.#options = options
    this.#refs = refsOf(options.plan)
    const { secrets, clock } = options.scope
    for (const ref of this.#refs) this.#stops.push(secrets.watch(ref, () => this.#onSecret()))
    this.#isReady = this.#hasSecrets()
    const waitMs = Math.max(0, ...this.#refs.map((ref) => ref.fetchTimeoutMs || Infinity))
    if (this.#isReady || !Number.isFinite(waitMs)) return
    this.#timer = clock.setTimer(waitMs, () => this.#becomeReady())
  }

  /** Whether nothing is waited for any more. */
  get isReady(): boolean {
    return this.#isReady
  }

  /** Undefined while a secret is missing. */
  get current(): TlsState | undefined {
    if (this.#isDirty) this.#rebuild()
    return this.#state
  }

  /**
   * Monotonic time at which a connection that was made under `state` should take no more requests; Infinity while
   * nothing has changed.
   */
  retireAtMs(state: TlsState, peer: PeerOfConnection): number {
    const { current } = this
    if (current === undefined || current === state) return Infinity
    if (peer.judgedFor === current) return peer.retireAtMs
    const { clock } = this.#options.scope
    const { chain, extra } = peer
    const at = { nowMs: clock.nowMs(), extra }
    const isGood = !chain || !current.rules || !judgePeer(current.rules, chain, at)
    // The first change counts: a later one does not give another stay.
    const dueMs = current.sinceMs + peer.draw * this.#retireWithinMs
    peer.retireAtMs = isGood ? Math.min(peer.retireAtMs, dueMs) : 0
    peer.judgedFor = current
    return peer.retireAtMs
  }

  close(): void {
    this.#timer?.cancel()
    for (const stop of this.#stops.splice(0)) stop()
  }

  #onSecret(): void {
    this.#isDirty = true
    if (!this.#isReady && this.#hasSecrets()) this.#becomeReady()
  }

  #becomeReady(): void {
    if (this.#isReady) return
    this.#isReady = true
    this.#timer?.cancel()
    this.#options.onReady()
  }

  #hasSecrets(): boolean {
    const { secrets } = this.#options.scope
    return this.#refs.every((ref) => secrets.get(ref) !== undefined)
  }

  #rebuild(): void {
    this.#isDirty = false
    if (!this.#hasSecrets()) return
    const { clock, log } = this.#options.scope
    const before = this.#state
    try {
      const next = this.#build()
      this.#state = next
      if (before === undefined) return
      const restMs = Math.max(0, (before.local?.notAfterMs ?? Infinity) - clock.nowMs())
      this.#retireWithinMs = Math.min(retireMsMax, restMs / 2)
    } catch (error) {
      // Each secret was checked when it came; what is left is a mistake in how they go together.
      log.error({ error: describeError(error) }, 'TLS context not made, the last one stays')
    }
  }

  #build(): TlsState {
    const { plan, side, scope } = this.#options
    const pairs = plan.certificates.flatMap((source) => {
      if (source.kind === 'inline') return [source.pair]
      const content = scope.secrets.get(source.ref)
      return content?.kind === 'key-pair' ? [content.pair] : []
    })
    const validation = this.#validation()
    const shared = scope.contexts.get({ plan, pairs, validation, side })
    const leaf = pairs[0]?.chain[0]
    return {
      shared,
      rules: validation?.rules,
      local: leaf && certificateFacts(leaf),
      pairs,
      validation,
      generation: ++this.#generation,
      sinceMs: scope.clock.monotonicMs(),
    }
  }

  #validation(): Validation | undefined {
    const { base, ref } = this.#options.plan.validation
    if (ref === undefined) return base
    const content = this.#options.scope.secrets.get(ref)
    const dynamic = content?.kind === 'validation' ? content.validation : undefined
    return mergeValidation(base, dynamic)
  }
}

/** What is remembered of a connection to judge it again when something has changed. */
export interface PeerOfConnection {
  readonly chain: PeerChain | undefined
  readonly extra: readonly SanMatcher[]
  /** 0 to 1: where between at once and late this connection retires. */
  readonly draw: number
  judgedFor: TlsState | undefined
  retireAtMs: number
}

export function peerOfConnection(
  chain: PeerChain | undefined,
  extra: readonly SanMatcher[],
  random: Random,
): PeerOfConnection {
  return { chain, extra, draw: random(), judgedFor: undefined, retireAtMs: Infinity }
}

function refsOf(plan: TlsPlan): readonly SecretRef[] {
  const refs = plan.certificates.flatMap((source) => (source.kind === 'secret' ? [source.ref] : []))
  return plan.validation.ref === undefined ? refs : [...refs, plan.validation.ref]
}
