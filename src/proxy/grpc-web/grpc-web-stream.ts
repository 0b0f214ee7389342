/**
 * A request of gRPC-Web between its codec and its exchange (Envoy `envoy.filters.http.grpc_web`): from where its filter
 * begins, the exchange sees gRPC and the client gRPC-Web.
 *
 *   client: gRPC-Web, bytes or base64 → this → exchange: gRPC → upstream
 *
 * The body of the request is passed on or decoded; that of the response is passed on or encoded, and its trailers become
 * the last frame of it, so that a browser sees them. What is answered without being gRPC (an error page, a reply of ours)
 * is told as a gRPC status with the body as its message, of which `messageBytesMax` are kept.
 */
import { encodeGrpcMessage } from '../http/grpc-message.ts'
import type { HeaderList } from '../http/header-list.ts'
import type { RequestHead, ResponseHead } from '../http/message.ts'
import type {
  DownstreamStream,
  MessageCounts,
  RequestEvents,
  RequestRefusal,
  TranslatedCall,
  Translation,
  Unreadable,
} from '../http/stream.ts'
import { GrpcMessageCount } from '../http2/grpc-message-count.ts'
import { httpAsGrpcStatus } from '../telemetry/grpc-status.ts'
import {
  grpcType,
  isGrpcAnswer,
  isWebAnswer,
  isWebText,
  webProtoType,
  webTextProtoType,
} from './content-type.ts'
import { FrameEncoder } from './frame-encoder.ts'
import { TextDecoder } from './text-decoder.ts'
import { trailerFrame } from './trailer-frame.ts'

const messageBytesMax = 16_384

const badData: Unreadable = { failure: 'bad-grpc-web', details: 'grpc_base_64_decode_failed' }
const cut: Unreadable = {
  failure: 'bad-grpc-web',
  details: 'grpc_base_64_decode_failed_bad_size',
}

/** A response that is no gRPC: its head waits for its body, which becomes the message. */
interface HeldAnswer {
  readonly head: ResponseHead
  readonly message: Buffer[]
  messageBytes: number
}

export class GrpcWebStream implements DownstreamStream, RequestEvents, Translation {
  readonly #stream: DownstreamStream
  readonly #request: RequestHead
  #exchange: RequestEvents | undefined
  /** Undefined until the filter begins. */
  #call: TranslatedCall | undefined
  readonly #received = new GrpcMessageCount()
  readonly #sent = new GrpcMessageCount()
  #decoder: TextDecoder | undefined
  #encoder: FrameEncoder | undefined
  #wantsText = false
  #held: HeldAnswer | undefined
  /** The response is gRPC. */
  #isGrpc = false
  hasOwnStatus = false

  constructor(stream: DownstreamStream, request: RequestHead) {
    this.#stream = stream
    this.#request = request
  }

  attach(exchange: RequestEvents): void {
    this.#exchange = exchange
  }

  get translation(): Translation {
    return this
  }

  begin(call: TranslatedCall): Unreadable | undefined {
    this.#call = call
    this.#shapeRequest()
    if (!this.#readHeld(call)) return badData
    return call.isWhole && this.#decoder?.isCut === true ? cut : undefined
  }

  #shapeRequest(): void {
    const { headers } = this.#request
    if (isWebText(headers.get('content-type'))) this.#decoder = new TextDecoder()
    this.#wantsText = isWebText(headers.get('accept'))
    this.#request.translatedFrom = 'grpc-web'
    headers.remove('content-length')
    if (this.#request.bodyLength !== 0) this.#request.bodyLength = 'until-end'
    headers.set('content-type', grpcType)
    headers.set('te', 'trailers')
    if (!headers.has('grpc-accept-encoding')) headers.append('grpc-accept-encoding', 'identity')
  }

  /** What came while a filter before ours made the request wait. */
  #readHeld(call: TranslatedCall): boolean {
    let isGood = true
    call.changeHeld((chunk) => {
      const decoded = this.#decoder?.decode(chunk) ?? chunk
      if (decoded === 'bad-data') isGood = false
      else this.#received.add(decoded)
      return decoded === 'bad-data' ? chunk : decoded
    })
    return isGood
  }

  // The client's side.

  onRequestData(chunk: Uint8Array): void {
    const call = this.#call
    const decoded = this.#decoder?.decode(chunk) ?? chunk
    if (call === undefined) this.#exchange?.onRequestData(chunk)
    else if (decoded === 'bad-data') {
      call.record.bytesReceived += chunk.length
      call.reject(badData)
    } else {
      // What counts is what came.
      call.record.bytesReceived += chunk.length - decoded.length
      this.#received.add(decoded)
      if (decoded.length > 0) this.#exchange?.onRequestData(decoded)
    }
  }

