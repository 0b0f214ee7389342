/** HttpConnectionManager → HttpPlan: settings, the ordered filters, and where routes come from. */
import { typeNameOf } from '../../xds/any.ts'
import {
  Http1ProtocolOptions,
  HttpProtocolOptions_HeadersWithUnderscoresAction as Underscores,
} from '../../xds/proto/generated/envoy/config/core/v3/protocol.ts'
import {
  HttpConnectionManager,
  HttpConnectionManager_CodecType,
  HttpConnectionManager_ForwardClientCertDetails as ForwardClientCert,
  HttpConnectionManager_PathWithEscapedSlashesAction as SlashAction,
  HttpConnectionManager_ServerHeaderTransformation as ServerHeader,
} from '../../xds/proto/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts'
import type { Any } from '../../xds/proto/generated/google/protobuf/any.ts'
import type { ClientCertForwarding } from '../listener/listener-config.ts'
import type { RouteTable } from '../route/route-table.ts'
import { compileCidrRanges } from './cidr.ts'
import { compileHttpAccessLogs } from './compile-access-log.ts'
import { compileHeaderSpelling } from './compile-header-spelling.ts'
import { compileHttpFilters } from './compile-http-filter.ts'
import { compileHttp2 } from './compile-http2.ts'
import { compileLocalReply } from './compile-local-reply.ts'
import { compileRouteTable } from './compile-route-table.ts'
import type { CompileScope } from './compile-scope.ts'
import { accepted } from './compiled.ts'
import { type FieldReport, at, checkFields, refuse } from './field-rule.ts'
import { connectionManagerRule } from './listener-fields.ts'
import type { HttpPlan, HttpSettings, RouteSource } from './listener-plan.ts'
import { decodeTyped, durationMs } from './message-value.ts'

export function compileConnectionManager(
  any: Any,
  scope: CompileScope,
  report: FieldReport,
): HttpPlan | undefined {
  const manager = decodeTyped(any, HttpConnectionManager, report)
  if (manager === undefined) return undefined
  checkFields(manager, connectionManagerRule, report)
  checkManager(manager, report)
  const chain = compileHttpFilters(
    manager.httpFilters,
    {
      statPrefix: manager.statPrefix,
      random: scope.random,
      routesName: specifierName(manager.routeSpecifier),
    },
    at(report, 'http_filters'),
  )
  const settings: HttpSettings = {
    statPrefix: manager.statPrefix,
    ...limits(manager, report),
    ...timeouts(manager, report),
    ...identity(manager, report),
    ...pathSettings(manager),
    ...http1Settings(manager, report),
    ...replySettings(manager, scope, report),
    ...http2Settings(manager, report),
    clientCert: clientCert(manager),
    upgrades: upgrades(manager, report),
    ...chain.router,
  }
  return {
    kind: 'http',
    settings,
    routes: routeSource(manager, scope, report),
    filters: chain.filters,
    accessLogs: compileHttpAccessLogs(manager.accessLog, scope, at(report, 'access_log')),
  }
}

const uuidExtension = 'envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig'

function checkManager(manager: HttpConnectionManager, report: FieldReport): void {
  if (manager.statPrefix === '') {
    refuse(at(report, 'stat_prefix'), 'value length must be at least 1 characters')
  }
  if (manager.codecType === HttpConnectionManager_CodecType.HTTP3) {
    refuse(at(report, 'codec_type'), 'HTTP/3 is not implemented')
  }
  const extension = manager.requestIdExtension?.typedConfig
  if (extension !== undefined && typeNameOf(extension.typeUrl) !== uuidExtension) {
    refuse(
      at(report, 'request_id_extension'),
      `${typeNameOf(extension.typeUrl)} is not implemented`,
    )
  }
}

type Limits = Pick<
  HttpSettings,
  'headersBytesMax' | 'headersCountMax' | 'requestsPerConnectionMax' | 'headersWithUnderscores'
>

