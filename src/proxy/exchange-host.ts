/** The host of an attempt: a dynamic forward proxy asks the resolver, every other cluster its balancer. */
import type { RequestHead } from './http/message.ts'
import type { Cluster } from './upstream/cluster.ts'
import type { Host } from './upstream/host.ts'

export interface HostQuery {
  readonly avoid: readonly Host[]
  readonly avoidAttemptsMax: number
  readonly hash: number | undefined
}

/** Undefined, and counted, where no host may be used. */
export function pickHost(cluster: Cluster, query: HostQuery): Host | undefined {
  const host = cluster.balancer.pick(query)
  if (host === undefined) cluster.stats.cxNoneHealthy.add(1)
  return host
}

/** For whoever has no preference among hosts; `found` gets undefined when there is none. */
export function findAnyHost(
  cluster: Cluster,
  { authority }: RequestHead,
  found: (host: Host | undefined) => void,
): void {
  if (cluster.resolveHost === undefined) found(pickHost(cluster, anyHost))
  else cluster.resolveHost(authority, found)
}

const anyHost: HostQuery = { avoid: [], avoidAttemptsMax: 0, hash: undefined }
