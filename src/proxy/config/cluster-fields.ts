/** What we read of a Cluster (CDS, or the bootstrap's static resources). */
import { commonLb, percentRule, policyFields } from './balancing-fields.ts'
import { assignmentRule, metadataRule } from './endpoint-fields.ts'
import { type FieldRule, type MessageRule, ignored, refusedField, used } from './field-rule.ts'
import { headerKeyFormatRule } from './header-format-fields.ts'
import { healthCheckRule } from './health-check-fields.ts'
import { http2Rule } from './http2-fields.ts'

const noBind = 'choosing the source address of upstream connections is not implemented'

/** Where a resource comes from: ADS only; checked in code, because it is a question of the case. */
export const configSourceFields: Record<string, FieldRule> = {
  ads: used(),
  initialFetchTimeout: used(),
  resourceApiVersion: used(undefined, 'V3; AUTO means V3'),
  self: refusedField('a config source of its own is not implemented: use ads'),
  path: refusedField('configuration from files is not implemented: use ads'),
  pathConfigSource: refusedField('configuration from files is not implemented: use ads'),
  apiConfigSource: refusedField('a stream of its own per resource is not implemented: use ads'),
  authorities: refusedField('xdstp authorities are not implemented'),
}

export const configSourceRule: MessageRule = {
  type: 'envoy.config.core.v3.ConfigSource',
  fields: configSourceFields,
}

export const typedExtensionRule: MessageRule = {
  type: 'envoy.config.core.v3.TypedExtensionConfig',
  fields: { name: used(), typedConfig: used() },
}

const thresholds: MessageRule = {
  type: 'envoy.config.cluster.v3.CircuitBreakers.Thresholds',
  fields: {
    priority: used(
      undefined,
      'DEFAULT; thresholds of HIGH have no effect, routes with that priority are refused',
    ),
    maxConnections: used(),
    maxPendingRequests: used(),
    maxRequests: used(),
    maxRetries: used(),
    retryBudget: used({
      type: 'envoy.config.cluster.v3.CircuitBreakers.Thresholds.RetryBudget',
      fields: {
        budgetPercent: used(percentRule),
        budgetInterval: used(),
        minRetryConcurrency: used(),
      },
    }),
    trackRemaining: used(undefined, 'with one thread'),
    maxConnectionPools: refusedField('a limit on connection pools is not implemented'),
  },
}

const unsupported = 'Unsupported field in per_host_thresholds'

/** The same message has fewer fields there. */
export const perHostThresholds: MessageRule = {
  type: 'envoy.config.cluster.v3.CircuitBreakers.Thresholds',
  fields: {
    priority: used(),
    maxConnections: used(),
    maxPendingRequests: refusedField(unsupported),
    maxRequests: refusedField(unsupported),
    maxRetries: refusedField(unsupported),
    retryBudget: refusedField(unsupported),
    trackRemaining: ignored('it has no effect in Envoy either'),
    maxConnectionPools: refusedField(unsupported),
  },
}

const outlierFields: Record<string, FieldRule> = {
  consecutive5xx: used(),
  interval: used(),
  baseEjectionTime: used(),
  maxEjectionPercent: used(),
  enforcingConsecutive5xx: used(),
  enforcingSuccessRate: used(),
  successRateMinimumHosts: used(),
  successRateRequestVolume: used(),
  successRateStdevFactor: used(),
  consecutiveGatewayFailure: used(),
  enforcingConsecutiveGatewayFailure: used(),
  splitExternalLocalOriginErrors: used(),
  consecutiveLocalOriginFailure: used(),
  enforcingConsecutiveLocalOriginFailure: used(),
  enforcingLocalOriginSuccessRate: used(),
  failurePercentageThreshold: used(),
  enforcingFailurePercentage: used(),
  enforcingFailurePercentageLocalOrigin: used(),
  failurePercentageMinimumHosts: used(),
  failurePercentageRequestVolume: used(),
  maxEjectionTime: used(),
  maxEjectionTimeJitter: used(),
  successfulActiveHealthCheckUnejectHost: used(),
  alwaysEjectOneHost: used(),
  monitors: refusedField('outlier detection monitors are not implemented'),
}

export const outlierRule: MessageRule = {
  type: 'envoy.config.cluster.v3.OutlierDetection',
  fields: outlierFields,
}

export const http1Rule: MessageRule = {
  type: 'envoy.config.core.v3.Http1ProtocolOptions',
  fields: {
    allowAbsoluteUrl: ignored('Envoy reads it on listeners only'),
    acceptHttp10: ignored('Envoy reads it on listeners only'),
    defaultHostForHttp10: ignored('Envoy reads it on listeners only'),
    headerKeyFormat: used(headerKeyFormatRule),
    enableTrailers: used(),
    allowChunkedLength: refusedField(
      'a message with Content-Length and Transfer-Encoding is always refused',
    ),
    overrideStreamErrorOnInvalidHttpMessage: refusedField(
      'an invalid message always ends its connection',
      false,
    ),
    sendFullyQualifiedUrl: used(),
    useBalsaParser: ignored('there is one parser, and it is strict'),
    allowCustomMethods: ignored('Envoy reads it on listeners only'),
  },
}

