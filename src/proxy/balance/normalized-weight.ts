/**
 * Weights of hosts as shares of the whole, for hashing tables. With locality weights a host's share is that of its
 * locality times its own in it. The order of operations is Envoy's (thread_aware_lb_impl.cc): rings and tables are
 * built from running sums of these, and must not differ by a rounding.
 */
import type { Host } from '../upstream/host.ts'
import { localityKey } from './locality-picker.ts'

export interface WeightedHost {
  readonly host: Host
  /** Above 0, at most 1; all together give 1. */
  readonly weight: number
}

/** `all` are the hosts of the priority, `usable` those that the table is made of. */
export function normalizeWeights(
  usable: readonly Host[],
  all: readonly Host[],
  isLocalityWeighted: boolean,
): readonly WeightedHost[] {
  if (!isLocalityWeighted) return normalized(usable, 1)
  const byLocality = Map.groupBy(usable, (host) => localityKey(host.locality))
  const localities = Map.groupBy(all, (host) => localityKey(host.locality))
  const weights = [...localities].map(([key, group]) => ({
    key,
    weight: group[0]?.localityWeight ?? 0,
  }))
  const sum = weights.reduce((total, { weight }) => total + weight, 0)
  if (sum === 0) return []
  return weights.flatMap(({ key, weight }) =>
    weight === 0 ? [] : normalized(byLocality.get(key) ?? [], weight / sum),
  )
}

function normalized(hosts: readonly Host[], share: number): readonly WeightedHost[] {
  const sum = hosts.reduce((total, host) => total + host.weight, 0)
  return hosts.map((host) => ({ host, weight: (host.weight * share) / sum }))
}

/** What a host is known by to hashing: a key of its own, or its name, or its address. */
export function hashKeyOf(host: Host, usesHostname: boolean): string {
  const { hashKey } = host.metadata
  if (hashKey !== undefined && hashKey !== '') return hashKey
  return usesHostname ? host.hostname : host.addressText
}
