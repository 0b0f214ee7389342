/**
 * Chooses one host of a cluster for an attempt. Envoy `load_balancing_policies`.
 * Every policy passes the contract suite in test/contract/balancer.ts.
 */
import type { Hash64 } from '../../lib/xx-hash.ts'
import type { Host } from '../upstream/host.ts'

export interface PickContext {
  /** Hosts already tried for this request; avoided for `avoidAttemptsMax` re-selections, then accepted. */
  readonly avoid: readonly Host[]
  readonly avoidAttemptsMax: number
  /** Hash of the request for hashing policies, or undefined. */
  readonly hash: Hash64 | undefined
  /**
   * Priorities that a retry leaves out (Envoy `previous_priorities`). A balancer that has nothing beside them empties
   * the set and starts over. Hashing ignores it.
   */
  readonly leftOut?: Set<number> | undefined
}

export interface Balancer {
  /** An available host, or undefined: 503 UH. Panic mode (Envoy) is decided inside. */
  pick(context: PickContext): Host | undefined
  /** Called when hosts, weights or health changed. The array is not changed afterwards. */
  update(hosts: readonly Host[]): void
}
