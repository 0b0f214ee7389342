/** What the client gets: headers that a proxy adds to every response, and what gRPC says in headers. */
import type { ExchangeScope } from './exchange-scope.ts'
import type { HeaderList } from './http/header-list.ts'
import type { RequestHead, ResponseHead } from './http/message.ts'

/** What the connection manager adds, after route and filters have had their say. Changes the head in place. */
export function shapeResponse(
  head: ResponseHead,
  request: RequestHead,
  scope: ExchangeScope,
): void {
  const { manager } = scope
  const { headers } = head
  if (!headers.has('date')) headers.append('date', scope.dates.text())
  setServer(headers, scope)
  if (manager.via !== undefined) addVia(headers, manager.via)
  if (manager.tellsRequestId === true) tellRequestId(headers, request)
}

/** As Envoy: one list of all that a message came by. */
export function addVia(headers: HeaderList, own: string): void {
  const before = headers.getAll('via')
  headers.set('via', before === undefined ? own : `${before}, ${own}`)
}

function tellRequestId(headers: HeaderList, request: RequestHead): void {
  const id = request.headers.get('x-request-id')
  if (id !== undefined) headers.set('x-request-id', id)
}

/** Milliseconds from the end of the request to the upstream's head; undefined where the head was first. */
export function addServiceTime(
  head: ResponseHead,
  scope: ExchangeScope,
  timeMs: number | undefined,
): void {
  if (timeMs === undefined || scope.manager.suppressEnvoyHeaders === true) return
  head.headers.set('x-envoy-upstream-service-time', String(Math.floor(timeMs)))
}

function setServer(headers: HeaderList, scope: ExchangeScope): void {
  const { serverHeader, serverName } = scope.manager
  if (serverHeader === 'overwrite') headers.set('server', serverName)
  else if (serverHeader === 'append-if-absent' && !headers.has('server')) {
    headers.append('server', serverName)
  }
}

export function isGrpc(request: RequestHead): boolean {
  const type = request.headers.get('content-type')
  if (type === undefined || !type.startsWith('application/grpc')) return false
  return type.length === 16 || type.charCodeAt(16) === 0x2b
}

/** HTTP status that a gRPC status counts as, for outlier detection (Envoy `grpcToHttpStatus`). */
export function grpcAsHttpStatus(grpcStatus: number): number {
  return grpcHttpStatuses[grpcStatus] ?? 500
}

const grpcHttpStatuses: readonly number[] = [
  200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401,
]
