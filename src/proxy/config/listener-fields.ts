/** What we read of a Listener, and of the network filters inside it. */
import { configSourceRule } from './cluster-fields.ts'
import { addressRule } from './endpoint-fields.ts'
import { type FieldRule, type MessageRule, ignored, refusedField, used } from './field-rule.ts'
import { headerKeyFormatRule } from './header-format-fields.ts'
import { http2Rule } from './http2-fields.ts'

const noTrailingLog = 'logging before the end is not implemented'

export const filterRule: MessageRule = {
  type: 'envoy.config.listener.v3.Filter',
  fields: {
    name: used(),
    typedConfig: used(
      undefined,
      'http_connection_manager, tcp_proxy; before them connection_limit and local_ratelimit, and istio.stats before tcp_proxy',
    ),
    configDiscovery: refusedField('ECDS is not implemented yet'),
  },
}

const cidrRange: MessageRule = {
  type: 'envoy.config.core.v3.CidrRange',
  fields: { addressPrefix: used(), prefixLen: used() },
}

const filterChain: MessageRule = {
  type: 'envoy.config.listener.v3.FilterChain',
  fields: {
    filterChainMatch: used({
      type: 'envoy.config.listener.v3.FilterChainMatch',
      fields: {
        destinationPort: used(),
        prefixRanges: used(cidrRange),
        addressSuffix: refusedField('Envoy does not implement it either'),
        suffixLen: refusedField('Envoy does not implement it either'),
        directSourcePrefixRanges: used(cidrRange),
        sourceType: used(),
        sourcePrefixRanges: used(cidrRange),
        sourcePorts: used(),
        serverNames: used(),
        transportProtocol: used(),
        applicationProtocols: used(),
      },
    }),
    filters: used(filterRule),
    name: used(),
    metadata: ignored('nothing reads it'),
    useProxyProto: refusedField('deprecated: use the listener filter proxy_protocol', false),
    transportSocket: used(undefined, 'envoy.transport_sockets.tls and raw_buffer'),
    transportSocketConnectTimeout: used(undefined, 'the TLS handshake; 15 s unless set'),
    onDemandConfiguration: refusedField('filter chains on demand are not implemented'),
  },
}

export const listenerRule: MessageRule = {
  type: 'envoy.config.listener.v3.Listener',
  fields: {
    name: used(),
    address: used(addressRule, 'an IP and port, a pipe, or none for an internal listener'),
    additionalAddresses: refusedField('several addresses for one listener are not implemented yet'),
    statPrefix: used(),
    filterChains: used(filterChain),
    filterChainMatcher: refusedField('a matching tree is not implemented: use filter_chain_match'),
    useOriginalDst: refusedField('original destinations are not implemented yet', false),
    defaultFilterChain: used(filterChain),
    perConnectionBufferLimitBytes: used(),
    metadata: ignored('nothing reads it'),
    deprecatedV1: refusedField('deprecated_v1 is not implemented: use bind_to_port'),
    drainType: used(),
    listenerFilters: used(
      undefined,
      'proxy_protocol (as the first), tls_inspector and http_inspector',
    ),
    listenerFiltersTimeout: used(),
    continueOnListenerFiltersTimeout: used(),
    transparent: refusedField('transparent sockets are not implemented', false),
    freebind: refusedField('freebind is not implemented', false),
    socketOptions: refusedField('socket options are not implemented'),
    tcpFastOpenQueueLength: ignored('TCP fast open is off; it only saves a round trip'),
    trafficDirection: used(),
    udpListenerConfig: refusedField('UDP is not implemented'),
    apiListener: refusedField('API listeners are for gRPC clients, not for proxies'),
    connectionBalanceConfig: ignored('there is one worker, so there is nothing to balance'),
    reusePort: ignored('there is one worker, so there is one socket'),
    enableReusePort: ignored('there is one worker, so there is one socket'),
    accessLog: refusedField('access logs of a listener are not implemented yet'),
    tcpBacklogSize: ignored('the backlog is the system’s maximum'),
    maxConnectionsToAcceptPerSocketEvent: ignored('Node accepts all that wait'),
    bindToPort: used(),
    internalListener: used({
      type: 'envoy.config.listener.v3.Listener.InternalListenerConfig',
      fields: {},
    }),
    enableMptcp: refusedField('multipath TCP is not implemented'),
    ignoreGlobalConnLimit: used(),
    bypassOverloadManager: used(),
  },
}

