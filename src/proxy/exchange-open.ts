/** How exchanges begin: with a request that the codec has read, or with one that it refused. */
import type { ExchangeScope } from './exchange-scope.ts'
import { Exchange } from './exchange.ts'
import { isGrpcWeb } from './grpc-web/content-type.ts'
import { GrpcWebStream } from './grpc-web/grpc-web-stream.ts'
import type { RequestHead } from './http/message.ts'
import type { DownstreamStream, RequestEvents, RequestRefusal } from './http/stream.ts'

/** A request that the codec has read: starts its exchange. */
export function openExchange(
  scope: ExchangeScope,
  head: RequestHead,
  stream: DownstreamStream,
): RequestEvents {
  if (scope.manager.readsGrpcWeb === true && isGrpcWeb(head)) {
    const translated = new GrpcWebStream(stream, head)
    const exchange = new Exchange(scope, head, translated)
    translated.attach(exchange)
    exchange.start()
    return translated
  }
  const exchange = new Exchange(scope, head, stream)
  exchange.start()
  return exchange
}

/** A request that the codec refused: answers it and tells the observers. */
export function refuseExchange(
  scope: ExchangeScope,
  head: RequestHead,
  refusal: { readonly stream: DownstreamStream; readonly why: RequestRefusal },
): RequestEvents {
  const exchange = new Exchange(scope, head, refusal.stream)
  exchange.onRequestInvalid(refusal.why)
  return exchange
}
