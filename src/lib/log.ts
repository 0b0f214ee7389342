/**
 * The processes' own log, as JSON lines by pino. Access logs do not pass here (proxy/telemetry).
 *
 * Every room takes a `Log` as an argument; there is no global logger. Values are fields, not parts of the
 * message, so that a line can be searched: `log.warn({ cluster, reason }, 'endpoint ejected')`.
 */
import { pino } from 'pino'

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent'

export type LogFields = Readonly<Record<string, unknown>>

export interface Log {
  level: string
  debug(fields: LogFields, message: string): void
  info(fields: LogFields, message: string): void
  warn(fields: LogFields, message: string): void
  error(fields: LogFields, message: string): void
  child(fields: LogFields): Log
}

export interface LogOptions {
  readonly name: string
  readonly level?: LogLevel
  /** File descriptor that lines go to; 2 (standard error) unless said otherwise. */
  readonly fd?: number
}

/** A logger that writes synchronously, so that the last line before a crash is not lost. */
export function createLog(options: LogOptions): Log {
  return pino(
    {
      name: options.name,
      level: options.level ?? 'info',
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: [
        'token',
        'authorization',
        'privateKey',
        '*.token',
        '*.authorization',
        '*.privateKey',
      ],
    },
    pino.destination({ fd: options.fd ?? 2, sync: true }),
  )
}

/** Swallows everything; for tests and for tools that report in another way. */
export const silentLog: Log = {
  level: 'silent',
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLog,
}