const commonHttp: MessageRule = {
  type: 'envoy.config.core.v3.HttpProtocolOptions',
  fields: {
    idleTimeout: used(),
    maxConnectionDuration: used(),
    maxHeadersCount: used(),
    maxStreamDuration: used(),
    headersWithUnderscoresAction: used(),
    maxRequestsPerConnection: used(),
  },
}

const http1: MessageRule = {
  type: 'envoy.config.core.v3.Http1ProtocolOptions',
  fields: {
    allowAbsoluteUrl: used(),
    acceptHttp10: used(),
    defaultHostForHttp10: used(),
    headerKeyFormat: used(headerKeyFormatRule),
    enableTrailers: used(),
    allowChunkedLength: used(),
    overrideStreamErrorOnInvalidHttpMessage: used(),
    sendFullyQualifiedUrl: ignored('Envoy reads it on clusters only'),
    useBalsaParser: ignored('there is one parser, and it is strict'),
    allowCustomMethods: used(),
  },
}

const noSpans = 'spans are not implemented yet'

const tracing: Record<string, FieldRule> = {
  clientSampling: ignored(noSpans),
  randomSampling: ignored(noSpans),
  overallSampling: ignored(noSpans),
  verbose: ignored(noSpans),
  maxPathTagLength: ignored(noSpans),
  customTags: ignored(noSpans),
  spawnUpstreamSpan: ignored(noSpans),
  provider: refusedField('exporting spans is not implemented yet'),
}

export const httpFilterRule: MessageRule = {
  type: 'envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter',
  fields: {
    name: used(),
    typedConfig: used(undefined, 'see the list of HTTP filters'),
    configDiscovery: refusedField('ECDS is not implemented yet'),
    isOptional: used(),
    disabled: used(),
  },
}

const localReplyRule: MessageRule = {
  type: 'envoy.extensions.filters.network.http_connection_manager.v3.LocalReplyConfig',
  fields: {
    mappers: used({
      type: 'envoy.extensions.filters.network.http_connection_manager.v3.ResponseMapper',
      fields: {
        filter: used(undefined, 'as those of access logs'),
        statusCode: used(),
        body: used(undefined, 'inline_string and inline_bytes'),
        bodyFormatOverride: used(undefined, 'text and JSON, without formatter extensions'),
        headersToAdd: used(),
      },
    }),
    bodyFormat: used(undefined, 'text and JSON, without formatter extensions'),
  },
}

const hcmName = 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'

export const connectionManagerRule: MessageRule = {
  type: hcmName,
  fields: {
    codecType: used(undefined, 'AUTO, HTTP1 and HTTP2'),
    statPrefix: used(),
    rds: used({
      type: 'envoy.extensions.filters.network.http_connection_manager.v3.Rds',
      fields: { configSource: used(configSourceRule), routeConfigName: used() },
    }),
    routeConfig: used(undefined, 'see the fields of RouteConfiguration'),
    scopedRoutes: refusedField('scoped routes are not implemented'),
    httpFilters: used(httpFilterRule),
    addUserAgent: refusedField('add_user_agent is not implemented', false),
    tracing: used({ type: `${hcmName}.Tracing`, fields: tracing }),
    commonHttpProtocolOptions: used(commonHttp),
    httpProtocolOptions: used(http1),
    http2ProtocolOptions: used(http2Rule),
    http3ProtocolOptions: refusedField('HTTP/3 is not implemented'),
    serverName: used(),
    serverHeaderTransformation: used(),
    schemeHeaderTransformation: used({
      type: 'envoy.config.core.v3.SchemeHeaderTransformation',
      fields: { schemeToOverwrite: used() },
    }),
    maxRequestHeadersKb: used(),
    streamIdleTimeout: used(),
    requestTimeout: used(),
    requestHeadersTimeout: used(),
    drainTimeout: used(),
    delayedCloseTimeout: used(),
    accessLog: used(),
    accessLogFlushInterval: refusedField(noTrailingLog),
    flushAccessLogOnNewRequest: refusedField(noTrailingLog),
    accessLogOptions: refusedField(noTrailingLog),
    useRemoteAddress: used(),
    xffNumTrustedHops: used(),
    originalIpDetectionExtensions: refusedField('original IP detection is not implemented'),
    earlyHeaderMutationExtensions: refusedField('early header mutation is not implemented'),
    internalAddressConfig: used({
      type: `${hcmName}.InternalAddressConfig`,
      fields: {
        unixSockets: refusedField('Unix sockets as internal addresses are not implemented'),
        cidrRanges: used({
          type: 'envoy.config.core.v3.CidrRange',
          fields: { addressPrefix: used(), prefixLen: used() },
        }),
      },
    }),
    skipXffAppend: used(),
    via: used(),
    generateRequestId: used(),
    preserveExternalRequestId: used(),
    alwaysSetRequestIdInResponse: used(),
    forwardClientCertDetails: used(),
    setCurrentClientCertDetails: used({
      type: `${hcmName}.SetCurrentClientCertDetails`,
      fields: { subject: used(), cert: used(), chain: used(), dns: used(), uri: used() },
    }),
    proxy100Continue: used(),
    representIpv4RemoteAddressAsIpv4MappedIpv6: refusedField(
      'IPv4-mapped addresses are not implemented',
    ),
    upgradeConfigs: used({
      type: `${hcmName}.UpgradeConfig`,
      fields: {
        upgradeType: used(),
        filters: refusedField('filters of their own for upgrades are not implemented'),
        enabled: used(),
      },
    }),
    normalizePath: used(),
    mergeSlashes: used(),
    pathWithEscapedSlashesAction: used(),
    requestIdExtension: used(undefined, 'envoy.request_id.uuid only'),
    localReplyConfig: used(localReplyRule),
    stripMatchingHostPort: used(),
    stripAnyHostPort: used(),
    streamErrorOnInvalidHttpMessage: used(),
    pathNormalizationOptions: refusedField('custom path normalization is not implemented'),
    stripTrailingHostDot: used(),
    proxyStatusConfig: refusedField('the Proxy-Status header is not implemented'),
    typedHeaderValidationConfig: refusedField('custom header validation is not implemented'),
    appendXForwardedPort: used(undefined, 'with use_remote_address'),
    appendLocalOverload: used(),
    addProxyProtocolConnectionState: ignored(
      'a cluster that speaks the PROXY protocol is always told whose connection it is',
    ),
  },
}

