/**
 * The command operators of Envoy's format strings (`%REQ(:METHOD)%`), by name. What is not here is refused when the
 * format is compiled, so that a log never silently lacks a field.
 */
import { type Compiled, compiled, refused } from '../config/compiled.ts'
import type { HeaderList } from '../http/header-list.ts'
import { grpcStatusOperator } from './grpc-status.ts'
import type { LogOperator, LogSource } from './log-source.ts'
import { compileTimeFormat } from './log-time.ts'
import { longFlags } from './response-flag.ts'
import { tlsOperators, validityOperator, validityOperatorNames } from './tls-operator.ts'

export interface OperatorCall {
  readonly name: string
  /** What stands in parentheses, or undefined without them. */
  readonly argument: string | undefined
  /** `:Z` behind the parentheses: at most so many characters. */
  readonly lengthMax: number | undefined
}

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
    if (argument !== undefined) return refused(`%${name}%: takes no argument, got (${argument})`)
    if (call.lengthMax !== undefined) return refused(`%${name}%: takes no length`)
    return compiled(plain)
  }
  switch (name) {
    case 'REQ':
      return headerOperator(call, requestField)
    case 'RESP':
      return headerOperator(call, responseField)
    case 'START_TIME':
      return startTime(argument ?? '')
    case 'GRPC_STATUS':
      return grpcStatusOperator(argument)
    case 'HOSTNAME':
      return compiled(() => context.hostname)
    default:
      return withText(name, argument ?? '') ?? refused(`%${name}%: not implemented`)
  }
}

function withText(name: string, argument: string): Compiled<LogOperator> | undefined {
  return name === 'PATH' ? pathOperator(argument) : validityOperator(name, argument)
}

const plainOperators: Readonly<Record<string, LogOperator>> = {
  ...tlsOperators,
  PROTOCOL: (source) => source.request?.protocol,
  RESPONSE_CODE: (source) => source.status ?? 0,
  RESPONSE_CODE_DETAILS: (source) => textOf(source.details)?.replaceAll(' ', '_'),
  RESPONSE_FLAGS: (source) => source.flags ?? '-',
  RESPONSE_FLAGS_LONG: (source) => longFlags(source.flags ?? '-'),
  // No part of ours ends a connection with a reason of this kind; Istio's default format names it.
  CONNECTION_TERMINATION_DETAILS: () => undefined,
  BYTES_RECEIVED: (source) => source.bytesReceived ?? 0,
  BYTES_SENT: (source) => source.bytesSent ?? 0,
  DOWNSTREAM_WIRE_BYTES_RECEIVED: (source) => source.wireBytesReceived ?? 0,
  DOWNSTREAM_WIRE_BYTES_SENT: (source) => source.wireBytesSent ?? 0,
  DURATION: (source) => wholeMs(source.durationMs),
  ROUTE_NAME: (source) => textOf(source.routeName),
  VIRTUAL_HOST_NAME: (source) => textOf(source.virtualHost),
  UPSTREAM_CLUSTER: (source) => textOf(source.clusterName),
  UPSTREAM_CLUSTER_RAW: (source) => textOf(source.clusterName),
  UPSTREAM_HOST: (source) => source.host?.addressText,
  UPSTREAM_REMOTE_ADDRESS: (source) => source.host?.addressText,
  UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: (source) => withoutPort(source.host?.addressText),
  UPSTREAM_REMOTE_PORT: (source) => portOf(source.host?.addressText),
  UPSTREAM_HOST_NAME: (source) => textOf(source.host?.hostname) ?? source.host?.addressText,
  UPSTREAM_LOCAL_ADDRESS: (source) => source.upstreamLocalAddress,
  UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT: (source) => withoutPort(source.upstreamLocalAddress),
  UPSTREAM_LOCAL_PORT: (source) => portOf(source.upstreamLocalAddress),
  UPSTREAM_TRANSPORT_FAILURE_REASON: (source) =>
    textOf(source.transportFailure)?.replaceAll(' ', '_'),
  UPSTREAM_REQUEST_ATTEMPT_COUNT: (source) => source.attempts ?? 0,
  DOWNSTREAM_LOCAL_ADDRESS: (source) => textOf(source.downstreamLocalAddress),
  DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT: (source) => withoutPort(source.downstreamLocalAddress),
  DOWNSTREAM_LOCAL_PORT: (source) => portOf(source.downstreamLocalAddress),
  DOWNSTREAM_REMOTE_ADDRESS: (source) => textOf(source.downstreamRemoteAddress),
  DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: (source) => withoutPort(source.downstreamRemoteAddress),
  DOWNSTREAM_REMOTE_PORT: (source) => portOf(source.downstreamRemoteAddress),
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS: (source) => directAddress(source),
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT: (source) => withoutPort(directAddress(source)),
  DOWNSTREAM_DIRECT_REMOTE_PORT: (source) => portOf(directAddress(source)),
  REQUESTED_SERVER_NAME: (source) => textOf(source.requestedServerName),
  CONNECTION_ID: (source) => source.connectionId ?? 0,
  STREAM_ID: (source) => source.request?.headers.get('x-request-id'),
  GRPC_STATUS_NUMBER: (source) => source.grpcStatus,
}

