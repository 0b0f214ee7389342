/**
 * JWTs of issuers that a person configured, as a proof of who a joining workload is: Kubernetes service accounts by
 * their cluster's JWKS, or any OIDC issuer whose claims name a namespace and a service account.
 *
 * Asymmetric algorithms only; issuer, audience and expiry are required. Keys come from a file, from a URL, or from
 * the issuer's own discovery document, and are fetched when a token needs them. Slow (100 µs a token, more for a
 * fetch): for joining, never for requests.
 */
import { readFile } from 'node:fs/promises'

import type { JWTPayload, JWTVerifyGetKey } from 'jose'

import type { Clock } from '../lib/clock.ts'
import { memberOf } from '../lib/member.ts'
import { describeError, MeshError } from '../lib/mesh-error.ts'

export interface JwtIssuer {
  /** Exactly the claim `iss`. */
  readonly issuer: string
  /** One of them must be in `aud`. */
  readonly audiences: readonly string[]
  /** A path, or an http(s) URL of a JWKS; undefined: by the issuer's discovery document. */
  readonly jwks?: string | undefined
  /** Claims of issuers that are no Kubernetes cluster: dotted paths. */
  readonly namespaceClaim?: string | undefined
  readonly serviceAccountClaim?: string | undefined
}

export type JwtVerdict =
  | {
      readonly ok: true
      readonly issuer: string
      readonly namespace: string
      readonly serviceAccount: string
    }
  | { readonly ok: false; readonly reason: JwtRefusal; readonly detail: string }

export type JwtRefusal = 'malformed' | 'unknown-issuer' | 'expired' | 'invalid' | 'no-identity'

export interface JwtVerifierOptions {
  readonly issuers: readonly JwtIssuer[]
  readonly clock: Clock
}

/** Istio's own audience. */
export const defaultAudience = 'istio-ca'

const algorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'ES256', 'ES384', 'EdDSA']
const tokenLengthMax = 16_384
const clockToleranceSeconds = 60
const fetchTimeoutMs = 5_000

/** Throws MESH_IDENTITY_INVALID when an issuer is configured in a way that cannot be meant. */
export function createJwtVerifier(options: JwtVerifierOptions): JwtVerifier {
  for (const issuer of options.issuers) checkIssuer(issuer)
  return new JwtVerifier(options)
}

export class JwtVerifier {
  readonly #clock: Clock
  readonly #issuers: ReadonlyMap<string, JwtIssuer>
  readonly #remoteKeys = new Map<string, JWTVerifyGetKey>()

  /** For `createJwtVerifier`. */
  constructor({ issuers, clock }: JwtVerifierOptions) {
    this.#clock = clock
    this.#issuers = new Map(issuers.map((issuer) => [issuer.issuer, issuer]))
  }

  get isEmpty(): boolean {
    return this.#issuers.size === 0
  }

  /** Never rejects; the detail never holds the token. */
  async verify(token: string): Promise<JwtVerdict> {
    const { decodeJwt, jwtVerify } = await import('jose')
    let issuer: string
    try {
      if (token.length > tokenLengthMax) throw new Error(`longer than ${tokenLengthMax} characters`)
      issuer = decodeJwt(token).iss ?? ''
    } catch (error) {
      return refuse('malformed', describeError(error))
    }
    const known = this.#issuers.get(issuer)
    if (known === undefined) {
      return refuse(
        'unknown-issuer',
        `issuer ${JSON.stringify(issuer.slice(0, 200))} is not configured`,
      )
    }
    try {
      const { payload } = await jwtVerify(token, await this.#keysOf(known), {
        issuer: known.issuer,
        audience: [...known.audiences],
        algorithms,
        clockTolerance: clockToleranceSeconds,
        currentDate: new Date(this.#clock.nowMs()),
        requiredClaims: ['exp'],
      })
      return identityIn(payload, known)
    } catch (error) {
      const isExpired = (error as { code?: string }).code === 'ERR_JWT_EXPIRED'
      return refuse(isExpired ? 'expired' : 'invalid', describeError(error))
    }
  }

