/** Load balancing of a Cluster: the enum with its per-policy messages, or the typed `load_balancing_policy`. */
import { typeNameOf } from '../../xds/any.ts'
import {
  type Cluster,
  Cluster_LbPolicy,
  type LoadBalancingPolicy,
} from '../../xds/proto/generated/envoy/config/cluster/v3/cluster.ts'
import type {
  LocalityLbConfig,
  SlowStartConfig,
} from '../../xds/proto/generated/envoy/extensions/load_balancing_policies/common/v3/common.ts'
import {
  LeastRequest,
  LeastRequest_SelectionMethod,
} from '../../xds/proto/generated/envoy/extensions/load_balancing_policies/least_request/v3/least_request.ts'
import { Maglev } from '../../xds/proto/generated/envoy/extensions/load_balancing_policies/maglev/v3/maglev.ts'
import { Random } from '../../xds/proto/generated/envoy/extensions/load_balancing_policies/random/v3/random.ts'
import { RingHash } from '../../xds/proto/generated/envoy/extensions/load_balancing_policies/ring_hash/v3/ring_hash.ts'
import { RoundRobin } from '../../xds/proto/generated/envoy/extensions/load_balancing_policies/round_robin/v3/round_robin.ts'
import type { Any } from '../../xds/proto/generated/google/protobuf/any.ts'
import type { HashingSettings } from '../balance/hashing-balancer.ts'
import {
  leastRequestRule,
  maglevRule,
  randomRule,
  ringHashRule,
  roundRobinRule,
} from './balancing-fields.ts'
import type { BalancingConfig, ClusterType } from './cluster-config.ts'
import { legacyMaglev, legacyRing, typedMaglev, typedRing } from './compile-hashing.ts'
import { type FieldReport, type MessageRule, at, checkFields, refuse } from './field-rule.ts'
import { decodeTyped, durationMs } from './message-value.ts'

const panicDefault = 50

interface SlowStartChoice {
  readonly slowStartConfig?: SlowStartConfig | undefined
}

interface Choice extends SlowStartChoice {
  readonly choiceCount?: number | undefined
  readonly activeRequestBias?: { readonly defaultValue: number } | undefined
}

export function compileBalancing(
  cluster: Cluster,
  type: ClusterType,
  report: FieldReport,
): BalancingConfig {
  const panicThresholdPercent = panicThreshold(cluster, report)
  if (cluster.loadBalancingPolicy !== undefined) {
    const here = at(report, 'load_balancing_policy')
    return { ...compileTyped(cluster.loadBalancingPolicy, here), panicThresholdPercent }
  }
  const specifier = cluster.commonLbConfig?.localityConfigSpecifier
  const localityWeighted = specifier?.$case === 'localityWeightedLbConfig'
  const policy = { ...compileEnum(cluster, type, report), panicThresholdPercent, localityWeighted }
  return { ...policy, ...zoneOf(policy, specifier, at(report, 'common_lb_config')) }
}

/** `locality_config_specifier`, where it says something about zones. */
type ZoneSpecifier =
  | {
      readonly $case: 'zoneAwareLbConfig'
      readonly value: {
        readonly routingEnabled: { readonly value: number } | undefined
        readonly minClusterSize: number | undefined
        readonly failTrafficOnPanic: boolean
      }
    }
  | { readonly $case: 'localityWeightedLbConfig' }
  | undefined

const zoneDefault = {
  zone: { routingEnabledPercent: 100, minClusterSize: 6, failsOnPanic: false },
} as const

