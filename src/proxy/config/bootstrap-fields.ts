/** What we read of a Bootstrap. */
import { configSourceRule, typedExtensionRule } from './cluster-fields.ts'
import { addressRule } from './endpoint-fields.ts'
import { type MessageRule, ignored, refusedField, used } from './field-rule.ts'
import { overloadRule } from './overload-fields.ts'

const noResolver = 'DNS servers of one’s own are not implemented: the system’s resolver is used'

const patterns: MessageRule = {
  type: 'envoy.type.matcher.v3.ListStringMatcher',
  fields: { patterns: used() },
}

const statsConfigRule: MessageRule = {
  type: 'envoy.config.metrics.v3.StatsConfig',
  fields: {
    statsTags: used({
      type: 'envoy.config.metrics.v3.TagSpecifier',
      fields: {
        tagName: used(),
        regex: used(undefined, 'in ECMAScript’s grammar, as in Envoy'),
        fixedValue: used(),
      },
    }),
    useAllDefaultTags: ignored('Envoy’s own tags are labels in any case'),
    statsMatcher: used(
      {
        type: 'envoy.config.metrics.v3.StatsMatcher',
        fields: { rejectAll: used(), exclusionList: used(patterns), inclusionList: used(patterns) },
      },
      'what it leaves out is counted and not shown',
    ),
    histogramBucketSettings: refusedField(
      'buckets of one’s own are not implemented: they are Envoy’s',
    ),
  },
}

const apiConfigSource: MessageRule = {
  type: 'envoy.config.core.v3.ApiConfigSource',
  fields: {
    apiType: used(undefined, 'GRPC and DELTA_GRPC'),
    transportApiVersion: used(undefined, 'V3'),
    clusterNames: refusedField('REST is not implemented'),
    grpcServices: used({
      type: 'envoy.config.core.v3.GrpcService',
      fields: {
        envoyGrpc: used({
          type: 'envoy.config.core.v3.GrpcService.EnvoyGrpc',
          fields: {
            clusterName: used(),
            authority: used(),
            retryPolicy: ignored('the stream is opened again with a jittered back-off'),
            maxReceiveMessageLength: ignored('the ADS client has a ceiling of its own'),
            skipEnvoyHeaders: ignored('no such headers are added'),
          },
        }),
        googleGrpc: refusedField(
          'google_grpc is not implemented: name a static cluster in envoy_grpc',
        ),
        timeout: ignored('the stream has no time limit in Envoy either'),
        initialMetadata: used({
          type: 'envoy.config.core.v3.HeaderValue',
          fields: {
            key: used(),
            value: used(),
            rawValue: refusedField('raw values are not implemented'),
          },
        }),
        retryPolicy: ignored('the stream is opened again with a jittered back-off'),
      },
    }),
    refreshDelay: ignored('only REST reads it'),
    requestTimeout: ignored('only REST reads it'),
    rateLimitSettings: ignored('requests follow responses one by one'),
    setNodeOnFirstMessageOnly: ignored('the node is sent with the first message only, always'),
    configValidators: refusedField('config validators are not implemented'),
  },
}

const adminRule: MessageRule = {
  type: 'envoy.config.bootstrap.v3.Admin',
  fields: {
    address: used(addressRule, 'a loopback IP or a pipe'),
    accessLog: ignored('requests to the admin interface are not logged'),
    accessLogPath: ignored('requests to the admin interface are not logged'),
    profilePath: ignored('there is no CPU profiler behind the admin interface'),
    socketOptions: refusedField('socket options are not implemented'),
    ignoreGlobalConnLimit: ignored('the global limit never counts admin connections'),
  },
}

