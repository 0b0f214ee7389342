/**
 * Zone-aware routing, which the proxy does itself: it compares its zone's share of the callers with that of the
 * destination's endpoints, and keeps requests in the zone as far as these can take them.
 *
 * For the first share it has to know its fellows, the workloads of its own service, by the cluster `local_cluster` that
 * its bootstrap names. As in Istio they are those of its region, and of its own rollout where workloads are labelled so.
 * A workload of no service has no fellows, and its proxy balances over all zones. While nothing routes by zone nobody is
 * told of fellows, so that they cost nothing.
 */
import type { ZoneAwareLbSetting } from '../model/istio/destination-rule.ts'
import type { Endpoint } from '../registry/service.ts'
import { encodeResource } from '../xds/encode.ts'
import { ClusterLoadAssignment } from '../xds/proto/generated/envoy/config/endpoint/v3/endpoint.ts'
import { typeUrls, type EncodedResource } from '../xds/resource-set.ts'
import type { Client } from './client.ts'
import type { DestinationRules } from './destination-rule-index.ts'
import { groupsOf } from './endpoint.ts'
import type { MeshSettings } from './input.ts'
import { isZoneAware } from './locality.ts'
import { blocksOf } from './traffic-policy.ts'

/** Istio's name of the cluster of fellows. */
export const localCluster = 'local_cluster'

export function routesByZone(
  rules: DestinationRules,
  mesh: Pick<MeshSettings, 'zoneAwareLb'>,
): boolean {
  return (
    isZoneAware(mesh.zoneAwareLb) ||
    rules.all
      .flatMap(blocksOf)
      .some(({ loadBalancer }) => isZoneAware(loadBalancer?.zoneAwareLbSetting))
  )
}

export function withinZone({ minClusterSize }: ZoneAwareLbSetting) {
  return {
    $case: 'zoneAwareLbConfig' as const,
    value: minClusterSize === undefined ? {} : { minClusterSize },
  }
}

export const acrossZones = {
  $case: 'zoneAwareLbConfig' as const,
  value: { routingEnabled: { value: 0 } },
}

/** Labels that tell the workloads of one rollout. */
const rolloutLabels = ['pod-template-hash', 'rollouts-pod-template-hash']

/** `endpoints`: of the client's own service. */
export function translateFellows(
  endpoints: readonly Endpoint[],
  { locality, labels }: Pick<Client, 'locality' | 'labels'>,
): EncodedResource {
  const region = regionOf(locality)
  const wanted = rolloutLabels.filter((label) => labels[label] !== undefined)
  const fellows = endpoints.filter(
    (endpoint) =>
      regionOf(endpoint.locality) === region &&
      wanted.every((label) => endpoint.labels[label] === labels[label]),
  )
  const groups = groupsOf(fellows, () => false)
  const message = ClusterLoadAssignment.fromPartial({
    clusterName: localCluster,
    endpoints: groups.map(({ group }) => group),
  })
  const typeUrl = typeUrls.endpoint
  return encodeResource({ name: localCluster, typeUrl, codec: ClusterLoadAssignment, message })
}

function regionOf(locality: string): string {
  return locality.split('/')[0] ?? ''
}
