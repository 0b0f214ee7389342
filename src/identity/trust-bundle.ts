/**
 * Whom to believe: the roots of each trust domain, and the check of a peer's chain against them.
 *
 * TLS alone is not enough: with the roots of two trust domains configured, a certificate that names domain A and
 * was signed by B's root passes every check of OpenSSL. So a chain is followed to a root here, and that root must
 * be one of the domain that the SPIFFE id names.
 *
 * Signatures are checked once for each certificate and remembered (bounds below), together with the intermediates
 * of chains that were good: a resumed TLS session brings only the peer's own certificate. Validity in time is
 * checked each time. A bundle never changes; new roots make a new bundle.
 */
import type { X509Certificate } from 'node:crypto'

import { describeError } from '../lib/mesh-error.ts'
import {
  fingerprintOf,
  readCertificates,
  readRights,
  usageOids,
  type CertificateRights,
} from './certificate.ts'
import { parseSpiffeId, type ParsedSpiffeId, type SpiffeId } from './spiffe-id.ts'

/** Why a peer's certificate is refused: a closed set, each with a counter wherever peers are checked. */
export const peerRefusals = [
  'no-certificate',
  'unknown-ca',
  'wrong-trust-domain',
  'expired',
  'not-yet-valid',
  'no-spiffe-san',
  'san-mismatch',
  'invalid-chain',
] as const

export type PeerRefusal = (typeof peerRefusals)[number]

/** Refusals before there is a certificate to look at. */
export const handshakeRefusals = [
  ...peerRefusals,
  'plaintext-refused',
  'protocol-error',
  'handshake-timeout',
  'overload',
] as const

export type HandshakeRefusal = (typeof handshakeRefusals)[number]

export interface VerifiedPeer {
  readonly ok: true
  readonly spiffeId: SpiffeId
  readonly identity: ParsedSpiffeId
  readonly certificate: X509Certificate
  readonly root: X509Certificate
  /** WorkloadGroup that the certificate is bound to. */
  readonly workloadGroup: string | undefined
  /** When the first certificate of the chain ends. */
  readonly notAfterMs: number
}

export interface RefusedPeer {
  readonly ok: false
  readonly reason: PeerRefusal
  /** For a log line; never holds a key. */
  readonly detail: string
}

export type PeerVerdict = VerifiedPeer | RefusedPeer

export interface VerifyOptions {
  readonly nowMs: number
  /** How far the two clocks may be apart. */
  readonly skewMs?: number
  /** What the peer is to us: its certificate must be usable as that. Default: either. */
  readonly role?: 'server' | 'client'
  /** Only these ids will do; undefined: any of a trusted domain. */
  readonly expected?: ReadonlySet<string>
}

/** Issue and Istio's own allowance: notBefore is backdated by as much. */
export const clockSkewMs = 120_000

/** Certificates from the leaf (not counted) to the root (counted). */
const depthMax = 6
const certificatesMax = 16
const rememberedMax = 4_096

export type TrustBundleRoots = Readonly<Record<string, string | readonly X509Certificate[]>>

/** What is known of a chain whose signatures are good. */
interface GoodChain {
  readonly root: X509Certificate
  readonly rights: CertificateRights
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

export class TrustBundle {
  readonly #roots: ReadonlyMap<string, readonly X509Certificate[]>
  readonly #domainsOf = new Map<string, Set<string>>()
  readonly #allRoots: X509Certificate[] = []
  readonly #intermediates = new Map<string, X509Certificate>()
  readonly #good = new Map<string, GoodChain>()

  /** By trust domain: PEM text or certificates. Rejections: MESH_IDENTITY_INVALID. */
  constructor(roots: TrustBundleRoots) {
    const byDomain = new Map<string, readonly X509Certificate[]>()
    for (const [trustDomain, given] of Object.entries(roots)) {
      const certificates = typeof given === 'string' ? readCertificates(given) : given
      byDomain.set(trustDomain, certificates)
      for (const certificate of certificates) this.#addRoot(certificate, trustDomain)
    }
    this.#roots = byDomain
  }

