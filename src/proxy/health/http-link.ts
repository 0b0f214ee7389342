/**
 * One connection of a health check that speaks HTTP, in either version, for one request at a time. It belongs to its
 * check alone, so it is in nobody's books: neither in the breaker nor among the cluster's connections (as in Envoy).
 */
import type { ResponseEvents, UpstreamStream } from '../http/stream.ts'
import { ClientConnection } from '../http1/client-connection.ts'
import { HeaderNames } from '../http1/header-names.ts'
import { Http2ClientConnection } from '../http2/client-connection.ts'
import { errorCodes } from '../http2/frame.ts'
import { CopyBuffers } from '../wire/copy-buffer.ts'
import type { Wire } from '../wire/wire.ts'
import { type ProbeScope, type ProbeTarget, checkConnectOptions } from './probe.ts'

export interface LinkEvents extends ResponseEvents {
  onStream(stream: UpstreamStream): void
  /** The connection could not be opened. */
  onNoStream(): void
}

export interface LinkOwner {
  /** It can take no further request. */
  onLinkGone(link: HttpLink): void
  /** The host says goodbye: in good order, or for an error. */
  onLinkGoaway(link: HttpLink, isError: boolean): void
}

interface Connection {
  take(events: ResponseEvents): UpstreamStream
  close(): void
}

const responseLimits = { headBytesMax: 80 * 1024, headersCountMax: 100 }

export class HttpLink {
  readonly #target: ProbeTarget
  readonly #scope: ProbeScope
  readonly #owner: LinkOwner
  readonly #version: 'http1' | 'http2'
  #connection: Connection | undefined
  #waiting: LinkEvents | undefined
  #giveUp: (() => void) | undefined
  #isClosed = false

  constructor({ target, scope, version }: LinkOptions, owner: LinkOwner) {
    this.#target = target
    this.#scope = scope
    this.#owner = owner
    this.#version = version
  }

  /** Call only when no request is under way. */
  request(events: LinkEvents): void {
    if (this.#connection !== undefined) {
      events.onStream(this.#take(this.#connection, events))
      return
    }
    this.#waiting = events
    this.#open()
  }

  /** Ends it; what is under way is told nothing. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#waiting = undefined
    this.#giveUp?.()
    this.#connection?.close()
  }

  #take(connection: Connection, events: ResponseEvents): UpstreamStream {
    return connection.take(events)
  }

  #open(): void {
    this.#giveUp = this.#scope.connector.connect(
      checkConnectOptions(this.#target, this.#version),
      (result) => {
        this.#giveUp = undefined
        if (this.#isClosed) {
          if (result.ok) result.wire.destroy()
          return
        }
        const waiting = this.#waiting
        this.#waiting = undefined
        if (!result.ok) {
          this.#gone()
          waiting?.onNoStream()
          return
        }
        this.#connection = this.#speak(result.wire)
        if (waiting !== undefined) waiting.onStream(this.#take(this.#connection, waiting))
      },
    )
  }

  #speak(wire: Wire): Connection {
    return this.#version === 'http1' ? this.#speakHttp1(wire) : this.#speakHttp2(wire)
  }

  #speakHttp1(wire: Wire): Connection {
    const connection = new ClientConnection({
      wire,
      parser: { names: new HeaderNames(), limits: responseLimits, keepsTrailers: false },
      owner: {
        onConnectionIdle: () => {},
        onConnectionClose: () => this.#gone(),
        onBytes: () => {},
      },
    })
    return {
      take(events) {
        connection.take(events)
        return connection
      },
      close: () => connection.close(),
    }
  }

  #speakHttp2(wire: Wire): Connection {
    const { clock, random } = this.#scope
    return new Http2ClientConnection({
      wire,
      clock,
      random,
      http2: this.#target.http2,
      stats: this.#target.http2Stats(),
      held: { bufferedBytes: 0 },
      // A check has no body that could wait.
      copies: new CopyBuffers(),
      limits: responseLimits,
      owner: {
        onRoom: () => {},
        onGoaway: (_connection, code) =>
          this.#owner.onLinkGoaway(this, code !== errorCodes.noError),
        onProtocolError: () => {},
        onConnectionClose: () => this.#gone(),
        onBytes: () => {},
      },
    })
  }

  #gone(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#owner.onLinkGone(this)
  }
}

export interface LinkOptions {
  readonly target: ProbeTarget
  readonly scope: ProbeScope
  readonly version: 'http1' | 'http2'
}