export const tcpProxyRule: MessageRule = {
  type: 'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy',
  fields: {
    statPrefix: used(),
    cluster: used(),
    weightedClusters: used({
      type: 'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.WeightedCluster',
      fields: {
        clusters: used({
          type: 'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.WeightedCluster.ClusterWeight',
          fields: {
            name: used(),
            weight: used(),
            metadataMatch: refusedField('subset load balancing is not implemented'),
          },
        }),
      },
    }),
    onDemand: refusedField('clusters on demand are not implemented'),
    metadataMatch: refusedField('subset load balancing is not implemented'),
    idleTimeout: used(),
    downstreamIdleTimeout: refusedField('Envoy does not implement it either: use idle_timeout'),
    upstreamIdleTimeout: refusedField('Envoy does not implement it either: use idle_timeout'),
    accessLog: used(),
    maxConnectAttempts: used(),
    hashPolicy: used({
      type: 'envoy.type.v3.HashPolicy',
      fields: {
        sourceIp: used(),
        filterState: used({
          type: 'envoy.type.v3.HashPolicy.FilterState',
          fields: { key: used() },
        }),
      },
    }),
    tunnelingConfig: used({
      type: 'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.TunnelingConfig',
      fields: {
        hostname: used(undefined, 'without placeholders'),
        usePost: used(),
        headersToAdd: refusedField('headers of a CONNECT request are not implemented'),
        propagateResponseHeaders: refusedField('response headers are not kept', false),
        postPath: used(),
        propagateResponseTrailers: refusedField('response trailers are not kept', false),
      },
    }),
    maxDownstreamConnectionDuration: used(),
    accessLogFlushInterval: refusedField(noTrailingLog),
    flushAccessLogOnConnected: refusedField(noTrailingLog),
    accessLogOptions: refusedField(noTrailingLog),
  },
}

export const routerRule: MessageRule = {
  type: 'envoy.extensions.filters.http.router.v3.Router',
  fields: {
    dynamicStats: ignored('it only concerns statistics'),
    startChildSpan: ignored(noSpans),
    upstreamLog: refusedField('access logs of upstream attempts are not implemented'),
    upstreamLogOptions: refusedField('access logs of upstream attempts are not implemented'),
    suppressEnvoyHeaders: used(),
    strictCheckHeaders: used(),
    respectExpectedRqTimeout: used(),
    suppressGrpcRequestFailureCodeStats: ignored('it only concerns statistics'),
    upstreamHttpFilters: refusedField('filters of upstream requests are not implemented'),
  },
}
