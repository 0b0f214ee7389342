/**
 * Opens bidirectional gRPC streams, on node:http2; one connection for each stream, closed with it.
 *
 * Over TLS the server is checked before a byte of the request leaves: its metadata may hold a token. Who the server
 * must be is the caller's function, because a host that joins knows no root yet, only its hash.
 *
 * Bounds: bytes of one message, a time-out for the connection, pings that notice a peer which vanished.
 */
import {
  connect as connectHttp2,
  type ClientHttp2Session,
  type ClientHttp2Stream,
} from 'node:http2'
import { connect as connectSocket, isIP, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'

import type { Clock, Timer } from '../../lib/clock.ts'
import { describeError } from '../../lib/mesh-error.ts'
import { GrpcFrameReader, type GrpcFrame } from './grpc-frame.ts'
import { grpcCodes, statusFrom, type GrpcStatus } from './grpc-status.ts'
import type { GrpcStream, GrpcStreamEvents } from './grpc-stream.ts'
import { peerChainOf, type PeerChain, type TlsCertificate } from './tls-peer.ts'

export interface GrpcClientTls {
  /** Undefined: we have none yet. */
  readonly certificate?: TlsCertificate | undefined
  /** SNI, and the name that the server's certificate is asked for by whoever verifies it. */
  readonly serverName: string
  /** Leaf first. What is refused ends the stream with UNAVAILABLE and the reason. Never throws. */
  readonly verifyServer: (
    chain: PeerChain,
  ) =>
    | { readonly ok: true }
    | { readonly ok: false; readonly reason: string; readonly detail: string }
}

export interface GrpcStreamOptions {
  /** `127.0.0.1:15010`, `[::1]:15010`, `host:15010`, `unix:/path` or `/path`. */
  readonly target: string
  /** Undefined: plaintext. */
  readonly tls?: GrpcClientTls | undefined
  readonly path: string
  /** `:authority`; the target unless said otherwise. */
  readonly authority?: string
  readonly metadata?: readonly (readonly [name: string, value: string])[]
  readonly events: GrpcStreamEvents
  readonly clock: Clock
  readonly connectTimeoutMs?: number
  readonly messageBytesMax?: number
  readonly keepaliveMs?: number
  readonly keepaliveTimeoutMs?: number
}

const defaults = {
  connectTimeoutMs: 5_000,
  messageBytesMax: 64 << 20,
  keepaliveMs: 30_000,
  keepaliveTimeoutMs: 10_000,
}

/** Kept until there is a connection; beyond this `send` asks the caller to wait. */
const earlyBytesMax = 1 << 20

/** Returns at once; a connection that cannot be made ends the stream with UNAVAILABLE. */
export function openGrpcStream(options: GrpcStreamOptions): GrpcStream {
  return new ClientStream({ ...defaults, ...options })
}

class ClientStream implements GrpcStream {
  readonly peer: string
  readonly #options: GrpcStreamOptions & typeof defaults
  readonly #reader: GrpcFrameReader
  readonly #socket: Socket
  #session: ClientHttp2Session | undefined
  #stream: ClientHttp2Stream | undefined
  #early: GrpcFrame[] = []
  #isPaused = false
  #encoding = 'identity'
  #status: GrpcStatus | undefined
  #timer: Timer
  #isClosed = false

  constructor(options: GrpcStreamOptions & typeof defaults) {
    this.#options = options
    const { target, tls, connectTimeoutMs } = options
    this.peer = target
    this.#reader = new GrpcFrameReader({ messageBytesMax: options.messageBytesMax })
    this.#timer = options.clock.setTimer(connectTimeoutMs, () => {
      this.#fail(`connect to ${target} within ${connectTimeoutMs} ms`)
    })
    this.#socket = openSocket(target, tls)
    this.#socket.setNoDelay(true)
    this.#socket.on('error', (error: Error) => this.#fail(describeError(error)))
    this.#socket.on('close', () => this.#fail('the connection was closed'))
    this.#socket.once(tls === undefined ? 'connect' : 'secureConnect', () => this.#onConnect())
  }

  get bufferedBytes(): number {
    const early = this.#early.reduce((sum, frame) => sum + frame.messageBytes, 0)
    return early + (this.#stream?.writableLength ?? 0)
  }

  send(frame: GrpcFrame): boolean {
    if (this.#isClosed) return false
    if (this.#stream === undefined) {
      this.#early.push(frame)
      return this.bufferedBytes < earlyBytesMax
    }
    return this.#stream.destroyed ? false : this.#stream.write(frame.bytes(false))
  }

  pause(): void {
    this.#isPaused = true
    this.#stream?.pause()
  }

  resume(): void {
    this.#isPaused = false
    this.#stream?.resume()
  }

  end(status: GrpcStatus): void {
    this.#status = status
    this.#close()
  }

  #onConnect(): void {
    if (this.#isClosed) return
    const { tls, target } = this.#options
    if (tls !== undefined) {
      // With `tls` the socket was made by node:tls.
      const verdict = tls.verifyServer(peerChainOf(this.#socket as TLSSocket))
      if (!verdict.ok) {
        this.#fail(
          `${target} is not the server that was meant: ${verdict.reason}: ${verdict.detail}`,
        )
        return
      }
    }
    const session = openSession(target, { socket: this.#socket, isTls: tls !== undefined })
    this.#session = session
    session.on('connect', () => {
      this.#timer.cancel()
      // One stream uses the connection, so both windows may be wide.
      session.setLocalWindowSize(4 << 20)
      session.ping((error) => {
        if (error === null && !this.#isClosed) this.#options.events.onAlive?.()
      })
      this.#pingLater()
    })
    session.on('error', (error: Error) => this.#fail(describeError(error)))
    session.on('close', () => this.#fail('the connection was closed'))
    this.#request(session)
  }

  #request(session: ClientHttp2Session): void {
    const { path, authority, metadata = [] } = this.#options
    const stream = session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc+proto',
      te: 'trailers',
      'grpc-accept-encoding': 'identity,gzip',
      'user-agent': 'tulle',
      ...(authority === undefined ? {} : { ':authority': authority }),
      ...Object.fromEntries(metadata),
    })
    this.#stream = stream
    this.#listen(stream)
    const early = this.#early
    this.#early = []
    for (const frame of early) stream.write(frame.bytes(false))
    if (this.#isPaused) stream.pause()
    if (early.length > 0) queueMicrotask(() => this.#options.events.onDrain())
  }

  #listen(stream: ClientHttp2Stream): void {
    stream.on('response', (headers) => {
      this.#encoding = String(headers['grpc-encoding'] ?? 'identity')
      this.#status = statusFrom(headers)
      const code = headers[':status']
      if (code !== 200) this.#fail(`HTTP status ${String(code)}, expected 200`)
    })
    stream.on('data', (chunk: Buffer) => this.#read(chunk))
    stream.on('trailers', (trailers) => {
      this.#status = statusFrom(trailers)
    })
    stream.on('end', () => this.#fail('the server ended the stream without a status'))
    stream.on('drain', () => this.#options.events.onDrain())
    stream.on('error', (error: Error) => this.#fail(describeError(reasonOf(error))))
    stream.on('close', () => this.#fail('the stream was closed without a status'))
  }

  #read(chunk: Buffer): void {
    if (this.#isClosed) return
    try {
      for (const message of this.#reader.read(chunk, this.#encoding)) {
        this.#options.events.onMessage(message)
      }
    } catch (error) {
      this.#status = { code: grpcCodes.internal, message: describeError(error) }
      this.#close()
    }
  }

  /** Ends with the status that was received, or else with UNAVAILABLE and this reason. */
  #fail(reason: string): void {
    this.#status ??= { code: grpcCodes.unavailable, message: reason }
    this.#close()
  }

  #close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#timer.cancel()
    this.#session?.destroy()
    this.#socket.destroy()
    this.#early = []
    const status = this.#status ?? { code: grpcCodes.unavailable, message: 'closed' }
    // Later, so that the caller of `end` or `openGrpcStream` is never called back during its own call.
    queueMicrotask(() => this.#options.events.onClose(status))
  }

  #pingLater(): void {
    const { clock, keepaliveMs, keepaliveTimeoutMs } = this.#options
    this.#timer = clock.setTimer(keepaliveMs, () => {
      if (this.#isClosed) return
      this.#timer = clock.setTimer(keepaliveTimeoutMs, () => {
        this.#fail(`no answer to a ping within ${keepaliveTimeoutMs} ms`)
      })
      this.#session?.ping((error) => {
        this.#timer.cancel()
        if (error === null) this.#pingLater()
      })
    })
  }
}

/** Node ends the streams of a connection that cannot be made with an error of its own; the reason is inside. */
function reasonOf(error: Error & { readonly code?: string }): Error {
  const isCancelled = error.code === 'ERR_HTTP2_STREAM_CANCEL'
  return isCancelled && error.cause instanceof Error ? error.cause : error
}

function openSession(
  target: string,
  { socket, isTls }: { readonly socket: Socket; readonly isTls: boolean },
): ClientHttp2Session {
  const settings = { enablePush: false, initialWindowSize: 4 << 20 }
  const authority = unixPathOf(target) === undefined ? target : 'localhost'
  return connectHttp2(`${isTls ? 'https' : 'http'}://${authority}`, {
    settings,
    createConnection: () => socket,
  })
}

function openSocket(target: string, tls: GrpcClientTls | undefined): Socket {
  const path = unixPathOf(target)
  const colon = target.lastIndexOf(':')
  const host = target.slice(0, colon).replace(/^\[(.*)\]$/, '$1')
  const place = path === undefined ? { host, port: Number(target.slice(colon + 1)) } : { path }
  if (tls === undefined) return connectSocket(place)
  const { certificate, serverName } = tls
  return connectTls({
    ...place,
    ...(isIP(serverName) === 0 ? { servername: serverName } : {}),
    ...(certificate === undefined ? {} : { key: certificate.keyPem, cert: certificate.chainPem }),
    ALPNProtocols: ['h2'],
    minVersion: 'TLSv1.3',
    // `verifyServer` decides, before anything is sent.
    rejectUnauthorized: false,
  })
}

/** `unix:/path`, `unix:///path` or `/path`. */
export function unixPathOf(target: string): string | undefined {
  const path = target.replace(/^unix:(\/\/(?=\/))?/, '')
  return path !== target || path.startsWith('/') ? path : undefined
}
