/** Load balancing of a Cluster: the enum with its per-policy messages, or the typed `load_balancing_policy`. */
import {
  type Cluster,
  Cluster_LbPolicy,
  type LoadBalancingPolicy,
} from '../../xds/proto/generated/envoy/config/cluster/v3/cluster.ts'
import type { LocalityLbConfig } from '../../xds/proto/generated/envoy/extensions/load_balancing_policies/common/v3/common.ts'
import { LeastRequest } from '../../xds/proto/generated/envoy/extensions/load_balancing_policies/least_request/v3/least_request.ts'
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
import { type FieldReport, at, checkFields, refuse } from './field-rule.ts'
import { decodeTyped, typeName } from './message-value.ts'

const panicDefault = 50

interface Choice {
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
  return { ...compileEnum(cluster, type, report), panicThresholdPercent, localityWeighted }
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
  if (cluster.lbPolicy !== Cluster_LbPolicy.LEAST_REQUEST) return roundRobin
  const config = cluster.lbConfig
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
    unknown.push(typeName(any.typeUrl))
  }
  refuse(
    report,
    `no policy of the list is implemented: ${unknown.join(', ') || 'the list is empty'}`,
  )
  return roundRobin
}

function compilePolicy(any: Any, report: FieldReport): Policy | undefined {
  switch (typeName(any.typeUrl)) {
    case roundRobinRule.type: {
      const config = decodeTyped(any, RoundRobin, report)
      if (config !== undefined) checkFields(config, roundRobinRule, report)
      return { ...roundRobin, localityWeighted: isWeighted(config) }
    }
    case leastRequestRule.type: {
      const config = decodeTyped(any, LeastRequest, report)
      if (config === undefined) return roundRobin
      checkFields(config, leastRequestRule, report)
      return { ...leastRequest(config, report), localityWeighted: isWeighted(config) }
    }
    case randomRule.type: {
      const config = decodeTyped(any, Random, report)
      if (config !== undefined) checkFields(config, randomRule, report)
      return { ...roundRobin, policy: 'random', localityWeighted: isWeighted(config) }
    }
    case ringHashRule.type: {
      const config = decodeTyped(any, RingHash, report)
      if (config === undefined) return roundRobin
      checkFields(config, ringHashRule, report)
      const localityWeighted = config.localityWeightedLbConfig !== undefined
      return { ...hashing(typedRing(config, report)), localityWeighted }
    }
    case maglevRule.type: {
      const config = decodeTyped(any, Maglev, report)
      if (config === undefined) return roundRobin
      checkFields(config, maglevRule, report)
      const localityWeighted = config.localityWeightedLbConfig !== undefined
      return { ...hashing(typedMaglev(config, report)), localityWeighted }
    }
    default:
      return undefined
  }
}

function hashing(settings: HashingSettings): Policy {
  return { ...roundRobin, policy: 'hashing', hashing: settings }
}

interface WithLocality {
  readonly localityLbConfig: LocalityLbConfig | undefined
}

function isWeighted(config: WithLocality | undefined): boolean {
  const specifier = config?.localityLbConfig?.localityConfigSpecifier
  return specifier?.$case === 'localityWeightedLbConfig'
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
  return { policy: 'least-request', choiceCount, activeRequestBias, localityWeighted: false }
}

function panicThreshold(cluster: Cluster, report: FieldReport): number {
  const percent = cluster.commonLbConfig?.healthyPanicThreshold?.value ?? panicDefault
  if (percent >= 0 && percent <= 100) return Math.trunc(percent)
  const here = at(report, 'common_lb_config', 'healthy_panic_threshold')
  refuse(here, `value must be inside range [0, 100], got ${percent}`)
  return panicDefault
}
