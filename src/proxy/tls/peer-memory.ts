/**
 * What peers sent with their leaf certificates, so that a resumed session, which shows a leaf only, can be verified again
 * up to its root. Belongs to one secure context, as its session tickets do: tickets of another context do not resume.
 *
 * Ceiling: `peersMax` leaves, the oldest go first. A resumed peer that is not here any more is refused as `unknown-ca`
 * and comes back with a full handshake.
 */
import type { X509Certificate } from 'node:crypto'

const peersMax = 4_096

export class PeerMemory {
  readonly #others = new Map<string, readonly X509Certificate[]>()

  remember(leaf: X509Certificate, others: readonly X509Certificate[]): void {
    const key = leaf.fingerprint256
    this.#others.delete(key)
    this.#others.set(key, others)
    const [oldest] = this.#others.keys()
    if (this.#others.size > peersMax && oldest !== undefined) this.#others.delete(oldest)
  }

  recall(leaf: X509Certificate): readonly X509Certificate[] {
    return this.#others.get(leaf.fingerprint256) ?? []
  }
}
