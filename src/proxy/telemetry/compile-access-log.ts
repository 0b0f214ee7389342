/** Envoy's FileAccessLog and AccessLogFilter → a line format and a test. */
import type { Random } from '../../lib/random.ts'
import {
  type AccessLogFilter,
  type ComparisonFilter,
  ComparisonFilter_Op as Op,
  type HeaderFilter,
  type LogTypeFilter,
  type RuntimeFilter,
} from '../../xds/proto/generated/envoy/config/accesslog/v3/accesslog.ts'
import type { SubstitutionFormatString } from '../../xds/proto/generated/envoy/config/core/v3/substitution_format_string.ts'
import { AccessLogType } from '../../xds/proto/generated/envoy/data/accesslog/v3/accesslog.ts'
import type { FileAccessLog } from '../../xds/proto/generated/envoy/extensions/access_loggers/file/v3/file.ts'
import { type Compiled, compiled, refused } from '../config/compiled.ts'
import { compileRequestMatcher } from '../route/header-matcher.ts'
import { denominatorOf } from '../route/route-matcher.ts'
import type { LogFilter } from './access-log.ts'
import { grpcStatusOf, httpAsGrpcStatus } from './grpc-status.ts'
import type { LogText } from './log-format.ts'
import type { LogSource } from './log-source.ts'
import {
  type LogTextOptions,
  compileJsonLog,
  compileTextLog,
  defaultTextFormat,
} from './log-text.ts'
import { responseFlags } from './response-flag.ts'

export interface LogFormatOptions {
  readonly hostname: string
  /** The text is the body of a reply, and no line of a log. */
  readonly isBody?: boolean
}

export function compileFileFormat(
  message: FileAccessLog,
  options: LogFormatOptions,
): Compiled<LogText> {
  const plain = { ...options, omitEmpty: false }
  const specifier = message.accessLogFormat
  switch (specifier?.$case) {
    case undefined:
      return compileTextLog(defaultTextFormat, plain)
    case 'format':
      return compileTextLog(specifier.value || defaultTextFormat, plain)
    case 'jsonFormat':
    case 'typedJsonFormat':
      return compileJsonLog(specifier.value ?? {}, plain)
    case 'logFormat':
      return compileSubstitution(specifier.value, options)
    default:
      return refused('access_log_format: not implemented')
  }
}

export function compileSubstitution(
  message: SubstitutionFormatString,
  options: LogFormatOptions,
): Compiled<LogText> {
  const { format } = message
  const full: LogTextOptions = { ...options, omitEmpty: message.omitEmptyValues }
  if (message.formatters.length > 0) return refused('formatters: no extension is implemented')
  switch (format?.$case) {
    case 'textFormat':
      return compileTextLog(format.value, full)
    case 'textFormatSource': {
      const source = format.value.specifier
      if (source?.$case === 'inlineString') return compileTextLog(source.value, full)
      if (source?.$case === 'inlineBytes') {
        return compileTextLog(Buffer.from(source.value).toString('utf8'), full)
      }
      return refused('text_format_source: only inline_string and inline_bytes are implemented')
    }
    case 'jsonFormat':
      return compileJsonLog(format.value ?? {}, full)
    case undefined:
    default:
      return refused('format: is required')
  }
}

/** A filter that is not implemented is refused: leaving lines out, or not, may matter to an audit. */
export function compileLogFilter(filter: AccessLogFilter, random: Random): Compiled<LogFilter> {
  const specifier = filter.filterSpecifier
  if (specifier === undefined) return refused('filter_specifier: is required')
  if (specifier.$case === 'andFilter') {
    return combine(specifier.value.filters, random, everyTest)
  }
  if (specifier.$case === 'orFilter') return combine(specifier.value.filters, random, someTest)
  if (specifier.$case === 'runtimeFilter') return compileRuntime(specifier.value, random)
  return compileLeaf(specifier)
}

type LeafFilter = Exclude<
  NonNullable<AccessLogFilter['filterSpecifier']>,
  { $case: 'andFilter' | 'orFilter' | 'runtimeFilter' }
>

