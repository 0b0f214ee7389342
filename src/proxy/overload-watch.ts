/**
 * Watches what the process itself is short of, and switches the overload actions that listeners and connections obey.
 *
 * Looked at twice a second: the JavaScript heap as a share of its limit, and how late the event loop runs a timer. Above
 * the first ceiling of the heap no connection is accepted and every response closes its own; above the second every
 * request is answered 503 (flag OM), as it is at once while the requests that wait hold too many bytes; a late event
 * loop stops the accepting of connections only, because work that is under way should end. Envoy's overload manager with
 * `fixed_heap` does the same at ceilings that somebody writes down.
 */
import type { Clock, Timer } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { bufferedBytesMaxDefault, type Overload } from './listener/overload.ts'

export interface OverloadLimits {
  /** Share of the heap limit above which no connection is accepted. */
  readonly heapShareMax: number
  /** Share of the heap limit above which requests are refused. */
  readonly heapShareCritical: number
  /** Bytes of requests that wait for an upstream or a retry, above which requests are refused at once. */
  readonly bufferedBytesMax: number
  /** How late a timer may be. */
  readonly eventLoopDelayMsMax: number
}

export const overloadLimitsDefault: OverloadLimits = {
  heapShareMax: 0.9,
  heapShareCritical: 0.97,
  bufferedBytesMax: bufferedBytesMaxDefault,
  eventLoopDelayMsMax: 2_000,
}

export interface OverloadWatchOptions {
  readonly overload: Overload
  readonly limits: OverloadLimits
  readonly clock: Clock
  readonly log: Log
  /** Bytes in use and the limit of the JavaScript heap. */
  readonly readHeap: () => { readonly usedBytes: number; readonly limitBytes: number }
}

const intervalMs = 500

export class OverloadWatch {
  readonly #options: OverloadWatchOptions
  #timer: Timer
  #state = 'normal'

  constructor(options: OverloadWatchOptions) {
    this.#options = options
    options.overload.bufferedBytesMax = options.limits.bufferedBytesMax
    this.#timer = this.#arm()
  }

  close(): void {
    this.#timer.cancel()
  }

  #arm(): Timer {
    const { clock } = this.#options
    const dueMs = clock.monotonicMs() + intervalMs
    return clock.setTimer(intervalMs, () => {
      this.#look(clock.monotonicMs() - dueMs)
      this.#timer = this.#arm()
    })
  }

  #look(lateMs: number): void {
    const { overload, limits, log, readHeap } = this.#options
    const { usedBytes, limitBytes } = readHeap()
    const share = usedBytes / limitBytes
    const isHeapFull = share > limits.heapShareMax
    const isLate = lateMs > limits.eventLoopDelayMsMax
    overload.set('stop-accepting-connections', isHeapFull || isLate)
    overload.set('disable-http-keepalive', isHeapFull)
    overload.set('stop-accepting-requests', share > limits.heapShareCritical)
    const { bufferedBytes } = overload
    const isBufferFull = bufferedBytes > limits.bufferedBytesMax
    const state = isHeapFull || isLate || isBufferFull ? 'overloaded' : 'normal'
    if (state === this.#state) return
    this.#state = state
    const heapShare = Number(share.toFixed(3))
    log.warn({ state, heapShare, bufferedBytes, lateMs: Math.round(lateMs) }, 'overload')
  }
}
