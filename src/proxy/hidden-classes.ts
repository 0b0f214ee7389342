/**
 * Keeps the hidden classes of requests alive while there is no request.
 *
 * V8 optimizes code for the hidden classes of the objects that it meets. When a collection finds no object of a hidden
 * class, that class is dropped, and with it all code that was optimized for it; in a quiet moment V8's memory reducer
 * collects in just that way. After each pause a sidecar would then begin as after its start: interpreted, and compiled again
 * beside the first requests, whose slowest hundredth took 5 to 25 ms for two seconds (bench `open` at a quarter of the
 * load, November 2026; 1 ms with this). So the latest of what a request is made of stays until the next takes its place.
 *
 * Nobody reads what is kept. It is one of each, so its memory is bounded by what one request may hold.
 */
import type { HttpProtocol } from './http/message.ts'

export interface KeptExchange {
  readonly request: { readonly protocol: HttpProtocol }
}

export interface KeptAttempt {
  readonly upstreamProtocol: HttpProtocol | undefined
}

export class HiddenClasses {
  http1Exchange: KeptExchange | undefined
  http2Exchange: KeptExchange | undefined
  http1Attempt: KeptAttempt | undefined
  http2Attempt: KeptAttempt | undefined
  tcpConnection: object | undefined

  /** Of an exchange that is over. */
  keep(exchange: KeptExchange, attempt: KeptAttempt | undefined): void {
    if (exchange.request.protocol === 'HTTP/2') this.http2Exchange = exchange
    else this.http1Exchange = exchange
    if (attempt === undefined) return
    if (attempt.upstreamProtocol === 'HTTP/2') this.http2Attempt = attempt
    else this.http1Attempt = attempt
  }
}
