/**
 * The client's side of one response: what has been sent of it, and what is written of it to the record.
 *
 * A response goes out once. It has started when its head is gone and ended when its last byte is; between the two
 * it can only be broken off. The exchange decides what is answered, this says it.
 */
import type { FilterRun } from './exchange-filters.ts'
import { PacedResponse } from './exchange-pace.ts'
import { countInformed } from './exchange-record.ts'
import { sealReply, type PlainReply } from './exchange-reply.ts'
import { shapeResponse } from './exchange-response.ts'
import type { ExchangeScope } from './exchange-scope.ts'
import type { FilterContext } from './filter/http-filter.ts'
import type { HeaderList } from './http/header-list.ts'
import type { RequestHead, ResponseHead } from './http/message.ts'
import type { DownstreamStream } from './http/stream.ts'
import type { OpenReply } from './open-reply.ts'
import { grpcStatusOf } from './telemetry/grpc-status.ts'

export class Answer {
  readonly #scope: ExchangeScope
  readonly #stream: DownstreamStream
  /** Those of the request that have run; they see the head before it is sent. */
  filters: FilterRun | undefined
  isStarted = false
  isEnded = false
  #paced: PacedResponse | undefined

  constructor(scope: ExchangeScope, stream: DownstreamStream) {
    this.#scope = scope
    this.#stream = stream
  }

  /** An interim response. */
  inform(head: ResponseHead): void {
    countInformed(this.#scope.manager.stats, head.status)
    this.#stream.sendInformational(head)
  }

  sendHead(context: FilterContext, head: ResponseHead, isEnd: boolean): void {
    const { record } = context
    this.filters?.onResponse(context, head)
    shapeResponse(head, context.request, this.#scope)
    this.isStarted = true
    record.response = head
    record.responseStartMs = this.#nowMs()
    if (record.requestEndMs === 0) {
      this.#scope.manager.stats.rqResponseBeforeRqComplete.add(1)
    }
    record.status = head.status
    this.#stream.sendHead(head, isEnd)
  }

  /** Holds what the upstream answers back to a rate; `onOut` comes with its end. */
  pace(kibPerSecond: number, onRoom: () => void, onOut: () => void): void {
    const { runtime, bufferBytesMax: bytesMax } = this.#scope
    const { clock, turn } = runtime
    const stream = this.#stream
    this.#paced = new PacedResponse({ kibPerSecond, bytesMax, clock, turn, stream, onRoom, onOut })
  }

  get isPaced(): boolean {
    return this.#paced !== undefined
  }

  /** The client takes more; false where what is held comes before what the upstream has. */
  onDrain(): boolean {
    this.#paced?.onDrain()
    return this.#paced === undefined
  }

  close(): void {
    this.#paced?.close()
  }

  /** The upstream's bytes. False: wait for the client to drain. */
  sendData(context: FilterContext, chunk: Uint8Array): boolean {
    context.record.bytesSent += chunk.length
    this.#scope.timers.touch()
    return this.#paced?.push(chunk) ?? this.#stream.sendData(chunk)
  }

  /** The upstream's end. */
  sendEnd({ record }: FilterContext, trailers: HeaderList | undefined): void {
    this.isEnded = true
    record.grpcStatus ??= grpcStatusOf(trailers)
    record.responseTrailers = trailers
    record.upstreamEndMs = this.#nowMs()
    const hadBody = record.response?.bodyLength !== 0
    if (this.#paced !== undefined) this.#paced.end(trailers)
    else if (hadBody) this.#stream.sendEnd(trailers)
  }

  #nowMs(): number {
    return this.#scope.runtime.clock.monotonicMs()
  }

  /** A whole response of our own; one that is still open becomes what the listener wants such replies to be. */
  reply(context: FilterContext, reply: OpenReply | PlainReply): void {
    const { head, body } = 'text' in reply ? this.#seal(context, reply) : reply
    const isEmpty = body.length === 0
    this.sendHead(context, head, isEmpty)
    if (isEmpty) return
    if (context.request.method !== 'HEAD') context.record.bytesSent += body.length
    this.#stream.sendData(body)
    this.#stream.sendEnd(undefined)
  }

  #seal({ record, request }: FilterContext, reply: OpenReply): PlainReply {
    if (isMessagingError(reply, request, this.#scope)) this.#stream.closeAfterResponse()
    this.#scope.manager.rewriteReply?.(reply, record)
    record.grpcStatus = reply.grpcStatus
    return sealReply(reply, request)
  }
}

/** As Envoy, to which every 400 of the proxy's own, a route's too, says that messages of HTTP/1 are not understood. */
function isMessagingError(
  { head }: OpenReply,
  { protocol }: RequestHead,
  { manager }: ExchangeScope,
): boolean {
  return head.status === 400 && protocol !== 'HTTP/2' && manager.keepsAfterInvalid !== true
}
