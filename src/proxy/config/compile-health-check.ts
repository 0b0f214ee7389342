/** A cluster's active health check → its settings, with Envoy's defaults, ranges and words. */
import { typeNameOf } from '../../xds/any.ts'
import type { Cluster } from '../../xds/proto/generated/envoy/config/cluster/v3/cluster.ts'
import {
  type HeaderValueOption,
  RequestMethod,
} from '../../xds/proto/generated/envoy/config/core/v3/base.ts'
import {
  HealthCheck,
  type HealthCheck_GrpcHealthCheck,
  type HealthCheck_HttpHealthCheck,
  type HealthCheck_Payload,
  type HealthCheck_TcpHealthCheck,
} from '../../xds/proto/generated/envoy/config/core/v3/health_check.ts'
import { ProxyProtocolConfig_Version } from '../../xds/proto/generated/envoy/config/core/v3/proxy_protocol.ts'
import { HealthCheckEventFileSink } from '../../xds/proto/generated/envoy/extensions/health_check/event_sinks/file/v3/file.ts'
import type { StringMatcher } from '../../xds/proto/generated/envoy/type/matcher/v3/string.ts'
import { CodecClientType } from '../../xds/proto/generated/envoy/type/v3/http.ts'
import type { Int64Range } from '../../xds/proto/generated/envoy/type/v3/range.ts'
import type {
  CheckIntervals,
  GrpcProbeSettings,
  HealthCheckSettings,
  HttpProbeSettings,
  ProbeSettings,
  StatusRange,
  TcpProbeSettings,
} from '../health/health-settings.ts'
import { compileHeaderEdit } from '../route/header-edit.ts'
import { compileStringMatcher } from '../route/string-matcher.ts'
import type { CheckSecurity } from '../upstream/cluster.ts'
import type { ClusterConfig } from './cluster-config.ts'
import { accepted } from './compiled.ts'
import { type FieldReport, at, checkFields, refuse, snakeCase } from './field-rule.ts'
import { fileSinkRule } from './health-check-fields.ts'
import { decodeTyped, durationMs } from './message-value.ts'

export interface HealthCheckScope {
  /** For `%HOSTNAME%` in header values. */
  readonly hostname: string
  /** What the cluster's connections speak. */
  readonly protocol: ClusterConfig['protocol']
}

/** Undefined when the cluster is not checked. */
export function compileHealthCheck(
  cluster: Cluster,
  scope: HealthCheckScope,
  report: FieldReport,
): HealthCheckSettings | undefined {
  const [check, ...more] = cluster.healthChecks
  if (check === undefined) return undefined
  if (more.length > 0) refuse(at(report, 'health_checks'), 'Multiple health checks not supported')
  const here = at(report, 'health_checks', 0)
  const probe = compileProbe(check, scope, { report: here, clusterName: cluster.name })
  if (probe === undefined) return undefined
  const required = (name: 'unhealthyThreshold' | 'healthyThreshold'): number => {
    const value = check[name]
    if (value === undefined) refuse(at(here, snakeCase(name)), 'value is required')
    return value ?? 0
  }
  return {
    key: Buffer.from(HealthCheck.encode(check).finish()).toString('base64'),
    timeoutMs: requiredMs(check, 'timeout', here),
    intervals: compileIntervals(check, here),
    unhealthyThreshold: required('unhealthyThreshold'),
    healthyThreshold: required('healthyThreshold'),
    reusesConnection: check.reuseConnection ?? true,
    eventLogPaths: eventLogPaths(check, here),
    logsEveryFailure: check.alwaysLogHealthCheckFailures,
    logsEverySuccess: check.alwaysLogHealthCheckSuccess,
    security: compileSecurity(check),
    probe,
  }
}

function requiredMs(check: HealthCheck, name: 'timeout' | 'interval', report: FieldReport): number {
  const value = check[name]
  if (value === undefined) refuse(at(report, name), 'value is required')
  return Math.trunc(durationMs(value, { absentMs: 1, least: 'positive' }, at(report, name)))
}

type IntervalField =
  | 'noTrafficInterval'
  | 'noTrafficHealthyInterval'
  | 'unhealthyInterval'
  | 'unhealthyEdgeInterval'
  | 'healthyEdgeInterval'

