/**
 * Connects to one of several addresses of the same endpoint (RFC 8305 "happy eyeballs", as Envoy does it): the first is
 * tried at once, each next one when the one before has failed, or has not answered within 300 ms. The first connection
 * that stands is taken and the others are given up; when none stands, the last failure is told.
 *
 * The families take turns, beginning with that of the first address, because a whole family may be out of reach. The time
 * to connect is that of all attempts together.
 */
import type { Clock, Timer } from '../../lib/clock.ts'
import type { ConnectOptions, ConnectResult, Connector, WireAddress } from './wire.ts'

/** RFC 8305 §8 says 250 ms, Envoy 300. */
const staggerMs = 300

export interface ConnectFirstScope {
  readonly clock: Clock
  /** Tries one address. */
  readonly connectOne: Connector['connect']
}

export function connectFirst(
  target: ConnectOptions,
  scope: ConnectFirstScope,
  done: (result: ConnectResult) => void,
): () => void {
  const race = new Race(target, scope, done)
  race.next()
  return () => race.stop()
}

class Race {
  readonly #target: ConnectOptions
  readonly #scope: ConnectFirstScope
  readonly #done: (result: ConnectResult) => void
  readonly #waiting: WireAddress[]
  readonly #attempts = new Set<() => void>()
  readonly #startMs: number
  #timer: Timer | undefined
  #isOver = false

  constructor(
    target: ConnectOptions,
    scope: ConnectFirstScope,
    done: (result: ConnectResult) => void,
  ) {
    this.#target = target
    this.#scope = scope
    this.#done = done
    this.#startMs = scope.clock.monotonicMs()
    this.#waiting = takeTurns([target.address, ...(target.otherAddresses ?? [])])
  }

  next(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    const address = this.#waiting.shift()
    if (address === undefined) return
    const { otherAddresses: _, ...rest } = this.#target
    const options = { ...rest, address, connectTimeoutMs: this.#restMs() }
    const giveUp = this.#scope.connectOne(options, (result) => {
      this.#attempts.delete(giveUp)
      this.#onResult(result)
    })
    this.#attempts.add(giveUp)
    if (this.#waiting.length > 0) {
      this.#timer = this.#scope.clock.setTimer(staggerMs, () => this.next())
    }
  }

  stop(): void {
    this.#isOver = true
    this.#timer?.cancel()
    for (const giveUp of this.#attempts) giveUp()
  }

  #onResult(result: ConnectResult): void {
    if (this.#isOver) return
    if (!result.ok && result.reason !== 'timeout' && this.#waiting.length > 0) {
      this.next()
      return
    }
    // The time of all is over with that of one.
    if (!result.ok && result.reason !== 'timeout' && this.#attempts.size > 0) return
    this.stop()
    this.#done(result)
  }

  /** 0 is without an end, so what is left is never less than one. */
  #restMs(): number {
    const { connectTimeoutMs } = this.#target
    if (connectTimeoutMs === 0) return 0
    const goneMs = this.#scope.clock.monotonicMs() - this.#startMs
    return Math.max(1, connectTimeoutMs - goneMs)
  }
}

function takeTurns(addresses: readonly WireAddress[]): WireAddress[] {
  const [first] = addresses
  const isLikeFirst = (address: WireAddress): boolean => isIpv6(address) === isIpv6(first)
  const like = addresses.filter(isLikeFirst)
  const unlike = addresses.filter((address) => !isLikeFirst(address))
  const turns = Math.max(like.length, unlike.length)
  return Array.from({ length: turns }, (_, turn) => [like[turn], unlike[turn]])
    .flat()
    .filter((address) => address !== undefined)
}

function isIpv6(address: WireAddress | undefined): boolean {
  return address?.kind === 'ip' && address.address.includes(':')
}
