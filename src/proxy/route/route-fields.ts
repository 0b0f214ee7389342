/**
 * Which fields of Envoy's route messages act here, which have no effect and why that is safe, and which are refused.
 * The tables render docs/reference/envoy-fields.md.
 */
import { configSourceRule } from '../config/cluster-fields.ts'
import {
  type FieldRule,
  type MessageRule,
  ignored,
  refusedField,
  used,
} from '../config/field-rule.ts'
import { runtimeFractionRule } from '../config/runtime-fields.ts'
import { retryPolicyRule } from '../resilience/retry-fields.ts'
import { internalRedirectRule } from './internal-redirect.ts'
import { mirrorRule } from './mirror-policy.ts'
import { virtualClusterRule } from './virtual-cluster.ts'

const notYet = 'not implemented yet'
const useOlderLimit = 'not implemented yet; use per_request_buffer_limit_bytes'
const noSpecifiers = 'route specifier plugins are not implemented'
const mirrors = used(mirrorRule)
const metadata = ignored('nothing here reads it')

const headerEdits: Readonly<Record<string, FieldRule>> = {
  requestHeadersToAdd: used(),
  requestHeadersToRemove: used(),
  responseHeadersToAdd: used(),
  responseHeadersToRemove: used(),
}

const routeMatchRule: MessageRule = {
  type: 'envoy.config.route.v3.RouteMatch',
  fields: {
    prefix: used(),
    path: used(),
    safeRegex: used(),
    connectMatcher: used(),
    pathSeparatedPrefix: used(),
    pathMatchPolicy: used(undefined, 'URI templates'),
    caseSensitive: used(),
    runtimeFraction: used(runtimeFractionRule),
    headers: used(),
    queryParameters: used(),
    grpc: used(),
    tlsContext: used({
      type: 'envoy.config.route.v3.RouteMatch.TlsContextMatchOptions',
      fields: { presented: used(), validated: used() },
    }),
    dynamicMetadata: refusedField('dynamic metadata is not implemented'),
    filterState: refusedField(notYet),
    cookies: refusedField('not implemented yet; match the header `cookie`'),
  },
}

const clusterWeightRule: MessageRule = {
  type: 'envoy.config.route.v3.WeightedCluster.ClusterWeight',
  fields: {
    ...headerEdits,
    name: used(),
    clusterHeader: used(),
    weight: used(),
    metadataMatch: refusedField('subsets by metadata are not implemented; subsets are clusters'),
    typedPerFilterConfig: used(),
    hostRewriteLiteral: used(),
  },
}

const upgradeRule: MessageRule = {
  type: 'envoy.config.route.v3.RouteAction.UpgradeConfig',
  fields: {
    upgradeType: used(),
    enabled: used(),
    connectConfig: used({
      type: 'envoy.config.route.v3.RouteAction.UpgradeConfig.ConnectConfig',
      fields: {
        proxyProtocolConfig: refusedField('the PROXY protocol is not implemented'),
        allowPost: refusedField('only CONNECT is tunnelled'),
      },
    }),
  },
}

const hashPolicyPath = 'envoy.config.route.v3.RouteAction.HashPolicy'

const hashPolicyRule: MessageRule = {
  type: hashPolicyPath,
  fields: {
    header: used({
      type: `${hashPolicyPath}.Header`,
      fields: { headerName: used(), regexRewrite: used() },
    }),
    cookie: used({
      type: `${hashPolicyPath}.Cookie`,
      fields: { name: used(), ttl: used(), path: used(), attributes: used() },
    }),
    connectionProperties: used({
      type: `${hashPolicyPath}.ConnectionProperties`,
      fields: { sourceIp: used() },
    }),
    queryParameter: used({ type: `${hashPolicyPath}.QueryParameter`, fields: { name: used() } }),
    filterState: used({ type: `${hashPolicyPath}.FilterState`, fields: { key: used() } }),
    terminal: used(),
  },
}

const routeActionRule: MessageRule = {
  type: 'envoy.config.route.v3.RouteAction',
  fields: {
    cluster: used(),
    clusterHeader: used(),
    weightedClusters: used({
      type: 'envoy.config.route.v3.WeightedCluster',
      fields: {
        clusters: used(clusterWeightRule),
        totalWeight: ignored('deprecated; the sum of the weights counts, as in Envoy'),
        runtimeKeyPrefix: ignored('there is no runtime; the weights count'),
        headerName: used(),
        useHashPolicy: refusedField(notYet),
      },
    }),
    clusterSpecifierPlugin: refusedField('cluster specifier plugins are not implemented'),
    inlineClusterSpecifierPlugin: refusedField('cluster specifier plugins are not implemented'),
    clusterNotFoundResponseCode: used(),
    metadataMatch: refusedField('subsets by metadata are not implemented; subsets are clusters'),
    prefixRewrite: used(),
    regexRewrite: used(),
    pathRewritePolicy: used(undefined, 'URI templates'),
    pathRewrite: refusedField(notYet),
    hostRewriteLiteral: used(),
    autoHostRewrite: used(),
    hostRewriteHeader: used(),
    hostRewritePathRegex: used(),
    hostRewrite: refusedField(notYet),
    appendXForwardedHost: used(),
    timeout: used(),
    idleTimeout: used(),
    flushTimeout: refusedField(notYet),
    earlyDataPolicy: refusedField('TLS early data is not implemented'),
    retryPolicy: used(retryPolicyRule),
    retryPolicyTypedConfig: refusedField(notYet),
    requestMirrorPolicies: mirrors,
    priority: refusedField('only the priority DEFAULT has circuit breakers'),
    rateLimits: refusedField('the rate limit filter is not implemented'),
    includeVhRateLimits: refusedField('the rate limit filter is not implemented'),
    hashPolicy: used(hashPolicyRule),
    cors: refusedField('deprecated; use typed_per_filter_config'),
    maxGrpcTimeout: used(),
    grpcTimeoutOffset: used(),
    upgradeConfigs: used(upgradeRule),
    internalRedirectPolicy: used(internalRedirectRule),
    internalRedirectAction: used(),
    maxInternalRedirects: used(),
    hedgePolicy: refusedField('hedging is not implemented'),
    maxStreamDuration: used(),
  },
}

