/**
 * The command operators of Envoy's format strings (`%REQ(:METHOD)%`), by name. What is not here is refused when the
 * format is compiled, so that a log never silently lacks a field.
 */
import { randomUUID } from 'node:crypto'

import { type Compiled, compiled, refused } from '../config/compiled.ts'
import type { HeaderList } from '../http/header-list.ts'
import type { RequestHead } from '../http/message.ts'
import type { Host } from '../upstream/host.ts'
import { addressOperator, addressOperatorNames, withoutPort } from './address-operator.ts'
import { coalesceOperator } from './coalesce-operator.ts'
import { durationOperator, durationOperatorNames } from './duration-operator.ts'
import { grpcStatusOperator } from './grpc-status.ts'
import { messageOperator, messageOperatorNames } from './header-operator.ts'
import type { LogOperator, LogSource, OperatorCall } from './log-source.ts'
import { compileTimeFormat, type TimeZone } from './log-time.ts'
import { metadataOperator, metadataOperatorNames } from './metadata-operator.ts'
import { longFlags } from './response-flag.ts'
import { stateOperator } from './state-operator.ts'
import { tlsOperators, validityOperator, validityOperatorNames } from './tls-operator.ts'

/** Name of the machine for `%HOSTNAME%`. */
export interface OperatorContext {
  readonly hostname: string
}

export function compileOperator(
  call: OperatorCall,
  context: OperatorContext,
): Compiled<LogOperator> {
  const made = makeOperator(call, context)
  if (!made.ok || call.lengthMax === undefined) return made
  const { lengthMax } = call
  const operator = made.value
  return compiled((source) => {
    const value = operator(source)
    return typeof value === 'string' && value.length > lengthMax ? value.slice(0, lengthMax) : value
  })
}

function makeOperator(call: OperatorCall, context: OperatorContext): Compiled<LogOperator> {
  const { name, argument } = call
  const plain = plainOperators[name]
  if (plain !== undefined) {
    if (argument !== undefined && argument !== '')
      return refused(`%${name}%: takes no argument, got (${argument})`)
    if (call.lengthMax !== undefined) return refused(`%${name}%: takes no length`)
    return compiled(plain)
  }
  const withLength = lengthOperator(call, context)
  if (withLength !== undefined) return withLength
  if (call.lengthMax !== undefined) return refused(`%${name}%: takes no length`)
  return (
    addressOperator(name, argument) ??
    durationOperator(name, argument ?? '') ??
    withText(call, context) ??
    refused(`%${name}%: not implemented`)
  )
}

/** Those whose value may be cut. */
function lengthOperator(
  call: OperatorCall,
  context: OperatorContext,
): Compiled<LogOperator> | undefined {
  const { name, argument = '' } = call
  switch (name) {
    case 'FILTER_STATE':
      return stateOperator(argument, call.lengthMax)
    case 'COALESCE':
      return coalesceOperator(argument, (inner) => compileOperator(inner, context))
    default:
      return metadataOperator(call) ?? messageOperator(call)
  }
}

function withText(call: OperatorCall, context: OperatorContext): Compiled<LogOperator> | undefined {
  const { name, argument = '' } = call
  switch (name) {
    case 'START_TIME':
      return timeOperator(argument, 'utc', (source) => source.startMs)
    case 'START_TIME_LOCAL':
      return timeOperator(argument, 'local', (source) => source.startMs)
    case 'EMIT_TIME':
      return timeOperator(argument, 'utc', endTime)
    case 'EMIT_TIME_LOCAL':
      return timeOperator(argument, 'local', endTime)
    case 'GRPC_STATUS':
      return grpcStatusOperator(call.argument)
    case 'RESPONSE_CODE_DETAILS':
      return argument === 'ALLOW_WHITESPACES'
        ? compiled(detailsOf)
        : compiled((source) => detailsOf(source)?.replaceAll(' ', '_'))
    case 'REQUESTED_SERVER_NAME':
      return serverNameOperator(argument)
    case 'HOSTNAME':
      return compiled(() => context.hostname)
    default:
      return validityOperator(name, argument)
  }
}

/** Of responses: a TCP connection has none, as in Envoy. */
function detailsOf({ request, details }: LogSource): string | undefined {
  return request === undefined ? undefined : textOf(details)
}

