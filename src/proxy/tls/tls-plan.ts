/**
 * The compiled form of DownstreamTlsContext and UpstreamTlsContext: plain data. live-tls.ts joins it with the secrets that
 * it names; two plans with the same `key` make the same connections.
 */
import type { X509Certificate } from 'node:crypto'

import type { TrustRules } from './trust.ts'

export type TlsVersion = 'TLSv1.2' | 'TLSv1.3'

/** Where a secret comes from: the bootstrap, the ADS stream, or an SDS stream to a static cluster. */
export type SecretOrigin =
  | { readonly kind: 'static' }
  | { readonly kind: 'ads' }
  | { readonly kind: 'sds'; readonly cluster: string; readonly isDelta: boolean }

export interface SecretRef {
  readonly name: string
  readonly origin: SecretOrigin
  /** How long a listener or a cluster waits for it before it serves without (and refuses); 0 = for ever. */
  readonly fetchTimeoutMs: number
}

/** A certificate chain and its key, read and matched with each other. */
export interface KeyPair {
  readonly chainPem: string
  readonly keyPem: string
  readonly passphrase: string | undefined
  /** Leaf first. */
  readonly chain: readonly X509Certificate[]
  /** File that the chain came from, for /certs; '<inline>' otherwise. */
  readonly path: string
}

/** Authorities as they came, for OpenSSL, beside the rules made of them. */
export interface Validation {
  readonly rules: TrustRules
  readonly caPem: string
  /** Revocation lists, for OpenSSL; with any, each certificate of a chain needs one of its issuer's. */
  readonly crlPems: readonly string[]
  readonly path: string
}

export type CertificateSource =
  | { readonly kind: 'inline'; readonly pair: KeyPair }
  | { readonly kind: 'secret'; readonly ref: SecretRef }

export interface ValidationSource {
  readonly base: Validation | undefined
  readonly ref: SecretRef | undefined
}

export interface TlsPlan {
  readonly certificates: readonly CertificateSource[]
  readonly validation: ValidationSource
  readonly alpn: readonly string[]
  readonly minVersion: TlsVersion
  readonly maxVersion: TlsVersion
  readonly ciphers: string | undefined
  readonly curves: string | undefined
  readonly signatures: string | undefined
  /** Equal for equal configuration. */
  readonly key: string
}

export interface DownstreamTlsPlan extends TlsPlan {
  readonly requiresCertificate: boolean
  readonly requiresServerName: boolean
  readonly resumes: boolean
  /** Seconds; undefined leaves OpenSSL's. */
  readonly sessionTimeoutSeconds: number | undefined
}

export interface UpstreamTlsPlan extends TlsPlan {
  readonly serverName: string
  /** SNI from the request's host (Envoy `auto_sni`, of HTTP protocol options). */
  readonly autoServerName: boolean
  /** The certificate must be for that host (Envoy `auto_san_validation`). */
  readonly autoSanValidation: boolean
  readonly resumes: boolean
}
