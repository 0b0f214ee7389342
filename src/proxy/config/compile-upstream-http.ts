/**
 * Which protocol a cluster's connections speak, and their limits: from `typed_extension_protocol_options`, or from the
 * older fields on the Cluster itself. Envoy refuses a cluster that uses both; so do we.
 */
import { typeNameOf } from '../../xds/any.ts'
import type { Cluster } from '../../xds/proto/generated/envoy/config/cluster/v3/cluster.ts'
import type {
  Http1ProtocolOptions,
  Http2ProtocolOptions,
  HttpProtocolOptions as CommonOptions,
  UpstreamHttpProtocolOptions,
} from '../../xds/proto/generated/envoy/config/core/v3/protocol.ts'
import { HttpProtocolOptions } from '../../xds/proto/generated/envoy/extensions/upstreams/http/v3/http_protocol_options.ts'
import type { ClusterConfig } from './cluster-config.ts'
import { upstreamHttpRule } from './cluster-fields.ts'
import { compileErrorMatcher } from './compile-error-matcher.ts'
import { compileHeaderSpelling } from './compile-header-spelling.ts'
import { compileHttp2 } from './compile-http2.ts'
import type { SecretSources } from './compile-scope.ts'
import { type FieldReport, at, checkFields, refuse } from './field-rule.ts'
import { decodeTyped, durationMs } from './message-value.ts'

type UpstreamHttp = Pick<
  ClusterConfig,
  | 'protocol'
  | 'http2'
  | 'http1'
  | 'idleTimeoutMs'
  | 'requestsPerConnectionMax'
  | 'connectionDurationMsMax'
  | 'maxStreamDurationMs'
  | 'isError'
>

const optionsKey = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions'
const idleTimeoutDefaultMs = 3_600_000

export interface UpstreamHttpScope {
  /** Absent: none. */
  readonly secrets?: SecretSources
  /** For `%HOSTNAME%` in header values of health checks. */
  readonly hostname?: string
}

export function compileUpstreamHttp(cluster: Cluster, report: FieldReport): UpstreamHttp {
  const options = typedOptions(cluster, report)
  const hasOldFields =
    cluster.http2ProtocolOptions !== undefined ||
    cluster.httpProtocolOptions !== undefined ||
    cluster.commonHttpProtocolOptions !== undefined
  if (options !== undefined && hasOldFields) {
    refuse(
      at(report, 'typed_extension_protocol_options'),
      'cannot be used together with the protocol options on the cluster itself',
    )
  }
  const protocol = protocolOf(cluster, options)
  const http2 = compileHttp2(http2Of(cluster, options), at(report, 'http2_protocol_options'))
  const common = options?.commonHttpProtocolOptions ?? cluster.commonHttpProtocolOptions
  return {
    protocol,
    http2,
    ...http1Upstream(http1Of(cluster, options), common, report),
    ...commonLimits(common, cluster, report),
    ...errorsOf(options, report),
  }
}

/** Whether TLS takes its names from requests; the reasons of fields that are wrong are given by `compileUpstreamHttp`. */
export function upstreamHttpNames(cluster: Cluster): UpstreamHttpProtocolOptions | undefined {
  const options = typedOptions(cluster, { path: '', reasons: [] })
  return options?.upstreamHttpProtocolOptions ?? cluster.upstreamHttpProtocolOptions
}

function errorsOf(
  options: HttpProtocolOptions | undefined,
  report: FieldReport,
): Pick<UpstreamHttp, 'isError'> {
  if (options?.outlierDetection === undefined) return {}
  const here = at(report, 'outlier_detection', 'error_matcher')
  const isError = compileErrorMatcher(options.outlierDetection.errorMatcher, here)
  return isError === undefined ? {} : { isError }
}