function endTime({ startMs, durationMs }: LogSource): number | undefined {
  return startMs === undefined ? undefined : startMs + (durationMs ?? 0)
}

function timeOperator(
  format: string,
  zone: TimeZone,
  of: (source: LogSource) => number | undefined,
): Compiled<LogOperator> {
  const time = compileTimeFormat(format, zone)
  if (!time.ok) return time
  const show = time.value
  return compiled((source) => {
    const ms = of(source)
    return ms === undefined ? undefined : show(ms)
  })
}

/** `X:Y`: the server name of TLS, or the request's host before it or in its place. */
function serverNameOperator(argument: string): Compiled<LogOperator> {
  const [order = '', which = ''] = argument.split(':')
  const here = `%REQUESTED_SERVER_NAME(${argument})%`
  const name: LogOperator = (source) => serverNameText(source.requestedServerName)
  if (!['', 'SNI_ONLY', 'SNI_FIRST', 'HOST_FIRST'].includes(order)) {
    return refused(`${here}: SNI_ONLY, SNI_FIRST or HOST_FIRST expected`)
  }
  if (!['', 'ORIG', 'HOST', 'ORIG_OR_HOST'].includes(which)) {
    return refused(`${here}: ORIG, HOST or ORIG_OR_HOST expected`)
  }
  if (order === '' || order === 'SNI_ONLY') return compiled(name)
  const host = hostOperator(which)
  return order === 'SNI_FIRST'
    ? compiled((source) => name(source) ?? host(source))
    : compiled((source) => host(source) ?? name(source))
}

/** A name that is none is marked, and nothing of it can be taken for anything else in the log (as Envoy). */
function serverNameText(name: string | undefined): string | undefined {
  if (name === undefined || name === '') return undefined
  return notInNames.test(name) ? `invalid:${name.replaceAll(allNotInNames, '_')}` : name
}

const notInNames = /[^\w.-]/
const allNotInNames = /[^\w.-]/g

function hostOperator(which: string): LogOperator {
  const original: LogOperator = ({ request }) => request?.headers.get('x-envoy-original-host')
  const own: LogOperator = ({ request }) => textOf(request?.authority)
  if (which === 'ORIG') return original
  return which === 'HOST' ? own : (source) => original(source) ?? own(source)
}

