/**
 * What TLS has proved about a connection: the input of x-forwarded-client-cert, access logs, metrics and policy.
 *
 * Neutral ground: the transport fills it, and what decides or reports reads it. A connection without it is plaintext.
 */

/** One certificate, in the words that Envoy prints. */
export interface CertificateFacts {
  /** Lower-case hexadecimal, without colons. */
  readonly fingerprint256: string
  readonly fingerprint1: string
  readonly serial: string
  /** RFC 2253: last part first, special characters escaped. */
  readonly subject: string
  readonly issuer: string
  readonly uris: readonly string[]
  readonly dns: readonly string[]
  readonly ips: readonly string[]
  readonly notBeforeMs: number
  readonly notAfterMs: number
  readonly pem: string
}

export interface ConnectionSecurity {
  /** `TLSv1.3` */
  readonly version: string
  /** OpenSSL's name. */
  readonly cipher: string
  /** What the client asked for (SNI). */
  readonly serverName: string | undefined
  /** What ALPN agreed on. */
  readonly applicationProtocol: string | undefined
  readonly isResumed: boolean
  /** Our own certificate, where we showed one. */
  readonly local: CertificateFacts | undefined
  /** The peer's certificate, where it showed one and it was verified. */
  readonly peer: CertificateFacts | undefined
  /** The peer's certificate and those that it sent with it, leaf first. */
  readonly peerChain: readonly CertificateFacts[]
  /** Set when what proved the peer has ended: the connection should take no more requests. */
  isLeaving: boolean
}

/** First URI SAN of the peer: its SPIFFE id. */
export function peerPrincipal(security: ConnectionSecurity | undefined): string | undefined {
  return security?.peer?.uris[0]
}

/** First URI SAN of our own certificate. */
export function localPrincipal(security: ConnectionSecurity | undefined): string | undefined {
  return security?.local?.uris[0]
}

/**
 * A name of a certificate as it may stand in a header or a log: whoever signed it may have let anything into it, and a
 * line end would begin a header of its own (CVE-2023-27493).
 */
export function printableName(name: string): string {
  return notPrintable.test(name) ? name.replaceAll(notPrintables, encodeURIComponent) : name
}

const notPrintable = /[^!-~]/u
const notPrintables = /[^!-~]/gu
