/**
 * Where endpoints are, as a client somewhere sees them: Istio's `localityLbSetting`.
 *
 * `distribute` gives weights to localities and takes away those that it does not name. Failover gives priorities, and
 * only where something notices that endpoints fail: with outlier detection, or where the service itself prefers near
 * endpoints. A rule's setting goes before the service's traffic distribution, and that before the mesh's setting.
 *
 * With `zoneAwareLbSetting` the proxy itself spreads requests over the zones of its region (zone-aware.ts), which is the
 * first priority whatever notices failures; other regions follow.
 */
import type {
  LocalityFailover,
  LocalityLbSetting,
  ZoneAwareLbSetting,
} from '../model/istio/destination-rule.ts'
import { hostnameLabel } from '../registry/label.ts'
import type { Endpoint, Service, TrafficDistribution } from '../registry/service.ts'
import type { LocalityLbEndpoints } from '../xds/proto/generated/envoy/config/endpoint/v3/endpoint_components.ts'
import type { MeshSettings } from './input.ts'
import type { EffectivePolicy } from './traffic-policy.ts'

/** Endpoints of one locality with what they were made from, in the same order. */
export interface LocalityGroup {
  readonly group: LocalityLbEndpoints
  readonly endpoints: readonly Endpoint[]
}

/** What a client's own place says; absent parts are empty. */
export interface ClientPlace {
  /** `region/zone/subzone` */
  readonly locality: string
  /** Values of the labels that some rule orders endpoints by. */
  readonly labels: Readonly<Record<string, string>>
}

export interface LocalityPolicy {
  readonly setting: LocalityLbSetting
  readonly hasFailover: boolean
  /** The proxy chooses zones; the setting says how regions and labels are ordered. */
  readonly zones?: ZoneAwareLbSetting
}

interface PolicyInput {
  readonly policy: Pick<EffectivePolicy, 'loadBalancer' | 'outlierDetection'>
  readonly service: Pick<Service, 'trafficDistribution'>
  readonly mesh: Pick<MeshSettings, 'localityLb' | 'zoneAwareLb'>
}

/** Undefined: places play no part. */
export function localityPolicyOf({
  policy,
  service,
  mesh,
}: PolicyInput): LocalityPolicy | undefined {
  const hasOutliers = policy.outlierDetection !== undefined
  const zones = policy.loadBalancer?.zoneAwareLbSetting
  if (zones !== undefined) return isZoneAware(zones) ? zonePolicy(zones) : undefined
  const own = policy.loadBalancer?.localityLbSetting
  if (own !== undefined) {
    return own.enabled === false ? undefined : { setting: own, hasFailover: hasOutliers }
  }
  const preferred = preferences[service.trafficDistribution ?? 'any']
  if (preferred !== undefined) {
    return { setting: { failoverPriority: preferred }, hasFailover: true }
  }
  if (isZoneAware(mesh.zoneAwareLb)) return zonePolicy(mesh.zoneAwareLb)
  return mesh.localityLb && { setting: mesh.localityLb, hasFailover: hasOutliers }
}

/** On where it is written, unless it says otherwise. */
export function isZoneAware(
  setting: ZoneAwareLbSetting | undefined,
): setting is ZoneAwareLbSetting {
  return setting !== undefined && setting.enabled !== false
}

function zonePolicy(zones: ZoneAwareLbSetting): LocalityPolicy {
  return { setting: zones, hasFailover: true, zones }
}

/** Where a client and an endpoint say which cluster they are of. */
export const clusterLabel = 'topology.istio.io/cluster'

const sameZone = [
  'topology.istio.io/network',
  'topology.kubernetes.io/region',
  'topology.kubernetes.io/zone',
]

const preferences: Readonly<Record<TrafficDistribution | 'any', readonly string[] | undefined>> = {
  any: undefined,
  'same-zone': sameZone,
  'same-node': [...sameZone, 'topology.istio.io/subzone', hostnameLabel],
}