const plainOperators: Readonly<Record<string, LogOperator>> = {
  ...tlsOperators,
  PROTOCOL: (source) => source.request?.protocol,
  RESPONSE_CODE: (source) => source.status ?? 0,
  RESPONSE_FLAGS: (source) => source.flags ?? '-',
  RESPONSE_FLAGS_LONG: (source) => longFlags(source.flags ?? '-'),
  // No part of ours ends a connection with a reason of this kind; Istio's default format names it.
  CONNECTION_TERMINATION_DETAILS: () => undefined,
  BYTES_RECEIVED: (source) => source.bytesReceived ?? 0,
  BYTES_SENT: (source) => source.bytesSent ?? 0,
  // A TCP connection has nothing but its bytes.
  DOWNSTREAM_WIRE_BYTES_RECEIVED: (source) => source.wireBytesReceived ?? source.bytesReceived ?? 0,
  DOWNSTREAM_WIRE_BYTES_SENT: (source) => source.wireBytesSent ?? source.bytesSent ?? 0,
  DURATION: (source) => wholeMs(source.durationMs),
  ROUTE_NAME: (source) => textOf(source.routeName),

  UPSTREAM_CLUSTER: (source) => textOf(source.clusterName),
  UPSTREAM_CLUSTER_RAW: (source) => textOf(source.clusterName),
  UPSTREAM_HOST: (source) => source.host?.addressText,
  UPSTREAM_HOST_NAME: hostName,
  UPSTREAM_HOST_NAME_WITHOUT_PORT: (source) => hostNameWithoutPort(source.host),
  UPSTREAM_HOSTS_ATTEMPTED: (source) => attempted(source, (host) => host.addressText),
  UPSTREAM_HOSTS_ATTEMPTED_WITHOUT_PORT: (source) =>
    attempted(source, (host) => withoutPort(host.addressText)),
  UPSTREAM_HOST_NAMES_ATTEMPTED: (source) =>
    attempted(source, (host) => textOf(host.hostname) ?? host.addressText),
  UPSTREAM_HOST_NAMES_ATTEMPTED_WITHOUT_PORT: (source) => attempted(source, hostNameWithoutPort),
  UPSTREAM_TRANSPORT_FAILURE_REASON: (source) =>
    textOf(source.transportFailure)?.replaceAll(' ', '_'),
  UPSTREAM_REQUEST_ATTEMPT_COUNT: (source) => source.attempts ?? 0,
  CONNECTION_ID: (source) => source.connectionId ?? 0,
  STREAM_ID: (source) => source.request?.headers.get('x-request-id') ?? source.streamId,
  // Another one wherever it stands, as in Envoy.
  UNIQUE_ID: () => randomUUID(),
  GRPC_STATUS_NUMBER: (source) => source.grpcStatus,
  LOCAL_REPLY_BODY: (source) => source.localReplyBody ?? '',
  UPSTREAM_PROTOCOL: (source) => source.upstreamProtocol,
  UPSTREAM_WIRE_BYTES_RECEIVED: (source) =>
    source.upstreamWireBytesReceived ?? source.bytesSent ?? 0,
  UPSTREAM_WIRE_BYTES_SENT: (source) => source.upstreamWireBytesSent ?? source.bytesReceived ?? 0,
  REQUEST_HEADERS_BYTES: (source) => requestSize(source.request),
  RESPONSE_HEADERS_BYTES: (source) => responseSize(source),
  RESPONSE_TRAILERS_BYTES: (source) => fieldsSize(source.responseTrailers),
  VIRTUAL_CLUSTER_NAME: (source) => textOf(source.virtualCluster),
  ACCESS_LOG_TYPE: (source) =>
    source.request === undefined ? 'TcpConnectionEnd' : 'DownstreamEnd',
  FILTER_CHAIN_NAME: (source) => textOf(source.filterChainName),
  UPSTREAM_SERVER_NAME: (source) => textOf(source.upstreamSecurity?.serverName),
  // Of QUIC only.
  BYTES_RETRANSMITTED: () => 0,
  PACKETS_RETRANSMITTED: () => 0,
  // No filter here sets one, and no request has a span.
  CUSTOM_FLAGS: () => '',
  TRACE_ID: () => undefined,
  SPAN_ID: () => undefined,
}

/** Operators by name, for docs and for a message that suggests one. */
export const operatorNames: readonly string[] = [
  ...Object.keys(plainOperators),
  ...addressOperatorNames,
  ...durationOperatorNames,
  ...messageOperatorNames,
  ...metadataOperatorNames,
  ...validityOperatorNames,
  'START_TIME',
  'START_TIME_LOCAL',
  'EMIT_TIME',
  'EMIT_TIME_LOCAL',
  'GRPC_STATUS',
  'RESPONSE_CODE_DETAILS',
  'REQUESTED_SERVER_NAME',
  'FILTER_STATE',
  'COALESCE',
  'HOSTNAME',
].sort()

function hostName({ host }: LogSource): string | undefined {
  return textOf(host?.hostname) ?? host?.addressText
}

function hostNameWithoutPort(host: Host | undefined): string | undefined {
  return textOf(host?.hostname) ?? withoutPort(host?.addressText)
}

/** All hosts that a connection stood to, each once. */
function attempted(
  { hostsReached, hostReached }: LogSource,
  of: (host: Host) => string | undefined,
): string | undefined {
  if (hostsReached !== undefined) return hostsReached.map(of).join(',')
  return hostReached && of(hostReached)
}

/** Octets of names and values, as Envoy counts a map of headers: its pseudo headers are in it. */
function requestSize(request: RequestHead | undefined): number {
  if (request === undefined) return 0
  const { method, path, authority, scheme, headers } = request
  const own = ':method:path:authority:scheme'.length
  return own + method.length + path.length + authority.length + scheme.length + fieldsSize(headers)
}

function responseSize({ response, status }: LogSource): number {
  if (response === undefined) return 0
  return ':status'.length + String(status).length + fieldsSize(response.headers)
}

function fieldsSize(headers: HeaderList | undefined): number {
  let size = 0
  for (const text of headers?.fields ?? []) size += text.length
  return size
}

/** An empty text is a value that is missing. */
function textOf(text: string | undefined): string | undefined {
  return text === '' ? undefined : text
}

function wholeMs(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.trunc(ms)
}
