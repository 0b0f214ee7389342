/**
 * Who is on the other side of a TLS connection, as far as this room knows: a chain, and what somebody else makes of
 * it. The checks themselves belong to identity/; they come in as functions.
 */
import type { X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'

export interface TlsPeer {
  readonly spiffeId: string
  readonly certificate: X509Certificate
  readonly root: X509Certificate
  /** WorkloadGroup that the certificate is bound to. */
  readonly workloadGroup: string | undefined
  readonly notAfterMs: number
}

export type TlsPeerVerdict =
  | ({ readonly ok: true } & TlsPeer)
  | { readonly ok: false; readonly reason: string; readonly detail: string }

/** A key and its certificate, leaf first, in PEM. */
export interface TlsCertificate {
  readonly keyPem: string
  readonly chainPem: string
}

/** What a peer sent, leaf first; empty when it sent nothing. */
export type PeerChain = readonly X509Certificate[]

const depthMax = 8

export function peerChainOf(socket: TLSSocket): PeerChain {
  const chain: X509Certificate[] = []
  let next = socket.getPeerX509Certificate()
  while (next !== undefined && chain.length < depthMax) {
    chain.push(next)
    next = next.issuerCertificate
  }
  return chain
}
