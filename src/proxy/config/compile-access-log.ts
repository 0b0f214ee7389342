/** `access_log` entries → openers of observers. Files and standard streams; every other logger is refused by name. */
import { typeNameOf } from '../../xds/any.ts'
import type { AccessLog } from '../../xds/proto/generated/envoy/config/accesslog/v3/accesslog.ts'
import { FileAccessLog } from '../../xds/proto/generated/envoy/extensions/access_loggers/file/v3/file.ts'
import {
  StderrAccessLog,
  StdoutAccessLog,
} from '../../xds/proto/generated/envoy/extensions/access_loggers/stream/v3/stream.ts'
import type { Any } from '../../xds/proto/generated/google/protobuf/any.ts'
import { type LogFilter, createAccessLog, createTcpAccessLog } from '../telemetry/access-log.ts'
import { compileFileFormat, compileLogFilter } from '../telemetry/compile-access-log.ts'
import type { LogText } from '../telemetry/log-format.ts'
import type { LogWriter } from '../telemetry/log-writer.ts'
import type { RequestObserver, TcpObserver } from '../telemetry/request-record.ts'
import type { CompileScope } from './compile-scope.ts'
import { accepted } from './compiled.ts'
import { type FieldReport, at, refuse } from './field-rule.ts'
import type { Opener } from './listener-plan.ts'
import { decodeTyped } from './message-value.ts'

export function compileHttpAccessLogs(
  logs: readonly AccessLog[],
  scope: CompileScope,
  report: FieldReport,
): readonly Opener<RequestObserver>[] {
  return compileLogs(logs, scope, report).map((log) => openerOf(log, createAccessLog))
}

export function compileTcpAccessLogs(
  logs: readonly AccessLog[],
  scope: CompileScope,
  report: FieldReport,
): readonly Opener<TcpObserver>[] {
  return compileLogs(logs, scope, report).map((log) => openerOf(log, createTcpAccessLog))
}

interface LogPlan {
  readonly path: string
  readonly format: LogText
  readonly filter: LogFilter | undefined
}

interface LogOptions {
  readonly format: LogText
  readonly filter: LogFilter | undefined
  readonly writer: LogWriter
}

function openerOf<T>(log: LogPlan, create: (options: LogOptions) => T): Opener<T> {
  return ({ logFiles }) => {
    const used = logFiles.use(log.path)
    const { format, filter } = log
    const value = create({ format, filter, writer: used.writer })
    return { value, close: () => used.release() }
  }
}

function compileLogs(
  logs: readonly AccessLog[],
  scope: CompileScope,
  report: FieldReport,
): readonly LogPlan[] {
  return logs.flatMap((log, index) => {
    const here = at(report, index)
    const filter =
      log.filter && accepted(compileLogFilter(log.filter, scope.random), at(here, 'filter'))
    const any = log.configType?.value
    const target = any && compileTarget(any, scope, at(here, 'typed_config'))
    if (any === undefined) refuse(at(here, 'typed_config'), 'is required')
    if (target === undefined) return []
    return [{ ...target, filter }]
  })
}

const typePrefix = 'envoy.extensions.access_loggers'

function compileTarget(
  any: Any,
  scope: CompileScope,
  report: FieldReport,
): Omit<LogPlan, 'filter'> | undefined {
  const file = fileMessage(any, report)
  if (file === undefined) return undefined
  if (file.path === '') {
    refuse(at(report, 'path'), 'value length must be at least 1 characters')
    return undefined
  }
  const format = accepted(compileFileFormat(file, { hostname: scope.hostname }), report)
  return format && { path: file.path, format }
}

/** The stream loggers are files with a fixed path. */
function fileMessage(any: Any, report: FieldReport): FileAccessLog | undefined {
  switch (typeNameOf(any.typeUrl)) {
    case `${typePrefix}.file.v3.FileAccessLog`:
      return decodeTyped(any, FileAccessLog, report)
    case `${typePrefix}.stream.v3.StdoutAccessLog`: {
      const log = decodeTyped(any, StdoutAccessLog, report)
      return log && { path: '/dev/stdout', accessLogFormat: log.accessLogFormat }
    }
    case `${typePrefix}.stream.v3.StderrAccessLog`: {
      const log = decodeTyped(any, StderrAccessLog, report)
      return log && { path: '/dev/stderr', accessLogFormat: log.accessLogFormat }
    }
    default:
      refuse(report, `access logger ${typeNameOf(any.typeUrl)} is not implemented`)
      return undefined
  }
}
