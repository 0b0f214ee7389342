/** What a ProxyConfig says of a workload's sidecar, as the agent's plan has it. */
import type { ProxyPlan, TerminationPlan, WorkloadPlan } from '../../agent/workload-plan.ts'
import { durationMs } from '../../model/duration.ts'
import type { ProxyConfig } from '../../model/mesh/proxy-config.ts'
import { canonicalName } from '../../registry/label.ts'

/** Istio's. */
const drainDurationDefaultMs = 45_000
const minimumDrainDefaultMs = 5_000
const metadataPrefix = 'ISTIO_META_'

export type ProxyOwner = Pick<WorkloadPlan, 'workload' | 'namespace' | 'labels'>

/** All of the proxy's plan but which program it is. */
export function planProxy(
  config: ProxyConfig,
  owner: ProxyOwner,
): Omit<ProxyPlan, 'kind' | 'program'> {
  const { concurrency, proxyAdminPort, statusPort, runtimeValues, drainDuration } = config
  const stats = planStats(config)
  const cluster = clusterOf(config, owner)
  return {
    drainTimeMs: drainDuration === undefined ? drainDurationDefaultMs : durationMs(drainDuration),
    ...(concurrency !== undefined && { concurrency }),
    ...(proxyAdminPort !== undefined && { adminPort: proxyAdminPort }),
    ...(statusPort !== undefined && { statusPort }),
    ...(runtimeValues !== undefined && { runtime: runtimeValues }),
    ...(stats !== undefined && { stats }),
    ...(cluster !== undefined && { cluster }),
    ...planVariables(config),
    // Nothing written is nothing to say: the mesh's own then counts.
    ...(Object.keys(config).length > 0 && { config: { ...config } }),
  }
}

/** As in Istio's agent: some become metadata of the node, the others are the program's. */
function planVariables({
  proxyMetadata,
}: ProxyConfig): Pick<ProxyPlan, 'metadata' | 'environment'> {
  const all = Object.entries(proxyMetadata ?? {})
  const metadata = all
    .filter(([name]) => name.startsWith(metadataPrefix))
    .map(([name, value]) => [name.slice(metadataPrefix.length), value] as const)
  return {
    ...(metadata.length > 0 && { metadata: Object.fromEntries(metadata) }),
    ...(all.length > 0 && { environment: Object.fromEntries(all) }),
  }
}

function planStats({ proxyStatsMatcher, extraStatTags = [] }: ProxyConfig): ProxyPlan['stats'] {
  if (proxyStatsMatcher === undefined && extraStatTags.length === 0) return undefined
  const {
    inclusionPrefixes: prefixes = [],
    inclusionSuffixes: suffixes = [],
    inclusionRegexps: regexps = [],
  } = proxyStatsMatcher ?? {}
  const inclusion = proxyStatsMatcher && { prefixes, suffixes, regexps }
  return { inclusion, tags: [...new Set(extraStatTags)] }
}

/** Istio's names of `node.cluster`; undefined: the one that it is anyway. */
function clusterOf(
  { serviceCluster = '', tracingServiceName }: ProxyConfig,
  { workload, namespace, labels }: ProxyOwner,
): string | undefined {
  // Istio's own word for "unset".
  if (serviceCluster !== '' && serviceCluster !== 'istio-proxy') return serviceCluster
  const name = canonicalName(labels, workload)
  if (tracingServiceName === 'CANONICAL_NAME_ONLY') return name
  if (tracingServiceName === 'CANONICAL_NAME_AND_NAMESPACE') return `${name}.${namespace}`
  return undefined
}

/** How long a drain may take, of the time that there is. */
export function planDrain(
  { terminationDrainDuration, proxyMetadata = {} }: ProxyConfig,
  { deadlineMs, drainMs }: Pick<TerminationPlan, 'deadlineMs' | 'drainMs'>,
): TerminationPlan {
  const { EXIT_ON_ZERO_ACTIVE_CONNECTIONS, MINIMUM_DRAIN_DURATION: minimum } = proxyMetadata
  const waitsForZero = EXIT_ON_ZERO_ACTIVE_CONNECTIONS === 'true'
  const ownMs =
    terminationDrainDuration === undefined ? drainMs : durationMs(terminationDrainDuration)
  const minimumMs = minimum === undefined ? minimumDrainDefaultMs : durationMs(minimum)
  return {
    deadlineMs,
    // As in Istio, the last connection is then waited for as long as there is time at all.
    drainMs: waitsForZero ? deadlineMs : ownMs,
    zeroConnectionsMinMs: waitsForZero ? minimumMs : undefined,
  }
}