const routeRule: MessageRule = {
  type: 'envoy.config.route.v3.Route',
  fields: {
    ...headerEdits,
    name: used(),
    match: used(routeMatchRule),
    route: used(routeActionRule),
    redirect: used({
      type: 'envoy.config.route.v3.RedirectAction',
      fields: {
        httpsRedirect: used(),
        schemeRedirect: used(),
        hostRedirect: used(),
        portRedirect: used(),
        pathRedirect: used(),
        prefixRewrite: used(),
        regexRewrite: used(),
        pathRewrite: refusedField(notYet),
        responseCode: used(),
        stripQuery: used(),
      },
    }),
    directResponse: used({
      type: 'envoy.config.route.v3.DirectResponseAction',
      fields: {
        status: used(),
        body: used(undefined, 'text, bytes or a file'),
        bodyFormat: refusedField(notYet),
      },
    }),
    filterAction: refusedField(notYet),
    nonForwardingAction: refusedField('only means something to gRPC servers'),
    metadata,
    decorator: ignored('names spans; tracing is not implemented yet'),
    typedPerFilterConfig: used(),
    tracing: ignored('tracing is not implemented yet'),
    perRequestBufferLimitBytes: used(),
    requestBodyBufferLimit: refusedField(useOlderLimit),
    routeSpecifiers: refusedField(noSpecifiers),
    statPrefix: used(undefined, 'of at most 1000 names'),
  },
}

const virtualHostRule: MessageRule = {
  type: 'envoy.config.route.v3.VirtualHost',
  fields: {
    ...headerEdits,
    name: used(),
    domains: used(),
    routes: used(routeRule),
    matcher: refusedField('matching trees are not implemented'),
    requireTls: used(),
    virtualClusters: used(virtualClusterRule, 'of at most 1000 names, with those of routes'),
    rateLimits: refusedField('the rate limit filter is not implemented'),
    cors: refusedField('deprecated; use typed_per_filter_config'),
    typedPerFilterConfig: used(),
    includeRequestAttemptCount: used(),
    includeAttemptCountInResponse: used(),
    retryPolicy: used(retryPolicyRule),
    retryPolicyTypedConfig: refusedField(notYet),
    hedgePolicy: refusedField('hedging is not implemented'),
    includeIsTimeoutRetryHeader: used(),
    perRequestBufferLimitBytes: used(),
    requestBodyBufferLimit: refusedField(useOlderLimit),
    routeSpecifiers: refusedField(noSpecifiers),
    requestMirrorPolicies: mirrors,
    metadata,
  },
}

export const routeConfigurationRule: MessageRule = {
  type: 'envoy.config.route.v3.RouteConfiguration',
  fields: {
    ...headerEdits,
    name: used(),
    virtualHosts: used(virtualHostRule),
    vhds: used(
      {
        type: 'envoy.config.route.v3.Vhds',
        fields: { configSource: used(configSourceRule) },
      },
      'in a table of RDS, with ADS in its delta form',
    ),
    internalOnlyHeaders: refusedField(notYet),
    vhostHeader: refusedField(notYet),
    routeSpecifiers: refusedField(noSpecifiers),
    mostSpecificHeaderMutationsWins: used(),
    validateClusters: refusedField('a route to an unknown cluster answers 503 NC'),
    maxDirectResponseBodySizeBytes: used(),
    clusterSpecifierPlugins: refusedField('cluster specifier plugins are not implemented'),
    requestMirrorPolicies: mirrors,
    ignorePortInHostMatching: used(),
    ignorePathParametersInPathMatching: used(),
    typedPerFilterConfig: used(),
    metadata,
  },
}

/** Every table, outermost first, for the docs. */
export const routeRules: readonly MessageRule[] = [
  routeConfigurationRule,
  virtualHostRule,
  routeRule,
  routeMatchRule,
  routeActionRule,
  clusterWeightRule,
  upgradeRule,
  internalRedirectRule,
  retryPolicyRule,
]
