/** Load balancing of a Cluster: what we read of the legacy messages and of the typed policies. */
import { type FieldRule, type MessageRule, ignored, refusedField, used } from './field-rule.ts'

export const percentRule: MessageRule = { type: 'envoy.type.v3.Percent', fields: { value: used() } }

const runtimeDouble: MessageRule = {
  type: 'envoy.config.core.v3.RuntimeDouble',
  fields: {
    defaultValue: used(),
    runtimeKey: ignored('there is no runtime layer: the default is what holds'),
  },
}

function slowStart(type: string): FieldRule {
  return used({
    type,
    fields: {
      slowStartWindow: used(),
      aggression: used(runtimeDouble),
      minWeightPercent: used(percentRule),
    },
  })
}

const typedSlowStart = slowStart(
  'envoy.extensions.load_balancing_policies.common.v3.SlowStartConfig',
)
const legacySlowStart = slowStart('envoy.config.cluster.v3.Cluster.SlowStartConfig')
function zoneAware(type: string): FieldRule {
  return used({
    type,
    fields: {
      routingEnabled: used(percentRule),
      minClusterSize: used(),
      failTrafficOnPanic: used(),
    },
  })
}
const localityWeighted = used()

const localityLb = used({
  type: 'envoy.extensions.load_balancing_policies.common.v3.LocalityLbConfig',
  fields: {
    zoneAwareLbConfig: zoneAware(
      'envoy.extensions.load_balancing_policies.common.v3.LocalityLbConfig.ZoneAwareLbConfig',
    ),
    localityWeightedLbConfig: localityWeighted,
  },
})

export const leastRequestRule: MessageRule = {
  type: 'envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest',
  fields: {
    choiceCount: used(),
    activeRequestBias: used(runtimeDouble),
    slowStartConfig: typedSlowStart,
    localityLbConfig: localityLb,
    enableFullScan: used(),
    selectionMethod: used(),
  },
}

export const roundRobinRule: MessageRule = {
  type: 'envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin',
  fields: { slowStartConfig: typedSlowStart, localityLbConfig: localityLb },
}

export const randomRule: MessageRule = {
  type: 'envoy.extensions.load_balancing_policies.random.v3.Random',
  fields: { localityLbConfig: localityLb },
}

const consistentHashing = used({
  type: 'envoy.extensions.load_balancing_policies.common.v3.ConsistentHashingLbConfig',
  fields: {
    useHostnameForHashing: used(),
    hashBalanceFactor: used(),
    hashPolicy: refusedField('hash policies of a cluster are not implemented: routes have them'),
  },
})

export const ringHashRule: MessageRule = {
  type: 'envoy.extensions.load_balancing_policies.ring_hash.v3.RingHash',
  fields: {
    hashFunction: used(),
    minimumRingSize: used(),
    maximumRingSize: used(),
    useHostnameForHashing: used(),
    hashBalanceFactor: used(),
    consistentHashingLbConfig: consistentHashing,
    localityWeightedLbConfig: localityWeighted,
  },
}

export const maglevRule: MessageRule = {
  type: 'envoy.extensions.load_balancing_policies.maglev.v3.Maglev',
  fields: {
    tableSize: used(),
    consistentHashingLbConfig: consistentHashing,
    localityWeightedLbConfig: localityWeighted,
  },
}

export const commonLb: MessageRule = {
  type: 'envoy.config.cluster.v3.Cluster.CommonLbConfig',
  fields: {
    healthyPanicThreshold: used(percentRule),
    zoneAwareLbConfig: zoneAware(
      'envoy.config.cluster.v3.Cluster.CommonLbConfig.ZoneAwareLbConfig',
    ),
    localityWeightedLbConfig: localityWeighted,
    updateMergeWindow: ignored('updates are applied as they come, which is never later'),
    ignoreNewHostsUntilFirstHc: used(),
    closeConnectionsOnHostSetChange: refusedField(
      'closing connections when hosts change is not implemented',
    ),
    consistentHashingLbConfig: used({
      type: 'envoy.config.cluster.v3.Cluster.CommonLbConfig.ConsistentHashingLbConfig',
      fields: { useHostnameForHashing: used(), hashBalanceFactor: used() },
    }),
    overrideHostStatus: ignored('only stateful sessions read it'),
  },
}

/** Messages of the single policies in a Cluster. */
export const policyFields: Readonly<Record<string, FieldRule>> = {
  leastRequestLbConfig: used({
    type: 'envoy.config.cluster.v3.Cluster.LeastRequestLbConfig',
    fields: {
      choiceCount: used(),
      activeRequestBias: used(runtimeDouble),
      slowStartConfig: legacySlowStart,
    },
  }),
  roundRobinLbConfig: used({
    type: 'envoy.config.cluster.v3.Cluster.RoundRobinLbConfig',
    fields: { slowStartConfig: legacySlowStart },
  }),
  ringHashLbConfig: used({
    type: 'envoy.config.cluster.v3.Cluster.RingHashLbConfig',
    fields: { minimumRingSize: used(), hashFunction: used(), maximumRingSize: used() },
  }),
  maglevLbConfig: used({
    type: 'envoy.config.cluster.v3.Cluster.MaglevLbConfig',
    fields: { tableSize: used() },
  }),
}
