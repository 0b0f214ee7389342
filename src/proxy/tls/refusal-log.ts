/**
 * A log line for each refused TLS connection, but not for each of a flood: every reason has its own allowance, and the
 * first line after a silence says how many were left out. Counters (tls-stats) are never left out.
 */
import type { Clock } from '../../lib/clock.ts'
import type { Log, LogFields } from '../../lib/log.ts'
import type { TlsReason, TlsRefusal } from './tls-reason.ts'

const linesMax = 5
const windowMs = 10_000

interface Window {
  startMs: number
  lines: number
  suppressed: number
}

export class RefusalLog {
  readonly #clock: Clock
  readonly #log: Log
  readonly #windows = new Map<TlsReason, Window>()

  constructor(clock: Clock, log: Log) {
    this.#clock = clock
    this.#log = log
  }

  write(refusal: TlsRefusal, fields: LogFields): void {
    const nowMs = this.#clock.monotonicMs()
    let window = this.#windows.get(refusal.reason)
    if (window === undefined || nowMs - window.startMs >= windowMs) {
      window = { startMs: nowMs, lines: 0, suppressed: window?.suppressed ?? 0 }
      this.#windows.set(refusal.reason, window)
    }
    if (window.lines >= linesMax) {
      window.suppressed += 1
      return
    }
    window.lines += 1
    const { reason, message } = refusal
    const suppressed = window.suppressed === 0 ? {} : { suppressed: window.suppressed }
    window.suppressed = 0
    this.#log.warn({ reason, detail: message, ...fields, ...suppressed }, 'TLS refused')
  }
}
