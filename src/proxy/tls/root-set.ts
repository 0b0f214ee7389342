/**
 * Authorities of one validation context without trust domains (a plain `trusted_ca`, or the system's), and the paths that
 * were found to them: peers reconnect with the same certificate.
 *
 * A path is followed by names and signatures. Times are the caller's business; name constraints, path lengths and
 * purposes are OpenSSL's, whose verdict is asked beside this one.
 */
import type { X509Certificate } from 'node:crypto'

export interface PeerChain {
  readonly leaf: X509Certificate
  /** As the peer sent them, or as they were kept with a session. */
  readonly others: readonly X509Certificate[]
}

/** Certificates between leaf and root that are tried at most. */
const tooDeep = 10
const pathsMax = 1_024

export class RootSet {
  readonly roots: readonly X509Certificate[]
  readonly #bySubject = new Map<string, X509Certificate[]>()
  readonly #paths = new Map<string, readonly X509Certificate[]>()

  constructor(roots: readonly X509Certificate[]) {
    this.roots = roots
    for (const root of roots) {
      const same = this.#bySubject.get(root.subject)
      if (same === undefined) this.#bySubject.set(root.subject, [root])
      else same.push(root)
    }
  }

  /** From the leaf to a root, both included. An authority that is trusted may be an intermediate, as in Envoy. */
  pathOf(peer: PeerChain, depthMax: number): readonly X509Certificate[] | undefined {
    const key = peer.leaf.fingerprint256
    const known = this.#paths.get(key)
    if (known !== undefined) return known
    const path = this.#extend([peer.leaf], { peer, depthMax: Math.min(depthMax, tooDeep) })
    if (path === undefined) return undefined
    const [oldest] = this.#paths.keys()
    if (this.#paths.size >= pathsMax && oldest !== undefined) this.#paths.delete(oldest)
    this.#paths.set(key, path)
    return path
  }

  #extend(
    path: readonly X509Certificate[],
    search: { readonly peer: PeerChain; readonly depthMax: number },
  ): readonly X509Certificate[] | undefined {
    const last = path.at(-1)
    if (last === undefined) return undefined
    const roots = this.#bySubject.get(last.issuer) ?? []
    const root = roots.find((candidate) => isIssuer(candidate, last))
    if (root !== undefined) return [...path, root]
    if (path.length > search.depthMax) return undefined
    for (const candidate of search.peer.others) {
      const isSeen = path.some((seen) => seen.fingerprint256 === candidate.fingerprint256)
      if (isSeen || !isIssuer(candidate, last)) continue
      const found = this.#extend([...path, candidate], search)
      if (found !== undefined) return found
    }
    return undefined
  }
}

function isIssuer(issuer: X509Certificate, certificate: X509Certificate): boolean {
  return issuer.ca && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)
}
