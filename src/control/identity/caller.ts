/**
 * Who asks for a certificate, and which one it may have. In this order: the certificate that it has (renewal), a
 * join token, a JWT of a configured issuer. The first proof that there is decides; nothing that the request says
 * of itself gives a right, and what it claims beyond its proof is a reason to refuse.
 */
import { isJoinToken } from '../../identity/join-token.ts'
import type { JwtVerifier } from '../../identity/jwt-issuer.ts'
import type { CertificateRequest } from '../../identity/read-csr.ts'
import { parseSpiffeId, type WorkloadIdentity } from '../../identity/spiffe-id.ts'
import type { TokenStore } from '../../identity/token-store.ts'
import type { CertificateCall } from '../../xds/ca-server.ts'
import { grpcCodes } from '../../xds/grpc/grpc-status.ts'

export type Caller =
  | {
      readonly ok: true
      readonly namespace: string
      readonly serviceAccount: string
      readonly workloadGroup: string | undefined
      /** For the book and the log: how it proved itself. */
      readonly via: string
    }
  | RefusedCaller

export interface RefusedCaller {
  readonly ok: false
  /** UNAUTHENTICATED: no proof, or none that is good. PERMISSION_DENIED: it asks for more than it may have. */
  readonly code: number
  readonly reason: string
  readonly detail: string
}

export interface CallerChecks {
  readonly tokens: TokenStore
  readonly jwts: JwtVerifier
  /** The mesh's own trust domain and its former names. */
  readonly trustDomains: ReadonlySet<string>
}

/** Istio's way to ask in the name of somebody else; nobody may here. */
const impersonation = 'ImpersonatedIdentity'

/** What can be told without looking at the request: whether there is any proof. */
export function refuseWithoutProof(call: CertificateCall): RefusedCaller | undefined {
  if (call.metadata[impersonation] !== undefined) {
    return denied('impersonation', 'nobody may ask for a certificate of somebody else')
  }
  if (call.verdict?.ok === true || call.bearer !== undefined) return undefined
  if (call.verdict === undefined || call.verdict.reason === 'no-certificate') {
    return unproved('no-proof', 'neither a client certificate nor a token came with the call')
  }
  return unproved(call.verdict.reason, call.verdict.detail)
}

export async function identifyCaller(
  call: CertificateCall,
  request: CertificateRequest,
  checks: CallerChecks,
): Promise<Caller> {
  if (call.verdict?.ok === true) return byCertificate(call.verdict, request, checks)
  const bearer = call.bearer ?? ''
  return isJoinToken(bearer) ? byToken(bearer, request, checks) : byJwt(bearer, request, checks)
}

function byCertificate(
  verdict: { readonly spiffeId: string; readonly workloadGroup: string | undefined },
  request: CertificateRequest,
  { trustDomains }: CallerChecks,
): Caller {
  const workload = parseSpiffeId(verdict.spiffeId)?.workload
  if (workload === undefined || !trustDomains.has(workload.trustDomain)) {
    return denied('foreign-identity', `${verdict.spiffeId} is no workload of this mesh`)
  }
  if (!claimsFit(request, workload)) return overclaimed(request, workload)
  const { namespace, serviceAccount } = workload
  const { workloadGroup } = verdict
  return { ok: true, namespace, serviceAccount, workloadGroup, via: 'certificate' }
}

async function byToken(
  text: string,
  request: CertificateRequest,
  { tokens }: CallerChecks,
): Promise<Caller> {
  const redemption = await tokens.redeem(text, {
    publicKey: request.publicKey,
    accepts: (grant) => claimsFit(request, grant),
  })
  if (redemption.ok) {
    const { namespace, serviceAccount, group } = redemption.grant
    const via = `token ${redemption.id}`
    return { ok: true, namespace, serviceAccount, workloadGroup: group, via }
  }
  const { reason } = redemption
  if (reason === 'other-identity') {
    return denied(
      'other-identity',
      'the join token was made for another namespace or service account',
    )
  }
  return unproved(`token-${reason}`, `the join token is ${reason}`)
}

async function byJwt(
  token: string,
  request: CertificateRequest,
  { jwts }: CallerChecks,
): Promise<Caller> {
  if (jwts.isEmpty) {
    return unproved('unknown-token', 'the token is no join token, and no JWT issuer is configured')
  }
  const verdict = await jwts.verify(token)
  if (!verdict.ok) return unproved(`jwt-${verdict.reason}`, verdict.detail)
  const { namespace, serviceAccount, issuer } = verdict
  if (!claimsFit(request, verdict)) return overclaimed(request, verdict)
  return { ok: true, namespace, serviceAccount, workloadGroup: undefined, via: `jwt ${issuer}` }
}

type Granted = Pick<WorkloadIdentity, 'namespace' | 'serviceAccount'>

/**
 * Names in the request give nothing; but who asks for another's is refused, not given its own. So is a SPIFFE id that is
 * no workload's: whom it means cannot be known. Other URIs mean nothing here.
 */
function claimsFit({ claimedUris }: CertificateRequest, granted: Granted): boolean {
  const { namespace, serviceAccount } = granted
  return claimedUris.every((uri) => {
    if (!/^spiffe:/i.test(uri)) return true
    const claimed = parseSpiffeId(uri)?.workload
    return claimed?.namespace === namespace && claimed.serviceAccount === serviceAccount
  })
}

function overclaimed({ claimedUris }: CertificateRequest, granted: Granted): RefusedCaller {
  const { namespace, serviceAccount } = granted
  const claimed = claimedUris.join(', ').slice(0, 300)
  const detail = `asked for ${claimed}, may have service account ${namespace}/${serviceAccount}`
  return denied('other-identity', detail)
}

function unproved(reason: string, detail: string): RefusedCaller {
  return { ok: false, code: grpcCodes.unauthenticated, reason, detail }
}

function denied(reason: string, detail: string): RefusedCaller {
  return { ok: false, code: grpcCodes.permissionDenied, reason, detail }
}