const underscores: Readonly<Record<number, 'allow' | 'reject' | 'drop'>> = {
  [Underscores.ALLOW]: 'allow',
  [Underscores.REJECT_REQUEST]: 'reject',
  [Underscores.DROP_HEADER]: 'drop',
}

function limits(manager: HttpConnectionManager, report: FieldReport): Limits {
  const kilobytes = manager.maxRequestHeadersKb ?? 60
  if (kilobytes < 1 || kilobytes > 8192) {
    const here = at(report, 'max_request_headers_kb')
    refuse(here, `value must be inside range (0, 8192], got ${kilobytes}`)
  }
  const common = manager.commonHttpProtocolOptions
  const count = common?.maxHeadersCount ?? 100
  if (count < 1) {
    const here = at(report, 'common_http_protocol_options', 'max_headers_count')
    refuse(here, `value must be greater than or equal to 1, got ${count}`)
  }
  return {
    headersBytesMax: kilobytes * 1024,
    headersCountMax: count,
    requestsPerConnectionMax: common?.maxRequestsPerConnection ?? 0,
    headersWithUnderscores: underscores[common?.headersWithUnderscoresAction ?? 0] ?? 'allow',
  }
}

type Timeouts = Pick<
  HttpSettings,
  | 'idleTimeoutMs'
  | 'streamIdleTimeoutMs'
  | 'requestTimeoutMs'
  | 'requestHeadersTimeoutMs'
  | 'maxConnectionDurationMs'
  | 'drainTimeoutMs'
  | 'maxStreamDurationMs'
  | 'delayedCloseTimeoutMs'
>

function timeouts(manager: HttpConnectionManager, report: FieldReport): Timeouts {
  const common = manager.commonHttpProtocolOptions
  const inCommon = at(report, 'common_http_protocol_options')
  const own = (value: HttpConnectionManager['drainTimeout'], absentMs: number, field: string) =>
    durationMs(value, { absentMs }, at(report, field))
  return {
    idleTimeoutMs: durationMs(
      common?.idleTimeout,
      { absentMs: 3_600_000 },
      at(inCommon, 'idle_timeout'),
    ),
    maxConnectionDurationMs: durationMs(
      common?.maxConnectionDuration,
      { absentMs: 0 },
      at(inCommon, 'max_connection_duration'),
    ),
    maxStreamDurationMs: durationMs(
      common?.maxStreamDuration,
      { absentMs: 0 },
      at(inCommon, 'max_stream_duration'),
    ),
    streamIdleTimeoutMs: own(manager.streamIdleTimeout, 300_000, 'stream_idle_timeout'),
    requestTimeoutMs: own(manager.requestTimeout, 0, 'request_timeout'),
    requestHeadersTimeoutMs: own(manager.requestHeadersTimeout, 0, 'request_headers_timeout'),
    drainTimeoutMs: own(manager.drainTimeout, 5_000, 'drain_timeout'),
    delayedCloseTimeoutMs: own(manager.delayedCloseTimeout, 1_000, 'delayed_close_timeout'),
  }
}

type Identity = Pick<
  HttpSettings,
  | 'serverName'
  | 'serverHeader'
  | 'generateRequestId'
  | 'overloadReply'
  | 'preserveExternalRequestId'
  | 'useRemoteAddress'
  | 'xffTrustedHops'
  | 'skipXffAppend'
  | 'via'
  | 'isInternalAddress'
  | 'proxies100Continue'
  | 'appendsForwardedPort'
  | 'scheme'
>

const serverHeaders: Readonly<Record<number, HttpSettings['serverHeader']>> = {
  [ServerHeader.OVERWRITE]: 'overwrite',
  [ServerHeader.APPEND_IF_ABSENT]: 'append-if-absent',
  [ServerHeader.PASS_THROUGH]: 'pass-through',
}