  get trustDomains(): readonly string[] {
    return [...this.#roots.keys()]
  }

  /** Empty for a domain that nobody told us about. */
  rootsOf(trustDomain: string): readonly X509Certificate[] {
    return this.#roots.get(trustDomain) ?? []
  }

  /** Every root once, for `ca` of node:tls. */
  get pem(): string {
    return this.#allRoots.map((root) => root.toString()).join('')
  }

  /** Lower-case SHA-256 of every root. */
  get fingerprints(): readonly string[] {
    return [...this.#domainsOf.keys()]
  }

  /** Whether the root speaks for the domain. */
  speaksFor(root: X509Certificate, trustDomain: string): boolean {
    return this.#domainsOf.get(fingerprintOf(root))?.has(trustDomain) === true
  }

  /** The chain from the leaf to a root of ours by signatures alone; a text when there is none. */
  follow(chain: readonly X509Certificate[]): GoodChain | { readonly refusal: RefusedPeer } {
    const [leaf] = chain
    if (leaf === undefined) return { refusal: refuse('no-certificate', 'the peer sent none') }
    const key = fingerprintOf(leaf)
    const known = this.#good.get(key)
    if (known !== undefined) return known
    const found = this.#search(leaf, chain.slice(1, certificatesMax))
    if ('refusal' in found) return found
    if (this.#good.size >= rememberedMax) this.#good.clear()
    this.#good.set(key, found)
    return found
  }

  #addRoot(certificate: X509Certificate, trustDomain: string): void {
    const key = fingerprintOf(certificate)
    const domains = this.#domainsOf.get(key)
    if (domains === undefined) {
      this.#domainsOf.set(key, new Set([trustDomain]))
      this.#allRoots.push(certificate)
    } else domains.add(trustDomain)
  }

  #search(leaf: X509Certificate, given: readonly X509Certificate[]) {
    const path: X509Certificate[] = [leaf]
    let current = leaf
    while (path.length <= depthMax) {
      const root = this.#allRoots.find((candidate) => hasIssued(candidate, current))
      if (root !== undefined) return this.#judge(path, root)
      const candidates = [...given, ...this.#intermediates.values()]
      const next = candidates.find(
        (candidate) => !path.includes(candidate) && hasIssued(candidate, current),
      )
      if (next === undefined) break
      path.push(next)
      current = next
    }
    const detail = `no root of ours stands at the end of the chain of ${issuerOf(current)}`
    return { refusal: refuse('unknown-ca', detail) }
  }

  #judge(path: readonly X509Certificate[], root: X509Certificate) {
    const [leaf, ...authorities] = path
    // The loop that made the path began with the leaf.
    if (leaf === undefined) return { refusal: refuse('no-certificate', 'the peer sent none') }
    const fault = faultOf(leaf, [...authorities, root])
    if (fault !== undefined) return { refusal: refuse('invalid-chain', fault) }
    for (const authority of authorities) {
      if (this.#intermediates.size >= certificatesMax) this.#intermediates.clear()
      this.#intermediates.set(fingerprintOf(authority), authority)
    }
    return {
      root,
      rights: readRights(leaf),
      notBeforeMs: Math.max(...[...path, root].map(({ validFromDate }) => validFromDate.getTime())),
      notAfterMs: Math.min(...[...path, root].map(({ validToDate }) => validToDate.getTime())),
    }
  }
}

/**
 * Checks the chain that a peer sent, leaf first; a root at its end does no harm. PEM text or certificates. Never
 * throws: what cannot be read is an `invalid-chain`.
 */
export function verifyPeerChain(
  chain: string | readonly X509Certificate[],
  bundle: TrustBundle,
  options: VerifyOptions,
): PeerVerdict {
  try {
    const certificates = typeof chain === 'string' ? readCertificates(chain) : chain
    const found = bundle.follow(certificates)
    if ('refusal' in found) return found.refusal
    return verdictOf({ leaf: certificates[0], found, bundle, options })
  } catch (error) {
    return refuse('invalid-chain', describeError(error))
  }
}

interface Case {
  readonly leaf: X509Certificate | undefined
  readonly found: GoodChain
  readonly bundle: TrustBundle
  readonly options: VerifyOptions
}

function verdictOf({ leaf, found, bundle, options }: Case): PeerVerdict {
  const { root, rights, notAfterMs } = found
  if (leaf === undefined) return refuse('no-certificate', 'the peer sent none')
  const refusal = refusalInTime(found, options) ?? refusalOfUsage(rights, options.role)
  if (refusal !== undefined) return refusal
  const [uri, ...others] = rights.uris
  const identity = uri === undefined || others.length > 0 ? undefined : parseSpiffeId(uri)
  if (identity === undefined) {
    const got = rights.uris.map((text) => JSON.stringify(text.slice(0, 200))).join(', ')
    return refuse(
      'no-spiffe-san',
      `expected one SPIFFE id in the certificate, got ${got || 'no URI'}`,
    )
  }
  const { id: spiffeId, trustDomain } = identity
  if (!bundle.speaksFor(root, trustDomain)) {
    const detail = `${spiffeId} was signed by a root that does not speak for ${trustDomain}`
    return refuse('wrong-trust-domain', detail)
  }
  if (options.expected?.has(spiffeId) === false) {
    return refuse('san-mismatch', `the peer is ${spiffeId}, expected ${nameAll(options.expected)}`)
  }
  const { workloadGroup } = rights
  return { ok: true, spiffeId, identity, certificate: leaf, root, workloadGroup, notAfterMs }
}

function refusalInTime(chain: GoodChain, { nowMs, skewMs = 0 }: VerifyOptions) {
  if (nowMs > chain.notAfterMs + skewMs) {
    return refuse('expired', `valid until ${new Date(chain.notAfterMs).toISOString()}`)
  }
  if (nowMs < chain.notBeforeMs - skewMs) {
    return refuse('not-yet-valid', `valid from ${new Date(chain.notBeforeMs).toISOString()}`)
  }
  return undefined
}

function refusalOfUsage({ extendedUsages }: CertificateRights, role: VerifyOptions['role']) {
  if (role === undefined || extendedUsages === undefined) return undefined
  if (extendedUsages.includes(usageOids[role]) || extendedUsages.includes(usageOids.any)) {
    return undefined
  }
  return refuse('invalid-chain', `the certificate may not be used by a ${role}`)
}

/** RFC 5280 §6.1.4: what is wrong with the authorities above a leaf; undefined when nothing is. */
function faultOf(
  leaf: X509Certificate,
  authorities: readonly X509Certificate[],
): string | undefined {
  const leafRights = readRights(leaf)
  if (leafRights.isCa) return 'the certificate is an authority, and no workload'
  const [unknown] = [leaf, ...authorities].flatMap((one) => readRights(one).unknownCritical)
  if (unknown !== undefined) return `critical extension ${unknown} is not implemented`
  for (const [below, authority] of authorities.entries()) {
    const { isCa, pathLengthMax = depthMax } = readRights(authority)
    if (!isCa) return `${subjectOf(authority)} is no authority`
    if (below > pathLengthMax) return `${subjectOf(authority)} allows fewer authorities below it`
  }
  const weak = [leaf, ...authorities].find(isWeak)
  return weak === undefined
    ? undefined
    : `${subjectOf(weak)} has a key or signature that is too weak`
}

function isWeak(certificate: X509Certificate): boolean {
  if (/md5|sha1(?!\d)/i.test(certificate.signatureAlgorithm ?? '')) return true
  const { asymmetricKeyType, asymmetricKeyDetails } = certificate.publicKey
  return asymmetricKeyType === 'rsa' && (asymmetricKeyDetails?.modulusLength ?? 0) < 2_048
}

function hasIssued(issuer: X509Certificate, certificate: X509Certificate): boolean {
  if (issuer.fingerprint256 === certificate.fingerprint256) return false
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)
}

function refuse(reason: PeerRefusal, detail: string): RefusedPeer {
  return { ok: false, reason, detail }
}

function subjectOf({ subject, serialNumber }: X509Certificate): string {
  return (subject || `serial ${serialNumber}`).replaceAll('\n', ', ').slice(0, 200)
}

/** Node's types say that there is one; a certificate whose issuer has no name has undefined. */
function issuerOf(certificate: X509Certificate): string {
  const { issuer }: { readonly issuer?: string } = certificate
  return JSON.stringify((issuer ?? '').replaceAll('\n', ', ').slice(0, 200))
}

function nameAll(ids: ReadonlySet<string>): string {
  const [first = 'nobody', ...others] = ids
  return others.length === 0 ? first : `${first} or one of ${others.length} others`
}