/** Labels that services' own preferences ask about, besides the machine. */
export const preferenceLabels: readonly string[] = (preferences['same-node'] ?? []).filter(
  (label) => label !== hostnameLabel,
)

/** Whether the machine that a caller runs on decides what it gets of a service. */
export function asksForNode({ trafficDistribution, isNodeLocal }: Service): boolean {
  return trafficDistribution === 'same-node' || isNodeLocal === true
}

/** Endpoints that serve a caller in that place: all, or those on its machine. */
export function isServing(
  { labels }: Pick<Endpoint, 'labels'>,
  { isNodeLocal }: Pick<Service, 'isNodeLocal'>,
  place: ClientPlace,
): boolean {
  return isNodeLocal !== true || labels[hostnameLabel] === place.labels[hostnameLabel]
}

/** The names of the labels in `failoverPriority`, less those whose value stands beside them. */
export function labelsOf(
  setting: Pick<LocalityLbSetting, 'failoverPriority'> | undefined,
): readonly string[] {
  return (setting?.failoverPriority ?? []).filter((label) => !label.includes('='))
}

/** Whether Envoy chooses localities by weight. Elsewhere that would spoil what the policy itself says. */
export function isLocalityWeighted(policy: LocalityPolicy | undefined): boolean {
  if (policy === undefined || policy.zones !== undefined) return false
  const { distribute, failover, failoverPriority } = policy.setting
  if ((distribute ?? []).length > 0) return true
  const isSaid = (failover ?? []).length > 0 || (failoverPriority ?? []).length > 0
  return policy.hasFailover && isSaid
}

/** The groups as a client in that place is to use them. `hasLabels`: whether endpoints may be told apart by labels. */
export function placeGroups(
  groups: readonly LocalityGroup[],
  policy: LocalityPolicy | undefined,
  place: ClientPlace,
): LocalityLbEndpoints[] {
  const plain = groups.map(({ group }) => group)
  if (policy === undefined) return plain
  if (policy.zones !== undefined) return zoned(groups, policy, place)
  const { distribute = [], failover = [], failoverPriority = [] } = policy.setting
  if (distribute.length > 0) return distributed(plain, distribute, place.locality)
  if (!policy.hasFailover) return plain
  if (failoverPriority.length === 0) return failedOver(plain, failover, place.locality)
  const byLabel = prioritizedByLabel(groups, failoverPriority, place)
  return failover.length === 0 ? byLabel : failedOver(byLabel, failover, place.locality)
}

/** Within what labels say, the own region comes first, then where it fails over to, then all others. */
function zoned(
  groups: readonly LocalityGroup[],
  { setting: { failover = [], failoverPriority = [] } }: LocalityPolicy,
  place: ClientPlace,
): LocalityLbEndpoints[] {
  const { region } = partsOf(place.locality)
  const target = failover.find((one) => one.from === region)
  const ordered =
    failoverPriority.length === 0
      ? groups.map(({ group }) => group)
      : prioritizedByLabel(groups, failoverPriority, place)
  return compacted(
    ordered.map((group) => {
      const there = partsOf(textOf(group.locality)).region
      const elsewhere = there === target?.to ? 1 : 2
      return { ...group, priority: group.priority * 3 + (there === region ? 0 : elsewhere) }
    }),
  )
}

function distributed(
  groups: LocalityLbEndpoints[],
  distribute: NonNullable<LocalityLbSetting['distribute']>,
  from: string,
): LocalityLbEndpoints[] {
  const rule = distribute.find((one) => isWithin(from, one.from ?? ''))
  if (rule === undefined) return groups
  const shares = Object.entries(rule.to ?? {})
  const shareOf = groups.map(({ locality }) =>
    shares.findIndex(([target]) => isWithin(textOf(locality), target)),
  )
  return groups.map((group, index) => {
    const share = shareOf[index] ?? -1
    // A locality that is not named keeps its place and loses its endpoints, as in Istio.
    if (share < 0) return { ...group, lbEndpoints: [] }
    const total = groups.reduce(
      (sum, { loadBalancingWeight }, other) =>
        shareOf[other] === share ? sum + (loadBalancingWeight ?? 1) : sum,
      0,
    )
    const weight = ((group.loadBalancingWeight ?? 1) * (shares[share]?.[1] ?? 0)) / total
    return { ...group, loadBalancingWeight: Math.ceil(weight) }
  })
}