function identity(manager: HttpConnectionManager, report: FieldReport): Identity {
  const ranges = manager.internalAddressConfig?.cidrRanges ?? []
  const inRanges = at(report, 'internal_address_config', 'cidr_ranges')
  return {
    // Envoy's default name, so that a bootstrap behaves the same in both.
    serverName: manager.serverName || 'envoy',
    serverHeader: serverHeaders[manager.serverHeaderTransformation] ?? 'overwrite',
    generateRequestId: manager.generateRequestId ?? true,
    ...(manager.appendLocalOverload && { overloadReply }),
    preserveExternalRequestId: manager.preserveExternalRequestId,
    useRemoteAddress: manager.useRemoteAddress ?? false,
    xffTrustedHops: manager.xffNumTrustedHops,
    skipXffAppend: manager.skipXffAppend,
    proxies100Continue: manager.proxy100Continue,
    appendsForwardedPort: manager.appendXForwardedPort,
    ...schemeOf(manager, report),
    via: manager.via === '' ? undefined : manager.via,
    ...(ranges.length > 0 && { isInternalAddress: compileCidrRanges(ranges, inRanges) }),
  }
}

function schemeOf(
  manager: HttpConnectionManager,
  report: FieldReport,
): Pick<HttpSettings, 'scheme'> {
  const scheme = manager.schemeHeaderTransformation?.transformation?.value
  if (scheme === undefined) return {}
  if (scheme === 'http' || scheme === 'https') return { scheme }
  const here = at(report, 'scheme_header_transformation', 'scheme_to_overwrite')
  refuse(here, `value must be in list [http, https], got ${scheme}`)
  return {}
}

type PathSettings = Pick<
  HttpSettings,
  'normalizePath' | 'mergeSlashes' | 'escapedSlashes' | 'stripPort' | 'stripTrailingHostDot'
>

const slashActions: Readonly<Record<number, HttpSettings['escapedSlashes']>> = {
  [SlashAction.IMPLEMENTATION_SPECIFIC_DEFAULT]: 'keep',
  [SlashAction.KEEP_UNCHANGED]: 'keep',
  [SlashAction.REJECT_REQUEST]: 'reject',
  [SlashAction.UNESCAPE_AND_REDIRECT]: 'unescape-redirect',
  [SlashAction.UNESCAPE_AND_FORWARD]: 'unescape-forward',
}

function pathSettings(manager: HttpConnectionManager): PathSettings {
  const stripAny = manager.stripPortMode?.value === true
  const stripMatching = manager.stripMatchingHostPort ? 'matching' : 'none'
  return {
    normalizePath: manager.normalizePath ?? false,
    mergeSlashes: manager.mergeSlashes,
    escapedSlashes: slashActions[manager.pathWithEscapedSlashesAction] ?? 'keep',
    stripPort: stripAny ? 'any' : stripMatching,
    stripTrailingHostDot: manager.stripTrailingHostDot,
  }
}

type Http1Settings = Pick<
  HttpSettings,
  | 'acceptHttp10'
  | 'allowAbsoluteUrl'
  | 'allowChunkedLength'
  | 'enableTrailers'
  | 'allowCustomMethods'
  | 'defaultHostHttp10'
  | 'spelling'
  | 'keepsAfterInvalid'
>

function http1Settings(manager: HttpConnectionManager, report: FieldReport): Http1Settings {
  const options = manager.httpProtocolOptions ?? Http1ProtocolOptions.fromPartial({})
  const host = options.defaultHostForHttp10
  return {
    acceptHttp10: options.acceptHttp10,
    allowAbsoluteUrl: options.allowAbsoluteUrl ?? true,
    allowChunkedLength: options.allowChunkedLength,
    enableTrailers: options.enableTrailers,
    allowCustomMethods: options.allowCustomMethods,
    keepsAfterInvalid:
      options.overrideStreamErrorOnInvalidHttpMessage ??
      manager.streamErrorOnInvalidHttpMessage ??
      false,
    spelling: compileHeaderSpelling(
      options.headerKeyFormat,
      at(report, 'http_protocol_options', 'header_key_format'),
    ),
    ...(host !== '' && { defaultHostHttp10: host }),
  }
}

type ReplySettings = Pick<HttpSettings, 'rewriteReply' | 'tellsRequestId'>

