/** gRPC status codes by name, and `%GRPC_STATUS%` in its three spellings. */
import { type Compiled, compiled, refused } from '../config/compiled.ts'
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
  return name?.replaceAll(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase()
}
