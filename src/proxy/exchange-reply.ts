/** Replies of our own in place of an upstream's: what fails, and what a route answers by itself. */
import { isGrpc } from './exchange-response.ts'
import { failureReplies, type Failure } from './failure.ts'
import type { LocalReply } from './filter/http-filter.ts'
import { encodeGrpcMessage } from './http/grpc-message.ts'
import { HeaderList } from './http/header-list.ts'
import type { RequestHead, ResponseHead } from './http/message.ts'
import type { RequestRefusal } from './http/stream.ts'
import type { OpenReply } from './open-reply.ts'
import type { RedirectReply, RouteAction } from './route/route-table.ts'
import { httpAsGrpcStatus } from './telemetry/grpc-status.ts'

export interface BuiltReply extends OpenReply {
  readonly status: number
  readonly details: string
  readonly closesConnection: boolean
}

/** Where what is invalid was framed all the same, a listener may let its connection go on. */
export function endsConnection(
  built: BuiltReply,
  failure: Failure,
  scope: { readonly manager: { readonly keepsAfterInvalid?: boolean } },
): boolean {
  const isFramed = failure === 'missing-host' || failure === 'bad-path'
  return built.closesConnection && !(isFramed && scope.manager.keepsAfterInvalid === true)
}

/** The response of a failure, by the table; a reply's own words win over it. */
export function buildFailureReply(
  failure: Failure,
  reply: Partial<LocalReply>,
  request: RequestHead,
): BuiltReply {
  const row = failureReplies[failure]
  const text = reply.body ?? row.body
  const status = reply.status ?? row.status
  const isMapped = row.grpcStatus === httpAsGrpcStatus(row.status)
  const grpcStatus = reply.grpcStatus ?? (isMapped ? httpAsGrpcStatus(status) : row.grpcStatus)
  const built = openReply(status, text, asksInGrpc(request) ? grpcStatus : undefined)
  if (failure === 'overflow') built.head.headers.append('x-envoy-overloaded', 'true')
  for (const [name, value] of reply.headers ?? []) built.head.headers.append(name, value)
  return {
    ...built,
    hasOwnGrpcStatus: reply.grpcStatus !== undefined || !isMapped,
    status,
    details: reply.details ?? row.details,
    closesConnection: row.connection === 'close',
  }
}

/** What is known of the attempt that failed last. */
export interface FailedAttempts {
  /** 1: it was not tried again. */
  readonly attempts: number
  /** Why no connection stood. */
  readonly transportFailure: string | undefined
}

/** Envoy names the reason of the last reset in the body, and what the transport said in the details. */
export function upstreamReply(failure: Failure, failed: FailedAttempts): Partial<LocalReply> {
  const row = failureReplies[failure]
  if (!row.details.startsWith(beforeResponse)) return {}
  const reply = { details: row.details, body: row.body }
  if (failure === 'connect-failure' && failed.transportFailure !== undefined) {
    reply.details = row.details.replace('}', `|${failed.transportFailure.replaceAll(' ', '_')}}`)
  }
  if (failed.attempts > 1) {
    reply.body = row.body.replace('reset reason', 'retried and the latest reset reason')
  }
  return reply
}

/** The details of a response that was broken off. */
export function brokenOffDetails(failure: Failure, reply: Partial<LocalReply>): string {
  const details = reply.details ?? failureReplies[failure].details
  return details.replace(beforeResponse, afterResponse)
}

const beforeResponse = 'upstream_reset_before_response_started'
const afterResponse = 'upstream_reset_after_response_started'

/** The client's connection ended. */
export const gone: RequestRefusal = { reason: 'closed', failure: 'downstream-disconnect' }

/** What the table's row cannot say: which rule was broken, and what did not come in time. */
export function refusalReply(refusal: RequestRefusal): Partial<LocalReply> {
  if (refusal.reason === 'header-timeout') {
    return { details: 'request_header_timeout', body: 'request header timeout' }
  }
  if (refusal.failure === 'messaging-error') return messagingReply(refusal.reason)
  return refusal.failure === 'bad-request' ? { details: `http1.codec_error:${refusal.reason}` } : {}
}

/** Envoy's details of HTTP/2 messages that it resets. */
function messagingReply(reason: string): Partial<LocalReply> {
  const details = messagingDetails[reason]
  return details === undefined ? {} : { details }
}

