/** The contract of one bidirectional gRPC stream, the same on both sides. */
import type { GrpcFrame } from './grpc-frame.ts'
import type { GrpcStatus } from './grpc-status.ts'
import type { TlsPeerVerdict } from './tls-peer.ts'

export interface GrpcStreamEvents {
  onMessage(message: Uint8Array): void
  /** Client: the peer has answered a ping on the stream's connection; it may yet refuse the stream, or say nothing. */
  onAlive?(): void
  /** Server: the client has sent all that it will, and waits. Without this the stream ends there, with OK. */
  onHalfClose?(): void
  /** What `send` refused to buffer further has left. */
  onDrain(): void
  /** The last event of a stream; on the server `code` is CANCELLED when the client went away. */
  onClose(status: GrpcStatus): void
}

export interface GrpcStream {
  /** For logs: `127.0.0.1:53122`, or the path of a Unix socket. */
  readonly peer: string
  /** Bytes that were given to `send` and have not left this process. */
  readonly bufferedBytes: number
  /** Always takes the frame; false says that the peer reads too slowly: wait for `onDrain`. */
  send(frame: GrpcFrame): boolean
  /** The peer is slowed down by HTTP/2's windows; one chunk's messages may still come after `pause`. */
  pause(): void
  resume(): void
  /** Server: ends the stream with this status. Client: cancels it. `onClose` follows. */
  end(status: GrpcStatus): void
}

/** What a server knows besides. */
export interface GrpcServerStream extends GrpcStream {
  /** Who the client is by its certificate; undefined on a plaintext connection. */
  readonly verdict: TlsPeerVerdict | undefined
  /** Of the request's metadata, by lower-case name. */
  header(name: string): string | undefined
}