function replySettings(
  manager: HttpConnectionManager,
  scope: CompileScope,
  report: FieldReport,
): ReplySettings {
  return {
    rewriteReply: compileLocalReply(
      manager.localReplyConfig,
      scope,
      at(report, 'local_reply_config'),
    ),
    tellsRequestId: manager.alwaysSetRequestIdInResponse,
  }
}

const http2Codecs: Readonly<Record<number, 'auto' | 'http2'>> = {
  [HttpConnectionManager_CodecType.AUTO]: 'auto',
  [HttpConnectionManager_CodecType.HTTP2]: 'http2',
}

/** Options are read, and refused where they are wrong, whatever the codec is. */
function http2Settings(
  manager: HttpConnectionManager,
  report: FieldReport,
): Pick<HttpSettings, 'http2'> {
  const options = compileHttp2(manager.http2ProtocolOptions, at(report, 'http2_protocol_options'))
  const codec = http2Codecs[manager.codecType]
  return codec === undefined ? {} : { http2: { codec, options } }
}

const forwardModes: Readonly<Record<number, ClientCertForwarding['mode']>> = {
  [ForwardClientCert.SANITIZE]: 'sanitize',
  [ForwardClientCert.FORWARD_ONLY]: 'forward-only',
  [ForwardClientCert.APPEND_FORWARD]: 'append-forward',
  [ForwardClientCert.SANITIZE_SET]: 'sanitize-set',
  [ForwardClientCert.ALWAYS_FORWARD_ONLY]: 'always-forward-only',
}

function clientCert(manager: HttpConnectionManager): ClientCertForwarding {
  const wanted = manager.setCurrentClientCertDetails
  // Envoy's order in the header.
  const details = (['cert', 'chain', 'subject', 'uri', 'dns'] as const).filter(
    (detail) => wanted?.[detail] === true,
  )
  return { mode: forwardModes[manager.forwardClientCertDetails] ?? 'sanitize', details }
}

function upgrades(manager: HttpConnectionManager, report: FieldReport): ReadonlySet<string> {
  const types = new Set<string>()
  for (const [index, config] of manager.upgradeConfigs.entries()) {
    const type = config.upgradeType.toLowerCase()
    if (types.has(type)) {
      refuse(at(report, 'upgrade_configs', index, 'upgrade_type'), `duplicate upgrade ${type}`)
    }
    if (config.enabled ?? true) types.add(type)
  }
  return types
}

/** Of a table of RDS. */
function specifierName(specifier: HttpConnectionManager['routeSpecifier']): string | undefined {
  return specifier?.$case === 'rds' ? specifier.value.routeConfigName : undefined
}

const emptyTable: RouteTable = { name: '', match: () => undefined, hasHost: () => false }

function routeSource(
  manager: HttpConnectionManager,
  scope: CompileScope,
  report: FieldReport,
): RouteSource {
  const specifier = manager.routeSpecifier
  if (specifier?.$case === 'routeConfig') {
    const here = at(report, 'route_config')
    if (specifier.value.vhds !== undefined) {
      refuse(at(here, 'vhds'), 'virtual hosts on demand need a table of RDS')
    }
    const table = accepted(compileRouteTable(specifier.value, scope), here)
    return { kind: 'inline', table: table ?? emptyTable }
  }
  if (specifier?.$case === 'rds') {
    const here = at(report, 'rds')
    const { routeConfigName, configSource } = specifier.value
    if (routeConfigName === '') refuse(at(here, 'route_config_name'), 'is required')
    if (configSource === undefined) refuse(at(here, 'config_source'), 'is required')
    const timeout = at(here, 'config_source', 'initial_fetch_timeout')
    const initialFetchTimeoutMs = durationMs(
      configSource?.initialFetchTimeout,
      { absentMs: 15_000 },
      timeout,
    )
    return { kind: 'rds', name: routeConfigName, initialFetchTimeoutMs }
  }
  if (specifier === undefined) refuse(at(report, 'route_specifier'), 'is required')
  return { kind: 'inline', table: emptyTable }
}

const overloadReply = { headers: [['x-envoy-local-overloaded', 'true']] } as const
