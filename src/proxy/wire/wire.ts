/**
 * A wire: bytes in both directions over one connection, and nothing else.
 *
 * The request path is written against this contract, so that the way the bytes reach the kernel can change
 * (public `net.Socket`, libuv's handles, TLS) without touching a codec. Every implementation passes
 * test/contract/wire.ts.
 *
 * Rules:
 * - A chunk given to `onData` is valid during the call only: copy what must outlive it.
 * - What one turn of the event loop writes leaves in one system call where the wire can do so.
 * - `write` returns false when the wire's buffer is above its high watermark; `onDrain` says when it is not.
 * - `onClose` is called exactly once, also after `destroy`; no other callback follows it.
 */

import type { Socket } from 'node:net'

import type { ConnectionSecurity } from '../connection-security.ts'
import type { ProxyAddresses } from './proxy-protocol.ts'

export interface WireEvents {
  onData(chunk: Uint8Array): void
  /** The peer has ended its direction (FIN). Writing is still possible. */
  onEnd(): void
  /** The write buffer fell below the watermark again. */
  onDrain(): void
  /** The connection is gone; `error` is set where it did not end in an orderly way. */
  onClose(error: Error | undefined): void
}

export interface Wire {
  readonly localAddress: string
  readonly localPort: number
  readonly remoteAddress: string
  readonly remotePort: number
  /** Ends of the connection itself, where a PROXY header has named others. */
  readonly direct?: ProxyAddresses | undefined
  /** What TLS has proved; absent on plaintext. */
  readonly security?: ConnectionSecurity | undefined
  /** The server that the client asked for (SNI), where it was looked at. */
  readonly requestedServerName?: string | undefined
  /** Monotonic time at which the connection should take no more requests; Infinity, or absent, while it may stay. */
  readonly retireAtMs?: (() => number) | undefined
  /** Bytes accepted by `write` and not yet taken by the kernel. */
  readonly bufferedBytes: number
  /** Sets who is told; may be changed at any time (a pool hands an idle connection on). */
  listen(events: WireEvents): void
  /** False when the caller must stop until `onDrain`. Strings are latin1 (heads); bodies are bytes. */
  write(data: Uint8Array | string): boolean
  pause(): void
  resume(): void
  /** Sends FIN after what was written. */
  end(): void
  /**
   * Closes when what was written has left, whatever the peer may still say: for a peer that has promised to be silent. Absent:
   * `end`, and the wait for its FIN, will do.
   */
  finish?(): void
  /** Closes at once; what was written and not sent is lost. */
  destroy(): void
  /** The same, and the peer sees that the connection was cut (RST); absent where there is no word for it. */
  reset?(): void
}

/**
 * Where to connect or listen: an IP address and port, the path of a Unix socket, or the name of a listener
 * in this process (Envoy internal address), which is reached without a socket.
 */
export type WireAddress =
  | { readonly kind: 'ip'; readonly address: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'internal'; readonly listener: string }

export interface KeepaliveProbing {
  readonly intervalMs: number
  readonly probes: number
}

export interface ConnectOptions {
  readonly address: WireAddress
  /** Tried too, each a little later than the one before; the first connection that stands is taken. */
  readonly otherAddresses?: readonly WireAddress[]
  readonly connectTimeoutMs: number
  readonly tcpKeepaliveMs?: number | undefined
  /** How often, and how far apart, an idle connection is probed; absent: as Node does. */
  readonly tcpKeepaliveProbing?: KeepaliveProbing | undefined
  /** Makes the connection secure before it is handed out; absent: plaintext. */
  readonly transport?: WireTransport | undefined
}

/** What lies between TCP and the wire: TLS to one endpoint with one identity. */
export interface WireTransport {
  /** Connections of equal keys to one host may stand for each other. */
  readonly key: string
  /** Takes over a connected socket. `done` is called once, never before this returned; the result gives up. */
  secure(socket: Socket, done: TransportDone): () => void
}

export type TransportDone = (outcome: TransportOutcome) => void

export type TransportOutcome =
  | {
      readonly ok: true
      readonly socket: Socket
      /** Absent where nothing was encrypted: the transport only said something first. */
      readonly security: ConnectionSecurity | undefined
      readonly retireAtMs: (() => number) | undefined
    }
  | { readonly ok: false; readonly reason: string; readonly message: string }

/** How a connection attempt ended. */
export type ConnectResult =
  | { readonly ok: true; readonly wire: Wire }
  | {
      readonly ok: false
      readonly reason: 'refused' | 'timeout' | 'failed'
      readonly message: string
    }

/** Opens wires, secured by the target's transport where it has one. */
export interface Connector {
  /** `done` is called once, never before `connect` returned. The returned function gives up. */
  connect(options: ConnectOptions, done: (result: ConnectResult) => void): () => void
}
