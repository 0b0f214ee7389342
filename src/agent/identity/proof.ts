/**
 * How a workload that has no certificate yet, or whose certificate has expired, says who it is: by a token from a
 * file that the user gave, or by one that the control plane on this host hands over to its owner.
 *
 * A token is read when it is needed, so that a file may be replaced; it is kept in memory only as long as the call.
 */
import { readFileSync } from 'node:fs'

import { readCertificates } from '../../identity/certificate.ts'
import { isJoinToken, requireJoinToken } from '../../identity/join-token.ts'
import type { ServerTrust } from '../../identity/server-trust.ts'
import { TrustBundle } from '../../identity/trust-bundle.ts'
import { MeshError } from '../../lib/mesh-error.ts'
import type { IdentityPlan } from '../workload-plan.ts'
import type { RequestToken, TokenWish } from './request-token.ts'

export interface Proof {
  readonly token: string
  /** How to know the control plane, for a host that believes no root yet. */
  readonly roots: ServerTrust['roots']
}

/** Rejections: MESH_IDENTITY_REFUSED (there is no proof), MESH_CA_UNREACHABLE (nobody hands one over now). */
export async function findProof(
  plan: IdentityPlan,
  wish: TokenWish,
  requestToken: RequestToken,
): Promise<Proof> {
  const { tokenFile, handOver } = plan
  if (tokenFile !== undefined) return proofOf(readToken(tokenFile), plan)
  if (handOver !== undefined) return proofOf(await requestToken(handOver, wish), plan)
  throw new MeshError('MESH_IDENTITY_REFUSED', 'the workload has no certificate and no token', {
    remedy: 'make a join token (tulle token create) and pass it with --token-file',
  })
}

function proofOf(token: string, { rootsFile }: IdentityPlan): Proof {
  if (isJoinToken(token)) return { token, roots: { hashes: requireJoinToken(token).rootHashes } }
  if (rootsFile === undefined) {
    throw new MeshError(
      'MESH_IDENTITY_REFUSED',
      'a token that is not a join token does not say whom to believe',
      { remedy: "give the mesh's roots with --root-cert FILE" },
    )
  }
  return { token, roots: new TrustBundle({ given: readCertificates(readText(rootsFile)) }) }
}

function readToken(path: string): string {
  const token = readText(path).trim()
  if (token !== '' && !/\s/.test(token)) return token
  throw new MeshError('MESH_IDENTITY_REFUSED', `${path} holds no token`, {
    remedy: 'it must hold one line, as tulle token create prints it',
  })
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new MeshError('MESH_IDENTITY_REFUSED', `read ${path}`, { cause })
  }
}