export const bootstrapRule: MessageRule = {
  type: 'envoy.config.bootstrap.v3.Bootstrap',
  fields: {
    node: used(undefined, 'sent to the ADS server as it is'),
    nodeContextParams: ignored('only xdstp names read them'),
    staticResources: used({
      type: 'envoy.config.bootstrap.v3.Bootstrap.StaticResources',
      fields: {
        listeners: used(),
        clusters: used(),
        secrets: used(),
      },
    }),
    dynamicResources: used({
      type: 'envoy.config.bootstrap.v3.Bootstrap.DynamicResources',
      fields: {
        ldsConfig: used(configSourceRule),
        cdsConfig: used(configSourceRule),
        adsConfig: used(apiConfigSource),
        ldsResourcesLocator: refusedField('xdstp locators are not implemented'),
        cdsResourcesLocator: refusedField('xdstp locators are not implemented'),
      },
    }),
    clusterManager: used({
      type: 'envoy.config.bootstrap.v3.ClusterManager',
      fields: {
        localClusterName: used(),
        outlierDetection: used({
          type: 'envoy.config.bootstrap.v3.ClusterManager.OutlierDetection',
          fields: {
            eventLogPath: used(),
            eventService: refusedField('an event service is not implemented: use event_log_path'),
          },
        }),
        upstreamBindConfig: refusedField('choosing the source address is not implemented'),
        loadStatsConfig: refusedField('load reports are not implemented'),
        enableDeferredClusterCreation: ignored('clusters are cheap here'),
      },
    }),
    hdsConfig: refusedField('health discovery is not implemented'),
    flagsPath: ignored('nothing reads flags'),
    statsSinks: refusedField('pushing statistics is not implemented yet: scrape /stats/prometheus'),
    deferredStatOptions: ignored('it only concerns memory'),
    statsConfig: used(statsConfigRule),
    statsFlushInterval: ignored('there are no sinks to flush to'),
    statsFlushOnAdmin: ignored('there are no sinks to flush to'),
    watchdog: ignored('the event loop’s delay is watched by the overload state'),
    watchdogs: ignored('the event loop’s delay is watched by the overload state'),
    tracing: refusedField('exporting spans is not implemented yet'),
    layeredRuntime: used({
      type: 'envoy.config.bootstrap.v3.LayeredRuntime',
      fields: {
        layers: used({
          type: 'envoy.config.bootstrap.v3.RuntimeLayer',
          fields: {
            name: used(),
            staticLayer: used(
              undefined,
              'envoy.resource_limits.listener.NAME.connection_limit, overload.global_downstream_max_connections, and ours: tulle.overload.heap_share_max, heap_share_critical, buffered_bytes_max, event_loop_delay_ms_max',
            ),
            adminLayer: ignored('the runtime cannot be changed while it runs'),
            diskLayer: refusedField('a runtime on disk is not implemented'),
            rtdsLayer: refusedField('RTDS is not implemented'),
          },
        }),
      },
    }),
    admin: used(adminRule),
    overloadManager: used(
      overloadRule,
      'beside the ceilings that the sidecar has of its own for heap, event-loop delay and buffered bytes',
    ),
    enableDispatcherStats: ignored('it only adds statistics'),
    headerPrefix: refusedField('another prefix than x-envoy is not implemented'),
    statsServerVersionOverride: ignored('it only concerns a statistic'),
    useTcpForDnsLookups: ignored(noResolver),
    dnsResolutionConfig: refusedField(noResolver),
    typedDnsResolverConfig: ignored(noResolver),
    bootstrapExtensions: used(typedExtensionRule, 'envoy.bootstrap.internal_listener'),
    fatalActions: refusedField('fatal actions are not implemented'),
    configSources: refusedField('xdstp config sources are not implemented'),
    defaultConfigSource: refusedField('xdstp config sources are not implemented'),
    defaultSocketInterface: ignored('there is one kind of socket'),
    certificateProviderInstances: refusedField('certificate providers are for gRPC clients'),
    inlineHeaders: ignored('it only concerns how fast headers are found'),
    perfTracingFilePath: ignored('there is no Perfetto trace'),
    defaultRegexEngine: ignored('regular expressions are RE2, which is Envoy’s default'),
    xdsDelegateExtension: refusedField('xDS delegates are not implemented'),
    xdsConfigTrackerExtension: refusedField('xDS config trackers are not implemented'),
    listenerManager: refusedField('another listener manager is not implemented'),
    applicationLogConfig: ignored('the log is JSON lines'),
    grpcAsyncClientManagerConfig: ignored('there is one gRPC client, of the ADS stream'),
    memoryAllocatorManager: ignored('V8 manages its memory'),
  },
}
