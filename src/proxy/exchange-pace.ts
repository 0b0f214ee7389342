/**
 * A response that is held back to a rate (Envoy's fault `response_rate_limit`): tokens of one octet flow in all the time,
 * and every 50 ms what they allow is sent. It begins with the tokens of one such interval.
 *
 * Ceiling: `bytesMax` held octets, above which the upstream is paused; and nothing is sent to a client that does not take it.
 */
import type { Clock, Timer } from '../lib/clock.ts'
import type { HeaderList } from './http/header-list.ts'
import { SendQueue } from './http/send-queue.ts'
import type { DownstreamStream } from './http/stream.ts'
import type { FlushTurn } from './wire/flush-turn.ts'

export const paceIntervalMs = 50

export interface PaceOptions {
  readonly kibPerSecond: number
  readonly bytesMax: number
  readonly clock: Clock
  readonly turn: Pick<FlushTurn, 'run' | 'copies'>
  readonly stream: Pick<DownstreamStream, 'sendData' | 'sendEnd'>
  /** There is room again. */
  readonly onRoom: () => void
  /** The end is out. */
  readonly onOut: () => void
}

export class PacedResponse {
  readonly #options: PaceOptions
  readonly #bytesPerMs: number
  readonly #held = new SendQueue()
  #tokens: number
  #sinceMs: number
  #timer: Timer | undefined
  #isBlocked = false
  #isFull = false
  #end: { readonly trailers: HeaderList | undefined } | undefined

  constructor(options: PaceOptions) {
    this.#options = options
    this.#bytesPerMs = (options.kibPerSecond * 1024) / 1000
    this.#tokens = this.#bytesPerMs * paceIntervalMs
    this.#sinceMs = options.clock.monotonicMs()
  }

  /** False: wait for `onRoom`. The chunk is copied. */
  push(chunk: Uint8Array): boolean {
    this.#held.push(chunk, this.#options.turn.copies)
    this.#schedule(0)
    this.#isFull = this.#held.bytes > this.#options.bytesMax
    return !this.#isFull
  }

  end(trailers: HeaderList | undefined): void {
    this.#end = { trailers }
    this.#schedule(0)
  }

  /** The client takes more. */
  onDrain(): void {
    this.#isBlocked = false
    this.#schedule(0)
  }

  close(): void {
    this.#timer?.cancel()
    this.#held.clear(this.#options.turn.copies)
    this.#end = undefined
    this.#isBlocked = true
  }

  #schedule(delayMs: number): void {
    if (this.#isBlocked || this.#timer !== undefined) return
    const { clock, turn } = this.#options
    this.#timer = clock.setTimer(delayMs, () => {
      this.#timer = undefined
      turn.run(() => this.#tick())
    })
  }

  #tick(): void {
    const nowMs = this.#options.clock.monotonicMs()
    const rate = this.#bytesPerMs
    // A second's worth at most, as in Envoy.
    this.#tokens = Math.min(rate * 1000, this.#tokens + (nowMs - this.#sinceMs) * rate)
    this.#sinceMs = nowMs
    this.#send(Math.floor(this.#tokens))
    if (this.#isFull && this.#held.bytes <= this.#options.bytesMax / 2) {
      this.#isFull = false
      this.#options.onRoom()
    }
    if (this.#held.bytes > 0) this.#schedule(paceIntervalMs)
    else if (this.#end !== undefined) this.#finish(this.#end.trailers)
  }

  #send(bytesMax: number): void {
    const { stream, turn } = this.#options
    const take = (part: Buffer): void => {
      if (!stream.sendData(part)) this.#isBlocked = true
    }
    let left = bytesMax
    while (left > 0 && this.#held.bytes > 0 && !this.#isBlocked) {
      const sent = this.#held.send(left, turn.copies, take)
      left -= sent
      this.#tokens -= sent
    }
  }

  #finish(trailers: HeaderList | undefined): void {
    this.#end = undefined
    this.#options.stream.sendEnd(trailers)
    this.#options.onOut()
  }
}
