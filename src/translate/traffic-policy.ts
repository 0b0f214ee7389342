/**
 * Which of a DestinationRule's blocks apply to one cluster, by Istio's rules of inheritance.
 *
 * A port's settings stand alone: what they leave out, or cannot say at all, is the default, not what the level above
 * says. A subset's blocks replace those of the rule, block by block. Below all lies the mesh's `defaultTrafficPolicy`.
 */
import type {
  ClientTlsSettings,
  ConnectionPoolSettings,
  LoadBalancerSettings,
  OutlierDetection,
  PortTrafficPolicyBlocks,
  Subset,
  TrafficPolicy,
} from '../model/istio/destination-rule.ts'
import type { MeshSettings } from './input.ts'

export interface EffectivePolicy {
  readonly connectionPool: ConnectionPoolSettings
  readonly outlierDetection: OutlierDetection | undefined
  readonly loadBalancer: LoadBalancerSettings | undefined
  readonly tls: ClientTlsSettings | undefined
  readonly proxyProtocol: TrafficPolicy['proxyProtocol']
  readonly retryBudget: TrafficPolicy['retryBudget']
}

/** What a rule says anywhere: for all, for subsets, for ports. */
export function blocksOf(rule: {
  readonly trafficPolicy: TrafficPolicy | undefined
  readonly subsets: readonly Subset[]
}): PortTrafficPolicyBlocks[] {
  return [rule.trafficPolicy, ...rule.subsets.map((subset) => subset.trafficPolicy)].flatMap(
    (policy) => (policy === undefined ? [] : [policy, ...(policy.portLevelSettings ?? [])]),
  )
}

export interface PolicyLevels {
  readonly rule: TrafficPolicy | undefined
  readonly subset: Subset | undefined
  readonly port: number
  readonly mesh: MeshSettings
}

export function effectivePolicy(levels: PolicyLevels): EffectivePolicy {
  const top = policyAt(levels.rule, levels.port)
  const subset = policyAt(levels.subset?.trafficPolicy, levels.port)
  // A subset's own settings for the port inherit none of the blocks that a port can have.
  const inherited = subset.isForPort ? {} : top.policy
  return {
    ...layered(subset.policy, layered(inherited, meshBlocks(levels.mesh))),
    proxyProtocol: subset.policy.proxyProtocol ?? top.policy.proxyProtocol,
    retryBudget: subset.policy.retryBudget ?? top.policy.retryBudget,
  }
}

type Blocks = Omit<EffectivePolicy, 'proxyProtocol' | 'retryBudget'>

function meshBlocks({ connectionPool, outlierDetection }: MeshSettings): Partial<Blocks> {
  return {
    ...(connectionPool !== undefined && { connectionPool }),
    outlierDetection,
  }
}

function layered(over: Partial<Blocks>, under: Partial<Blocks>): Blocks {
  return {
    connectionPool: over.connectionPool ?? under.connectionPool ?? {},
    outlierDetection: over.outlierDetection ?? under.outlierDetection,
    loadBalancer: over.loadBalancer ?? under.loadBalancer,
    tls: over.tls ?? under.tls,
  }
}

interface PortPolicy {
  readonly policy: TrafficPolicy
  readonly isForPort: boolean
}

function policyAt(policy: TrafficPolicy = {}, port: number): PortPolicy {
  const own = policy.portLevelSettings?.find((settings) => settings.port?.number === port)
  return own === undefined ? { policy, isForPort: false } : { policy: own, isForPort: true }
}