/** Whether a place lies in what a rule names; `*` and what is left out cover everything. */
function isWithin(place: string, named: string): boolean {
  const [region = '', zone = '', subZone = ''] = named.split('/')
  const own = partsOf(place)
  return (
    (region === '*' || region === own.region) &&
    (zone === '*' || zone === '' || zone === own.zone) &&
    (subZone === '*' || subZone === '' || subZone === own.subZone)
  )
}

/** 0 same subzone, 1 same zone, 2 same region, 3 where the region fails over to (or anywhere), 4 elsewhere. */
function failedOver(
  groups: readonly LocalityLbEndpoints[],
  failover: readonly LocalityFailover[],
  from: string,
): LocalityLbEndpoints[] {
  const own = partsOf(from)
  const target = failover.find((one) => one.from === own.region)
  return compacted(
    groups.map((group) => {
      const there = partsOf(textOf(group.locality))
      const distance = distanceBetween(own, there)
      const isElsewhere = distance === 3 && target !== undefined && target.to !== there.region
      return { ...group, priority: group.priority * 5 + (isElsewhere ? 4 : distance) }
    }),
  )
}

function distanceBetween(own: Place, there: Place): number {
  if (own.region !== there.region) return 3
  if (own.zone !== there.zone) return 2
  return own.subZone === there.subZone ? 0 : 1
}

/** A label counts only while those before it agree: the later the first difference, the nearer. */
function prioritizedByLabel(
  groups: readonly LocalityGroup[],
  labels: readonly string[],
  place: ClientPlace,
): LocalityLbEndpoints[] {
  const wanted = labels.map((label) => {
    const equals = label.indexOf('=')
    if (equals < 0) return { name: label, value: place.labels[label] ?? '' }
    return { name: label.slice(0, equals), value: label.slice(equals + 1) }
  })
  const split = groups.flatMap(({ group, endpoints }) => {
    const byPriority = new Map<number, LocalityLbEndpoints['lbEndpoints']>()
    for (const [index, endpoint] of endpoints.entries()) {
      const lbEndpoint = group.lbEndpoints[index]
      if (lbEndpoint === undefined) continue
      const differing = wanted.findIndex(
        ({ name, value }) => (endpoint.labels[name] ?? '') !== value,
      )
      const priority = differing < 0 ? 0 : wanted.length - differing
      byPriority.set(priority, [...(byPriority.get(priority) ?? []), lbEndpoint])
    }
    return [...byPriority]
      .sort(([left], [right]) => left - right)
      .map(([priority, lbEndpoints]) => ({
        ...group,
        lbEndpoints,
        priority,
        loadBalancingWeight: lbEndpoints.reduce(
          (sum, { loadBalancingWeight }) => sum + (loadBalancingWeight ?? 0),
          0,
        ),
      }))
  })
  return compacted(split)
}

/** Envoy wants priorities without gaps. */
function compacted(groups: readonly LocalityLbEndpoints[]): LocalityLbEndpoints[] {
  const used = [...new Set(groups.map(({ priority }) => priority))].sort((a, b) => a - b)
  return groups.map((group) => ({ ...group, priority: used.indexOf(group.priority) }))
}

interface Place {
  readonly region: string
  readonly zone: string
  readonly subZone: string
}

function partsOf(locality: string): Place {
  const [region = '', zone = '', subZone = ''] = locality.split('/')
  return { region, zone, subZone }
}

function textOf(locality: LocalityLbEndpoints['locality']): string {
  return `${locality?.region ?? ''}/${locality?.zone ?? ''}/${locality?.subZone ?? ''}`
}