function compileIntervals(check: HealthCheck, report: FieldReport): CheckIntervals {
  const intervalMs = requiredMs(check, 'interval', report)
  const read = (name: IntervalField, absentMs: number): number =>
    Math.trunc(
      durationMs(check[name], { absentMs, least: 'positive' }, at(report, snakeCase(name))),
    )
  const jitter = (name: 'initialJitter' | 'intervalJitter'): number =>
    Math.trunc(durationMs(check[name], { absentMs: 0 }, at(report, snakeCase(name))))
  const noTrafficMs = read('noTrafficInterval', 60_000)
  const unhealthyMs = read('unhealthyInterval', intervalMs)
  return {
    intervalMs,
    initialJitterMs: jitter('initialJitter'),
    jitterMs: jitter('intervalJitter'),
    jitterPercent: check.intervalJitterPercent,
    noTrafficMs,
    noTrafficHealthyMs: read('noTrafficHealthyInterval', noTrafficMs),
    unhealthyMs,
    unhealthyEdgeMs: read('unhealthyEdgeInterval', unhealthyMs),
    healthyEdgeMs: read('healthyEdgeInterval', intervalMs),
  }
}

function compileSecurity(check: HealthCheck): CheckSecurity {
  const alpn = check.tlsOptions?.alpnProtocols ?? []
  const socketMatch = check.transportSocketMatchCriteria
  return { ...(alpn.length > 0 && { alpn }), ...(socketMatch !== undefined && { socketMatch }) }
}

function eventLogPaths(check: HealthCheck, report: FieldReport): readonly string[] {
  const paths = check.eventLogPath === '' ? [] : [check.eventLogPath]
  for (const [index, { name, typedConfig }] of check.eventLogger.entries()) {
    const here = at(report, 'event_logger', index)
    const type = typeNameOf(typedConfig?.typeUrl ?? '')
    if (typedConfig === undefined || type !== fileSinkRule.type) {
      refuse(here, `event sink ${name} (${type || 'no typed_config'}) is not implemented`)
      continue
    }
    const sink = decodeTyped(typedConfig, HealthCheckEventFileSink, at(here, 'typed_config'))
    if (sink === undefined) continue
    checkFields(sink, fileSinkRule, at(here, 'typed_config'))
    if (sink.eventLogPath === '') {
      const path = at(here, 'typed_config', 'event_log_path')
      refuse(path, 'value length must be at least 1 characters')
    }
    paths.push(sink.eventLogPath)
  }
  return paths
}

interface ProbePlace {
  readonly report: FieldReport
  readonly clusterName: string
}

function compileProbe(
  check: HealthCheck,
  scope: HealthCheckScope,
  { report, clusterName }: ProbePlace,
): ProbeSettings | undefined {
  const checker = check.healthChecker
  switch (checker?.$case) {
    case 'httpHealthCheck':
      return compileHttp(checker.value, scope, at(report, 'http_health_check'))
    case 'tcpHealthCheck':
      return compileTcp(checker.value, at(report, 'tcp_health_check'))
    case 'grpcHealthCheck':
      if (scope.protocol !== 'http2') {
        refuse(report, `${clusterName} cluster must support HTTP/2 for gRPC healthchecking`)
      }
      return compileGrpc(checker.value, scope, at(report, 'grpc_health_check'))
    case 'customHealthCheck':
      // Refused by its rule.
      return undefined
    case undefined:
      refuse(at(report, 'health_checker'), 'is required')
      return undefined
    default:
      return checker satisfies never
  }
}

/** Envoy `requestShouldHaveNoBody`. */
const bodyless: ReadonlySet<string> = new Set(['GET', 'HEAD', 'DELETE', 'TRACE'])

function compileHttp(
  value: HealthCheck_HttpHealthCheck,
  scope: HealthCheckScope,
  report: FieldReport,
): HttpProbeSettings {
  if (value.path === '') {
    refuse(at(report, 'path'), 'value length must be at least 1 characters')
  }
  for (const field of ['path', 'host'] as const) {
    if (/[\0\r\n]/.test(value[field])) refuse(at(report, field), 'must be the value of a header')
  }
  const method = methodOf(value.method, report)
  if (value.send !== undefined && bodyless.has(method)) {
    refuse(
      at(report, 'send'),
      `HTTP health check cannot specify a request payload with method '${method}'. Only methods that support a request body (POST, PUT, PATCH, OPTIONS) can be used with payload.`,
    )
  }
  const responseBytesMax = value.responseBufferSize ?? 1024
  const receive = compileReceive(value.receive, report)
  const receiveBytes = receive.reduce((sum, { length }) => sum + length, 0)
  if (responseBytesMax !== 0 && receiveBytes > responseBytesMax) {
    refuse(
      at(report, 'response_buffer_size'),
      `The expected response length '${receiveBytes}' is over than http health response buffer size '${responseBytesMax}'`,
    )
  }
  const expected = compileRanges(value.expectedStatuses, 'expected', report)
  return {
    kind: 'http',
    version: versionOf(value.codecClientType, report),
    method,
    path: value.path,
    host: value.host,
    expected: expected.length === 0 ? [{ start: 200, end: 201 }] : expected,
    retriable: compileRanges(value.retriableStatuses, 'retriable', report),
    editHeaders: compileHeaderEdit(
      {
        add: value.requestHeadersToAdd,
        remove: value.requestHeadersToRemove,
        fields: ['request_headers_to_add', 'request_headers_to_remove'],
      },
      scope,
      report,
    ),
    send: value.send && compilePayload(value.send, at(report, 'send')),
    receive,
    responseBytesMax,
    matchesService: compileService(value.serviceNameMatcher, report),
  }
}

