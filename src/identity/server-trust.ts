/**
 * How a workload knows the control plane: by the roots that it believes, or, before it has any, by the hashes of
 * roots in its join token. Either way the certificate must carry the control plane's name, which the authority
 * gives to nobody else.
 */
import type { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'

import { describeError } from '../lib/mesh-error.ts'
import { usageOids } from './certificate.ts'
import { rootHashOf } from './join-token.ts'
import { TrustBundle, type RefusedPeer } from './trust-bundle.ts'

export interface ServerTrust {
  /** The roots to believe, or base64url SHA-256 of one that the server must bring along itself. */
  readonly roots: TrustBundle | { readonly hashes: readonly string[] }
  /** Host name or address in the certificate. */
  readonly serverName: string
  readonly nowMs: number
}

export type ServerVerdict = { readonly ok: true; readonly root: X509Certificate } | RefusedPeer

/** Always in the control plane's certificate, whatever its addresses are. */
export const controlPlaneName = 'istiod.istio-system.svc'

/** Checks the chain that a control plane sent, leaf first. Never throws. */
export function verifyServerChain(
  chain: readonly X509Certificate[],
  { roots, serverName, nowMs }: ServerTrust,
): ServerVerdict {
  try {
    const bundle = roots instanceof TrustBundle ? roots : pinnedBundle(chain, roots.hashes)
    if (bundle === undefined) {
      return refuse('unknown-ca', "the server's root is not one that the join token names")
    }
    const found = bundle.follow(chain)
    if ('refusal' in found) return found.refusal
    const { root, rights, notBeforeMs, notAfterMs } = found
    if (nowMs > notAfterMs) return refuse('expired', 'the certificate of the server has expired')
    if (nowMs < notBeforeMs) {
      return refuse(
        'not-yet-valid',
        'the certificate of the server is of the future: compare clocks',
      )
    }
    if (rights.extendedUsages?.includes(usageOids.server) === false) {
      return refuse('invalid-chain', 'the certificate may not be used by a server')
    }
    return hasName(chain[0], serverName)
      ? { ok: true, root }
      : refuse('san-mismatch', `the certificate of the server does not name ${serverName}`)
  } catch (error) {
    return refuse('invalid-chain', describeError(error))
  }
}

function pinnedBundle(
  chain: readonly X509Certificate[],
  hashes: readonly string[],
): TrustBundle | undefined {
  const roots = chain.filter((certificate) => hashes.includes(rootHashOf(certificate)))
  return roots.length === 0 ? undefined : new TrustBundle({ pinned: roots })
}

function hasName(leaf: X509Certificate | undefined, serverName: string): boolean {
  if (leaf === undefined) return false
  return isIP(serverName) === 0
    ? leaf.checkHost(serverName, { subject: 'never', wildcards: false }) !== undefined
    : leaf.checkIP(serverName) !== undefined
}

function refuse(reason: RefusedPeer['reason'], detail: string): RefusedPeer {
  return { ok: false, reason, detail }
}