const commonHttp: MessageRule = {
  type: 'envoy.config.core.v3.HttpProtocolOptions',
  fields: {
    idleTimeout: used(),
    maxRequestsPerConnection: used(),
    maxConnectionDuration: used(),
    maxHeadersCount: used(undefined, 'of responses in HTTP/1.1'),
    maxStreamDuration: used(),
    headersWithUnderscoresAction: ignored('Envoy reads it on listeners only'),
  },
}

const upstreamNames: MessageRule = {
  type: 'envoy.config.core.v3.UpstreamHttpProtocolOptions',
  fields: {
    autoSni: used(),
    autoSanValidation: used(),
    overrideAutoSniHeader: refusedField('the server name from another header is not implemented'),
  },
}

const neverAsked = 'outlier detection asks about the heads of responses only'

const predicateFields: Record<string, FieldRule> = {
  anyMatch: used(),
  httpRequestHeadersMatch: refusedField(neverAsked),
  httpRequestTrailersMatch: refusedField(neverAsked),
  httpResponseHeadersMatch: used({
    type: 'envoy.config.common.matcher.v3.HttpHeadersMatch',
    fields: { headers: used() },
  }),
  httpResponseTrailersMatch: refusedField(neverAsked),
  httpRequestGenericBodyMatch: refusedField(neverAsked),
  httpResponseGenericBodyMatch: refusedField(neverAsked),
}

/** It holds itself, so it is closed after it is made. */
const predicateRule: MessageRule = {
  type: 'envoy.config.common.matcher.v3.MatchPredicate',
  fields: predicateFields,
}
const predicateSet: MessageRule = {
  type: 'envoy.config.common.matcher.v3.MatchPredicate.MatchSet',
  fields: { rules: used(predicateRule) },
}
predicateFields['orMatch'] = used(predicateSet)
predicateFields['andMatch'] = used(predicateSet)
predicateFields['notMatch'] = used(predicateRule)

export const upstreamHttpRule: MessageRule = {
  type: 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
  fields: {
    commonHttpProtocolOptions: used(commonHttp),
    upstreamHttpProtocolOptions: used(upstreamNames),
    explicitHttpConfig: used({
      type: 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions.ExplicitHttpConfig',
      fields: {
        httpProtocolOptions: used(http1Rule),
        http2ProtocolOptions: used(http2Rule),
        http3ProtocolOptions: refusedField('HTTP/3 is not implemented'),
      },
    }),
    useDownstreamProtocolConfig: used({
      type: 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions.UseDownstreamHttpConfig',
      fields: {
        httpProtocolOptions: used(http1Rule),
        http2ProtocolOptions: used(http2Rule),
        http3ProtocolOptions: ignored('downstream HTTP/3 is refused, so it is never chosen'),
      },
    }),
    autoConfig: refusedField('choosing the protocol by ALPN is not implemented yet'),
    httpFilters: refusedField('HTTP filters of a cluster are not implemented yet'),
    headerValidationConfig: refusedField('custom header validation is not implemented'),
    outlierDetection: used({
      type: 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions.OutlierDetection',
      fields: { errorMatcher: used(predicateRule) },
    }),
  },
}

const dnsSettings: Record<string, FieldRule> = {
  dnsRefreshRate: used(),
  dnsFailureRefreshRate: used({
    type: 'envoy.config.cluster.v3.Cluster.RefreshRate',
    fields: { baseInterval: used(), maxInterval: used() },
  }),
  dnsLookupFamily: used(),
  useTcpForDnsLookups: ignored(
    'names are resolved by the operating system’s resolver, which decides',
  ),
  dnsResolutionConfig: refusedField('DNS servers of a cluster’s own are not implemented'),
  typedDnsResolverConfig: used(
    undefined,
    'getaddrinfo, and c-ares without servers of its own; both mean the system’s resolver',
  ),
}

export const dnsCacheRule: MessageRule = {
  type: 'envoy.extensions.common.dynamic_forward_proxy.v3.DnsCacheConfig',
  fields: {
    ...dnsSettings,
    name: used(),
    dnsMinRefreshRate: used(),
    hostTtl: used(),
    maxHosts: used(),
    dnsCacheCircuitBreaker: used({
      type: 'envoy.extensions.common.dynamic_forward_proxy.v3.DnsCacheCircuitBreakers',
      fields: { maxPendingRequests: used() },
    }),
    preresolveHostnames: refusedField('names to resolve at start are not implemented'),
    dnsQueryTimeout: used(),
    keyValueConfig: refusedField('a stored DNS cache is not implemented'),
  },
}