/** Operators by name, for docs and for a message that suggests one. */
export const operatorNames: readonly string[] = [
  ...Object.keys(plainOperators),
  ...validityOperatorNames,
  'REQ',
  'RESP',
  'START_TIME',
  'GRPC_STATUS',
  'PATH',
  'HOSTNAME',
].sort()

type FieldOf = (name: string) => LogOperator

/** `REQ(X?Y)`: the first of two fields that is there. */
function headerOperator(call: OperatorCall, fieldOf: FieldOf): Compiled<LogOperator> {
  const { name, argument = '' } = call
  const [first = '', second, ...rest] = argument.split('?')
  if (first === '') return refused(`%${name}()%: the name of a header is required`)
  if (rest.length > 0) return refused(`%${name}(${argument})%: at most two headers`)
  const main = fieldOf(first.toLowerCase())
  if (second === undefined || second === '') return compiled(main)
  const other = fieldOf(second.toLowerCase())
  return compiled((source) => main(source) ?? other(source))
}

function requestField(name: string): LogOperator {
  switch (name) {
    case ':method':
      return (source) => source.request?.method
    case ':path':
      return (source) => textOf(source.request?.path)
    case ':authority':
    case 'host':
      return (source) => textOf(source.request?.authority)
    case ':scheme':
      return (source) => source.request?.scheme
    case 'x-envoy-original-path':
      return (source) => source.request?.headers.get(name) ?? rewrittenFrom(source)
    default:
      return (source) => source.request?.headers.get(name)
  }
}

/** The path before the rewrite, where there was one. */
function rewrittenFrom(source: LogSource): string | undefined {
  const { originalPath, request } = source
  if (originalPath === undefined || originalPath === request?.path) return undefined
  return textOf(originalPath)
}

function responseField(name: string): LogOperator {
  if (name === ':status') return (source) => source.status
  if (name === 'x-envoy-upstream-service-time') {
    return (source) => fieldOf(source.response?.headers, name) ?? serviceTime(source)
  }
  return (source) => fieldOf(source.response?.headers, name)
}

function fieldOf(headers: HeaderList | undefined, name: string): string | undefined {
  return headers?.get(name)
}

function serviceTime(source: LogSource): string | undefined {
  const ms = source.upstreamServiceTimeMs
  return ms === undefined ? undefined : String(Math.trunc(ms))
}

function startTime(format: string): Compiled<LogOperator> {
  const time = compileTimeFormat(format)
  if (!time.ok) return time
  const show = time.value
  return compiled((source) => (source.startMs === undefined ? undefined : show(source.startMs)))
}

/** `PATH(WQ|NQ:ORIG|PATH|ORIG_OR_PATH)`: with or without query, before or after the rewrite. */
function pathOperator(argument: string): Compiled<LogOperator> {
  const [query = '', which = ''] = argument.split(':')
  if (!['', 'WQ', 'NQ'].includes(query)) return refused(`%PATH(${argument})%: WQ or NQ expected`)
  if (!['', 'ORIG', 'PATH', 'ORIG_OR_PATH'].includes(which)) {
    return refused(`%PATH(${argument})%: ORIG, PATH or ORIG_OR_PATH expected`)
  }
  return compiled((source) => {
    const now = source.request?.path
    const original = rewrittenFrom(source)
    const path = pathOf({ which, now, original })
    if (path === undefined || query !== 'NQ') return textOf(path)
    return textOf(path.split(/[?#]/, 1)[0])
  })
}

function pathOf(paths: {
  readonly which: string
  readonly now: string | undefined
  readonly original: string | undefined
}): string | undefined {
  if (paths.which === 'PATH') return paths.now
  return paths.which === 'ORIG' ? paths.original : (paths.original ?? paths.now)
}

function directAddress(source: LogSource): string | undefined {
  return textOf(source.downstreamDirectRemoteAddress ?? source.downstreamRemoteAddress)
}

/** `127.0.0.1:80` → `127.0.0.1`; `[::1]:80` → `::1`, as Envoy prints it; a path stays. */
function withoutPort(address: string | undefined): string | undefined {
  if (address === undefined || address === '') return undefined
  if (address.startsWith('[')) return address.slice(1, address.indexOf(']'))
  const colon = address.lastIndexOf(':')
  return colon < 0 || address.startsWith('/') ? address : address.slice(0, colon)
}

function portOf(address: string | undefined): number | undefined {
  const digits = address === undefined ? null : /:(\d+)$/.exec(address)
  return digits === null ? undefined : Number(digits[1])
}

/** An empty text is a value that is missing. */
function textOf(text: string | undefined): string | undefined {
  return text === '' ? undefined : text
}

function wholeMs(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.trunc(ms)
}
