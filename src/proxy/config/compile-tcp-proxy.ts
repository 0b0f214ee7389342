/** TcpProxy → TcpPlan. */
import { TcpProxy } from '../../xds/proto/generated/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.ts'
import type { Any } from '../../xds/proto/generated/google/protobuf/any.ts'
import type { FilterState, TcpProxyConfig } from '../listener/listener-config.ts'
import type { TcpObserver } from '../telemetry/request-record.ts'
import { compileTcpAccessLogs } from './compile-access-log.ts'
import type { CompileScope } from './compile-scope.ts'
import { type FieldReport, at, checkFields, refuse, showValue } from './field-rule.ts'
import { tcpProxyRule } from './listener-fields.ts'
import type { Opener, TcpPlan } from './listener-plan.ts'
import { decodeTyped, durationMs } from './message-value.ts'

export interface TcpProxyScope {
  readonly scope: CompileScope
  /** Those of the network filters before the proxy (istio.stats). */
  readonly observers: readonly Opener<TcpObserver>[]
  /** What they say of the connection. */
  readonly state: FilterState
}

export function compileTcpProxy(
  any: Any,
  { scope, observers, state }: TcpProxyScope,
  report: FieldReport,
): TcpPlan | undefined {
  const proxy = decodeTyped(any, TcpProxy, report)
  if (proxy === undefined) return undefined
  checkFields(proxy, tcpProxyRule, report)
  if (proxy.statPrefix === '') {
    refuse(at(report, 'stat_prefix'), 'value length must be at least 1 characters')
  }
  const connectAttemptsMax = proxy.maxConnectAttempts ?? 1
  if (connectAttemptsMax < 1) {
    const here = at(report, 'max_connect_attempts')
    refuse(here, `value must be greater than or equal to 1, got ${connectAttemptsMax}`)
  }
  const accessLogs = compileTcpAccessLogs(proxy.accessLog, scope, at(report, 'access_log'))
  return {
    kind: 'tcp',
    settings: {
      statPrefix: proxy.statPrefix,
      pickCluster: compileTarget(proxy, report),
      idleTimeoutMs: durationMs(
        proxy.idleTimeout,
        { absentMs: 3_600_000 },
        at(report, 'idle_timeout'),
      ),
      connectAttemptsMax,
      ...(Object.keys(state).length > 0 && { filterState: state }),
      hashes: compileHash(proxy, state, report),
      tunnel: compileTunnel(proxy, report),
      maxDurationMs: durationMs(
        proxy.maxDownstreamConnectionDuration,
        { absentMs: 0, least: 'positive' },
        at(report, 'max_downstream_connection_duration'),
      ),
    },
    observers: [...observers, ...accessLogs],
  }
}

/** At most one policy, as in Envoy. Of a state that nobody set there is no hash. */
function compileHash(
  { hashPolicy }: TcpProxy,
  state: FilterState,
  report: FieldReport,
): TcpProxyConfig['hashes'] {
  const here = at(report, 'hash_policy')
  if (hashPolicy.length > 1) refuse(here, 'value must contain no more than 1 item(s)')
  const [policy] = hashPolicy
  if (policy === undefined) return undefined
  const specifier = policy.policySpecifier
  if (specifier === undefined) {
    refuse(at(here, 0, 'policy_specifier'), 'is required')
    return undefined
  }
  if (specifier.$case === 'sourceIp') return 'source-ip'
  const { key } = specifier.value
  if (key === '') {
    refuse(at(here, 0, 'filter_state', 'key'), 'value length must be at least 1 characters')
  }
  const text = state[key]
  return text === undefined ? undefined : { text }
}

/** Placeholders, which Envoy fills from the connection, are refused: the target is what is written. */
function compileTunnel({ tunnelingConfig }: TcpProxy, report: FieldReport) {
  if (tunnelingConfig === undefined) return undefined
  const here = at(report, 'tunneling_config', 'hostname')
  const { hostname: target, usePost, postPath } = tunnelingConfig
  if (target === '') refuse(here, 'value length must be at least 1 characters')
  if (!/^[\w.:[\]-]*$/.test(target)) {
    refuse(here, `placeholders are not implemented, got ${showValue(target)}`)
  }
  if (!usePost && postPath !== '') {
    refuse(at(report, 'tunneling_config', 'post_path'), 'needs use_post: CONNECT has no path')
  }
  if (!/^(?:\/[!-~]*)?$/.test(postPath)) {
    refuse(at(report, 'tunneling_config', 'post_path'), `is no path, got ${showValue(postPath)}`)
  }
  return usePost ? { target, post: { path: postPath === '' ? '/' : postPath } } : { target }
}

type PickCluster = (draw: number) => string

function compileTarget(proxy: TcpProxy, report: FieldReport): PickCluster {
  const specifier = proxy.clusterSpecifier
  if (specifier?.$case === 'cluster') {
    const name = specifier.value
    if (name === '') refuse(at(report, 'cluster'), 'value length must be at least 1 characters')
    return () => name
  }
  const here = at(report, 'weighted_clusters', 'clusters')
  if (specifier === undefined) {
    refuse(at(report, 'cluster_specifier'), 'is required')
    return () => ''
  }
  const { clusters } = specifier.value
  if (clusters.length === 0) refuse(here, 'value must contain at least 1 item')
  const ceilings: number[] = []
  let total = 0
  for (const [index, { weight }] of clusters.entries()) {
    if (weight < 1) refuse(at(here, index, 'weight'), 'value must be greater than or equal to 1')
    total += weight
    ceilings.push(total)
  }
  const names = clusters.map((cluster) => cluster.name)
  return (draw) => {
    const mark = draw * total
    const index = ceilings.findIndex((ceiling) => mark < ceiling)
    return names[index] ?? ''
  }
}
