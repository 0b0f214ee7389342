/** What the exchanges of one downstream connection share: who is connected, by which manager, with which timers. */
import type { HttpConnectionManager } from './listener/listener-config.ts'
import type { ProxyRuntime } from './runtime.ts'
import { LazyTimer } from './wire/lazy-timer.ts'

export interface ExchangeScope {
  readonly runtime: ProxyRuntime
  readonly manager: HttpConnectionManager
  readonly timers: ExchangeTimers
  readonly connectionId: number
  /** Port of the listener, for `strip_matching_host_port`. */
  readonly localPort: number
  /** `ip:port`, as logs print it. */
  readonly localAddressText: string
  readonly remoteAddress: string
  readonly remoteAddressText: string
  readonly isTls: boolean
  readonly requestedServerName: string | undefined
  /** URI SAN of the peer's certificate. */
  readonly peerPrincipal: string | undefined
  readonly requestIds: { next(): string }
  readonly dates: { text(): string }
}

export interface TimedExchange {
  onRouteTimeout(): void
  onTryTimeout(): void
  onIdleTimeout(): void
  onMaxDuration(): void
}

/** Timers that one exchange after the other uses, so that a request arms none in the common case. */
export class ExchangeTimers {
  readonly route: LazyTimer
  readonly attempt: LazyTimer
  readonly idle: LazyTimer
  readonly duration: LazyTimer
  owner: TimedExchange | undefined

  constructor(runtime: Pick<ProxyRuntime, 'clock' | 'turn'>) {
    const { clock, turn } = runtime
    const inTurn = (run: (owner: TimedExchange) => void) => () => {
      const { owner } = this
      if (owner === undefined) return
      turn.enter()
      try {
        run(owner)
      } finally {
        turn.leave()
      }
    }
    this.route = new LazyTimer(
      clock,
      inTurn((owner) => owner.onRouteTimeout()),
    )
    this.attempt = new LazyTimer(
      clock,
      inTurn((owner) => owner.onTryTimeout()),
    )
    this.idle = new LazyTimer(
      clock,
      inTurn((owner) => owner.onIdleTimeout()),
    )
    this.duration = new LazyTimer(
      clock,
      inTurn((owner) => owner.onMaxDuration()),
    )
  }

  clear(): void {
    this.owner = undefined
    this.route.clear()
    this.attempt.clear()
    this.idle.clear()
    this.duration.clear()
  }

  close(): void {
    this.owner = undefined
    this.route.close()
    this.attempt.close()
    this.idle.close()
    this.duration.close()
  }
}
