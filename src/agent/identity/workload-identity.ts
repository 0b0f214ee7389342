/**
 * A workload's identity while it runs: gets the first certificate, keeps it fresh, and gives it to whoever needs
 * it: the sidecar by SDS (secret-source.ts), the relay for its connections to the control plane.
 *
 * The key is made here and leaves only for the sidecar. What is on the disk from the last run is used when it is
 * still good, so that a restart needs neither a token nor a control plane. Each renewal has a new key.
 */
import { join } from 'node:path'

import { createCsr } from '../../identity/key-and-csr.ts'
import {
  controlPlaneName,
  verifyServerChain,
  type ServerTrust,
} from '../../identity/server-trust.ts'
import { spiffeIdOf } from '../../identity/spiffe-id.ts'
import { TrustBundle } from '../../identity/trust-bundle.ts'
import { Backoff } from '../../lib/backoff.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import { describeError, MeshError } from '../../lib/mesh-error.ts'
import type { Random } from '../../lib/random.ts'
import type { createCertificate, CreateCertificateOptions } from '../../xds/ca-client.ts'
import type { GrpcClientTls } from '../../xds/grpc/grpc-client.ts'
import type { IdentityPlan, WorkloadPlan } from '../workload-plan.ts'
import { CredentialFiles, credentialsOf, type Credentials, type Holder } from './credentials.ts'
import { findProof } from './proof.ts'
import { Renewal } from './renewal.ts'
import type { RequestToken } from './request-token.ts'
import { SecretSource } from './secret-source.ts'

/** What becomes of the certificate; never holds a key or a token. */
export type IdentityEvent =
  | {
      readonly event: 'certificate'
      readonly serial: string
      readonly notAfterMs: number
      readonly isRenewal: boolean
    }
  | {
      readonly event: 'certificate-failed'
      readonly message: string
      readonly retryMs: number
      /** Undefined: there is none at all. */
      readonly notAfterMs: number | undefined
      /** Less than a third of its life is left. */
      readonly isNearEnd: boolean
    }

export interface IdentityStatus {
  readonly spiffeId: string
  readonly serial: string | undefined
  readonly notAfterMs: number | undefined
  readonly renewAtMs: number | undefined
  /** Why the last try failed; undefined when it did not. */
  readonly failure: string | undefined
  readonly isNearEnd: boolean
  /** Calls for a certificate since the start, and how many of them failed. */
  readonly requests: number
  readonly failures: number
}

export interface WorkloadIdentityOptions {
  readonly plan: WorkloadPlan
  readonly identity: IdentityPlan
  readonly createCertificate: typeof createCertificate
  readonly requestToken: RequestToken
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly onEvent: (event: IdentityEvent) => void
}

const firstBackoff = { baseMs: 250, maxMs: 5_000 }
/** After the roots of the mesh have changed, all workloads ask for them within this time. */
const rootsChangedMs = 2_000

export class WorkloadIdentity implements Disposable {
  readonly holder: Holder
  readonly secrets: SecretSource
  readonly #options: WorkloadIdentityOptions
  readonly #files: CredentialFiles
  readonly #renewal: Renewal
  readonly #listeners = new Set<() => void>()
  #credentials: Credentials | undefined
  /** As the control plane told last; the trust domains of other meshes are known from nowhere else. */
  #told: TrustBundle | undefined
  #failure: string | undefined
  #requests = 0
  #failures = 0
  #isNearEnd = false
  /** The control plane is of a mesh that our roots know nothing of: it was made anew. */
  #isForeign = false

