/** A DestinationRule's `loadBalancer` as Envoy's policy of the cluster; Istio's default is LEAST_REQUEST. */
import { durationMs } from '../model/duration.ts'
import type { ConsistentHash, LoadBalancerSettings } from '../model/istio/destination-rule.ts'
import { Cluster_LbPolicy } from '../xds/proto/generated/envoy/config/cluster/v3/cluster.ts'
import { durationOf } from './message.ts'

/** Envoy's default, which Istio writes out for ring hash without an algorithm. */
const ringSizeDefault = 1024

export function translateLoadBalancer(settings: LoadBalancerSettings = {}) {
  if (settings.consistentHash !== undefined) return hashing(settings.consistentHash)
  if (settings.simple === 'RANDOM') return { lbPolicy: Cluster_LbPolicy.RANDOM }
  if (settings.simple === 'ROUND_ROBIN') return roundRobin(settings)
  // LEAST_CONN is its old name; clusters of PASSTHROUGH have nothing to balance over.
  return leastRequest(settings)
}

/** Whether a cluster has no endpoints of its own and goes where the caller said. */
export function isPassthrough(settings: LoadBalancerSettings | undefined): boolean {
  return settings?.simple === 'PASSTHROUGH'
}

function roundRobin(settings: LoadBalancerSettings) {
  const slowStartConfig = slowStart(settings)
  return {
    lbPolicy: Cluster_LbPolicy.ROUND_ROBIN,
    ...(slowStartConfig !== undefined && {
      lbConfig: { $case: 'roundRobinLbConfig' as const, value: { slowStartConfig } },
    }),
  }
}

function leastRequest(settings: LoadBalancerSettings) {
  const slowStartConfig = slowStart(settings)
  return {
    lbPolicy: Cluster_LbPolicy.LEAST_REQUEST,
    ...(slowStartConfig !== undefined && {
      lbConfig: { $case: 'leastRequestLbConfig' as const, value: { slowStartConfig } },
    }),
  }
}

function slowStart({ warmup, warmupDurationSecs }: LoadBalancerSettings) {
  const window = warmup?.duration ?? warmupDurationSecs
  if (window === undefined) return undefined
  return {
    slowStartWindow: durationOf(durationMs(window)),
    ...(warmup?.aggression !== undefined && {
      aggression: { defaultValue: warmup.aggression, runtimeKey: '' },
    }),
    ...(warmup?.minimumPercent !== undefined && {
      minWeightPercent: { value: warmup.minimumPercent },
    }),
  }
}

function hashing(settings: ConsistentHash) {
  if (settings.maglev !== undefined) {
    const { tableSize } = settings.maglev
    return {
      lbPolicy: Cluster_LbPolicy.MAGLEV,
      ...(tableSize !== undefined &&
        tableSize > 0 && {
          lbConfig: { $case: 'maglevLbConfig' as const, value: { tableSize } },
        }),
    }
  }
  const { minimumRingSize = 0 } = settings.ringHash ?? settings
  const size =
    settings.ringHash === undefined ? minimumRingSize || ringSizeDefault : minimumRingSize
  return {
    lbPolicy: Cluster_LbPolicy.RING_HASH,
    ...(size > 0 && {
      lbConfig: { $case: 'ringHashLbConfig' as const, value: { minimumRingSize: size } },
    }),
  }
}