const messagingDetails: Readonly<Record<string, string>> = {
  'too-many-headers': 'http2.too_many_headers',
  'header-name': 'http2.invalid.header.field',
  'header-value': 'http2.invalid.header.field',
  'connection-header': 'http2.invalid.header.field',
  'pseudo-in-trailers': 'http2.invalid.header.field',
  // Envoy's name for what its codec resets by itself.
  'body-length': 'http2.remote_reset',
  underscore: 'http2.unexpected_underscore',
}

export interface PlainReply {
  readonly head: ResponseHead
  readonly body: Buffer
}

/** What a route answers by itself. */
export function directReply(
  action: Extract<RouteAction, { kind: 'redirect' | 'direct' }>,
  request: RequestHead,
): OpenReply {
  if (action.kind === 'redirect') return redirectReply(action.redirect(request), request)
  const { status, body } = action
  const reply = openReply(status, body, asksInGrpc(request) ? httpAsGrpcStatus(status) : undefined)
  // As Envoy: a status that has a Location names the request's own address.
  if (status === 201 || (status >= 300 && status < 400)) {
    const { scheme, authority, path } = request
    reply.head.headers.append('location', `${scheme}://${authority}${path}`)
  }
  return reply
}

/** What became gRPC on its way is answered as what it was. */
function asksInGrpc(request: RequestHead): boolean {
  return isGrpc(request) && request.translatedFrom === undefined
}

/** Envoy makes gRPC replies of redirects too. */
export function redirectReply(redirect: RedirectReply, request: RequestHead): OpenReply {
  const { status } = redirect
  const reply = openReply(status, '', asksInGrpc(request) ? httpAsGrpcStatus(status) : undefined)
  reply.head.headers.append('location', redirect.location)
  return reply
}

/** As Envoy: of an answer to a websocket that switches nothing, status and headers pass on, and no body. */
export function refusedHandshake(head: ResponseHead): PlainReply {
  const { status, headers } = head
  headers.remove('content-length')
  headers.remove('content-type')
  return { head: { status, headers, bodyLength: 0, protocol: 'HTTP/1.1' }, body: Buffer.alloc(0) }
}

/** 100, of our own. */
export function continueHead(): ResponseHead {
  return { status: 100, headers: new HeaderList(), bodyLength: 0, protocol: 'HTTP/1.1' }
}

function openReply(
  status: number,
  text: string | Uint8Array,
  grpcStatus: number | undefined,
): OpenReply {
  const headers = new HeaderList()
  return {
    head: { status, headers, bodyLength: 0, protocol: 'HTTP/1.1' },
    text,
    contentType: 'text/plain',
    isRetyped: false,
    grpcStatus,
    hasOwnGrpcStatus: false,
  }
}

/** What comes behind all edits, as in Envoy: they can change what a body is, and not that it is told of. */
export function sealReply(reply: OpenReply, { method }: RequestHead): PlainReply {
  const { head, text, grpcStatus } = reply
  if (grpcStatus === undefined) return sealPlain(reply)
  const message = bytesOf(text).toString()
  const { headers } = head
  // gRPC clients read `grpc-status`; HTTP says 200 (grpc/grpc PROTOCOL-HTTP2, trailers-only).
  head.status = 200
  headers.remove('content-length')
  headers.set('content-type', 'application/grpc')
  if (!headers.has('grpc-status')) headers.append('grpc-status', String(grpcStatus))
  if (message !== '' && method !== 'HEAD') {
    headers.set('grpc-message', encodeGrpcMessage(Buffer.from(message)))
  }
  return { head, body: noBody }
}

function bytesOf(text: string | Uint8Array): Buffer {
  return typeof text === 'string' ? Buffer.from(text) : Buffer.from(text)
}

const noBody = Buffer.alloc(0)

function sealPlain({ head, text, contentType, isRetyped }: OpenReply): PlainReply {
  // A response to HEAD tells of it, and 304 has none (RFC 9110 §15.4.5), whatever a route says.
  const body = head.status === 304 ? noBody : bytesOf(text)
  const { headers } = head
  head.bodyLength = body.length
  if (body.length === 0) {
    headers.remove('content-length')
    headers.remove('content-type')
  } else {
    headers.set('content-length', String(body.length))
    if (isRetyped || !headers.has('content-type')) headers.set('content-type', contentType)
  }
  return { head, body }
}
