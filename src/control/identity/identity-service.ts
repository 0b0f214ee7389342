/**
 * Identity in the control plane, put together: the authority, its tokens and JWT issuers, the control plane's own
 * certificate, and the roots that everybody is told of.
 *
 * Everything is in one folder with rights for its owner only. Bounds: callers that are looked at at once and that
 * wait (their signatures cost CPU before anybody is known), clocks remembered.
 */
import {
  openCertificateAuthority,
  type CertificateAuthority,
} from '../../identity/certificate-authority.ts'
import { checkWorkloadGroup } from '../../identity/create-certificate.ts'
import { rootHashOf } from '../../identity/join-token.ts'
import { createJwtVerifier, type JwtIssuer, type JwtVerifier } from '../../identity/jwt-issuer.ts'
import { readCsr, type CertificateRequest } from '../../identity/read-csr.ts'
import { controlPlaneName } from '../../identity/server-trust.ts'
import { spiffeIdOf } from '../../identity/spiffe-id.ts'
import {
  openTokenStore,
  type TokenOptions,
  type TokenStatus,
  type TokenStore,
} from '../../identity/token-store.ts'
import { verifyPeerChain, type PeerVerdict } from '../../identity/trust-bundle.ts'
import { WorkLimit } from '../../identity/work-limit.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import type { CertificateAnswer, CertificateCall } from '../../xds/ca-server.ts'
import type { PeerChain, TlsCertificate } from '../../xds/grpc/tls-peer.ts'
import { identifyCaller, refuseWithoutProof, type RefusedCaller } from './caller.ts'
import type { IdentityMetrics } from './identity-metrics.ts'
import { openServerCertificate, type RenewedCertificate } from './server-certificate.ts'
import { TrustView } from './trust-view.ts'

export interface IdentitySettings {
  /** A folder with Istio's `cacerts`, instead of a root of our own. */
  readonly pluggedFolder?: string | undefined
  readonly jwtIssuers?: readonly JwtIssuer[]
  /** Further names and addresses in the control plane's certificate. */
  readonly hosts?: readonly string[]
}

export interface IdentityServiceOptions {
  readonly folder: string
  readonly trustDomain: string
  readonly trustDomainAliases: readonly string[]
  readonly leafLifetimeMs: number | undefined
  readonly settings: IdentitySettings
  readonly metrics: IdentityMetrics
  readonly clock: Clock
  readonly log: Log
}

/** What a certificate's caller said of its clock. */
export interface CallerClock {
  readonly spiffeId: string
  /** Positive: it is ahead of us. */
  readonly aheadMs: number
  readonly seenAtMs: number
}

const callersMax = { runningMax: 4, waitingMax: 20_000 }
const clocksMax = 10_000
/** In every certificate of the control plane: Istio's names, and those of this host. */
const ownHosts = [
  controlPlaneName,
  'istiod.istio-system.svc.cluster.local',
  'istiod.istio-system',
  'localhost',
  '127.0.0.1',
  '::1',
]

/** Rejections: MESH_CA_UNAVAILABLE, MESH_IDENTITY_INVALID. */
export async function openIdentityService(
  options: IdentityServiceOptions,
): Promise<IdentityService> {
  const { folder, trustDomain, trustDomainAliases, leafLifetimeMs, settings, clock, log } = options
  const stack = new AsyncDisposableStack()
  try {
    const jwts = createJwtVerifier({ issuers: settings.jwtIssuers ?? [], clock })
    const { pluggedFolder } = settings
    const authority = stack.use(
      await openCertificateAuthority({
        folder,
        trustDomain,
        trustDomainAliases,
        pluggedFolder,
        leafLifetimeMs,
        clock,
        log,
      }),
    )
    const tokens = openTokenStore({ folder, clock })
    const service = new IdentityService(options, { authority, tokens, jwts, stack })
    await service.start()
    return service
  } catch (error) {
    await stack.disposeAsync()
    throw error
  }
}

interface Parts {
  readonly authority: CertificateAuthority
  readonly tokens: TokenStore
  readonly jwts: JwtVerifier
  readonly stack: AsyncDisposableStack
}

export class IdentityService implements AsyncDisposable {
  readonly authority: CertificateAuthority
  readonly tokens: TokenStore
  readonly trust: TrustView
  readonly trustDomains: ReadonlySet<string>
  readonly #options: IdentityServiceOptions
  readonly #parts: Parts
  readonly #limit = new WorkLimit(callersMax)
  readonly #clocks = new Map<string, CallerClock>()
  readonly #listeners = new Set<(certificate: TlsCertificate) => void>()
  #certificate: RenewedCertificate | undefined

  /** For `openIdentityService`. */
  constructor(options: IdentityServiceOptions, parts: Parts) {
    this.#options = options
    this.#parts = parts
    this.authority = parts.authority
    this.tokens = parts.tokens
    this.trust = new TrustView(parts.authority.bundle)
    this.trustDomains = new Set([options.trustDomain, ...options.trustDomainAliases])
  }

