/** What the exchanges of one downstream connection share: who is connected, by which manager, with which timers. */
import type { ConnectionSecurity } from './connection-security.ts'
import type { ClientCertElement } from './exchange-client-cert.ts'
import type { HttpConnectionManager } from './listener/listener-config.ts'
import type { ProxyRuntime } from './runtime.ts'
import { LazyTimer } from './wire/lazy-timer.ts'
import type { ProxyAddresses } from './wire/proxy-protocol.ts'

export interface ExchangeScope {
  readonly runtime: ProxyRuntime
  readonly manager: HttpConnectionManager
  readonly timers: ExchangeTimers
  readonly connectionId: number
  /** What may wait for an upstream, or for a retry (Envoy `per_connection_buffer_limit_bytes`). */
  readonly bufferBytesMax: number
  /** Port of the listener, for `strip_matching_host_port`. */
  readonly localPort: number
  /** `ip:port`, as logs print it. */
  readonly localAddressText: string
  /** Both ends of the connection. */
  readonly downstream: ProxyAddresses
  readonly remoteAddress: string
  readonly remoteAddressText: string
  /** Of the connection itself, where a PROXY header has named others; else as above. */
  readonly directLocalAddressText: string
  readonly directRemoteAddressText: string
  /** What TLS has proved of the client; undefined on plaintext. */
  readonly security: ConnectionSecurity | undefined
  /** First URI SAN of the client's certificate. */
  readonly peerPrincipal: string | undefined
  /** Kept for the life of the connection. */
  readonly clientCertElement: ClientCertElement
  readonly requestedServerName: string | undefined
  readonly requestIds: { next(): string }
  readonly dates: { text(): string }
}

export interface TimedExchange {
  onRouteTimeout(): void
  onTryTimeout(): void
  onTryIdleTimeout(): void
  /** It stood still for too long, or lasted too long. */
  onExpired(failure: 'stream-idle-timeout' | 'max-duration'): void
  /** An attempt has lasted as long as its cluster allows. */
  onUpstreamDuration(): void
}

/** 0 = none. */
export interface TryLimits {
  readonly tryTimeoutMs: number
  readonly tryIdleTimeoutMs: number
}

/** Timers that one exchange after the other uses, so that a request arms none in the common case. */
export class ExchangeTimers {
  readonly #runtime: Pick<ProxyRuntime, 'clock' | 'turn'>
  // Made when they are first set: most connections use one or two of them.
  #route: LazyTimer | undefined
  #attempt: LazyTimer | undefined
  #attemptIdle: LazyTimer | undefined
  #idle: LazyTimer | undefined
  #duration: LazyTimer | undefined
  #tryDuration: LazyTimer | undefined
  #owner: TimedExchange | undefined
  #idleMs = 0
  #attemptIdleMs = 0

  /** Called when an exchange is over: another may have the timers. */
  readonly #onFree: (() => void) | undefined

  constructor(runtime: Pick<ProxyRuntime, 'clock' | 'turn'>, onFree?: () => void) {
    this.#runtime = runtime
    this.#onFree = onFree
  }

  #create(run: (owner: TimedExchange) => void): LazyTimer {
    const { clock, turn } = this.#runtime
    return new LazyTimer(clock, () => {
      const owner = this.#owner
      if (owner !== undefined) turn.run(() => run(owner))
    })
  }

  /** The next exchange; 0 switches a time-out off, here and below. */
  start(owner: TimedExchange, idleMs: number): void {
    this.#owner = owner
    this.setIdle(idleMs)
  }

  setIdle(idleMs: number): void {
    this.#idleMs = idleMs
    if (idleMs === 0) this.#idle?.clear()
    else this.touch()
  }

  /** Something moved. */
  touch(): void {
    if (this.#idleMs === 0 && this.#attemptIdleMs === 0) return
    const nowMs = this.#runtime.clock.monotonicMs()
    if (this.#idleMs !== 0) this.#setIdle(nowMs)
    if (this.#attemptIdleMs !== 0) this.#setAttemptIdle(nowMs)
  }

  startRoute(timeoutMs: number): void {
    if (timeoutMs === 0) return
    this.#route ??= this.#create((owner) => owner.onRouteTimeout())
    this.#route.set(timeoutMs, this.#runtime.clock.monotonicMs())
  }

  /** Neither the route's time nor an attempt's is a tunnel's. */
  openTunnel(): void {
    this.#route?.clear()
    this.#attemptIdleMs = 0
    this.#attemptIdle?.clear()
  }

  /** An attempt's clock starts when its request is whole. */
  startTry(limits: TryLimits | undefined): void {
    if (limits === undefined) return
    const { tryTimeoutMs, tryIdleTimeoutMs } = limits
    this.#attemptIdleMs = tryIdleTimeoutMs
    if (tryTimeoutMs === 0 && tryIdleTimeoutMs === 0) return
    const nowMs = this.#runtime.clock.monotonicMs()
    if (tryTimeoutMs !== 0) {
      this.#attempt ??= this.#create((owner) => owner.onTryTimeout())
      this.#attempt.set(tryTimeoutMs, nowMs)
    }
    if (tryIdleTimeoutMs !== 0) this.#setAttemptIdle(nowMs)
  }

  /** Ceiling of an attempt's whole life, its response included. */
  limitTry(durationMs: number): void {
    if (durationMs === 0) return
    this.#tryDuration ??= this.#create((owner) => owner.onUpstreamDuration())
    this.#tryDuration.set(durationMs, this.#runtime.clock.monotonicMs())
  }

  /** The attempt answers: from here on it may only not stand still. */
  settleTry(): void {
    this.#attempt?.clear()
  }

  endTry(): void {
    this.#attemptIdleMs = 0
    this.#attempt?.clear()
    this.#attemptIdle?.clear()
    this.#tryDuration?.clear()
  }

  /** Ceiling of the exchange's whole life, from `startMs` on. */
  limitDuration(durationMs: number, startMs: number): void {
    if (durationMs === 0) return
    this.#duration ??= this.#create((owner) => owner.onExpired('max-duration'))
    this.#duration.set(durationMs, startMs)
  }

  /** The exchange is over. `hasSuccessor`: another one of the same request has the timers next. */
  clear(hasSuccessor = false): void {
    this.#owner = undefined
    this.#idleMs = 0
    this.endTry()
    this.#route?.clear()
    this.#idle?.clear()
    this.#duration?.clear()
    if (!hasSuccessor) this.#onFree?.()
  }

  /** The connection is over. */
  close(): void {
    this.#owner = undefined
    this.#route?.close()
    this.#attempt?.close()
    this.#attemptIdle?.close()
    this.#idle?.close()
    this.#duration?.close()
    this.#tryDuration?.close()
  }

  #setIdle(nowMs: number): void {
    this.#idle ??= this.#create((owner) => owner.onExpired('stream-idle-timeout'))
    this.#idle.set(this.#idleMs, nowMs)
  }

  #setAttemptIdle(nowMs: number): void {
    this.#attemptIdle ??= this.#create((owner) => owner.onTryIdleTimeout())
    this.#attemptIdle.set(this.#attemptIdleMs, nowMs)
  }
}