function compileLeaf(specifier: LeafFilter): Compiled<LogFilter> {
  switch (specifier.$case) {
    case 'statusCodeFilter':
      return compileComparison(specifier.value.comparison, (source) => source.status ?? 0)
    case 'durationFilter':
      return compileComparison(specifier.value.comparison, wholeDuration)
    case 'notHealthCheckFilter':
      // No request is a health check: the filter that marks them is not implemented.
      return compiled(() => true)
    case 'headerFilter':
      return compileHeader(specifier.value)
    case 'responseFlagFilter':
      return compileFlags(specifier.value.flags)
    case 'grpcStatusFilter':
      return compileGrpcStatus(specifier.value)
    case 'logTypeFilter':
      return compileLogTypes(specifier.value)
    case 'metadataFilter': {
      // No filter here keeps dynamic metadata, so there is never a key to find.
      const { matchIfKeyNotFound = true } = specifier.value
      return compiled(() => matchIfKeyNotFound)
    }
    case 'traceableFilter':
    case 'extensionFilter':
    default:
      return refused(`${specifier.$case}: not implemented`)
  }
}

/** Lines are written at the end only: without a list of types, of all of them. */
function compileLogTypes(filter: LogTypeFilter): Compiled<LogFilter> {
  const types = new Set<number>(filter.types)
  return compiled((source) => {
    const type =
      source.request === undefined ? AccessLogType.TcpConnectionEnd : AccessLogType.DownstreamEnd
    return types.has(type) !== filter.exclude
  })
}

function everyTest(tests: readonly LogFilter[]): LogFilter {
  return (source) => tests.every((test) => test(source))
}

function someTest(tests: readonly LogFilter[]): LogFilter {
  return (source) => tests.some((test) => test(source))
}

function wholeDuration(source: LogSource): number {
  return Math.trunc(source.durationMs ?? 0)
}

/** Newer than our copy of the API. */
const notEqual = 3 as number

function compileComparison(
  comparison: ComparisonFilter | undefined,
  read: (source: LogSource) => number,
): Compiled<LogFilter> {
  if (comparison === undefined) return refused('comparison: is required')
  const limit = comparison.value?.defaultValue ?? 0
  switch (comparison.op) {
    case Op.EQ:
      return compiled((source) => read(source) === limit)
    case Op.GE:
      return compiled((source) => read(source) >= limit)
    case Op.LE:
      return compiled((source) => read(source) <= limit)
    case notEqual:
      return compiled((source) => read(source) !== limit)
    default:
      return refused(`comparison.op: unknown value ${String(comparison.op)}`)
  }
}

function compileRuntime(filter: RuntimeFilter, random: Random): Compiled<LogFilter> {
  const percent = filter.percentSampled
  if (percent === undefined) return refused('percent_sampled: is required without a runtime')
  const { numerator } = percent
  const denominator = denominatorOf(percent)
  return compiled(() => Math.floor(random() * denominator) < numerator)
}

function combine(
  filters: readonly AccessLogFilter[],
  random: Random,
  join: (tests: readonly LogFilter[]) => LogFilter,
): Compiled<LogFilter> {
  if (filters.length < 2) return refused('filters: value must contain at least 2 item(s)')
  const tests: LogFilter[] = []
  const reasons: string[] = []
  filters.forEach((filter, index) => {
    const test = compileLogFilter(filter, random)
    if (test.ok) tests.push(test.value)
    else reasons.push(...test.reasons.map((reason) => `filters[${index}].${reason}`))
  })
  return reasons.length > 0 ? refused(...reasons) : compiled(join(tests))
}

function compileHeader(filter: HeaderFilter): Compiled<LogFilter> {
  if (filter.header === undefined) return refused('header: is required')
  const matcher = compileRequestMatcher(filter.header)
  if (!matcher.ok) return matcher
  const matches = matcher.value
  return compiled((source) => source.request !== undefined && matches(source.request))
}

/** Without a list, any flag will do. */
function compileFlags(flags: readonly string[]): Compiled<LogFilter> {
  const unknown = flags.filter((flag) => responseFlags[flag] === undefined)
  if (unknown.length > 0) return refused(`flags: no response flag ${unknown.join(', ')}`)
  const wanted = new Set(flags)
  return compiled((source) => {
    const found = source.flags ?? '-'
    if (found === '-') return false
    return wanted.size === 0 || found.split(',').some((flag) => wanted.has(flag))
  })
}

function compileGrpcStatus(filter: {
  readonly statuses: readonly number[]
  readonly exclude: boolean
}): Compiled<LogFilter> {
  const wanted = new Set(filter.statuses)
  return compiled((source) => wanted.has(statusMeant(source)) !== filter.exclude)
}

/** Of any request: as Envoy, which asks what an HTTP status would mean to gRPC. */
function statusMeant(source: LogSource): number {
  return (
    source.grpcStatus ??
    grpcStatusOf(source.responseTrailers) ??
    grpcStatusOf(source.response?.headers) ??
    (source.status ? httpAsGrpcStatus(source.status) : -1)
  )
}