/** It is on by default, and then waits for the bootstrap to name the cluster that the proxy is a member of. */
function zoneOf(
  { policy, localityWeighted }: Pick<BalancingConfig, 'policy' | 'localityWeighted'>,
  specifier: ZoneSpecifier,
  report: FieldReport,
): Pick<BalancingConfig, 'zone'> {
  if (policy === 'hashing' || localityWeighted) return {}
  if (specifier?.$case !== 'zoneAwareLbConfig') return zoneDefault
  const { value } = specifier
  const routingEnabledPercent = value.routingEnabled?.value ?? 100
  if (routingEnabledPercent < 0 || routingEnabledPercent > 100) {
    const here = at(report, 'zone_aware_lb_config', 'routing_enabled')
    refuse(here, `value must be inside range [0, 100], got ${routingEnabledPercent}`)
  }
  const minClusterSize = value.minClusterSize ?? 6
  const failsOnPanic = value.failTrafficOnPanic
  return { zone: { routingEnabledPercent, minClusterSize, failsOnPanic } }
}

type Policy = Omit<BalancingConfig, 'panicThresholdPercent'>

const roundRobin: Policy = {
  policy: 'round-robin',
  choiceCount: 2,
  activeRequestBias: 1,
  localityWeighted: false,
}

const refusedPolicies: Readonly<Record<number, string>> = {
  [Cluster_LbPolicy.LOAD_BALANCING_POLICY_CONFIG]: 'needs load_balancing_policy',
}

function compileEnum(cluster: Cluster, type: ClusterType, report: FieldReport): Policy {
  const here = at(report, 'lb_policy')
  const isProvided = cluster.lbPolicy === Cluster_LbPolicy.CLUSTER_PROVIDED
  if (isProvided !== (type === 'dynamic-forward-proxy')) {
    refuse(here, `CLUSTER_PROVIDED belongs to dynamic forward proxies, this cluster is ${type}`)
  }
  const reason = refusedPolicies[cluster.lbPolicy]
  if (reason !== undefined) refuse(here, reason)
  if (cluster.lbPolicy === Cluster_LbPolicy.RING_HASH) return hashing(legacyRing(cluster, report))
  if (cluster.lbPolicy === Cluster_LbPolicy.MAGLEV) return hashing(legacyMaglev(cluster, report))
  if (cluster.lbPolicy === Cluster_LbPolicy.RANDOM) return { ...roundRobin, policy: 'random' }
  const config = cluster.lbConfig
  if (cluster.lbPolicy !== Cluster_LbPolicy.LEAST_REQUEST) {
    const robin = config?.$case === 'roundRobinLbConfig' ? config.value : undefined
    return { ...roundRobin, ...slowStart(robin, at(report, 'round_robin_lb_config')) }
  }
  const choice = config?.$case === 'leastRequestLbConfig' ? config.value : undefined
  return leastRequest(choice ?? {}, at(report, 'least_request_lb_config'))
}

/** Envoy takes the first policy of the list that it knows. */
function compileTyped(value: LoadBalancingPolicy, report: FieldReport): Policy {
  const unknown: string[] = []
  for (const [index, { typedExtensionConfig }] of value.policies.entries()) {
    const any = typedExtensionConfig?.typedConfig
    if (any === undefined) continue
    const here = at(report, 'policies', index, 'typed_extension_config', 'typed_config')
    const policy = compilePolicy(any, here)
    if (policy !== undefined) return policy
    unknown.push(typeNameOf(any.typeUrl))
  }
  refuse(
    report,
    `no policy of the list is implemented: ${unknown.join(', ') || 'the list is empty'}`,
  )
  return roundRobin
}

function compilePolicy(any: Any, report: FieldReport): Policy | undefined {
  return typedPolicies[typeNameOf(any.typeUrl)]?.(any, report)
}

/** The message, checked; or the policy of a message that says nothing, when it cannot be read. */
function typed<T extends object>(
  codec: { decode(bytes: Uint8Array): T },
  rule: MessageRule,
  compile: (config: T, report: FieldReport) => Policy,
): (any: Any, report: FieldReport) => Policy {
  return (any, report) => {
    const config = decodeTyped(any, codec, report)
    if (config === undefined) return roundRobin
    checkFields(config, rule, report)
    return compile(config, report)
  }
}

