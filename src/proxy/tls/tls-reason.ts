/**
 * Why a TLS connection was refused, or failed: one closed set for both directions, a counter and a log line each.
 *
 * Envoy's own counters (`ssl.fail_verify_error`, `ssl.connection_error`, …) lump most of them together; they are counted
 * beside ours, by this table.
 */

export type TlsReason =
  // What the peer showed.
  | 'plaintext-refused'
  | 'no-certificate'
  | 'unknown-ca'
  | 'invalid-chain'
  | 'expired'
  | 'not-yet-valid'
  | 'no-spiffe-san'
  | 'wrong-trust-domain'
  | 'san-mismatch'
  | 'hash-mismatch'
  | 'revoked'
  | 'revocation-unknown'
  // What the peer said or did.
  | 'refused-by-peer'
  | 'protocol-version'
  | 'protocol-error'
  | 'peer-closed'
  | 'handshake-timeout'
  // What we lack.
  | 'no-filter-chain'
  | 'no-server-name'
  | 'not-ready'
  | 'overload'

/** Envoy's counter that the reason counts for, or none. */
export type EnvoyTlsCounter =
  | 'connectionError'
  | 'failVerifyNoCert'
  | 'failVerifyError'
  | 'failVerifySan'
  | 'failVerifyCertHash'

export const tlsReasons: Readonly<Record<TlsReason, EnvoyTlsCounter | undefined>> = {
  'plaintext-refused': undefined,
  'no-certificate': 'failVerifyNoCert',
  'unknown-ca': 'failVerifyError',
  'invalid-chain': 'failVerifyError',
  expired: 'failVerifyError',
  'not-yet-valid': 'failVerifyError',
  'no-spiffe-san': 'failVerifyError',
  'wrong-trust-domain': 'failVerifyError',
  'san-mismatch': 'failVerifySan',
  'hash-mismatch': 'failVerifyCertHash',
  revoked: 'failVerifyError',
  'revocation-unknown': 'failVerifyError',
  'refused-by-peer': 'connectionError',
  'protocol-version': 'connectionError',
  'protocol-error': 'connectionError',
  'peer-closed': 'connectionError',
  'handshake-timeout': undefined,
  'no-filter-chain': undefined,
  'no-server-name': 'connectionError',
  'not-ready': undefined,
  overload: undefined,
}

/** A refusal with what makes it understandable; never holds a key or a whole certificate. */
export interface TlsRefusal {
  readonly reason: TlsReason
  readonly message: string
}

const verifyCodes: Readonly<Record<string, TlsReason>> = {
  CERT_HAS_EXPIRED: 'expired',
  CERT_NOT_YET_VALID: 'not-yet-valid',
  CERT_REVOKED: 'revoked',
  UNABLE_TO_GET_CRL: 'revocation-unknown',
  UNABLE_TO_GET_CRL_ISSUER: 'revocation-unknown',
  UNABLE_TO_DECRYPT_CRL_SIGNATURE: 'revocation-unknown',
  CRL_SIGNATURE_FAILURE: 'revocation-unknown',
  CRL_NOT_YET_VALID: 'revocation-unknown',
  CRL_HAS_EXPIRED: 'revocation-unknown',
  ERROR_IN_CRL_LAST_UPDATE_FIELD: 'revocation-unknown',
  ERROR_IN_CRL_NEXT_UPDATE_FIELD: 'revocation-unknown',
  UNABLE_TO_GET_ISSUER_CERT: 'unknown-ca',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'unknown-ca',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'unknown-ca',
  SELF_SIGNED_CERT_IN_CHAIN: 'unknown-ca',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'unknown-ca',
  CERT_SIGNATURE_FAILURE: 'unknown-ca',
  CERT_UNTRUSTED: 'unknown-ca',
}

/** OpenSSL's verdict on a chain (Node's `authorizationError` codes) in our words. */
export function verifyCodeReason(code: string): TlsReason {
  return verifyCodes[code] ?? 'invalid-chain'
}

/** An error of a TLS socket before its handshake was done. */
export function socketErrorReason(error: NodeJS.ErrnoException): TlsReason {
  const code = error.code ?? ''
  if (code === 'ECONNRESET' || code === 'EPIPE') return 'peer-closed'
  if (code === 'ERR_SSL_HTTP_REQUEST') return 'plaintext-refused'
  if (versionErrors.has(code)) return 'protocol-version'
  return /_ALERT_/.test(code) ? 'refused-by-peer' : 'protocol-error'
}

const versionErrors = new Set([
  'ERR_SSL_UNSUPPORTED_PROTOCOL',
  'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION',
  'ERR_SSL_UNKNOWN_PROTOCOL',
  'ERR_SSL_WRONG_SSL_VERSION',
  'ERR_SSL_VERSION_TOO_LOW',
  'ERR_SSL_NO_PROTOCOLS_AVAILABLE',
])
