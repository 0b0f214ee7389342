/**
 * One attempt of an exchange at one host: takes its place in the breaker, gets a stream from the pool, and
 * accounts for what came of it (cluster, host, outlier detection). What to do about it is the exchange's business.
 */
import type { ConnectionSecurity } from './connection-security.ts'
import { grpcAsHttpStatus, isGrpc } from './exchange-response.ts'
import type { Failure } from './failure.ts'
import type { HeaderList } from './http/header-list.ts'
import type { HttpProtocol, RequestHead, ResponseHead } from './http/message.ts'
import type { UpstreamReset, UpstreamStream } from './http/stream.ts'
import type { HostOutcome } from './resilience/outlier-detector.ts'
import { grpcStatusOf } from './telemetry/grpc-status.ts'
import type { Cluster } from './upstream/cluster.ts'
import type { PoolFailure, StreamWaiter } from './upstream/host-pool.ts'
import type { Host } from './upstream/host.ts'
import type { ProxyAddresses } from './wire/proxy-protocol.ts'

/** The exchange, as its current attempt sees it. */
export interface AttemptOwner {
  onAttemptReady(attempt: Attempt): void
  onAttemptInformational(head: ResponseHead): void
  onAttemptHead(attempt: Attempt, head: ResponseHead, isEnd: boolean): void
  onAttemptData(chunk: Uint8Array): void
  onAttemptEnd(trailers: HeaderList | undefined): void
  onAttemptDrain(): void
  onAttemptFailure(attempt: Attempt, failure: Failure, reset: AttemptReset): void
}

export interface AttemptReset {
  readonly message: string
  readonly requestSent: boolean
}

/** Where streams come from: a pool, or a connector for tunnels. */
export interface StreamSource {
  request(cluster: Cluster, host: Host, waiter: StreamWaiter): void
  cancel(host: Host, waiter: StreamWaiter): void
}

const connected: HostOutcome = { kind: 'connected' }

export class Attempt implements StreamWaiter {
  readonly #owner: AttemptOwner
  readonly #source: StreamSource
  readonly cluster: Cluster
  readonly host: Host
  readonly #request: RequestHead
  readonly downstream: ProxyAddresses
  #stream: UpstreamStream | undefined
  #isOver = false
  #isCounted = false
  #isRequestSent = false
  hasResponse = false
  /** Bytes in both directions: the end of one does not end the attempt. */
  isTunnel = false

  constructor(
    owner: AttemptOwner,
    target: {
      readonly cluster: Cluster
      readonly host: Host
      readonly source: StreamSource
      readonly request: RequestHead
    },
    downstream: ProxyAddresses,
  ) {
    this.#owner = owner
    this.#source = target.source
    this.cluster = target.cluster
    this.host = target.host
    this.#request = target.request
    this.downstream = downstream
  }

  get authority(): string {
    return this.#request.authority
  }

  /** What the client speaks, for clusters that speak the same. */
  get protocol(): HttpProtocol {
    return this.#request.protocol
  }

  /** Whether the request can be written. */
  get isReady(): boolean {
    return this.#stream !== undefined && !this.#isOver
  }

  get localAddress(): string | undefined {
    return this.#stream?.localAddress
  }

  get remoteAddress(): string | undefined {
    return this.#stream?.remoteAddress
  }

  get upstreamProtocol(): HttpProtocol | undefined {
    return this.#stream?.protocol
  }

  get wireBytesReceived(): number {
    return this.#stream?.wireBytesReceived ?? 0
  }

  get wireBytesSent(): number {
    return this.#stream?.wireBytesSent ?? 0
  }

  get security(): ConnectionSecurity | undefined {
    return this.#stream?.security
  }

  start(): void {
    const { cluster, host } = this
    if (!cluster.breaker.tryAcquire('requests')) {
      this.onNoStream({ failure: 'overflow', message: 'too many active requests' })
      return
    }
    this.#isCounted = true
    this.#source.request(cluster, host, this)
  }

  sendHead(head: RequestHead, isEnd: boolean): void {
    this.#isRequestSent = isEnd
    this.#stream?.sendHead(head, isEnd)
  }

  sendData(chunk: Uint8Array): boolean {
    return this.#stream?.sendData(chunk) ?? true
  }

  sendEnd(trailers: HeaderList | undefined): void {
    this.#isRequestSent = true
    this.#stream?.sendEnd(trailers)
  }

  pauseResponse(): void {
    this.#stream?.pauseResponse()
  }

  resumeResponse(): void {
    this.#stream?.resumeResponse()
  }

