/**
 * Which statistics a sidecar shows, and which tags are taken from their names, as Istio's agent writes them.
 *
 * Without a word all are shown. With one, those that it includes and those that Istio always has: readiness, the control
 * plane, authorization, Istio's own metrics; and gauges that a drain waits for.
 */
import type { Json } from './bootstrap-json.ts'
import type { StatsPlan, WorkloadPlan } from './workload-plan.ts'

const prefixesAlways = [
  'reporter=',
  'cluster_manager',
  'listener_manager',
  'server',
  'cluster.xds-grpc',
  'wasm',
  'component',
  'istio',
]
const suffixesAlways = [
  'rbac.allowed',
  'rbac.denied',
  'shadow_allowed',
  'shadow_denied',
  'downstream_cx_active',
  'downstream_rq_active',
]
const regexpsAlways = ['vhost\\..*\\.route\\..*']

export function statsConfig({ proxy, bindAddress }: WorkloadPlan): Record<string, Json> {
  const { inclusion, tags = [] } = proxy.stats ?? {}
  if (inclusion === undefined && tags.length === 0) return {}
  const matcher = inclusion && statsMatcher(inclusion, bindAddress)
  return {
    stats_config: {
      ...(tags.length > 0 && {
        // As Istio's metrics carry them in their names.
        stats_tags: tags.map((tag) => ({
          tag_name: tag,
          regex: `(${escaped(tag)}=\\.=(.*?);\\.;)`,
        })),
      }),
      ...(matcher !== undefined && { stats_matcher: matcher }),
    },
  }
}

function statsMatcher(
  { prefixes, suffixes, regexps }: NonNullable<StatsPlan['inclusion']>,
  address: string,
): Json {
  const own = (patterns: readonly string[]) =>
    patterns.map((pattern) => pattern.replaceAll('{pod_ip}', address))
  return {
    inclusion_list: {
      patterns: [
        ...[...own(prefixes), ...prefixesAlways].map((prefix) => ({ prefix })),
        ...[...own(suffixes), ...suffixesAlways].map((suffix) => ({ suffix })),
        ...[...own(regexps), ...regexpsAlways].map((regex) => ({ safe_regex: { regex } })),
      ],
    },
  }
}

function escaped(tag: string): string {
  return tag.replaceAll('.', '\\.')
}
