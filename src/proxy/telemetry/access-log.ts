/** Access logs: one line per exchange or connection that passes the filter. */
import type { LogText } from './log-format.ts'
import type { LogSource } from './log-source.ts'
import type { LogWriter } from './log-writer.ts'
import type { RequestObserver, TcpObserver } from './request-record.ts'

export interface AccessLogOptions {
  readonly format: LogText
  /** Undefined: everything is logged. */
  readonly filter?: LogFilter | undefined
  readonly writer: Pick<LogWriter, 'write'>
}

export type LogFilter = (source: LogSource) => boolean

export function createAccessLog(options: AccessLogOptions): RequestObserver {
  const { format, filter, writer } = options
  return {
    onEnd(record) {
      if (filter === undefined || filter(record)) writer.write(format(record))
    },
  }
}

export function createTcpAccessLog(options: AccessLogOptions): TcpObserver {
  const { format, filter, writer } = options
  return {
    // A connection is one line, written when it ends.
    onOpen() {},
    onEnd(record) {
      if (filter === undefined || filter(record)) writer.write(format(record))
    },
  }
}
