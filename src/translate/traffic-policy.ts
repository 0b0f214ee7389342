/**
 * Which of a DestinationRule's blocks apply to one cluster, by Istio's rules of inheritance.
 *
 * A port's settings stand alone: what they leave out is the default, not what the level above says. A subset's
 * blocks replace those of the rule, block by block. Below all lies the mesh's `defaultTrafficPolicy`.
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
  /** These have no settings for a port: a port's own settings leave them as they are. */
  readonly proxyProtocol: TrafficPolicy['proxyProtocol']
  readonly tunnel: TrafficPolicy['tunnel']
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
  const top = blocksForPort(levels.rule, levels.port)
  const subset = blocksForPort(levels.subset?.trafficPolicy, levels.port)
  // A subset's own settings for the port leave nothing to inherit.
  const inherited = subset?.isForPort === true ? {} : (top?.blocks ?? {})
  const policies = [levels.subset?.trafficPolicy, levels.rule]
  return {
    ...layered(subset?.blocks ?? {}, layered(inherited, meshBlocks(levels.mesh))),
    proxyProtocol: policies.find((policy) => policy?.proxyProtocol !== undefined)?.proxyProtocol,
    tunnel: policies.find((policy) => policy?.tunnel !== undefined)?.tunnel,
    retryBudget: policies.find((policy) => policy?.retryBudget !== undefined)?.retryBudget,
  }
}

type Blocks = Omit<EffectivePolicy, 'proxyProtocol' | 'tunnel' | 'retryBudget'>

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

interface PortBlocks {
  readonly blocks: PortTrafficPolicyBlocks
  readonly isForPort: boolean
}

function blocksForPort(policy: TrafficPolicy | undefined, port: number): PortBlocks | undefined {
  if (policy === undefined) return undefined
  const own = policy.portLevelSettings?.find((settings) => settings.port?.number === port)
  return own === undefined ? { blocks: policy, isForPort: false } : { blocks: own, isForPort: true }
}
