/**
 * Many ADS clients in one process, for bench/control-plane.ts. Each is a stream of its own with a node of its
 * own; a few connections carry them all. They ask as Envoy does (all clusters and listeners, then endpoints and
 * routes by name) and acknowledge everything. To be light they decode a response that several of them get only
 * once: what is measured is the control plane, not this process.
 */
import { createHash } from 'node:crypto'
import { connect, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2'

import { decodeDeltaResponse, decodeSotwResponse } from '../src/xds/client/received.ts'
import { GrpcFrame, GrpcFrameReader } from '../src/xds/grpc/grpc-frame.ts'
import {
  DeltaDiscoveryRequest,
  DiscoveryRequest,
} from '../src/xds/proto/generated/envoy/service/discovery/v3/discovery.ts'
import { typeUrls } from '../src/xds/resource-set.ts'

export interface StartClients {
  readonly target: string
  readonly count: number
  readonly firstId: number
  readonly variant: 'sotw' | 'delta'
  readonly gzip: boolean
}

/** Sent to the parent. */
export type ClientsMessage =
  | { readonly event: 'ready' }
  /** All clients have acknowledged a response of routes since the last time. */
  | { readonly event: 'routes'; readonly bytes: number }
  /** The same of endpoints. */
  | { readonly event: 'endpoints'; readonly bytes: number }
  | { readonly event: 'failed'; readonly reason: string }

interface Seen {
  readonly typeUrl: string
  readonly version: string
  readonly nonce: string
  readonly names: readonly string[]
}

const streamsPerConnection = 50
const { cluster, endpoint, listener, route } = typeUrls

class Clients {
  readonly #options: StartClients
  readonly #seen = new Map<string, Seen>()
  readonly #haveRoutes = new Set<number>()
  readonly #haveEndpoints = new Set<number>()
  #isReady = false
  #bytes = 0

  constructor(options: StartClients) {
    this.#options = options
    let session: ClientHttp2Session | undefined
    for (let at = 0; at < options.count; at += 1) {
      if (session === undefined || at % streamsPerConnection === 0) session = this.#connect()
      this.#open(session, options.firstId + at)
    }
  }

  #connect(): ClientHttp2Session {
    const settings = { initialWindowSize: 16 << 20, enablePush: false }
    const session = connect(`http://${this.#options.target}`, { settings, maxSessionMemory: 1_024 })
    session.on('connect', () => session.setLocalWindowSize(64 << 20))
    session.on('error', (error: Error) => say({ event: 'failed', reason: error.message }))
    return session
  }

  #open(session: ClientHttp2Session, id: number): void {
    const { variant, gzip } = this.#options
    const method = variant === 'sotw' ? 'StreamAggregatedResources' : 'DeltaAggregatedResources'
    const stream = session.request({
      ':method': 'POST',
      ':path': `/envoy.service.discovery.v3.AggregatedDiscoveryService/${method}`,
      'content-type': 'application/grpc',
      te: 'trailers',
      'grpc-accept-encoding': gzip ? 'identity,gzip' : 'identity',
    })
    const frames = new RawFrames()
    stream.on('data', (chunk: Buffer) => {
      this.#bytes += chunk.byteLength
      for (const frame of frames.read(chunk)) this.#take(stream, id, frame)
    })
    stream.on('error', (error: Error) => say({ event: 'failed', reason: error.message }))
    this.#subscribe(stream, { typeUrl: cluster, node: nodeOf(id) })
    this.#subscribe(stream, { typeUrl: listener })
    this.#subscribe(stream, { typeUrl: route, names: ['http_proxy'] })
  }

  #take(stream: ClientHttp2Stream, id: number, frame: Buffer): void {
    const seen = this.#decode(frame)
    this.#send(stream, {
      typeUrl: seen.typeUrl,
      responseNonce: seen.nonce,
      versionInfo: seen.version,
      resourceNames: seen.typeUrl === route ? ['http_proxy'] : [],
    })
    if (seen.typeUrl === cluster && !this.#isReady) {
      const names = seen.names.filter((name) => name.startsWith('outbound|'))
      this.#subscribe(stream, { typeUrl: endpoint, names })
    }
    if (seen.typeUrl === endpoint) this.#noteEndpoints(id)
    if (seen.typeUrl === route) this.#haveRoutes.add(id)
    if (this.#haveRoutes.size < this.#options.count) return
    this.#haveRoutes.clear()
    say(this.#isReady ? { event: 'routes', bytes: this.#bytes } : { event: 'ready' })
    this.#isReady = true
    this.#bytes = 0
  }

  #noteEndpoints(id: number): void {
    this.#haveEndpoints.add(id)
    if (this.#haveEndpoints.size < this.#options.count) return
    this.#haveEndpoints.clear()
    if (!this.#isReady) return
    say({ event: 'endpoints', bytes: this.#bytes })
    this.#bytes = 0
  }

  /** Keeps what a frame says by the frame's hash. */
  #decode(frame: Buffer): Seen {
    const key = createHash('sha1').update(frame).digest('latin1')
    let seen = this.#seen.get(key)
    if (seen === undefined) {
      const reader = new GrpcFrameReader({ messageBytesMax: 64 << 20 })
      const [message = Buffer.alloc(0)] = reader.read(frame, 'gzip')
      const decode = this.#options.variant === 'sotw' ? decodeSotwResponse : decodeDeltaResponse
      const { typeUrl, version, nonce, resources } = decode(message)
      seen = { typeUrl, version, nonce, names: resources.map(({ name }) => name) }
      if (this.#seen.size > 5_000) this.#seen.clear()
      this.#seen.set(key, seen)
    }
    return seen
  }

  #subscribe(
    stream: ClientHttp2Stream,
    request: { typeUrl: string; names?: readonly string[]; node?: ReturnType<typeof nodeOf> },
  ): void {
    const { typeUrl, names = [], node } = request
    const wanted = { resourceNames: names, resourceNamesSubscribe: names }
    this.#send(stream, { typeUrl, ...wanted, ...(node === undefined ? {} : { node }) })
  }

  #send(stream: ClientHttp2Stream, request: object): void {
    const bytes =
      this.#options.variant === 'sotw'
        ? DiscoveryRequest.encode(DiscoveryRequest.fromPartial(request)).finish()
        : DeltaDiscoveryRequest.encode(DeltaDiscoveryRequest.fromPartial(request)).finish()
    stream.write(new GrpcFrame(bytes).bytes(false))
  }
}

/** Cuts a stream into frames without looking into them. */
class RawFrames {
  #chunks: Buffer[] = []
  #bytes = 0

  read(chunk: Buffer): Buffer[] {
    this.#chunks.push(chunk)
    this.#bytes += chunk.byteLength
    const frames: Buffer[] = []
    for (;;) {
      const [first] = this.#chunks
      if (first === undefined || this.#bytes < 5) return frames
      if (first.byteLength < 5) this.#join()
      const head = this.#chunks[0] ?? first
      const length = 5 + head.readUInt32BE(1)
      if (this.#bytes < length) return frames
      this.#join()
      const all = this.#chunks[0] ?? first
      frames.push(all.subarray(0, length))
      this.#chunks = all.byteLength === length ? [] : [all.subarray(length)]
      this.#bytes -= length
    }
  }

  #join(): void {
    if (this.#chunks.length > 1) this.#chunks = [Buffer.concat(this.#chunks)]
  }
}

function nodeOf(id: number) {
  return {
    id: `sidecar~127.0.0.1~client-${id}.default~default.svc.cluster.local`,
    cluster: 'client.default',
    metadata: {
      NAMESPACE: 'default',
      WORKLOAD_NAME: 'client',
      LABELS: { app: 'client' },
      HTTP_PROXY_PORT: 15_001,
      // Inbound listeners and clusters of its own, as every sidecar of a service has.
      MESH_PORTS: [{ name: 'http', appPort: 8_000 + id, meshPort: 20_000 + id }],
    },
  }
}

function say(message: ClientsMessage): void {
  process.send?.(message)
}

process.once('message', (options: StartClients) => new Clients(options))