  constructor(options: WorkloadIdentityOptions) {
    const { plan, identity, clock, random } = options
    const { trustDomain } = plan.mesh
    const { namespace, serviceAccount } = plan
    this.#options = options
    this.holder = {
      spiffeId: spiffeIdOf({ trustDomain, namespace, serviceAccount }),
      trustDomains: [...new Set([trustDomain, ...identity.trustDomainAliases])],
    }
    const { trustDomains } = this.holder
    this.secrets = new SecretSource({ trustDomains, pem: identity.moreRootsPem ?? [] })
    this.#files = new CredentialFiles(join(plan.stateFolder, 'identity'))
    this.#renewal = new Renewal({
      clock,
      random,
      renew: async () => this.#use(await this.#request(), true),
      onFailure: (error, retryMs) => this.#onFailure(error, retryMs),
      onNearEnd: () => {
        this.#isNearEnd = true
      },
    })
  }

  /**
   * Resolves when there is a certificate; waits for a control plane that does not answer. Rejections:
   * MESH_IDENTITY_REFUSED when it answers and gives none. Does nothing more once aborted.
   */
  async start(signal: AbortSignal): Promise<void> {
    const { clock, log, random } = this.#options
    const read = this.#files.read({ holder: this.holder, nowMs: clock.nowMs() })
    if (read !== undefined && 'credentials' in read) {
      this.#use(read.credentials, false)
      return
    }
    if (read !== undefined) log.info({ reason: read.reason }, 'the kept certificate is not used')
    const backoff = new Backoff({ ...firstBackoff, random })
    while (!signal.aborted) {
      try {
        this.#use(await this.#request(), false)
        return
      } catch (error) {
        if (!isTemporary(error)) throw error
        const retryMs = backoff.nextMs()
        this.#onFailure(error, retryMs)
        await new Promise<void>((resolve) => clock.setTimer(retryMs, resolve))
      }
    }
  }

  /** Of each connection to the control plane from now on. For use after `start`. */
  upstreamTls(): GrpcClientTls {
    const credentials = this.#credentials
    if (credentials === undefined) {
      throw new MeshError('MESH_IDENTITY_INVALID', 'there is no certificate yet')
    }
    return this.#tls(credentials.bundle, credentials)
  }

  /** Told after each renewal. */
  onRenewed(listener: () => void): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) }
  }

  /**
   * The control plane tells which roots are believed. They are believed at once; and when they are others than before,
   * a new certificate is asked for, by which the control plane knows that this workload has learnt of them.
   */
  onTrust(told: TrustBundle): void {
    const before = this.#credentials
    this.#told = told
    if (before === undefined || fingerprintOf(before.bundle) === fingerprintOf(told)) return
    const roots = told.rootsOf(this.holder.trustDomains[0] ?? '')
    const credentials = { ...before, bundle: told, rootsPem: roots.map(String).join('') }
    this.#options.log.info({ domains: told.trustDomains }, 'the roots of the mesh have changed')
    this.#files.write(credentials)
    this.#credentials = credentials
    this.secrets.set(credentials)
    this.#renewal.hurry(rootsChangedMs)
  }

  status(): IdentityStatus {
    const credentials = this.#credentials
    return {
      spiffeId: this.holder.spiffeId,
      serial: credentials?.serial,
      notAfterMs: credentials?.notAfterMs,
      renewAtMs: credentials === undefined ? undefined : this.#renewal.dueAtMs,
      failure: this.#failure,
      isNearEnd: this.#isNearEnd,
      requests: this.#requests,
      failures: this.#failures,
    }
  }

  [Symbol.dispose](): void {
    this.#renewal[Symbol.dispose]()
  }

  #use(got: Credentials, isRenewal: boolean): void {
    const { log, onEvent } = this.#options
    const { serial, notAfterMs } = got
    const credentials = { ...got, bundle: this.#withOthers(got.bundle) }
    this.#credentials = credentials
    this.#failure = undefined
    this.#isNearEnd = false
    this.#isForeign = false
    this.secrets.set(credentials)
    this.#renewal.arm(notAfterMs)
    const until = new Date(notAfterMs).toISOString()
    log.info({ spiffeId: this.holder.spiffeId, serial, until }, 'certificate in use')
    onEvent({ event: 'certificate', serial, notAfterMs, isRenewal })
    for (const listener of this.#listeners) listener()
  }

  /** Roots of our own trust domain come with each certificate; those of others stay as they were told. */
  #withOthers(own: TrustBundle): TrustBundle {
    const others = this.#told?.trustDomains.filter((name) => !own.trustDomains.includes(name)) ?? []
    if (others.length === 0) return own
    const domains = own.trustDomains.map((name) => [name, own.rootsOf(name)] as const)
    for (const name of others) domains.push([name, this.#told?.rootsOf(name) ?? []])
    return new TrustBundle(Object.fromEntries(domains))
  }

  /** By the current certificate while it is good; else, or when that is refused, by a token. */
  async #request(): Promise<Credentials> {
    const current = this.#credentials
    const isExpired = current === undefined || current.notAfterMs <= this.#options.clock.nowMs()
    if (isExpired || this.#isForeign) {
      return this.#requestByToken()
    }
    try {
      return await this.#call(this.#tls(current.bundle, current))
    } catch (error) {
      const { tokenFile, handOver } = this.#options.identity
      if (isTemporary(error) || (tokenFile ?? handOver) === undefined) throw error
      this.#options.log.warn({ error: describeError(error) }, 'renewal by certificate refused')
      return this.#requestByToken()
    }
  }

  async #requestByToken(): Promise<Credentials> {
    const { plan, identity, requestToken } = this.#options
    const { namespace, serviceAccount, group } = plan
    const wish = { namespace, serviceAccount, group }
    const { token, roots } = await findProof(identity, wish, requestToken)
    return this.#call(this.#tls(roots, undefined), token)
  }

  async #call(tls: GrpcClientTls, token?: string): Promise<Credentials> {
    const { plan, identity, clock } = this.#options
    this.#requests++
    const key = await this.#files.nextKey()
    const request: CreateCertificateOptions = {
      target: plan.controlPlane,
      tls,
      csrPem: createCsr(key.key, this.holder.spiffeId),
      ttlSeconds: Math.ceil((identity.ttlMs ?? 0) / 1_000),
      token,
      clock,
    }
    const answer = await this.#options.createCertificate(request)
    const credentials = credentialsOf(key, answer, { holder: this.holder, nowMs: clock.nowMs() })
    this.#files.write(credentials)
    return credentials
  }

  #tls(roots: ServerTrust['roots'], own: Credentials | undefined): GrpcClientTls {
    const { clock } = this.#options
    return {
      ...(own === undefined ? {} : { certificate: own }),
      serverName: controlPlaneName,
      verifyServer: (chain) => {
        const trust = { roots, serverName: controlPlaneName, nowMs: clock.nowMs() }
        const verdict = verifyServerChain(chain, trust)
        if (own !== undefined && !verdict.ok && verdict.reason === 'unknown-ca') this.#onForeign()
        return verdict
      },
    }
  }

  /** Who hands tokens over to us says whom to believe; from anybody else that takes a person. */
  #onForeign(): void {
    if (this.#isForeign || this.#options.identity.handOver === undefined) return
    this.#isForeign = true
    this.#options.log.warn(
      {},
      'the control plane has other roots: asking it for a certificate anew',
    )
    this.#renewal.hurry(0)
  }

  #onFailure(error: unknown, retryMs: number): void {
    const { log, onEvent } = this.#options
    const message = describeError(error)
    const notAfterMs = this.#credentials?.notAfterMs
    this.#failure = message
    this.#failures++
    const isNearEnd = this.#isNearEnd || notAfterMs === undefined
    const until = notAfterMs === undefined ? undefined : new Date(notAfterMs).toISOString()
    log.warn({ reason: message, until, retryMs }, 'no certificate was got')
    onEvent({ event: 'certificate-failed', message, retryMs, notAfterMs, isNearEnd })
  }
}

/** Equal for equal roots of equal domains. The order of roots counts: the one that signs is the first. */
function fingerprintOf(bundle: TrustBundle): string {
  const domains = bundle.trustDomains.map((name) => {
    const roots = bundle.rootsOf(name).map(({ fingerprint256 }) => fingerprint256)
    return `${name}=${roots.join('+')}`
  })
  return domains.sort().join(' ')
}

/** Whether the same may work later. */
function isTemporary(error: unknown): boolean {
  return error instanceof MeshError && error.code === 'MESH_CA_UNREACHABLE'
}
