/** Replies of our own in place of an upstream's: what fails, and what a route answers by itself. */
import { httpAsGrpcStatus, isGrpc } from './exchange-response.ts'
import { failureReplies, type Failure } from './failure.ts'
import type { LocalReply } from './filter/http-filter.ts'
import { HeaderList } from './http/header-list.ts'
import type { RequestHead, ResponseHead } from './http/message.ts'
import type { RequestRefusal } from './http/stream.ts'
import type { RedirectReply, RouteAction } from './route/route-table.ts'

export interface BuiltReply {
  /** Of the failure; a gRPC client sees 200. */
  readonly status: number
  readonly head: ResponseHead
  readonly body: Buffer
  readonly details: string
  readonly closesConnection: boolean
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
  const built = isGrpc(request) ? grpcReply(grpcStatus, text) : plainReply(status, text)
  if (failure === 'overflow') built.head.headers.append('x-envoy-overloaded', 'true')
  for (const [name, value] of reply.headers ?? []) built.head.headers.append(name, value)
  return {
    ...built,
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
    reply.details = row.details.replace('}', `|${failed.transportFailure}}`)
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
): PlainReply {
  if (action.kind === 'redirect') return redirectReply(action.redirect(request), request)
  const { status, body } = action
  return isGrpc(request) ? grpcReply(httpAsGrpcStatus(status), body) : plainReply(status, body)
}

/** Envoy makes gRPC replies of redirects too. */
export function redirectReply(redirect: RedirectReply, request: RequestHead): PlainReply {
  const { status } = redirect
  const reply = isGrpc(request) ? grpcReply(httpAsGrpcStatus(status), '') : plainReply(status, '')
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

function plainReply(status: number, body: string | Uint8Array): PlainReply {
  const headers = new HeaderList()
  const bytes = typeof body === 'string' ? Buffer.from(body) : Buffer.from(body)
  if (bytes.length !== 0) {
    headers.append('content-length', String(bytes.length))
    headers.append('content-type', 'text/plain')
  }
  return { head: { status, headers, bodyLength: bytes.length, protocol: 'HTTP/1.1' }, body: bytes }
}

/** gRPC clients read `grpc-status`; HTTP says 200 (grpc/grpc PROTOCOL-HTTP2, trailers-only). */
function grpcReply(status: number, text: string | Uint8Array): PlainReply {
  const message = typeof text === 'string' ? text : Buffer.from(text).toString()
  const headers = new HeaderList()
  headers.append('content-type', 'application/grpc')
  headers.append('grpc-status', String(status))
  if (message !== '') headers.append('grpc-message', encodeGrpcMessage(message))
  return {
    head: { status: 200, headers, bodyLength: 0, protocol: 'HTTP/1.1' },
    body: Buffer.alloc(0),
  }
}

/** Percent-encodes what is not printable ASCII. */
function encodeGrpcMessage(message: string): string {
  return message.replaceAll(/[^ -$&-~]/g, (char) =>
    Array.from(
      Buffer.from(char),
      (octet) => `%${octet.toString(16).toUpperCase().padStart(2, '0')}`,
    ).join(''),
  )
}
