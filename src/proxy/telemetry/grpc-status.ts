/** gRPC status codes by name and by the HTTP status that stands for them, and `%GRPC_STATUS%` in its three spellings. */
import { type Compiled, compiled, refused } from '../config/compiled.ts'
import type { HeaderList } from '../http/header-list.ts'
import type { LogOperator } from './log-source.ts'

/** In the order of their numbers; spelled as Envoy's CAMEL_STRING. */
const names = [
  'OK',
  'Canceled',
  'Unknown',
  'InvalidArgument',
  'DeadlineExceeded',
  'NotFound',
  'AlreadyExists',
  'PermissionDenied',
  'ResourceExhausted',
  'FailedPrecondition',
  'Aborted',
  'OutOfRange',
  'Unimplemented',
  'Internal',
  'Unavailable',
  'DataLoss',
  'Unauthenticated',
]

export function grpcStatusOperator(format: string | undefined): Compiled<LogOperator> {
  switch (format) {
    case undefined:
    case '':
    case 'CAMEL_STRING':
      return compiled((source) => nameOf(source.grpcStatus))
    case 'SNAKE_STRING':
      return compiled((source) => snake(nameOf(source.grpcStatus)))
    case 'NUMBER':
      return compiled((source) => source.grpcStatus)
    default:
      return refused(`%GRPC_STATUS(${format})%: CAMEL_STRING, SNAKE_STRING or NUMBER expected`)
  }
}

function nameOf(status: number | undefined): string | undefined {
  if (status === undefined) return undefined
  return names[status] ?? String(status)
}

function snake(name: string | undefined): string | undefined {
  // gRPC itself spells this one with two letters, and its libraries with one.
  return name === 'Canceled'
    ? 'CANCELLED'
    : name?.replaceAll(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase()
}

/** `grpc-status` among header fields, or undefined; -1 for what is no number, as in Envoy. */
export function grpcStatusOf(headers: HeaderList | undefined): number | undefined {
  const text = headers?.get('grpc-status')
  if (text === undefined || text === '') return undefined
  return /^\d{1,15}$/.test(text) ? Number(text) : -1
}

/** gRPC status of a local reply with this HTTP status (Envoy `httpToGrpcStatus`). */
export function httpAsGrpcStatus(status: number): number {
  return grpcStatuses[status] ?? 2
}

const grpcStatuses: Readonly<Record<number, number>> = {
  400: 13,
  401: 16,
  403: 7,
  404: 12,
  429: 14,
  502: 14,
  503: 14,
  504: 14,
}
