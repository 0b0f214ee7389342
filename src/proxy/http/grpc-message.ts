/** How gRPC says in a header what went wrong. */
import { bufferOf } from '../../lib/bytes.ts'

/** `grpc-message`: text that is percent-encoded where it is not printable ASCII (grpc PROTOCOL-HTTP2, and `~` as Envoy). */
export function encodeGrpcMessage(text: Uint8Array): string {
  const latin1 = bufferOf(text).toString('latin1')
  return latin1.replaceAll(/[^ -$&-}]/g, (octet) => {
    const hex = octet.charCodeAt(0).toString(16).toUpperCase()
    return `%${hex.padStart(2, '0')}`
  })
}