function typedOptions(cluster: Cluster, report: FieldReport): HttpProtocolOptions | undefined {
  let options: HttpProtocolOptions | undefined
  for (const [key, any] of Object.entries(cluster.typedExtensionProtocolOptions)) {
    const here = at(report, `typed_extension_protocol_options[${key}]`)
    if (typeNameOf(any.typeUrl) !== optionsKey) {
      refuse(here, `protocol options ${typeNameOf(any.typeUrl)} are not implemented`)
      continue
    }
    options = decodeTyped(any, HttpProtocolOptions, here)
    if (options === undefined) continue
    checkFields(options, upstreamHttpRule, here)
    if (options.upstreamProtocolOptions === undefined) {
      refuse(at(here, 'upstream_protocol_options'), 'is required')
    }
  }
  return options
}

function protocolOf(
  cluster: Cluster,
  options: HttpProtocolOptions | undefined,
): ClusterConfig['protocol'] {
  const specifier = options?.upstreamProtocolOptions
  if (specifier?.$case === 'useDownstreamProtocolConfig') return 'use-downstream'
  if (specifier?.$case === 'explicitHttpConfig') {
    return specifier.value.protocolConfig?.$case === 'http2ProtocolOptions' ? 'http2' : 'http1'
  }
  return cluster.http2ProtocolOptions === undefined ? 'http1' : 'http2'
}

function http2Of(
  cluster: Cluster,
  options: HttpProtocolOptions | undefined,
): Http2ProtocolOptions | undefined {
  const specifier = options?.upstreamProtocolOptions
  if (specifier?.$case === 'useDownstreamProtocolConfig') {
    return specifier.value.http2ProtocolOptions
  }
  const explicit = specifier?.$case === 'explicitHttpConfig' && specifier.value.protocolConfig
  if (explicit && explicit.$case === 'http2ProtocolOptions') return explicit.value
  return cluster.http2ProtocolOptions
}

function http1Of(
  cluster: Cluster,
  options: HttpProtocolOptions | undefined,
): Http1ProtocolOptions | undefined {
  const specifier = options?.upstreamProtocolOptions
  if (specifier?.$case === 'useDownstreamProtocolConfig') {
    return specifier.value.httpProtocolOptions
  }
  const explicit = specifier?.$case === 'explicitHttpConfig' && specifier.value.protocolConfig
  if (explicit && explicit.$case === 'httpProtocolOptions') return explicit.value
  return cluster.httpProtocolOptions
}

const headersCountDefault = 100

/** Absent where nothing differs from the defaults. */
function http1Upstream(
  http1: Http1ProtocolOptions | undefined,
  common: CommonOptions | undefined,
  report: FieldReport,
): Pick<UpstreamHttp, 'http1'> {
  const here = at(report, 'http_protocol_options', 'header_key_format')
  const spelling = compileHeaderSpelling(http1?.headerKeyFormat, here)
  const sendsUrl = http1?.sendFullyQualifiedUrl === true
  const headersCountMax = common?.maxHeadersCount ?? headersCountDefault
  if (headersCountMax < 1) {
    refuse(
      at(report, 'common_http_protocol_options', 'max_headers_count'),
      `value must be greater than or equal to 1, got ${headersCountMax}`,
    )
  }
  const keepsTrailers = http1?.enableTrailers === true
  const isUsual =
    spelling === undefined && !sendsUrl && !keepsTrailers && headersCountMax === headersCountDefault
  return isUsual ? {} : { http1: { spelling, sendsUrl, headersCountMax, keepsTrailers } }
}

function commonLimits(
  common: CommonOptions | undefined,
  cluster: Cluster,
  report: FieldReport,
): Omit<UpstreamHttp, 'protocol' | 'http2' | 'http1'> {
  return {
    maxStreamDurationMs: durationMs(
      common?.maxStreamDuration,
      { absentMs: 0 },
      at(report, 'common_http_protocol_options', 'max_stream_duration'),
    ),
    idleTimeoutMs: durationMs(
      common?.idleTimeout,
      { absentMs: idleTimeoutDefaultMs },
      at(report, 'common_http_protocol_options', 'idle_timeout'),
    ),
    connectionDurationMsMax: durationMs(
      common?.maxConnectionDuration,
      { absentMs: 0 },
      at(report, 'common_http_protocol_options', 'max_connection_duration'),
    ),
    requestsPerConnectionMax:
      common?.maxRequestsPerConnection ?? cluster.maxRequestsPerConnection ?? 0,
  }
}
