/** The host of an attempt: a dynamic forward proxy asks the resolver, every other cluster its balancer. */
import type { Hash64 } from '../lib/xx-hash.ts'
import type { PickContext } from './balance/balancer.ts'
import type { RequestHead } from './http/message.ts'
import type { Cluster } from './upstream/cluster.ts'
import type { Host } from './upstream/host.ts'

/** What a retry would rather not have. */
export interface HostsToAvoid extends Pick<PickContext, 'avoid' | 'avoidAttemptsMax'> {
  leftOut?(): PickContext['leftOut']
}

/** Undefined, and counted, where no host may be used. */
export function pickHost(
  cluster: Cluster,
  toAvoid: HostsToAvoid = anyHost,
  hash?: Hash64,
): Host | undefined {
  const { avoid, avoidAttemptsMax } = toAvoid
  const leftOut = toAvoid.leftOut?.()
  const host = cluster.balancer.pick({ avoid, avoidAttemptsMax, hash, leftOut })
  if (host === undefined) cluster.stats.cxNoneHealthy.add(1)
  return host
}

const anyHost: HostsToAvoid = { avoid: [], avoidAttemptsMax: 0 }

/** For whoever has no preference among hosts; `found` gets undefined when there is none. */
export function findAnyHost(
  cluster: Cluster,
  { authority }: RequestHead,
  found: (host: Host | undefined) => void,
): void {
  if (cluster.resolveHost === undefined) found(pickHost(cluster))
  else cluster.resolveHost(authority, found)
}