  async #keysOf(issuer: JwtIssuer): Promise<JWTVerifyGetKey> {
    const { createLocalJWKSet, createRemoteJWKSet } = await import('jose')
    const place = issuer.jwks ?? (await discover(issuer.issuer))
    if (!isUrl(place)) {
      // Read each time: the file is small, joins are rare, and keys rotate.
      return createLocalJWKSet(JSON.parse(await readFile(place, 'utf8')) as never)
    }
    let keys = this.#remoteKeys.get(place)
    if (keys === undefined) {
      keys = createRemoteJWKSet(new URL(place), { timeoutDuration: fetchTimeoutMs })
      this.#remoteKeys.set(place, keys)
    }
    return keys
  }
}

/** OpenID Connect Discovery §4. */
async function discover(issuer: string): Promise<string> {
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
  const response = await fetch(url, {
    signal: AbortSignal.timeout(fetchTimeoutMs),
    redirect: 'error',
  })
  const document = (await response.json()) as { issuer?: unknown; jwks_uri?: unknown }
  if (document.issuer !== issuer || typeof document.jwks_uri !== 'string') {
    throw new Error(`${url} is no discovery document of ${issuer}`)
  }
  checkUrl(document.jwks_uri)
  return document.jwks_uri
}

function identityIn(payload: JWTPayload, issuer: JwtIssuer): JwtVerdict {
  const found =
    issuer.namespaceClaim === undefined && issuer.serviceAccountClaim === undefined
      ? kubernetesIdentity(payload)
      : {
          namespace: claimAt(payload, issuer.namespaceClaim),
          serviceAccount: claimAt(payload, issuer.serviceAccountClaim),
        }
  const { namespace, serviceAccount } = found
  if (namespace === undefined || serviceAccount === undefined) {
    return refuse('no-identity', 'the claims name no namespace and service account')
  }
  return { ok: true, issuer: issuer.issuer, namespace, serviceAccount }
}

/** `system:serviceaccount:NAMESPACE:NAME`, which a bound token's `kubernetes.io` claims must agree with. */
function kubernetesIdentity(payload: JWTPayload) {
  const [, namespace, serviceAccount] =
    /^system:serviceaccount:([^:]+):([^:]+)$/.exec(payload.sub ?? '') ?? []
  const bound = payload['kubernetes.io'] === undefined ? undefined : boundIdentity(payload)
  const agrees =
    bound === undefined ||
    (bound.namespace === namespace && bound.serviceAccount === serviceAccount)
  return agrees
    ? { namespace, serviceAccount }
    : { namespace: undefined, serviceAccount: undefined }
}

function boundIdentity(payload: JWTPayload) {
  const claims = payload['kubernetes.io'] as {
    readonly namespace?: unknown
    readonly serviceaccount?: { readonly name?: unknown }
  } | null
  return { namespace: claims?.namespace, serviceAccount: claims?.serviceaccount?.name }
}

function claimAt(payload: JWTPayload, path: string | undefined): string | undefined {
  let value: unknown = payload
  for (const key of path?.split('.') ?? []) value = memberOf(value, key)
  return typeof value === 'string' && value !== '' ? value : undefined
}

function checkIssuer({
  issuer,
  audiences,
  jwks,
  namespaceClaim,
  serviceAccountClaim,
}: JwtIssuer): void {
  const invalid = (what: string) =>
    new MeshError('MESH_IDENTITY_INVALID', `JWT issuer ${JSON.stringify(issuer)}: ${what}`)
  if (issuer === '') throw invalid('has no name')
  if (audiences.length === 0)
    throw invalid(`has no audience, expected one such as ${defaultAudience}`)
  if ((namespaceClaim === undefined) !== (serviceAccountClaim === undefined)) {
    throw invalid('names a claim for the namespace or the service account only, expected both')
  }
  if (jwks === undefined) checkUrl(issuer)
  else if (isUrl(jwks)) checkUrl(jwks)
}

function isUrl(place: string): boolean {
  return /^https?:\/\//.test(place)
}

/** Keys that came unprotected prove nothing. */
function checkUrl(text: string): void {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isLoopback = ['localhost', '127.0.0.1', '[::1]'].includes(url?.hostname ?? '')
  if (url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback)) return
  throw new MeshError(
    'MESH_IDENTITY_INVALID',
    `keys must come over https, got ${text.slice(0, 200)}`,
  )
}

function refuse(reason: JwtRefusal, detail: string): JwtVerdict {
  return { ok: false, reason, detail }
}
