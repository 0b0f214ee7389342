/** The operators of format strings that read a message: its fields, its path, its query. */
import { type Compiled, compiled, refused } from '../config/compiled.ts'
import type { HeaderList } from '../http/header-list.ts'
import { queryParameter } from '../route/query-matcher.ts'
import type { LogOperator, LogSource, LogValue, OperatorCall } from './log-source.ts'

type FieldOf = (name: string) => LogOperator

/** Undefined for a name that is none of them. */
export function messageOperator(call: OperatorCall): Compiled<LogOperator> | undefined {
  const fieldOf = fieldOperators[call.name]
  if (fieldOf !== undefined) return headerOperator(call, fieldOf)
  const { argument = '' } = call
  switch (call.name) {
    case 'REQ_WITHOUT_QUERY': {
      const operator = headerOperator(call, requestField)
      if (!operator.ok) return operator
      return compiled((source) => withoutQuery(operator.value(source)))
    }
    case 'PATH':
      return pathOperator(argument)
    case 'QUERY_PARAM':
      return queryOperator(argument)
    case 'QUERY_PARAMS':
      return queryTextOperator(argument)
    default:
      return undefined
  }
}

export const messageOperatorNames = [
  'REQ',
  'REQUEST_HEADER',
  'RESP',
  'RESPONSE_HEADER',
  'TRAILER',
  'RESPONSE_TRAILER',
  'REQ_WITHOUT_QUERY',
  'PATH',
  'QUERY_PARAM',
  'QUERY_PARAMS',
] as const

const fieldOperators: Readonly<Record<string, FieldOf>> = {
  REQ: requestField,
  REQUEST_HEADER: requestField,
  RESP: responseField,
  RESPONSE_HEADER: responseField,
  TRAILER: trailerField,
  RESPONSE_TRAILER: trailerField,
}

/** Of a field (RFC 9110 §5.1) or a pseudo header; it may be missing before or behind the question mark, as in Envoy. */
const headerName = /^:?[\w!#$%&'*+.^`|~-]*$/

/** `REQ(X?Y)`: the first of two fields that is there. */
function headerOperator(call: OperatorCall, fieldOf: FieldOf): Compiled<LogOperator> {
  const { name, argument = '' } = call
  const [first = '', second, ...rest] = argument.split('?')
  if (argument === '') return refused(`%${name}()%: the name of a header is required`)
  if (rest.length > 0) return refused(`%${name}(${argument})%: at most two headers`)
  if (![first, second ?? ''].every((one) => headerName.test(one))) {
    return refused(`%${name}(${JSON.stringify(argument).slice(1, -1)})%: no header has such a name`)
  }
  const main = fieldOf(first.toLowerCase())
  if (second === undefined || second === '') return compiled(main)
  const other = fieldOf(second.toLowerCase())
  return compiled((source) => main(source) ?? other(source))
}

function requestField(name: string): LogOperator {
  switch (name) {
    case ':method':
      return (source) => textOf(source.request?.method)
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
  if (name === ':status') {
    return ({ response, status }) => (response === undefined ? undefined : String(status))
  }
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

function trailerField(name: string): LogOperator {
  return (source) => source.responseTrailers?.get(name)
}

function withoutQuery(value: LogValue): LogValue {
  return typeof value === 'string' ? value.split(/[?#]/, 1)[0] : value
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

/** The first value of a parameter, decoded. */
function queryOperator(name: string): Compiled<LogOperator> {
  if (name === '') return refused('%QUERY_PARAM()%: the name of a parameter is required')
  return compiled(({ request }) => {
    if (request === undefined) return undefined
    const value = queryParameter(request.path, name)
    return value === undefined ? undefined : textOf(decoded(value))
  })
}

/** The whole query, as it stands or decoded. */
function queryTextOperator(argument: string): Compiled<LogOperator> {
  if (!['', 'ORIG', 'DECODED'].includes(argument)) {
    return refused(`%QUERY_PARAMS(${argument})%: ORIG or DECODED expected`)
  }
  const isDecoded = argument === 'DECODED'
  return compiled(({ request }) => {
    const query = /\?([^#]*)/.exec(request?.path ?? '')?.[1]
    return textOf(query !== undefined && isDecoded ? decoded(query, visible) : query)
  })
}

const code = /%[0-9a-f]{2}/gi
/** Of visible ASCII characters: what else there is stays as it was sent. */
const visible = /%(?:2[1-9a-f]|[3-6][0-9a-f]|7[0-9a-e])/gi

function decoded(text: string, codes = code): string {
  return text.replaceAll(codes, (one) => String.fromCharCode(Number.parseInt(one.slice(1), 16)))
}

/** An empty text is a value that is missing. */
function textOf(text: string | undefined): string | undefined {
  return text === '' ? undefined : text
}
