/**
 * The other side of an ADS stream for tests: sends exactly the requests that a scene writes down and shows the
 * responses one by one. It acknowledges nothing by itself.
 */
import { systemClock } from '../../src/lib/clock.ts'
import { openGrpcStream, type GrpcClientTls } from '../../src/xds/grpc/grpc-client.ts'
import { GrpcFrame } from '../../src/xds/grpc/grpc-frame.ts'
import type { GrpcStatus } from '../../src/xds/grpc/grpc-status.ts'
import type { GrpcStream } from '../../src/xds/grpc/grpc-stream.ts'
import {
  DeltaDiscoveryRequest,
  DeltaDiscoveryResponse,
  DiscoveryRequest,
  DiscoveryResponse,
} from '../../src/xds/proto/generated/envoy/service/discovery/v3/discovery.ts'
import { typeUrls } from '../../src/xds/resource-set.ts'
import { contentOf } from './ads-source.ts'

type Partially<T> = { [K in keyof T]?: T[K] extends object | undefined ? unknown : T[K] }

/** A response in short: `{ a: 'content' }` and the names that are gone. */
export interface Seen {
  readonly type: string
  readonly version: string
  readonly nonce: string
  readonly resources: Readonly<Record<string, string>>
  /** Delta: version by name. */
  readonly versions: Readonly<Record<string, string>>
  readonly removed: readonly string[]
}

export class AdsPeer implements Disposable {
  readonly #variant: 'sotw' | 'delta'
  readonly #stream: GrpcStream
  readonly #seen: Seen[] = []
  readonly #waiting: ((seen: Seen) => void)[] = []
  readonly closed: Promise<GrpcStatus>

  constructor(address: string, variant: 'sotw' | 'delta', tls?: GrpcClientTls) {
    this.#variant = variant
    const { promise, resolve } = Promise.withResolvers<GrpcStatus>()
    this.closed = promise
    const method = variant === 'sotw' ? 'StreamAggregatedResources' : 'DeltaAggregatedResources'
    this.#stream = openGrpcStream({
      target: address,
      tls,
      path: `/envoy.service.discovery.v3.AggregatedDiscoveryService/${method}`,
      clock: systemClock,
      events: {
        onMessage: (bytes) => this.#arrive(bytes),
        onDrain: () => {},
        onClose: resolve,
      },
    })
  }

  /** Field names as in the generated types. */
  send(request: Partially<DiscoveryRequest> | Partially<DeltaDiscoveryRequest>): void {
    const message = request as never
    const bytes =
      this.#variant === 'sotw'
        ? DiscoveryRequest.encode(DiscoveryRequest.fromPartial(message)).finish()
        : DeltaDiscoveryRequest.encode(DeltaDiscoveryRequest.fromPartial(message)).finish()
    this.#stream.send(new GrpcFrame(bytes))
  }

  sendBytes(bytes: Uint8Array): void {
    this.#stream.send(new GrpcFrame(bytes))
  }

  ack(seen: Seen, names: readonly string[] = []): void {
    const typeUrl = typeUrlOf(seen.type)
    if (this.#variant === 'sotw') {
      const { version: versionInfo, nonce: responseNonce } = seen
      this.send({ typeUrl, versionInfo, responseNonce, resourceNames: names })
    } else {
      this.send({ typeUrl, responseNonce: seen.nonce })
    }
  }

  /** The next response, whenever it comes. */
  next(): Promise<Seen> {
    const seen = this.#seen.shift()
    if (seen !== undefined) return Promise.resolve(seen)
    const late = Promise.withResolvers<Seen>()
    const timer = setTimeout(() => late.reject(new Error('no response within 3 s')), 3_000)
    this.#waiting.push((arrived) => {
      clearTimeout(timer)
      late.resolve(arrived)
    })
    return late.promise
  }

  pause(): void {
    this.#stream.pause()
  }

  resume(): void {
    this.#stream.resume()
  }

  close(): void {
    this.#stream.end({ code: 1, message: 'closed by the test' })
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #arrive(bytes: Uint8Array): void {
    const seen = this.#variant === 'sotw' ? seeSotw(bytes) : seeDelta(bytes)
    const waiting = this.#waiting.shift()
    if (waiting === undefined) this.#seen.push(seen)
    else waiting(seen)
  }
}

function seeSotw(bytes: Uint8Array): Seen {
  const response = DiscoveryResponse.decode(bytes)
  return {
    type: kindOf(response.typeUrl),
    version: response.versionInfo,
    nonce: response.nonce,
    resources: Object.fromEntries(
      response.resources.map(({ value }) => [nameOf(value), contentOf(value)]),
    ),
    versions: {},
    removed: [],
  }
}

function seeDelta(bytes: Uint8Array): Seen {
  const response = DeltaDiscoveryResponse.decode(bytes)
  return {
    type: kindOf(response.typeUrl),
    version: response.systemVersionInfo,
    nonce: response.nonce,
    resources: Object.fromEntries(
      response.resources.map(({ name, resource }) => [
        name,
        contentOf(resource?.value ?? new Uint8Array()),
      ]),
    ),
    versions: Object.fromEntries(response.resources.map(({ name, version }) => [name, version])),
    removed: response.removedResources,
  }
}

function nameOf(value: Uint8Array): string {
  const bytes = Buffer.from(value)
  return bytes.subarray(2, 2 + (bytes[1] ?? 0)).toString()
}

function kindOf(typeUrl: string): string {
  const found = Object.entries(typeUrls).find(([, url]) => url === typeUrl)
  return found?.[0] ?? typeUrl
}

function typeUrlOf(kind: string): string {
  return typeUrls[kind as keyof typeof typeUrls] ?? kind
}