function methodOf(method: RequestMethod, report: FieldReport): string {
  if (method === RequestMethod.METHOD_UNSPECIFIED) return 'GET'
  const found = Object.entries(RequestMethod).find(([, value]) => value === method)
  const name = found?.[0] ?? String(method)
  if (found === undefined) refuse(at(report, 'method'), `unknown value ${method}`)
  if (name === 'CONNECT') refuse(at(report, 'method'), 'value must not be in list [CONNECT]')
  return name
}

function versionOf(type: CodecClientType, report: FieldReport): 'http1' | 'http2' {
  if (type === CodecClientType.HTTP2) return 'http2'
  if (type !== CodecClientType.HTTP1) {
    refuse(at(report, 'codec_client_type'), 'HTTP/3 is not implemented')
  }
  return 'http1'
}

function compileService(
  matcher: StringMatcher | undefined,
  report: FieldReport,
): ((name: string) => boolean) | undefined {
  if (matcher === undefined) return undefined
  return accepted(compileStringMatcher(matcher), at(report, 'service_name_matcher'))
}

/** Envoy's own words. */
function compileRanges(
  ranges: readonly Int64Range[],
  kind: 'expected' | 'retriable',
  report: FieldReport,
): readonly StatusRange[] {
  return ranges.map(({ start, end }, index) => {
    const here = at(report, `${kind}_statuses`, index)
    const say = (text: string): void => refuse(here, `Invalid http ${kind} status range: ${text}`)
    if (start >= end) {
      say(`expecting start < end, but found start=${start} and end=${end}`)
    } else if (start < 100) {
      say(`expecting start >= 100, but found start=${start}`)
    } else if (end > 600) {
      say(`expecting end <= 600, but found end=${end}`)
    }
    return { start, end }
  })
}

function compileTcp(value: HealthCheck_TcpHealthCheck, report: FieldReport): TcpProbeSettings {
  const proxy = value.proxyProtocolConfig
  return {
    kind: 'tcp',
    send: value.send && compilePayload(value.send, at(report, 'send')),
    receive: compileReceive(value.receive, report),
    proxyHeader: proxy && (proxy.version === ProxyProtocolConfig_Version.V2 ? 2 : 1),
  }
}

function compileGrpc(
  value: HealthCheck_GrpcHealthCheck,
  scope: HealthCheckScope,
  report: FieldReport,
): GrpcProbeSettings {
  const add: readonly HeaderValueOption[] = value.initialMetadata
  const fields = ['initial_metadata', ''] as const
  return {
    kind: 'grpc',
    service: value.serviceName,
    host: value.authority,
    editHeaders: compileHeaderEdit({ add, remove: [], fields }, scope, report),
  }
}

/** Envoy: a block of no bytes is none. */
function compileReceive(
  blocks: readonly HealthCheck_Payload[],
  report: FieldReport,
): readonly Buffer[] {
  return blocks
    .map((block, index) => compilePayload(block, at(report, 'receive', index)))
    .filter((block) => block.length > 0)
}

function compilePayload({ payload }: HealthCheck_Payload, report: FieldReport): Buffer {
  if (payload === undefined) {
    refuse(at(report, 'payload'), 'is required')
    return Buffer.alloc(0)
  }
  if (payload.$case === 'binary') return Buffer.from(payload.value)
  const text = payload.value
  if (text === '') {
    refuse(at(report, 'text'), 'value length must be at least 1 characters')
  } else if (text.length % 2 !== 0 || !/^[0-9a-f]+$/i.test(text)) {
    refuse(at(report, 'text'), `invalid hex string '${text}'`)
  }
  return Buffer.from(text, 'hex')
}
