/**
 * What the control plane answers about identity, on a Unix socket that only the owner of its state may use: join
 * tokens, roots, and what is wrong with them. Never a key, and a token's text once, to whoever made it.
 *
 * | call | what |
 * | --- | --- |
 * | POST /token | the hand-over on one host: a token for a minute and one certificate |
 * | GET, POST /tokens; DELETE /tokens/ID | join tokens |
 * | GET, POST /roots; POST /roots/ID/use; DELETE /roots/ID | the roots that the mesh believes; `?force=true` |
 * | GET /check | findings about chains, clocks and trust |
 */
export interface TokenObject {
  readonly id: string
  readonly namespace: string
  readonly serviceAccount: string
  readonly group?: string
  readonly state: 'valid' | 'used-up' | 'expired' | 'revoked'
  readonly usesLeft: number
  readonly usesMax: number
  readonly createdAt: string
  readonly expiresAt: string
  readonly lastUsedAt?: string
  /** How the joining host knows the control plane: hashes of roots. */
  readonly rootHashes: readonly string[]
  readonly madeBy: string
}

export interface CreateTokenRequest {
  readonly namespace: string
  readonly serviceAccount: string
  readonly group?: string | undefined
  readonly ttlSeconds: number
  readonly uses: number
}

export interface CreatedToken {
  /** The secret. */
  readonly token: string
  readonly status: TokenObject
}

export interface RootObject {
  readonly id: string
  /** SHA-256, lower-case hex. */
  readonly fingerprint: string
  readonly subject: string
  readonly kind: 'made' | 'plugged'
  readonly signs: boolean
  readonly notAfter: string
  /** Of the certificate that signs below it. */
  readonly signingNotAfter: string
  readonly addedAt: string
  readonly pem: string
}

export interface Finding {
  readonly severity: 'error' | 'warning' | 'info'
  /** What it is about: a root, a workload, a token. */
  readonly subject: string
  readonly message: string
  readonly remedy: string
}

export interface CheckReport {
  readonly trustDomain: string
  /** Whom each trust domain's workloads are believed by: ids of roots. */
  readonly trust: readonly { readonly trustDomain: string; readonly roots: readonly string[] }[]
  readonly workloads: number
  readonly findings: readonly Finding[]
}

export interface IdentityList<T> {
  readonly items: readonly T[]
}
