/**
 * A health check by gRPC's own protocol (`grpc.health.v1.Health/Check`): one message, which must say SERVING. Envoy's
 * GrpcHealthCheckerImpl.
 */
import { HeaderList } from '../http/header-list.ts'
import type { RequestHead, ResponseHead } from '../http/message.ts'
import type { UpstreamStream } from '../http/stream.ts'
import { encodeHealthRequest, readHealthStatus } from './grpc-health-message.ts'
import type { GrpcProbeSettings } from './health-settings.ts'
import { HttpLink, type LinkEvents, type LinkOwner } from './http-link.ts'
import { userAgent } from './http-probe.ts'
import {
  type Probe,
  type ProbeOutcome,
  type ProbeScope,
  type ProbeTarget,
  authorityOf,
  checkSource,
} from './probe.ts'

const network: ProbeOutcome = { kind: 'network' }
const failed: ProbeOutcome = { kind: 'fail', isRetriable: false, isExcluding: false, status: 0 }
const serving = 1
/** One message of a few bytes is expected. */
const answerBytesMax = 4_096

export class GrpcProbe implements Probe, LinkEvents, LinkOwner {
  readonly #settings: GrpcProbeSettings
  readonly #target: ProbeTarget
  readonly #scope: ProbeScope
  #link: HttpLink | undefined
  #stream: UpstreamStream | undefined
  #done: ((outcome: ProbeOutcome) => void) | undefined
  #body: Buffer = Buffer.alloc(0)
  #headStatus: string | undefined
  #isLast = false

  constructor(settings: GrpcProbeSettings, target: ProbeTarget, scope: ProbeScope) {
    this.#settings = settings
    this.#target = target
    this.#scope = scope
  }

  check(done: (outcome: ProbeOutcome) => void): void {
    this.#done = done
    this.#body = Buffer.alloc(0)
    this.#headStatus = undefined
    if (this.#link === undefined) {
      const options = { target: this.#target, scope: this.#scope, version: 'http2' } as const
      this.#link = new HttpLink(options, this)
      this.#isLast = !this.#target.reusesConnection
    }
    this.#link.request(this)
  }

  /** The connection may stay: the stream alone was too slow. */
  giveUp(): void {
    const stream = this.#stream
    this.#done = undefined
    this.#stream = undefined
    if (stream === undefined || this.#isLast) this.close()
    else stream.reset()
  }

  close(): void {
    this.#link?.close()
    this.#link = undefined
    this.#stream = undefined
  }

  // The connection's side.

  onStream(stream: UpstreamStream): void {
    this.#stream = stream
    stream.sendHead(this.#requestHead(), false)
    stream.sendData(encodeHealthRequest(this.#settings.service))
    stream.sendEnd(undefined)
  }

  onNoStream(): void {
    this.#finish(network)
  }

  onInformational(): void {}

  onResponseHead(head: ResponseHead, isEnd: boolean): void {
    const contentType = head.headers.get('content-type') ?? ''
    if (isEnd) this.#headStatus = head.headers.get('grpc-status')
    const isGrpc = contentType === 'application/grpc' || contentType.startsWith('application/grpc+')
    if (head.status === 200 && isGrpc) return
    // What an end says of itself goes before what its status means; neither is a pass, unless it is OK without a message.
    if (!isEnd) this.#cut(failed)
  }

  onResponseData(chunk: Uint8Array): void {
    this.#body = Buffer.concat([this.#body, chunk])
    if (this.#body.length > answerBytesMax || readHealthStatus(this.#body) === 'broken') {
      this.#cut(failed)
    }
  }

  onResponseEnd(trailers: HeaderList | undefined): void {
    this.#stream = undefined
    const status = trailers?.get('grpc-status') ?? this.#headStatus
    const isServing = status === '0' && readHealthStatus(this.#body) === serving
    this.#finish(isServing ? { kind: 'pass', isDegraded: false } : failed)
    if (this.#isLast) this.close()
  }

  onUpstreamDrain(): void {}

  onUpstreamReset(): void {
    this.#stream = undefined
    if (this.#isLast) this.close()
    this.#finish(network)
  }

  onLinkGone(link: HttpLink): void {
    if (this.#link === link) this.#link = undefined
  }

  onLinkGoaway(link: HttpLink, isError: boolean): void {
    if (this.#link !== link) return
    if (this.#stream !== undefined && !isError) {
      this.#isLast = true
      return
    }
    this.close()
    this.#finish(network)
  }

  #requestHead(): RequestHead {
    const headers = new HeaderList()
    headers.append('te', 'trailers')
    headers.append('content-type', 'application/grpc')
    headers.append('user-agent', userAgent)
    const isSecure = this.#target.transport('http2') !== undefined
    const head: RequestHead = {
      method: 'POST',
      path: '/grpc.health.v1.Health/Check',
      authority: authorityOf(this.#settings.host, this.#target),
      scheme: isSecure ? 'https' : 'http',
      protocol: 'HTTP/2',
      headers,
      bodyLength: 'until-end',
      upgrade: undefined,
      wantsClose: false,
    }
    const source = checkSource(head, this.#target, this.#scope.clock)
    this.#settings.editHeaders?.(headers, head, source)
    headers.set('grpc-timeout', `${Math.trunc(this.#target.timeoutMs)}m`)
    return head
  }

  /** The answer is wrong before its end. */
  #cut(outcome: ProbeOutcome): void {
    const stream = this.#stream
    this.#stream = undefined
    this.#finish(outcome)
    if (this.#isLast) this.close()
    else stream?.reset()
  }

  #finish(outcome: ProbeOutcome): void {
    const done = this.#done
    this.#done = undefined
    done?.(outcome)
  }
}