const typedPolicies: Readonly<Record<string, (any: Any, report: FieldReport) => Policy>> = {
  [roundRobinRule.type]: typed(RoundRobin, roundRobinRule, (config, report) => ({
    ...roundRobin,
    ...slowStart(config, report),
    ...typedLocality('round-robin', config, report),
  })),
  [leastRequestRule.type]: typed(LeastRequest, leastRequestRule, (config, report) => {
    const isFullScan =
      config.selectionMethod === LeastRequest_SelectionMethod.FULL_SCAN ||
      config.enableFullScan === true
    return {
      ...leastRequest(config, report),
      ...(isFullScan && { isFullScan }),
      ...typedLocality('least-request', config, report),
    }
  }),
  [randomRule.type]: typed(Random, randomRule, (config, report) => ({
    ...roundRobin,
    policy: 'random',
    ...typedLocality('random', config, report),
  })),
  [ringHashRule.type]: typed(RingHash, ringHashRule, (config, report) => ({
    ...hashing(typedRing(config, report)),
    localityWeighted: config.localityWeightedLbConfig !== undefined,
  })),
  [maglevRule.type]: typed(Maglev, maglevRule, (config, report) => ({
    ...hashing(typedMaglev(config, report)),
    localityWeighted: config.localityWeightedLbConfig !== undefined,
  })),
}

function hashing(settings: HashingSettings): Policy {
  return { ...roundRobin, policy: 'hashing', hashing: settings }
}

interface WithLocality {
  readonly localityLbConfig: LocalityLbConfig | undefined
}

function typedLocality(
  policy: BalancingConfig['policy'],
  config: WithLocality,
  report: FieldReport,
): Pick<BalancingConfig, 'localityWeighted' | 'zone'> {
  const specifier = config.localityLbConfig?.localityConfigSpecifier
  const localityWeighted = specifier?.$case === 'localityWeightedLbConfig'
  const here = at(report, 'locality_lb_config')
  return { localityWeighted, ...zoneOf({ policy, localityWeighted }, specifier, here) }
}

function leastRequest(choice: Choice, report: FieldReport): Policy {
  const choiceCount = choice.choiceCount ?? 2
  if (choiceCount < 2) {
    refuse(
      at(report, 'choice_count'),
      `value must be greater than or equal to 2, got ${choiceCount}`,
    )
  }
  const activeRequestBias = choice.activeRequestBias?.defaultValue ?? 1
  if (activeRequestBias < 0) {
    refuse(at(report, 'active_request_bias'), `must be at least 0, got ${activeRequestBias}`)
  }
  return {
    policy: 'least-request',
    choiceCount,
    activeRequestBias,
    ...slowStart(choice, report),
    localityWeighted: false,
  }
}

function slowStart(
  choice: SlowStartChoice | undefined,
  report: FieldReport,
): Pick<Policy, 'slowStart'> {
  const config = choice?.slowStartConfig
  if (config === undefined) return {}
  const here = at(report, 'slow_start_config')
  const windowMs = durationMs(
    config.slowStartWindow,
    { absentMs: 0 },
    at(here, 'slow_start_window'),
  )
  const percent = config.minWeightPercent?.value ?? 10
  if (percent < 0 || percent > 100) {
    refuse(at(here, 'min_weight_percent'), `value must be inside range [0, 100], got ${percent}`)
  }
  // Envoy: what is not above 0 counts as 1.
  const written = config.aggression?.defaultValue ?? 1
  const aggression = written > 0 ? written : 1
  return windowMs === 0 ? {} : { slowStart: { windowMs, aggression, leastShare: percent / 100 } }
}

function panicThreshold(cluster: Cluster, report: FieldReport): number {
  const percent = cluster.commonLbConfig?.healthyPanicThreshold?.value ?? panicDefault
  if (percent >= 0 && percent <= 100) return Math.trunc(percent)
  const here = at(report, 'common_lb_config', 'healthy_panic_threshold')
  refuse(here, `value must be inside range [0, 100], got ${percent}`)
  return panicDefault
}
