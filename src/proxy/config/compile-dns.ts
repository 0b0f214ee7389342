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

/** `refreshMs` is the default of the refresh rate: 5 s for clusters, 60 s for the cache. */
export function compileDns(
  value: DnsSettings,
  absent: { readonly refreshMs: number },
  report: FieldReport,
): DnsConfig {
  checkResolver(value.typedDnsResolverConfig, at(report, 'typed_dns_resolver_config'))
  const refreshMs = durationMs(
    value.dnsRefreshRate,
    { absentMs: absent.refreshMs, least: 'positive' },
    at(report, 'dns_refresh_rate'),
  )
  const failure = value.dnsFailureRefreshRate
  const base = at(report, 'dns_failure_refresh_rate')
  // Envoy: without the setting, failures are tried again at the ordinary rate.
  const baseMs = durationMs(
    failure?.baseInterval,
    { absentMs: refreshMs, least: 'positive' },
    at(base, 'base_interval'),
  )
  const maxMs = durationMs(
    failure?.maxInterval,
    { absentMs: failure === undefined ? baseMs : baseMs * 10, least: 'positive' },
    at(base, 'max_interval'),
  )
  if (maxMs < baseMs) refuse(base, 'max_interval must be greater than or equal to base_interval')
  return {
    refreshMs,
    respectsTtl: value.respectDnsTtl === true,
    ttlMsMin: 0,
    failureIsFixed: failure === undefined,
    failureRefreshBaseMs: baseMs,
    failureRefreshMaxMs: maxMs,
    family: families[value.dnsLookupFamily] ?? 'auto',
  }
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
  const dns = compileDns(value, { refreshMs: 60_000 }, report)
  const read = (name: 'hostTtl' | 'dnsQueryTimeout', absentMs: number, field: string) =>
    durationMs(
      value[name],
      { absentMs, least: name === 'hostTtl' ? 'positive' : 'zero' },
      at(report, field),
    )
  const hostsMax = value.maxHosts ?? 1024
  if (hostsMax === 0) refuse(at(report, 'max_hosts'), 'value must be greater than 0')
  return {
    ...dns,
    respectsTtl: true,
    ttlMsMin: durationMs(
      value.dnsMinRefreshRate,
      { absentMs: 5_000, least: 'positive' },
      at(report, 'dns_min_refresh_rate'),
    ),
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
