/**
 * A gRPC server for bidirectional streams, on node:http2, in plaintext or over TLS (tls-front.ts).
 *
 * Not grpc-js, because its server cannot send compressed messages ("response compression is currently not
 * supported") and copies each message for each stream: a push of 600 KB to 1 000 clients moves 600 MB there, and
 * 20 MB here. It also saves 17 MB in each sidecar. Over TLS a method is served to peers with a good certificate,
 * unless it says that it is open to anybody. Bounds: streams in total and per connection, bytes of one message, an
 * interval of pings after which a silent connection is closed.
 */
import {
  constants,
  createServer,
  type IncomingHttpHeaders,
  type Http2SecureServer,
  type Http2Server,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import type { AddressInfo, Server } from 'node:net'

import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import { describeError, MeshError } from '../../lib/mesh-error.ts'
import { GrpcFrameReader, type GrpcFrame } from './grpc-frame.ts'
import { grpcCodes, statusHeaders, statusOf, type GrpcStatus } from './grpc-status.ts'
import type { GrpcServerStream, GrpcStreamEvents } from './grpc-stream.ts'
import { ServerSession } from './server-session.ts'
import { createTlsFront, type GrpcServerTls, type TlsFront } from './tls-front.ts'
import type { TlsCertificate, TlsPeerVerdict } from './tls-peer.ts'

/** `{ host, port }`, port 0 for any; or the path of a Unix socket. */
export type ListenAddress =
  | { readonly host: string; readonly port: number }
  | { readonly path: string }

export type GrpcHandler = (stream: GrpcServerStream) => GrpcStreamEvents

/** A method with terms of its own. */
export interface GrpcMethod {
  readonly open: GrpcHandler
  /** Over TLS: served to peers without a good certificate too; it looks for another proof itself. */
  readonly isOpenToAnybody?: boolean
  readonly messageBytesMax?: number
}

/** By path: `/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources`. */
export type GrpcMethods = Readonly<Record<string, GrpcHandler | GrpcMethod>>

export interface GrpcServerOptions {
  readonly listen: ListenAddress
  /** Undefined: plaintext. */
  readonly tls?: GrpcServerTls
  readonly methods: GrpcMethods
  readonly clock: Clock
  readonly log: Log
  /** False on a way so short that compression costs more than it saves. */
  readonly compresses?: boolean
  readonly streamsMax?: number
  readonly messageBytesMax?: number
  readonly keepaliveMs?: number
  readonly keepaliveTimeoutMs?: number
}

export interface GrpcServer extends AsyncDisposable {
  /** `127.0.0.1:15010` or `unix:/path`. */
  readonly address: string
  readonly streams: number
  /** For connections from now on. Does nothing on a plaintext server. */
  setCertificate(certificate: TlsCertificate): void
  /** Asks again who each peer is, and ends the connections of those who are no longer believed. */
  recheckPeers(): void
  /** Ends every stream with UNAVAILABLE and stops listening. */
  close(): Promise<void>
}

const defaults = {
  streamsMax: 20_000,
  messageBytesMax: 64 << 20,
  keepaliveMs: 30_000,
  keepaliveTimeoutMs: 10_000,
}

/** Rejections: MeshError MESH_LISTEN_FAILED. */
export async function openGrpcServer(options: GrpcServerOptions): Promise<GrpcServer> {
  const settings = {
    // The ceiling that counts is bytes in flight per stream; Node's own would refuse streams at 10 MB.
    maxSessionMemory: 1_024,
    settings: { maxConcurrentStreams: 10_000, initialWindowSize: 1 << 20 },
  }
  const { tls, clock } = options
  const front = tls === undefined ? undefined : createTlsFront({ tls, settings, clock })
  const server: Http2Server | Http2SecureServer = front?.server ?? createServer(settings)
  const listener: Server = front?.listener ?? server
  const state = new ServerState(options, front)
  server.on('connection', (socket) => socket.setNoDelay(true))
  server.on('session', (session) => state.addSession(session))
  server.on('sessionError', (error) => {
    options.log.debug({ error: describeError(error) }, 'xDS connection failed')
  })
  // Node's types give the event a plain stream; a server's streams are always server streams.
  server.on('stream', (stream, headers) => state.accept(stream as ServerHttp2Stream, headers))
  await listen(listener, options.listen)
  const address = addressText(listener)
  const close = () => closeServer(listener, { state, front })
  return {
    address,
    get streams() {
      return state.streams.size
    },
    setCertificate: (certificate) => front?.setCertificate(certificate),
    recheckPeers: () => {
      for (const session of state.sessions.values()) session.recheck()
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

class ServerState {
  readonly options: GrpcServerOptions
  readonly #front: TlsFront | undefined
  readonly streams = new Set<ServerStream>()
  readonly sessions = new Map<ServerHttp2Session, ServerSession>()

  constructor(options: GrpcServerOptions, front: TlsFront | undefined) {
    this.options = options
    this.#front = front
  }

  addSession(session: ServerHttp2Session): void {
    const { clock, tls, keepaliveMs, keepaliveTimeoutMs } = { ...defaults, ...this.options }
    const served: ServerSession = new ServerSession({
      session,
      tls,
      socket: this.#front?.socketOf(session),
      clock,
      keepaliveMs,
      keepaliveTimeoutMs,
      onEnd: (why) => this.#endSession(session, why),
    })
    this.sessions.set(session, served)
    session.on('error', () => session.destroy())
    session.on('close', () => {
      served.stop()
      this.sessions.delete(session)
    })
  }

  /** Its streams are told; what still hangs after that is cut. */
  #endSession(session: ServerHttp2Session, why: string): void {
    for (const stream of this.streams) {
      if (stream.session === session) stream.end({ code: grpcCodes.unavailable, message: why })
    }
    this.sessions.get(session)?.close()
  }

  accept(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    stream.on('error', () => {}) // 'close' follows and says all that we need.
    const contentType = headers['content-type'] ?? ''
    if (headers[':method'] !== 'POST' || !contentType.startsWith('application/grpc')) {
      stream.respond({ ':status': 415 }, { endStream: true })
      return
    }
    const path = String(headers[':path'])
    const method = Object.hasOwn(this.options.methods, path)
      ? this.options.methods[path]
      : undefined
    const { verdict } = this.sessions.get(stream.session as ServerHttp2Session) ?? {}
    const refusal = this.#refusal(path, method, verdict)
    if (refusal !== undefined || method === undefined) {
      refuse(stream, refusal ?? { code: grpcCodes.unimplemented, message: '' })
      return
    }
    const { open, ...terms } = typeof method === 'function' ? { open: method } : method
    const { log, compresses = true, messageBytesMax = defaults.messageBytesMax } = this.options
    const limits = { messageBytesMax, ...terms }
    const served = new ServerStream({ stream, headers, verdict, compresses, log, ...limits })
    this.streams.add(served)
    stream.once('close', () => this.streams.delete(served))
    served.start(open(served))
  }

  #refusal(
    ...[path, method, verdict]: [
      string,
      GrpcHandler | GrpcMethod | undefined,
      TlsPeerVerdict | undefined,
    ]
  ): GrpcStatus | undefined {
    if (method === undefined) {
      return { code: grpcCodes.unimplemented, message: `unknown method ${path}` }
    }
    const streamsMax = this.options.streamsMax ?? defaults.streamsMax
    if (this.streams.size >= streamsMax) {
      const message = `this server has its ${streamsMax} streams, try another`
      return { code: grpcCodes.resourceExhausted, message }
    }
    const isOpen = typeof method !== 'function' && method.isOpenToAnybody === true
    if (verdict === undefined || verdict.ok || isOpen) return undefined
    const message = `${verdict.reason}: ${verdict.detail}`
    return { code: grpcCodes.unauthenticated, message }
  }
}

interface ServerStreamOptions {
  readonly stream: ServerHttp2Stream
  readonly headers: IncomingHttpHeaders
  readonly verdict: TlsPeerVerdict | undefined
  readonly messageBytesMax: number
  readonly compresses: boolean
  readonly log: Log
}

class ServerStream implements GrpcServerStream {
  readonly peer: string
  readonly verdict: TlsPeerVerdict | undefined
  readonly #stream: ServerHttp2Stream
  readonly #headers: IncomingHttpHeaders
  readonly #sendsGzip: boolean
  readonly #encoding: string
  readonly #reader: GrpcFrameReader
  readonly #log: Log
  #status: GrpcStatus = { code: grpcCodes.cancelled, message: 'the client went away' }

  constructor(options: ServerStreamOptions) {
    const { stream, headers, verdict, messageBytesMax, compresses, log } = options
    this.#stream = stream
    this.#headers = headers
    this.verdict = verdict
    this.#log = log
    const accepted = single(headers['grpc-accept-encoding'])
    this.#sendsGzip = compresses && accepted.split(',').some((name) => name.trim() === 'gzip')
    this.#encoding = single(headers['grpc-encoding']) || 'identity'
    this.#reader = new GrpcFrameReader({ messageBytesMax })
    const socket = stream.session?.socket
    this.peer =
      socket?.remoteAddress === undefined
        ? 'unix'
        : `${socket.remoteAddress}:${String(socket.remotePort)}`
  }

  get bufferedBytes(): number {
    return this.#stream.writableLength
  }

  get session(): unknown {
    return this.#stream.session
  }

  header(name: string): string | undefined {
    const value = this.#headers[name]
    return typeof value === 'string' ? value : undefined
  }

  start(events: GrpcStreamEvents): void {
    const stream = this.#stream
    stream.respond(
      {
        ':status': 200,
        'content-type': 'application/grpc+proto',
        'grpc-accept-encoding': 'identity,gzip',
        ...(this.#sendsGzip ? { 'grpc-encoding': 'gzip' } : {}),
      },
      { waitForTrailers: true },
    )
    stream.on('wantTrailers', () => {
      stream.sendTrailers(statusHeaders(this.#status))
      // RFC 9113 §8.1: the answer is complete, and what the client might still send is of no use.
      setImmediate(() => stream.close(constants.NGHTTP2_NO_ERROR))
    })
    stream.on('data', (chunk: Buffer) => this.#read(chunk, events))
    stream.on('drain', () => events.onDrain())
    stream.on('end', () => {
      if (events.onHalfClose === undefined) this.end({ code: grpcCodes.ok, message: '' })
      else events.onHalfClose()
    })
    stream.once('close', () => events.onClose(this.#status))
  }

  send(frame: GrpcFrame): boolean {
    if (this.#stream.destroyed || this.#stream.writableEnded) return false
    return this.#stream.write(frame.bytes(this.#sendsGzip))
  }

  pause(): void {
    this.#stream.pause()
  }

  resume(): void {
    this.#stream.resume()
  }

  end(status: GrpcStatus): void {
    if (this.#stream.destroyed || this.#stream.writableEnded) return
    this.#status = status
    this.#stream.end()
  }

  /** The loop of one connection: what goes wrong ends this stream, and no other. */
  #read(chunk: Buffer, events: GrpcStreamEvents): void {
    if (this.#stream.writableEnded) return
    try {
      for (const message of this.#reader.read(chunk, this.#encoding)) events.onMessage(message)
    } catch (error) {
      this.#log.warn(
        { peer: this.peer, error: describeError(error) },
        'xDS stream ended by an error',
      )
      this.end(statusOf(error))
    }
  }
}

function single(header: string | string[] | undefined): string {
  return Array.isArray(header) ? header.join(',') : (header ?? '')
}

function refuse(stream: ServerHttp2Stream, status: GrpcStatus): void {
  const headers = { 'content-type': 'application/grpc+proto', ...statusHeaders(status) }
  stream.respond({ ':status': 200, ...headers }, { endStream: true })
}

function listen(server: Server, address: ListenAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    const place = 'path' in address ? address.path : `${address.host}:${address.port}`
    server.once('error', (cause) => {
      reject(new MeshError('MESH_LISTEN_FAILED', `listen for xDS on ${place}`, { cause }))
    })
    server.listen(address, resolve)
  })
}

function addressText(server: Server): string {
  const address: AddressInfo | string | null = server.address()
  if (address === null || typeof address === 'string') return `unix:${String(address)}`
  return address.family === 'IPv6'
    ? `[${address.address}]:${address.port}`
    : `${address.address}:${address.port}`
}

interface ServerParts {
  readonly state: ServerState
  readonly front: TlsFront | undefined
}

function closeServer(listener: Server, { state, front }: ServerParts): Promise<void> {
  return new Promise((resolve) => {
    for (const stream of state.streams) {
      stream.end({ code: grpcCodes.unavailable, message: 'the server is stopping' })
    }
    front?.close()
    listener.close(() => resolve())
    for (const session of state.sessions.values()) session.close()
  })
}
