/**
 * Envoy `local_reply_config` → what becomes of the proxy's own replies: the first mapper whose filter fits changes body,
 * headers and status, in that order; then the body gets its format.
 */
import type { DataSource } from '../../xds/proto/generated/envoy/config/core/v3/base.ts'
import type { SubstitutionFormatString } from '../../xds/proto/generated/envoy/config/core/v3/substitution_format_string.ts'
import type {
  LocalReplyConfig,
  ResponseMapper,
} from '../../xds/proto/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts'
import type { OpenReply, ReplyRewrite } from '../open-reply.ts'
import { compileHeaderEdit } from '../route/header-edit.ts'
import type { HeaderEdit } from '../route/route-table.ts'
import type { LogFilter } from '../telemetry/access-log.ts'
import { compileLogFilter, compileSubstitution } from '../telemetry/compile-access-log.ts'
import { httpAsGrpcStatus } from '../telemetry/grpc-status.ts'
import type { LogText } from '../telemetry/log-format.ts'
import type { RequestRecord } from '../telemetry/request-record.ts'
import type { CompileScope } from './compile-scope.ts'
import { accepted } from './compiled.ts'
import { type FieldReport, at, refuse } from './field-rule.ts'

interface Mapper {
  readonly fits: LogFilter
  readonly status: number | undefined
  readonly body: string | undefined
  readonly edit: HeaderEdit | undefined
  readonly format: BodyFormat | undefined
}

interface BodyFormat {
  readonly text: LogText
  readonly contentType: string
  readonly isJson: boolean
}

/** Undefined where replies stay as they are. */
export function compileLocalReply(
  config: LocalReplyConfig | undefined,
  scope: CompileScope,
  report: FieldReport,
): ReplyRewrite | undefined {
  if (config === undefined) return undefined
  const mappers = config.mappers.flatMap(
    (mapper, index) => compileMapper(mapper, scope, at(report, 'mappers', index)) ?? [],
  )
  const format = compileFormat(config.bodyFormat, scope, at(report, 'body_format'))
  if (mappers.length === 0 && format === undefined) return undefined
  return (reply, record) => rewrite(reply, record, { mappers, format })
}

interface Rewriting {
  readonly mappers: readonly Mapper[]
  readonly format: BodyFormat | undefined
}

function rewrite(reply: OpenReply, record: RequestRecord, { mappers, format }: Rewriting): void {
  const { head } = reply
  const { headers } = head
  // What filters and values of headers read.
  record.status = head.status
  record.response = head
  const typeBefore = headers.get('content-type')
  const textBefore = textOf(reply.text)
  const mapper = mappers.find(({ fits }) => fits(record))
  if (mapper !== undefined) applyMapper(mapper, reply, record)
  const used = mapper?.format ?? format
  if (used !== undefined) {
    record.localReplyBody = textOf(reply.text)
    const text = used.text(record)
    // The line that JSON ends with is none of a gRPC message.
    const isMessage = used.isJson && reply.grpcStatus !== undefined
    reply.text = isMessage ? text.replace(/\n$/, '') : text
    reply.contentType = used.contentType
    record.localReplyBody = undefined
  }
  const isSameType = headers.get('content-type') === typeBefore
  reply.isRetyped = isSameType && textOf(reply.text) !== textBefore
}

function applyMapper(mapper: Mapper, reply: OpenReply, record: RequestRecord): void {
  const { head } = reply
  if (mapper.body !== undefined) reply.text = mapper.body
  mapper.edit?.(head.headers, record.request, record)
  const { status } = mapper
  if (status === undefined) return
  head.status = status
  record.status = status
  const isMapped = reply.grpcStatus !== undefined && !reply.hasOwnGrpcStatus
  if (isMapped) reply.grpcStatus = httpAsGrpcStatus(status)
}

function textOf(body: string | Uint8Array): string {
  return typeof body === 'string' ? body : Buffer.from(body).toString()
}

function compileMapper(
  mapper: ResponseMapper,
  scope: CompileScope,
  report: FieldReport,
): Mapper | undefined {
  const inFilter = at(report, 'filter')
  if (mapper.filter === undefined) refuse(inFilter, 'is required')
  const fits = mapper.filter && accepted(compileLogFilter(mapper.filter, scope.random), inFilter)
  const status = mapper.statusCode
  if (status !== undefined && (status < 200 || status >= 600)) {
    refuse(at(report, 'status_code'), `value must be inside range [200, 600), got ${status}`)
  }
  const edit = compileHeaderEdit(
    { add: mapper.headersToAdd, remove: [], fields: ['headers_to_add', ''] },
    { hostname: scope.hostname },
    report,
  )
  const body = compileBody(mapper.body, at(report, 'body'))
  const format = compileFormat(mapper.bodyFormatOverride, scope, at(report, 'body_format_override'))
  return fits && { fits, status, body, edit, format }
}

function compileBody(source: DataSource | undefined, report: FieldReport): string | undefined {
  const specifier = source?.specifier
  if (source === undefined) return undefined
  if (specifier?.$case === 'inlineString') return specifier.value
  if (specifier?.$case === 'inlineBytes') return Buffer.from(specifier.value).toString('utf8')
  refuse(report, 'only inline_string and inline_bytes are implemented')
  return undefined
}

function compileFormat(
  format: SubstitutionFormatString | undefined,
  scope: CompileScope,
  report: FieldReport,
): BodyFormat | undefined {
  if (format === undefined) return undefined
  const result = compileSubstitution(format, { hostname: scope.hostname, isBody: true })
  const text = accepted(result, report)
  if (text === undefined) return undefined
  const isJson = format.format?.$case === 'jsonFormat'
  const usual = isJson ? 'application/json' : 'text/plain'
  return { text, isJson, contentType: format.contentType || usual }
}