  /** Called once, by `openIdentityService`. */
  async start(): Promise<void> {
    const { settings, trustDomain, clock, log } = this.#options
    const { authority, stack } = this.#parts
    const namespace = 'istio-system'
    this.#certificate = stack.use(
      await openServerCertificate({
        authority,
        spiffeId: spiffeIdOf({ trustDomain, namespace, serviceAccount: 'istiod' }),
        hosts: [...new Set([...ownHosts, ...(settings.hosts ?? [])])],
        onRenewed: (certificate) => {
          for (const listener of this.#listeners) listener(certificate)
        },
        clock,
        log,
      }),
    )
    stack.use(authority.onChange(() => this.trust.set(authority.bundle)))
  }

  /** Of the TLS port. */
  get certificate(): TlsCertificate {
    return this.#certificate?.current ?? { keyPem: '', chainPem: '' }
  }

  onCertificate(listener: (certificate: TlsCertificate) => void): void {
    this.#listeners.add(listener)
  }

  /** Of a client on the TLS port. */
  verifyPeer(chain: PeerChain): PeerVerdict {
    const { clock } = this.#options
    return verifyPeerChain(chain, this.authority.bundle, { nowMs: clock.nowMs(), role: 'client' })
  }

  /** Answers a call for a certificate. Rejections: MESH_IDENTITY_INVALID, MESH_CA_UNAVAILABLE. */
  async create(call: CertificateCall): Promise<CertificateAnswer> {
    this.#options.metrics.requests.add()
    const refusal = refuseWithoutProof(call)
    if (refusal !== undefined) return this.#refuse(call, refusal)
    return this.#limit.run(() => this.#create(call))
  }

  /** The text is a secret: it goes to whoever asked and nowhere else. Rejections: as `TokenStore.create`. */
  async createToken(
    options: Omit<TokenOptions, 'rootHashes'>,
  ): Promise<{ readonly text: string; readonly status: TokenStatus }> {
    const { namespace, serviceAccount, group: wanted } = options
    // Refuses names that no certificate could hold.
    spiffeIdOf({ trustDomain: this.authority.trustDomain, namespace, serviceAccount })
    if (wanted !== undefined) checkWorkloadGroup(wanted)
    const roots = this.authority.bundle.rootsOf(this.authority.trustDomain)
    const created = await this.tokens.create({ ...options, rootHashes: roots.map(rootHashOf) })
    const { id, group, expiresAtMs, madeBy } = created.status
    const until = new Date(expiresAtMs).toISOString()
    this.#options.log.info(
      { id, namespace, serviceAccount, group, until, madeBy },
      'join token made',
    )
    return created
  }

  clocks(): readonly CallerClock[] {
    return [...this.#clocks.values()]
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#parts.stack.disposeAsync()
  }

  async #create(call: CertificateCall): Promise<CertificateAnswer> {
    const { tokens, jwts, authority } = this.#parts
    const { metrics, log } = this.#options
    const csr = await this.#read(call)
    const { trustDomains } = this
    const caller = await identifyCaller(call, csr, { tokens, jwts, trustDomains })
    if (!caller.ok) return this.#refuse(call, caller)
    const { namespace, serviceAccount, workloadGroup, via } = caller
    const { trustDomain } = authority
    const spiffeId = spiffeIdOf({ trustDomain, namespace, serviceAccount })
    const { csrPem, ttlSeconds, peer } = call
    const request = { csrPem, csr, spiffeId, workloadGroup, via, ttlMs: ttlSeconds * 1_000 }
    const signed = await authority.sign(request)
    metrics.issued.add()
    this.#noteClock(spiffeId, call)
    const until = new Date(signed.notAfterMs).toISOString()
    const { serial, chain } = signed
    log.info({ spiffeId, serial, workloadGroup, via, until, peer }, 'certificate given')
    return { ok: true, chain }
  }

  async #read({ csrPem }: CertificateCall): Promise<CertificateRequest> {
    try {
      return await readCsr(csrPem)
    } catch (error) {
      this.#options.metrics.unreadable.add()
      throw error
    }
  }

  #refuse({ peer }: CertificateCall, refused: RefusedCaller): CertificateAnswer {
    const { code, reason, detail } = refused
    const { metrics, log } = this.#options
    metrics.refusals.add({ reason })
    log.warn({ peer, reason, detail }, 'no certificate for this caller')
    return { ok: false, status: { code, message: `${reason}: ${detail}` } }
  }

  #noteClock(spiffeId: string, { callerClockMs }: CertificateCall): void {
    if (callerClockMs === undefined) return
    const seenAtMs = this.#options.clock.nowMs()
    this.#clocks.delete(spiffeId)
    const [oldest] = this.#clocks.keys()
    if (this.#clocks.size >= clocksMax && oldest !== undefined) this.#clocks.delete(oldest)
    this.#clocks.set(spiffeId, { spiffeId, aheadMs: callerClockMs - seenAtMs, seenAtMs })
  }
}
