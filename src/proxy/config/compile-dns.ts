/** DNS settings: of STRICT_DNS and LOGICAL_DNS clusters, and of the dynamic forward proxy's cache. */
import { typeNameOf } from '../../xds/any.ts'
import {
  Cluster_DnsLookupFamily,
  type Cluster_RefreshRate,
} from '../../xds/proto/generated/envoy/config/cluster/v3/cluster.ts'
import type { TypedExtensionConfig } from '../../xds/proto/generated/envoy/config/core/v3/extension.ts'
import type { DnsCacheConfig as DnsCacheMessage } from '../../xds/proto/generated/envoy/extensions/common/dynamic_forward_proxy/v3/dns_cache.ts'
import { CaresDnsResolverConfig } from '../../xds/proto/generated/envoy/extensions/network/dns_resolver/cares/v3/cares_dns_resolver.ts'
import type { Duration } from '../../xds/proto/generated/google/protobuf/duration.ts'
import type { DnsCacheConfig, DnsConfig } from './cluster-config.ts'
import { type FieldReport, at, refuse } from './field-rule.ts'
import { decodeTyped, durationMs } from './message-value.ts'

interface DnsSettings {
  readonly dnsRefreshRate: Duration | undefined
  readonly dnsFailureRefreshRate: Cluster_RefreshRate | undefined
  readonly dnsLookupFamily: Cluster_DnsLookupFamily
  readonly typedDnsResolverConfig: TypedExtensionConfig | undefined
  /** The dynamic forward proxy's cache always does. */
  readonly respectDnsTtl?: boolean
}

const families: Readonly<Record<number, DnsConfig['family']>> = {
  [Cluster_DnsLookupFamily.AUTO]: 'auto',
  [Cluster_DnsLookupFamily.V4_ONLY]: 'v4-only',
  [Cluster_DnsLookupFamily.V6_ONLY]: 'v6-only',
  [Cluster_DnsLookupFamily.V4_PREFERRED]: 'v4-preferred',
  [Cluster_DnsLookupFamily.ALL]: 'all',
}

interface DnsUse {
  /** The default of the refresh rate: 5 s for clusters, 60 s for the cache. */
  readonly refreshMs: number
  /** Whether that rate may be a millisecond; otherwise it is more. */
  readonly takesOneMs: boolean
}

export function compileDns(value: DnsSettings, use: DnsUse, report: FieldReport): DnsConfig {
  checkResolver(value.typedDnsResolverConfig, at(report, 'typed_dns_resolver_config'))
  const refreshMs = durationMs(
    value.dnsRefreshRate,
    { absentMs: use.refreshMs },
    at(report, 'dns_refresh_rate'),
  )
  if (refreshMs < 1 || (refreshMs === 1 && !use.takesOneMs)) {
    refuse(
      at(report, 'dns_refresh_rate'),
      `value must be greater than ${use.takesOneMs ? 'or equal to ' : ''}1ms, got ${refreshMs}ms`,
    )
  }
  const failure = compileFailureRate(
    value.dnsFailureRefreshRate,
    refreshMs,
    at(report, 'dns_failure_refresh_rate'),
  )
  return {
    refreshMs,
    respectsTtl: value.respectDnsTtl === true,
    ttlMsMin: 0,
    ...failure,
    family: families[value.dnsLookupFamily] ?? 'auto',
  }
}

type FailureRate = Pick<
  DnsConfig,
  'failureIsFixed' | 'failureRefreshBaseMs' | 'failureRefreshMaxMs'
>

/** Envoy: without the setting, failures are tried again at the ordinary rate. */
function compileFailureRate(
  value: Cluster_RefreshRate | undefined,
  refreshMs: number,
  report: FieldReport,
): FailureRate {
  if (value === undefined) {
    return { failureIsFixed: true, failureRefreshBaseMs: refreshMs, failureRefreshMaxMs: refreshMs }
  }
  const { baseInterval, maxInterval } = value
  if (baseInterval === undefined) refuse(at(report, 'base_interval'), 'value is required')
  const read = (of: Duration | undefined, absentMs: number, field: string): number => {
    const rateMs = durationMs(of, { absentMs }, at(report, field))
    if (rateMs <= 1) refuse(at(report, field), `value must be greater than 1ms, got ${rateMs}ms`)
    return rateMs
  }
  const baseMs = read(baseInterval, Math.max(refreshMs, 2), 'base_interval')
  const maxMs = read(maxInterval, baseMs * 10, 'max_interval')
  if (maxMs < baseMs) refuse(report, 'max_interval must be greater than or equal to base_interval')
  return { failureIsFixed: false, failureRefreshBaseMs: baseMs, failureRefreshMaxMs: maxMs }
}

export function compileDnsCache(
  value: DnsCacheMessage | undefined,
  report: FieldReport,
): DnsCacheConfig | undefined {
  if (value === undefined) {
    refuse(report, 'is required')
    return undefined
  }
  if (value.name === '') refuse(at(report, 'name'), 'value length must be at least 1 characters')
  const dns = compileDns(value, { refreshMs: 60_000, takesOneMs: true }, report)
  const read = (name: 'hostTtl' | 'dnsQueryTimeout', absentMs: number, field: string) =>
    durationMs(
      value[name],
      { absentMs, least: name === 'hostTtl' ? 'positive' : 'zero' },
      at(report, field),
    )
  const hostsMax = value.maxHosts ?? 1024
  if (hostsMax === 0) refuse(at(report, 'max_hosts'), 'value must be greater than 0')
  const least = at(report, 'dns_min_refresh_rate')
  const ttlMsMin = durationMs(value.dnsMinRefreshRate, { absentMs: 5_000 }, least)
  if (ttlMsMin < 1_000) {
    refuse(least, `value must be greater than or equal to 1s, got ${ttlMsMin / 1000}s`)
  }
  return {
    ...dns,
    respectsTtl: true,
    ttlMsMin,
    hostTtlMs: read('hostTtl', 300_000, 'host_ttl'),
    hostsMax,
    pendingMax: value.dnsCacheCircuitBreaker?.maxPendingRequests ?? 1024,
    queryTimeoutMs: read('dnsQueryTimeout', 5_000, 'dns_query_timeout'),
  }
}

const systemResolvers = new Set([
  'envoy.extensions.network.dns_resolver.getaddrinfo.v3.GetAddrInfoDnsResolverConfig',
  'envoy.extensions.network.dns_resolver.apple.v3.AppleDnsResolverConfig',
])

function checkResolver(value: TypedExtensionConfig | undefined, report: FieldReport): void {
  const any = value?.typedConfig
  if (any === undefined || systemResolvers.has(typeNameOf(any.typeUrl))) return
  if (
    typeNameOf(any.typeUrl) ===
    'envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig'
  ) {
    const config = decodeTyped(any, CaresDnsResolverConfig, report)
    if ((config?.resolvers.length ?? 0) > 0) {
      refuse(
        at(report, 'typed_config', 'resolvers'),
        'DNS servers of a cluster’s own are not implemented',
      )
    }
    return
  }
  refuse(report, `DNS resolver ${typeNameOf(any.typeUrl)} is not implemented`)
}