  onRequestEnd(trailers: HeaderList | undefined): void {
    const isCut = trailers === undefined && this.#decoder?.isCut === true
    if (isCut) this.#call?.reject(cut)
    else this.#exchange?.onRequestEnd(trailers)
  }

  onRequestInvalid(refusal: RequestRefusal): void {
    this.#exchange?.onRequestInvalid(refusal)
  }

  onDownstreamDrain(): void {
    this.#exchange?.onDownstreamDrain()
  }

  onDownstreamClose(why?: RequestRefusal): void {
    this.#exchange?.onDownstreamClose(why)
  }

  // The exchange's side.

  get wireBytesReceived(): number {
    return this.#stream.wireBytesReceived
  }

  get wireBytesSent(): number {
    return this.#stream.wireBytesSent
  }

  get messages(): MessageCounts | undefined {
    if (this.#call === undefined) return this.#stream.messages
    return { received: this.#received.messages, sent: this.#sent.messages }
  }

  sendInformational(head: ResponseHead): void {
    this.#stream.sendInformational(head)
  }

  sendHead(head: ResponseHead, isEnd: boolean): void {
    const call = this.#call
    if (call === undefined) {
      this.#stream.sendHead(head, isEnd)
      return
    }
    const { headers } = head
    call.onStatus(headers)
    const hasBody = !isEnd && this.#request.method !== 'HEAD'
    this.#isGrpc = isGrpcAnswer(head)
    const isHeld = hasBody && !this.#isGrpc && !isWebAnswer(head)
    headers.remove('content-length')
    headers.set('content-type', this.#wantsText ? webTextProtoType : webProtoType)
    if (isHeld) {
      this.#held = { head, message: [], messageBytes: 0 }
      return
    }
    if (hasBody) head.bodyLength = 'until-end'
    if (this.#wantsText) this.#encoder = new FrameEncoder()
    this.#stream.sendHead(head, isEnd)
  }

  sendData(chunk: Uint8Array): boolean {
    const call = this.#call
    if (call === undefined) return this.#stream.sendData(chunk)
    if (this.#held !== undefined) {
      call.record.bytesSent -= chunk.length
      keep(this.#held, chunk)
      return true
    }
    if (this.#isGrpc) this.#sent.add(chunk)
    if (this.#encoder === undefined) return this.#stream.sendData(chunk)
    const encoded = this.#encoder.encode(chunk)
    call.record.bytesSent += encoded.length - chunk.length
    return encoded.length === 0 || this.#stream.sendData(encoded)
  }

  sendEnd(trailers: HeaderList | undefined): void {
    const call = this.#call
    if (call === undefined) {
      this.#stream.sendEnd(trailers)
      return
    }
    if (trailers !== undefined) call.onStatus(trailers)
    if (this.#held !== undefined) {
      this.#release(this.#held, trailers)
      return
    }
    this.#sendLast(call, this.#encoder?.end())
    if (trailers !== undefined) {
      const frame = trailerFrame(trailers)
      this.#sendLast(call, this.#wantsText ? Buffer.from(frame.toString('base64')) : frame)
    }
    this.#stream.sendEnd(undefined)
  }

  #sendLast({ record }: TranslatedCall, bytes: Buffer | undefined): void {
    if (bytes === undefined || bytes.length === 0) return
    record.bytesSent += bytes.length
    this.#stream.sendData(bytes)
  }

  #release({ head, message }: HeldAnswer, trailers: HeaderList | undefined): void {
    const { headers } = head
    this.hasOwnStatus = trailers?.has('grpc-status') !== true
    headers.set('grpc-message', encodeGrpcMessage(Buffer.concat(message)))
    headers.set('grpc-status', String(httpAsGrpcStatus(head.status)))
    headers.set('content-length', '0')
    head.bodyLength = 0
    const isEnd = trailers === undefined
    this.#stream.sendHead(head, isEnd)
    if (!isEnd) this.#stream.sendEnd(trailers)
  }

  openTunnel(): void {
    this.#stream.openTunnel()
  }

  closeAfterResponse(): void {
    this.#stream.closeAfterResponse()
  }

  reset(): void {
    this.#stream.reset()
  }

  pauseRequest(): void {
    this.#stream.pauseRequest()
  }

  resumeRequest(): void {
    this.#stream.resumeRequest()
  }
}

/** What is beyond the ceiling is dropped. */
function keep(held: HeldAnswer, chunk: Uint8Array): void {
  const room = messageBytesMax - held.messageBytes
  if (room <= 0) return
  const kept = Buffer.from(chunk.subarray(0, room))
  held.message.push(kept)
  held.messageBytes += kept.length
}