  /** Gives up: the client left, time is over, or another reply was given. */
  abort(reason: 'timeout' | 'reset'): void {
    if (this.#isOver) return
    const stream = this.#stream
    if (stream === undefined) {
      this.cluster.stats.rqCancelled.add(1)
      this.#source.cancel(this.host, this)
    }
    if (reason === 'timeout') {
      this.host.stats.rqTimeout.add(1)
      this.host.stats.rqError.add(1)
      this.cluster.outlierDetector?.report(this.host, { kind: 'local-failure', reason: 'timeout' })
    }
    this.#countGivenUp()
    this.#finish()
    stream?.reset()
  }

  /** A tunnel whose two directions have ended: nothing is cut. */
  complete(): void {
    if (!this.#isOver) this.#finish()
  }

  /** The response came and another attempt will be made: keeps the connection where it can. */
  discard(): void {
    if (this.#isOver) return
    const stream = this.#stream
    this.#finish()
    stream?.discard()
  }

  // The pool's side.

  onStream(stream: UpstreamStream): void {
    this.#stream = stream
    const { cluster, host } = this
    cluster.stats.rqTotal.add(1)
    cluster.stats.rqActive.add(1)
    host.stats.rqTotal.add(1)
    host.stats.rqActive.add(1)
    // For each stream, not for each connection (Envoy `onPoolReady`): a good answer of the host's end of the network.
    cluster.outlierDetector?.report(host, connected)
    this.#owner.onAttemptReady(this)
  }

  onNoStream(result: PoolFailure): void {
    if (this.#isOver) return
    if (result.failure !== 'overflow') {
      this.host.stats.rqError.add(1)
      this.#reportLocal('connect-failure')
    }
    this.#finish()
    this.#owner.onAttemptFailure(this, result.failure, {
      message: result.message,
      requestSent: false,
    })
  }

  // The stream's side.

  onInformational(head: ResponseHead): void {
    if (!this.#isOver) this.#owner.onAttemptInformational(head)
  }

  onResponseHead(head: ResponseHead, isEnd: boolean): void {
    if (this.#isOver) return
    this.hasResponse = true
    this.#countResponse(head)
    this.#owner.onAttemptHead(this, head, isEnd)
  }

  onResponseData(chunk: Uint8Array): void {
    if (!this.#isOver) this.#owner.onAttemptData(chunk)
  }

  onResponseEnd(trailers: HeaderList | undefined): void {
    if (this.#isOver) return
    // The codec gives up the rest of a request that is answered.
    if (!this.#isRequestSent && !this.isTunnel) this.#countGivenUp()
    if (!this.isTunnel) this.#finish()
    this.#owner.onAttemptEnd(trailers)
  }

  onUpstreamDrain(): void {
    if (!this.#isOver) this.#owner.onAttemptDrain()
  }

  onUpstreamReset(reset: UpstreamReset): void {
    if (this.#isOver) return
    this.#countReset(reset.failure)
    this.host.stats.rqError.add(1)
    if (!this.hasResponse) this.#reportLocal('reset')
    this.#finish()
    this.#owner.onAttemptFailure(this, reset.failure, reset)
  }

  #countGivenUp(): void {
    if (this.#stream?.protocol === 'HTTP/2') this.cluster.stats.rqTxReset.add(1)
  }

  /** Of HTTP/1 there is no reset but the end of its connection. As in Envoy a stream that was refused is none. */
  #countReset(failure: Failure): void {
    if (this.#stream?.protocol !== 'HTTP/2') return
    const { stats } = this.cluster
    if (failure === 'upstream-reset') stats.rqRxReset.add(1)
    else if (failure === 'upstream-protocol-error') stats.rqTxReset.add(1)
    else if (failure === 'upstream-termination') stats.rqPendingFailureEject.add(1)
  }

  #countResponse(head: ResponseHead): void {
    const { cluster, host } = this
    const { status } = head
    if (status >= 500) host.stats.rqError.add(1)
    else host.stats.rqSuccess.add(1)
    if (host.active !== undefined && head.headers.has('x-envoy-immediate-health-check-fail')) {
      cluster.failHost?.(host)
    }
    const detector = cluster.outlierDetector
    if (detector === undefined) return
    detector.report(host, { kind: 'response', status: this.#statusMeant(head) })
  }

  /** A response that says no more than its gRPC status counts as what that means; only gRPC requests are told so. */
  #statusMeant(head: ResponseHead): number {
    const { status, headers } = head
    const grpcStatus = grpcStatusOf(headers)
    if (grpcStatus !== undefined && isGrpc(this.#request)) return grpcAsHttpStatus(grpcStatus)
    const { isError } = this.cluster
    if (isError === undefined) return status
    if (!isError(headers, status)) return 200
    return status >= 500 ? status : 500
  }

  #reportLocal(reason: 'connect-failure' | 'reset'): void {
    this.cluster.outlierDetector?.report(this.host, { kind: 'local-failure', reason })
  }

  #finish(): void {
    this.#isOver = true
    if (!this.#isCounted) return
    this.#isCounted = false
    this.cluster.breaker.release('requests')
    if (this.#stream === undefined) return
    this.cluster.stats.rqActive.add(-1)
    this.host.stats.rqActive.add(-1)
  }
}
