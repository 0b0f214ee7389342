/** What both directions of a handshake share: from a TLS socket that has shaken hands to a verified peer. */
import type { X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'

import { describeError } from '../../lib/mesh-error.ts'
import type { CertificateFacts, ConnectionSecurity } from '../connection-security.ts'
import { certificateFacts } from './certificate-facts.ts'
import type { TlsState } from './live-tls.ts'
import type { PeerChain } from './root-set.ts'
import { type TlsRefusal, verifyCodeReason } from './tls-reason.ts'
import { type SanMatcher, judgePeer } from './trust.ts'

export interface SecureSocket {
  readonly socket: TLSSocket
  readonly security: ConnectionSecurity
  /** Undefined when the peer showed no certificate. */
  readonly chain: PeerChain | undefined
}

export type SecureResult =
  | ({ readonly ok: true } & SecureSocket)
  | { readonly ok: false; readonly refusal: TlsRefusal }

export interface VerifyOptions {
  readonly state: TlsState
  readonly nowMs: number
  readonly requiresPeer: boolean
  readonly serverName: string | undefined
  /** Names that the certificate must have beside those of the trust's own rules. */
  readonly extra?: readonly SanMatcher[]
  /**
   * What was kept of the peer whose session was resumed; undefined: nobody is remembered. A resumed server gets the leaf
   * from the client's ticket; a resumed client gets nothing at all from Node, and knows the peer by the session it gave.
   */
  readonly recall: (leaf: X509Certificate | undefined) => PeerChain | undefined
}

/**
 * Judges the peer of a socket whose handshake is done. Nothing has been read from it yet. Never throws: a certificate that
 * breaks a reader is a bad certificate.
 */
export function verifySocket(socket: TLSSocket, options: VerifyOptions): SecureResult {
  try {
    return verify(socket, options)
  } catch (error) {
    return refused({ reason: 'invalid-chain', message: describeError(error) })
  }
}

function verify(socket: TLSSocket, options: VerifyOptions): SecureResult {
  const isResumed = socket.isSessionReused()
  const chain = isResumed
    ? options.recall(socket.getPeerX509Certificate())
    : chainOf(socket.getPeerX509Certificate())
  if (chain === undefined) {
    if (options.requiresPeer) {
      return refused({ reason: 'no-certificate', message: 'the peer showed no certificate' })
    }
    return accepted(socket, { options, isResumed, chain })
  }
  const refusal = judge(socket, { options, isResumed, chain })
  return refusal === undefined ? accepted(socket, { options, isResumed, chain }) : refused(refusal)
}

interface Shown {
  readonly options: VerifyOptions
  readonly isResumed: boolean
  readonly chain: PeerChain | undefined
}

function judge(
  socket: TLSSocket,
  shown: Shown & { readonly chain: PeerChain },
): TlsRefusal | undefined {
  const { options, chain } = shown
  const { rules } = options.state
  const { nowMs, extra = [] } = options
  if (rules === undefined) return undefined
  const own = judgePeer(rules, chain, { nowMs, extra })
  if (own !== undefined) return own
  const { roots, bundle, acceptsUntrusted, allowExpired } = rules
  const isUnchecked = acceptsUntrusted || (roots === undefined && bundle === undefined)
  // What OpenSSL said of a resumed session is what it said when the session began.
  if (isUnchecked || shown.isResumed) return undefined
  const code = verifyCode(socket)
  if (code === undefined || (allowExpired && code === 'CERT_HAS_EXPIRED')) return undefined
  return { reason: verifyCodeReason(code), message: `OpenSSL: ${code}` }
}

/** OpenSSL's verdict. A socket made by hand has it behind its handle only, a connecting one in `authorizationError` too. */
function verifyCode(socket: TLSSocket): string | undefined {
  const { ssl } = socket as unknown as { ssl?: { verifyError?(): NodeJS.ErrnoException | null } }
  const error = ssl?.verifyError?.()
  if (error !== undefined) return error?.code
  const own: unknown = socket.authorizationError
  return typeof own === 'string' ? own : undefined
}

function chainOf(leaf: X509Certificate | undefined): PeerChain | undefined {
  return leaf && { leaf, others: sentWith(leaf) }
}

function sentWith(leaf: X509Certificate): readonly X509Certificate[] {
  const others: X509Certificate[] = []
  let next = leaf.issuerCertificate
  while (next !== undefined && others.length < sentMax) {
    others.push(next)
    next = next.issuerCertificate
  }
  return others
}

const sentMax = 10

function accepted(socket: TLSSocket, shown: Shown): SecureResult {
  const { options, isResumed, chain } = shown
  const { state } = options
  const applicationProtocol = socket.alpnProtocol
  const { leaf, others } = chain ?? { leaf: undefined, others: [] }
  const peer = leaf && certificateFacts(leaf)
  let peerChain: readonly CertificateFacts[] | undefined
  const security: ConnectionSecurity = {
    version: socket.getProtocol() ?? '',
    cipher: socket.getCipher()?.name ?? '',
    serverName: options.serverName,
    applicationProtocol: typeof applicationProtocol === 'string' ? applicationProtocol : undefined,
    isResumed,
    local: state.local,
    peer,
    get peerChain() {
      peerChain ??= peer === undefined ? [] : [peer, ...others.map(certificateFacts)]
      return peerChain
    },
    isLeaving: false,
  }
  return { ok: true, socket, security, chain }
}

function refused(refusal: TlsRefusal): SecureResult {
  return { ok: false, refusal }
}
