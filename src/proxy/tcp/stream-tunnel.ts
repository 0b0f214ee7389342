/**
 * A tunnel as the two bodies of one HTTP exchange (Envoy `tunneling_config`): a POST whose body is what the client sends
 * and whose answer's body is what it gets, or, over HTTP/2, a CONNECT. The exchange has a connection of its own, and is
 * a wire to whoever uses it.
 *
 * An answer without a body, or with another status than 200 (HTTP/1.1: 2xx), is a failure. The end of either body is the
 * end of that direction.
 */
import type { Clock, Timer } from '../../lib/clock.ts'
import type { Random } from '../../lib/random.ts'
import { HeaderList } from '../http/header-list.ts'
import type { RequestHead, ResponseHead } from '../http/message.ts'
import type { ResponseEvents, UpstreamReset, UpstreamStream } from '../http/stream.ts'
import { ClientConnection } from '../http1/client-connection.ts'
import { HeaderNames } from '../http1/header-names.ts'
import { Http2ClientConnection } from '../http2/client-connection.ts'
import { defaultHttp2Options } from '../http2/settings.ts'
import type { HeldBytes } from '../http2/stream.ts'
import type { Cluster } from '../upstream/cluster.ts'
import type { CopyBuffers } from '../wire/copy-buffer.ts'
import type { Wire, WireEvents } from '../wire/wire.ts'
import type { TunnelResult, TunnelSettings } from './open-tunnel.ts'

export interface StreamTunnelOptions {
  readonly tunnel: TunnelSettings
  readonly cluster: Cluster
  readonly clock: Clock
  readonly random: Random
  readonly held: HeldBytes
  readonly copies: CopyBuffers
}

const limits = { headBytesMax: 80 * 1024, headersCountMax: 100 }

/** `done` is called once, never before this returned; the returned function gives up and calls nothing. */
export function openStreamTunnel(
  wire: Wire,
  options: StreamTunnelOptions,
  done: (result: TunnelResult) => void,
): () => void {
  const tunnel = new StreamTunnel(wire, options, done)
  tunnel.ask()
  return () => tunnel.destroy()
}

const nobody: WireEvents = { onData() {}, onEnd() {}, onDrain() {}, onClose() {} }

class StreamTunnel implements Wire, ResponseEvents {
  readonly #wire: Wire
  readonly #options: StreamTunnelOptions
  readonly #isHttp2: boolean
  readonly #timer: Timer | undefined
  readonly #stream: UpstreamStream
  /** Undefined once it was called. */
  #done: ((result: TunnelResult) => void) | undefined
  #events: WireEvents = nobody
  #isRequestEnded = false
  #isClosed = false
  #error: Error | undefined

  constructor(wire: Wire, options: StreamTunnelOptions, done: (result: TunnelResult) => void) {
    const { cluster, clock } = options
    this.#wire = wire
    this.#options = options
    this.#done = done
    this.#isHttp2 = cluster.protocol === 'http2'
    const { connectTimeoutMs } = cluster
    if (connectTimeoutMs !== 0) {
      this.#timer = clock.setTimer(connectTimeoutMs, () =>
        this.#fail('timeout', `no answer to ${this.#method} within ${connectTimeoutMs} ms`),
      )
    }
    this.#stream = this.#isHttp2 ? this.#openHttp2() : this.#openHttp1()
  }

  ask(): void {
    const { target, post } = this.#options.tunnel
    const head: RequestHead = {
      method: this.#method,
      path: post?.path ?? '',
      authority: target,
      scheme: this.#wire.security === undefined ? 'http' : 'https',
      protocol: this.#isHttp2 ? 'HTTP/2' : 'HTTP/1.1',
      headers: new HeaderList(),
      bodyLength: 'until-end',
      upgrade: undefined,
      wantsClose: false,
    }
    this.#stream.sendHead(head, false)
  }

  get #method(): 'CONNECT' | 'POST' {
    return this.#options.tunnel.post === undefined ? 'CONNECT' : 'POST'
  }

  #openHttp1(): UpstreamStream {
    const connection = new ClientConnection({
      wire: this.#wire,
      parser: { names: new HeaderNames(), limits, keepsTrailers: false, spelling: undefined },
      owner: {
        onConnectionIdle: () => connection.close(),
        onConnectionClose: () => this.#onConnectionClose(),
        onBytes() {},
      },
    })
    connection.take(this)
    return connection
  }

  #openHttp2(): UpstreamStream {
    const { cluster, clock, random, held, copies } = this.#options
    const connection = new Http2ClientConnection({
      wire: this.#wire,
      clock,
      random,
      http2: cluster.http2 ?? defaultHttp2Options,
      stats: cluster.stats.http2(),
      held,
      copies,
      limits,
      owner: {
        onRoom: () => {
          if (this.#isRequestEnded) connection.drain()
        },
        onGoaway() {},
        onProtocolError: () => cluster.stats.cxProtocolError.add(1),
        onConnectionClose: () => this.#onConnectionClose(),
        onBytes() {},
      },
    })
    return connection.take(this)
  }

  // The response.

  onInformational(): void {}

  onResponseHead({ status }: ResponseHead, isEnd: boolean): void {
    const isGood = this.#isHttp2 ? status === 200 : status >= 200 && status < 300
    if (!isGood) this.#fail('failed', `the answer to ${this.#method} is ${status}`)
    else if (isEnd) this.#fail('failed', `the answer to ${this.#method} has no body`)
    else this.#finish({ ok: true, wire: this, rest: Buffer.alloc(0) })
  }

  onResponseData(chunk: Uint8Array): void {
    this.#events.onData(chunk)
  }

  onResponseEnd(): void {
    this.#events.onEnd()
  }

  onUpstreamDrain(): void {
    this.#events.onDrain()
  }

  onUpstreamReset({ message }: UpstreamReset): void {
    this.#error = new Error(message)
    this.#fail('failed', message)
    this.#wire.destroy()
  }

  #onConnectionClose(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#finish({ ok: false, reason: 'failed', message: 'closed before its answer' })
    this.#events.onClose(this.#error)
  }

  #fail(reason: 'timeout' | 'failed', message: string): void {
    if (this.#done === undefined) return
    const done = this.#done
    this.destroy()
    done({ ok: false, reason, message })
  }

  #finish(result: TunnelResult): void {
    const done = this.#done
    this.#done = undefined
    this.#timer?.cancel()
    done?.(result)
  }

  // The wire.

  get localAddress(): string {
    return this.#wire.localAddress
  }

  get localPort(): number {
    return this.#wire.localPort
  }

  get remoteAddress(): string {
    return this.#wire.remoteAddress
  }

  get remotePort(): number {
    return this.#wire.remotePort
  }

  get security(): Wire['security'] {
    return this.#wire.security
  }

  get bufferedBytes(): number {
    return this.#wire.bufferedBytes
  }

  listen(events: WireEvents): void {
    this.#events = events
  }

  write(data: Uint8Array | string): boolean {
    return this.#stream.sendData(typeof data === 'string' ? Buffer.from(data, 'latin1') : data)
  }

  pause(): void {
    this.#stream.pauseResponse()
  }

  resume(): void {
    this.#stream.resumeResponse()
  }

  end(): void {
    if (this.#isRequestEnded || this.#isClosed) return
    this.#isRequestEnded = true
    this.#stream.sendEnd(undefined)
  }

  destroy(): void {
    this.#done = undefined
    this.#timer?.cancel()
    if (this.#isClosed) return
    this.#stream.reset()
    this.#wire.destroy()
  }

  reset(): void {
    this.#wire.reset?.()
  }
}