export const forwardProxyClusterRule: MessageRule = {
  type: 'envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig',
  fields: {
    dnsCacheConfig: used(dnsCacheRule),
    subClustersConfig: refusedField('sub clusters are not implemented'),
    allowInsecureClusterOptions: ignored('auto_sni and auto_san_validation are as they say'),
    allowCoalescedConnections: refusedField('coalesced connections are not implemented'),
  },
}

export const clusterRule: MessageRule = {
  type: 'envoy.config.cluster.v3.Cluster',
  fields: {
    ...dnsSettings,
    dnsResolvers: refusedField('DNS servers of a cluster’s own are not implemented'),
    name: used(),
    altStatName: used(),
    type: used(
      undefined,
      'STATIC, STRICT_DNS, LOGICAL_DNS, EDS; ORIGINAL_DST is not implemented yet',
    ),
    clusterType: used(undefined, 'envoy.clusters.dynamic_forward_proxy only'),
    edsClusterConfig: used({
      type: 'envoy.config.cluster.v3.Cluster.EdsClusterConfig',
      fields: { edsConfig: used(configSourceRule), serviceName: used() },
    }),
    connectTimeout: used(),
    perConnectionBufferLimitBytes: used(),
    lbPolicy: used(
      undefined,
      'ROUND_ROBIN, LEAST_REQUEST, RANDOM, RING_HASH, MAGLEV, CLUSTER_PROVIDED',
    ),
    loadAssignment: used(assignmentRule),
    healthChecks: used(healthCheckRule, 'one at most'),
    maxRequestsPerConnection: used(),
    circuitBreakers: used({
      type: 'envoy.config.cluster.v3.CircuitBreakers',
      fields: {
        thresholds: used(thresholds),
        perHostThresholds: used(undefined, 'max_connections of priority DEFAULT, as in Envoy'),
      },
    }),
    upstreamHttpProtocolOptions: used(upstreamNames),
    commonHttpProtocolOptions: used(commonHttp),
    httpProtocolOptions: used(http1Rule),
    http2ProtocolOptions: used(http2Rule),
    typedExtensionProtocolOptions: used(
      undefined,
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions only',
    ),
    respectDnsTtl: used(
      undefined,
      'the TTL is asked of the DNS server, beside the system’s resolver',
    ),
    waitForWarmOnInit: used(),
    outlierDetection: used(outlierRule),
    cleanupInterval: ignored('only ORIGINAL_DST clusters read it'),
    upstreamBindConfig: refusedField(noBind),
    lbSubsetConfig: refusedField(
      'subset load balancing is not implemented: subsets are clusters of their own',
    ),
    ...policyFields,
    originalDstLbConfig: refusedField('original destination clusters are not implemented yet'),
    commonLbConfig: used(commonLb),
    transportSocket: used(
      undefined,
      'envoy.transport_sockets.tls, upstream_proxy_protocol, raw_buffer',
    ),
    transportSocketMatches: used({
      type: 'envoy.config.cluster.v3.Cluster.TransportSocketMatch',
      fields: { name: used(), match: used(), transportSocket: used() },
    }),
    metadata: used(metadataRule),
    protocolSelection: refusedField(
      'protocol_selection is not implemented: use typed_extension_protocol_options',
    ),
    upstreamConnectionOptions: used({
      type: 'envoy.config.cluster.v3.UpstreamConnectionOptions',
      fields: {
        tcpKeepalive: used({
          type: 'envoy.config.core.v3.TcpKeepalive',
          fields: {
            keepaliveTime: used(),
            keepaliveProbes: used(),
            keepaliveInterval: used(),
          },
        }),
        setLocalInterfaceNameOnUpstreamConnections: ignored('nothing reads the name'),
        happyEyeballsConfig: refusedField('happy eyeballs is not implemented'),
      },
    }),
    closeConnectionsOnHostHealthFailure: used(undefined, 'TCP; HTTP connections drain in any case'),
    ignoreHealthOnHostRemoval: used(),
    filters: refusedField('network filters of a cluster are not implemented'),
    loadBalancingPolicy: used(
      undefined,
      'round_robin, least_request, random, ring_hash, maglev: the first that is known',
    ),
    lrsServer: refusedField('load reports are not implemented'),
    lrsReportEndpointMetrics: refusedField('load reports are not implemented'),
    trackTimeoutBudgets: ignored('it only adds statistics'),
    trackClusterStats: ignored('it only adds statistics'),
    upstreamConfig: refusedField('custom upstreams are not implemented'),
    preconnectPolicy: refusedField('preconnecting is not implemented'),
    connectionPoolPerDownstreamConnection: refusedField(
      'a pool for each downstream connection is not implemented',
    ),
  },
}
