/**
 * Whether a peer's certificate proves what it must: the rules of one CertificateValidationContext, applied to a chain.
 *
 * Node's `authorized` is not enough, and not the only judge either. With two roots configured OpenSSL calls any chain to
 * either of them good, so a certificate for trust domain A that B's root signed would pass; here the chain's root must
 * speak for the trust domain that the certificate itself names (identity/trust-bundle.ts, Envoy's
 * `envoy.tls.cert_validator.spiffe`). OpenSSL's own verdict is asked beside it by the handshake: both must agree.
 *
 * A resumed session shows only a leaf; what was sent with it is kept beside the session (peer-memory.ts), so that a resumed
 * peer is judged again, against the trust and the time of now, and not waved through.
 */
import { type X509Certificate, hash } from 'node:crypto'

import { type TrustBundle, verifyPeerChain } from '../../identity/trust-bundle.ts'
import { type AltNames, bareHex, parseAltNames } from './certificate-facts.ts'
import type { PeerChain, RootSet } from './root-set.ts'
import type { TlsReason, TlsRefusal } from './tls-reason.ts'

/** One way in which a subject alternative name is good. */
export interface SanMatcher {
  readonly type: 'uri' | 'dns' | 'ip' | 'email' | 'any'
  readonly matches: (name: string) => boolean
  /** For messages. */
  readonly text: string
}

/** What a CertificateValidationContext asks for; certificates are parsed. */
export interface TrustRules {
  /** Undefined, and no bundle: no authority is configured, and any chain will do. */
  readonly roots: RootSet | undefined
  /** Roots by trust domain; takes the place of `roots`. */
  readonly bundle: TrustBundle | undefined
  /** One name must match one of these; none: any name. */
  readonly sans: readonly SanMatcher[]
  /** SHA-256 of the certificate, lower-case hexadecimal; or of its public key, base64. Either list may accept it. */
  readonly hashes: ReadonlySet<string>
  readonly spkis: ReadonlySet<string>
  readonly allowExpired: boolean
  /** Envoy `trust_chain_verification: ACCEPT_UNTRUSTED`. */
  readonly acceptsUntrusted: boolean
  readonly depthMax: number
}

/** Undefined when the peer is who it must be. A name must match `extra` too, unless that is empty. */
export function judgePeer(
  rules: TrustRules,
  peer: PeerChain,
  at: { readonly nowMs: number; readonly extra: readonly SanMatcher[] },
): TlsRefusal | undefined {
  const { leaf } = peer
  const chain = judgeChain(rules, peer, at.nowMs) ?? judgeHash(rules, leaf)
  if (chain !== undefined || (rules.sans.length === 0 && at.extra.length === 0)) return chain
  const names = parseAltNames(leaf.subjectAltName)
  return judgeNames(names, rules.sans) ?? judgeNames(names, at.extra)
}

function judgeChain(rules: TrustRules, peer: PeerChain, nowMs: number): TlsRefusal | undefined {
  const { bundle, roots } = rules
  if (rules.acceptsUntrusted) return undefined
  if (bundle !== undefined) {
    const skewMs = rules.allowExpired ? Infinity : 0
    const verdict = verifyPeerChain([peer.leaf, ...peer.others], bundle, { nowMs, skewMs })
    return verdict.ok ? undefined : refusal(verdict.reason, verdict.detail)
  }
  if (roots === undefined) return undefined
  const path = roots.pathOf(peer, rules.depthMax)
  if (path === undefined) {
    // Node's types say that there is one; without a name it is undefined.
    const { issuer: name }: { readonly issuer?: string } = peer.leaf
    const issuer = printable((name ?? '').replaceAll('\n', ', ')) || 'nobody'
    return refusal('unknown-ca', `signed by ${issuer}, which leads to no root here`)
  }
  return rules.allowExpired ? undefined : judgeTimes(path, nowMs)
}

function judgeTimes(path: readonly X509Certificate[], nowMs: number): TlsRefusal | undefined {
  for (const certificate of path) {
    if (nowMs > certificate.validToDate.getTime()) {
      return refusal('expired', `${describe(certificate)} ended ${certificate.validTo}`)
    }
    if (nowMs < certificate.validFromDate.getTime()) {
      return refusal('not-yet-valid', `${describe(certificate)} begins ${certificate.validFrom}`)
    }
  }
  return undefined
}

function judgeHash({ hashes, spkis }: TrustRules, leaf: X509Certificate): TlsRefusal | undefined {
  if (hashes.size === 0 && spkis.size === 0) return undefined
  if (hashes.has(bareHex(leaf.fingerprint256)) || spkis.has(spkiHash(leaf))) return undefined
  return refusal('hash-mismatch', 'neither its hash nor that of its key is in the list')
}

function spkiHash(leaf: X509Certificate): string {
  return hash('sha256', leaf.publicKey.export({ type: 'spki', format: 'der' }), 'base64')
}

function judgeNames(names: AltNames, expected: readonly SanMatcher[]): TlsRefusal | undefined {
  if (expected.length === 0) return undefined
  const isGood = expected.some((matcher) => namesOf(names, matcher.type).some(matcher.matches))
  if (isGood) return undefined
  const wanted = expected.slice(0, 5).map(({ text }) => text)
  const more = expected.length > 5 ? ` and ${expected.length - 5} more` : ''
  return refusal(
    'san-mismatch',
    `named ${shownNames(names)} where ${wanted.join(', ')}${more} was expected`,
  )
}

function namesOf(names: AltNames, type: SanMatcher['type']): readonly string[] {
  if (type === 'uri') return names.uris
  if (type === 'dns') return names.dns
  if (type === 'ip') return names.ips
  if (type === 'email') return names.emails
  return [...names.uris, ...names.dns, ...names.ips, ...names.emails]
}

function shownNames(names: AltNames): string {
  const text = namesOf(names, 'any').slice(0, 3).join(', ')
  return text === '' ? 'nothing' : printable(text)
}

function describe(certificate: X509Certificate): string {
  const names = parseAltNames(certificate.subjectAltName)
  const subject = (certificate.subject ?? '').replaceAll('\n', ', ')
  return printable(names.uris[0] ?? names.dns[0] ?? subject)
}

/** Names come from strangers: no control characters, and no end of them. */
function printable(text: string): string {
  return text.replaceAll(/[^ -~]/g, '?').slice(0, 200)
}

function refusal(reason: TlsReason, message: string): TlsRefusal {
  return { reason, message }
}
