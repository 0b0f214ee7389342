/**
 * A health check by HTTP (Envoy's HttpHealthCheckerImpl): the status must be an expected one, the body must hold what is
 * looked for, and the far side may have to say which cluster it is.
 */
import { HeaderList } from '../http/header-list.ts'
import type { RequestHead, ResponseHead } from '../http/message.ts'
import type { UpstreamStream } from '../http/stream.ts'
import type { HttpProbeSettings, StatusRange } from './health-settings.ts'
import { HttpLink, type LinkEvents, type LinkOwner } from './http-link.ts'
import { matchesPayload } from './payload-match.ts'
import {
  type Probe,
  type ProbeOutcome,
  type ProbeScope,
  type ProbeTarget,
  authorityOf,
  checkSource,
} from './probe.ts'

const network: ProbeOutcome = { kind: 'network' }
export const userAgent = 'Envoy/HC'

export class HttpProbe implements Probe, LinkEvents, LinkOwner {
  readonly #settings: HttpProbeSettings
  readonly #target: ProbeTarget
  readonly #scope: ProbeScope
  #link: HttpLink | undefined
  #done: ((outcome: ProbeOutcome) => void) | undefined
  #head: ResponseHead | undefined
  #body: Buffer[] = []
  #bodyBytes = 0
  /** The connection is not for another check. */
  #isLast = false

  constructor(settings: HttpProbeSettings, target: ProbeTarget, scope: ProbeScope) {
    this.#settings = settings
    this.#target = target
    this.#scope = scope
  }

  check(done: (outcome: ProbeOutcome) => void): void {
    this.#done = done
    this.#head = undefined
    this.#body = []
    this.#bodyBytes = 0
    if (this.#link === undefined) {
      const { version } = this.#settings
      this.#link = new HttpLink({ target: this.#target, scope: this.#scope, version }, this)
      this.#isLast = !this.#target.reusesConnection
    }
    this.#link.request(this)
  }

  giveUp(): void {
    this.#done = undefined
    this.close()
  }

  close(): void {
    this.#link?.close()
    this.#link = undefined
  }

  // The connection's side.

  onStream(stream: UpstreamStream): void {
    const { send } = this.#settings
    stream.sendHead(this.#requestHead(), send === undefined)
    if (send === undefined) return
    stream.sendData(send)
    stream.sendEnd(undefined)
  }

  onNoStream(): void {
    this.#finish(network)
  }

  onInformational(): void {}

  onResponseHead(head: ResponseHead): void {
    this.#head = head
  }

  onResponseData(chunk: Uint8Array): void {
    const { receive, responseBytesMax } = this.#settings
    if (receive.length === 0) return
    const room = responseBytesMax === 0 ? chunk.length : responseBytesMax - this.#bodyBytes
    if (room <= 0) return
    // A chunk is valid during this call only.
    const kept = Buffer.from(chunk.subarray(0, room))
    this.#body.push(kept)
    this.#bodyBytes += kept.length
  }

  onResponseEnd(): void {
    const head = this.#head
    if (head === undefined) return
    this.#finish(this.#judge(head))
    if (this.#isLast) this.close()
  }

  onUpstreamDrain(): void {}

  onUpstreamReset(): void {
    if (this.#isLast) this.close()
    this.#finish(network)
  }

  onLinkGone(link: HttpLink): void {
    if (this.#link === link) this.#link = undefined
  }

  /** In good order: the check that is under way may end, and the next one connects anew. */
  onLinkGoaway(link: HttpLink, isError: boolean): void {
    if (this.#link !== link) return
    if (this.#done !== undefined && !isError) {
      this.#isLast = true
      return
    }
    this.close()
    this.#finish(network)
  }

  #requestHead(): RequestHead {
    const { method, path, host, send, editHeaders } = this.#settings
    const headers = new HeaderList()
    headers.append('user-agent', userAgent)
    const isSecure = this.#target.transport(this.#settings.version) !== undefined
    const head: RequestHead = {
      method,
      path,
      authority: authorityOf(host, this.#target),
      scheme: isSecure ? 'https' : 'http',
      protocol: this.#settings.version === 'http1' ? 'HTTP/1.1' : 'HTTP/2',
      headers,
      bodyLength: send?.length ?? 0,
      upgrade: undefined,
      wantsClose: false,
    }
    editHeaders?.(headers, head, checkSource(head, this.#target, this.#scope.clock))
    if (send !== undefined) headers.set('content-length', String(send.length))
    return head
  }

  #judge(head: ResponseHead): ProbeOutcome {
    const { receive, expected, retriable, matchesService } = this.#settings
    const { status } = head
    const isExcluding = head.headers.has('x-envoy-immediate-health-check-fail')
    if (!matchesPayload(receive, Buffer.concat(this.#body))) {
      return { kind: 'fail', isRetriable: false, isExcluding, status }
    }
    if (!isIn(expected, status)) {
      return { kind: 'fail', isRetriable: isIn(retriable, status), isExcluding, status }
    }
    if (matchesService !== undefined) {
      this.#target.onVerify()
      const name = head.headers.get('x-envoy-upstream-healthchecked-cluster') ?? ''
      if (!matchesService(name))
        return { kind: 'fail', isRetriable: false, isExcluding: false, status }
    }
    return { kind: 'pass', isDegraded: head.headers.has('x-envoy-degraded') }
  }

  #finish(outcome: ProbeOutcome): void {
    const done = this.#done
    this.#done = undefined
    done?.(outcome)
  }
}

function isIn(ranges: readonly StatusRange[], status: number): boolean {
  return ranges.some(({ start, end }) => status >= start && status < end)
}
