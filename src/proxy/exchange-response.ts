/** What the client gets: headers that a proxy adds to the upstream's response, and the replies that we make. */
import type { ExchangeScope } from './exchange-scope.ts'
import { failureReplies, type Failure } from './failure.ts'
import type { LocalReply } from './filter/http-filter.ts'
import { HeaderList } from './http/header-list.ts'
import type { RequestHead, ResponseHead } from './http/message.ts'
import type { RequestRefusal } from './http/stream.ts'
import type { RedirectReply, RouteAction } from './route/route-table.ts'

/** Changes the upstream's head in place. */
export function shapeResponse(
  head: ResponseHead,
  scope: ExchangeScope,
  serviceTimeMs: number | undefined,
): void {
  const { manager } = scope
  const { headers } = head
  if (serviceTimeMs !== undefined && manager.suppressEnvoyHeaders !== true) {
    headers.set('x-envoy-upstream-service-time', String(Math.floor(serviceTimeMs)))
  }
  if (!headers.has('date')) headers.append('date', scope.dates.text())
  setServer(headers, scope)
  if (manager.via !== undefined) headers.append('via', manager.via)
}

function setServer(headers: HeaderList, scope: ExchangeScope): void {
  const { serverHeader, serverName } = scope.manager
  if (serverHeader === 'overwrite') headers.set('server', serverName)
  else if (serverHeader === 'append-if-absent' && !headers.has('server')) {
    headers.append('server', serverName)
  }
}

export interface BuiltReply {
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
  const built = isGrpc(request)
    ? grpcReply(row.grpcStatus, text)
    : plainReply(reply.status ?? row.status, text)
  if (failure === 'overflow') built.head.headers.append('x-envoy-overloaded', 'true')
  for (const [name, value] of reply.headers ?? []) built.head.headers.append(name, value)
  return {
    ...built,
    details: reply.details ?? row.details,
    closesConnection: row.connection === 'close',
  }
}

/** What the table's row cannot say: which rule was broken, and 414 for a target (RFC 9110 §15.5.15). */
export function refusalReply(refusal: RequestRefusal): Partial<LocalReply> {
  if (refusal.reason === 'target-too-large') return { status: 414 }
  return refusal.failure === 'bad-request' ? { details: `http1.codec_error:${refusal.reason}` } : {}
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
  return action.kind === 'direct'
    ? plainReply(action.status, action.body)
    : redirectReply(action.redirect(request))
}

export function redirectReply(redirect: RedirectReply): PlainReply {
  const reply = plainReply(redirect.status, '')
  reply.head.headers.append('location', redirect.location)
  return reply
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
function grpcReply(status: number, message: string): PlainReply {
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

export function isGrpc(request: RequestHead): boolean {
  const type = request.headers.get('content-type')
  if (type === undefined || !type.startsWith('application/grpc')) return false
  return type.length === 16 || type.charCodeAt(16) === 0x2b || type.charCodeAt(16) === 0x3b
}

/** `grpc-status` among header fields, or undefined. */
export function grpcStatusOf(headers: HeaderList | undefined): number | undefined {
  const text = headers?.get('grpc-status')
  return text !== undefined && /^\d{1,2}$/.test(text) ? Number(text) : undefined
}

/** HTTP status that a gRPC status counts as, for outlier detection (Envoy `grpcToHttpStatus`). */
export function grpcAsHttpStatus(grpcStatus: number): number {
  return grpcHttpStatuses[grpcStatus] ?? 500
}

const grpcHttpStatuses: readonly number[] = [
  200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401,
]
