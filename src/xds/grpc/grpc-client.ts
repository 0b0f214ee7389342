/**
 * Opens bidirectional gRPC streams, on node:http2; one connection for each stream, closed with it.
 *
 * Bounds: bytes of one message, a time-out for the connection, pings that notice a peer which vanished.
 */
import {
  connect as connectHttp2,
  type ClientHttp2Session,
  type ClientHttp2Stream,
} from 'node:http2'
import { connect as connectSocket } from 'node:net'

import type { Clock, Timer } from '../../lib/clock.ts'
import { describeError } from '../../lib/mesh-error.ts'
import { GrpcFrameReader, type GrpcFrame } from './grpc-frame.ts'
import { grpcCodes, statusFrom, type GrpcStatus } from './grpc-status.ts'
import type { GrpcStream, GrpcStreamEvents } from './grpc-stream.ts'

export interface GrpcStreamOptions {
  /** `127.0.0.1:15010`, `[::1]:15010`, `host:15010`, `unix:/path` or `/path`. */
  readonly target: string
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

/** Returns at once; a connection that cannot be made ends the stream with UNAVAILABLE. */
export function openGrpcStream(options: GrpcStreamOptions): GrpcStream {
  return new ClientStream({ ...defaults, ...options })
}

class ClientStream implements GrpcStream {
  readonly peer: string
  readonly #options: GrpcStreamOptions & typeof defaults
  readonly #session: ClientHttp2Session
  readonly #stream: ClientHttp2Stream
  readonly #reader: GrpcFrameReader
  #encoding = 'identity'
  #status: GrpcStatus | undefined
  #timer: Timer
  #isClosed = false

  constructor(options: GrpcStreamOptions & typeof defaults) {
    this.#options = options
    this.peer = options.target
    this.#reader = new GrpcFrameReader({ messageBytesMax: options.messageBytesMax })
    this.#session = openSession(options.target)
    this.#timer = options.clock.setTimer(options.connectTimeoutMs, () => {
      this.#fail(`connect to ${options.target} within ${options.connectTimeoutMs} ms`)
    })
    this.#session.on('connect', () => {
      this.#timer.cancel()
      // One stream uses the connection, so both windows may be wide.
      this.#session.setLocalWindowSize(4 << 20)
      this.#session.ping((error) => {
        if (error === null && !this.#isClosed) options.events.onAlive?.()
      })
      this.#pingLater()
    })
    this.#session.on('error', (error: Error) => this.#fail(describeError(error)))
    this.#session.on('close', () => this.#fail('the connection was closed'))
    this.#stream = this.#session.request({
      ':method': 'POST',
      ':path': options.path,
      'content-type': 'application/grpc+proto',
      te: 'trailers',
      'grpc-accept-encoding': 'identity,gzip',
      'user-agent': 'tulle',
      ...(options.authority === undefined ? {} : { ':authority': options.authority }),
      ...Object.fromEntries(options.metadata ?? []),
    })
    this.#listen()
  }

  get bufferedBytes(): number {
    return this.#stream.writableLength
  }

  send(frame: GrpcFrame): boolean {
    if (this.#isClosed || this.#stream.destroyed) return false
    return this.#stream.write(frame.bytes(false))
  }

  pause(): void {
    this.#stream.pause()
  }

  resume(): void {
    this.#stream.resume()
  }

  end(status: GrpcStatus): void {
    this.#status = status
    this.#close()
  }

  #listen(): void {
    const stream = this.#stream
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
    this.#session.destroy()
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
      this.#session.ping((error) => {
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

function openSession(target: string): ClientHttp2Session {
  const settings = { enablePush: false, initialWindowSize: 4 << 20 }
  const path = unixPathOf(target)
  if (path !== undefined) {
    return connectHttp2('http://localhost', {
      settings,
      createConnection: () => connectSocket(path),
    })
  }
  return connectHttp2(`http://${target}`, { settings })
}

/** `unix:/path`, `unix:///path` or `/path`. */
export function unixPathOf(target: string): string | undefined {
  const path = target.replace(/^unix:(\/\/(?=\/))?/, '')
  return path !== target || path.startsWith('/') ? path : undefined
}
