/** gRPC status codes, as far as a streaming peer meets them, and how they travel in HTTP/2 headers. */
import { describeError, MeshError, type MeshErrorCode } from '../../lib/mesh-error.ts'

export const grpcCodes = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  permissionDenied: 7,
  resourceExhausted: 8,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const

export interface GrpcStatus {
  readonly code: number
  readonly message: string
}

export function statusHeaders(status: GrpcStatus): Record<string, string> {
  return {
    'grpc-status': String(status.code),
    ...(status.message === '' ? {} : { 'grpc-message': encodeMessage(status.message) }),
  }
}

/** Status from trailers or headers; undefined when they hold none. */
export function statusFrom(headers: Record<string, unknown>): GrpcStatus | undefined {
  const code = headers['grpc-status']
  if (typeof code !== 'string') return undefined
  const message = headers['grpc-message']
  return { code: Number(code), message: typeof message === 'string' ? decodeMessage(message) : '' }
}

/** Percent-encoding of gRPC over HTTP/2: all but printable ASCII, and the percent sign itself. */
function encodeMessage(message: string): string {
  return message.replaceAll(/[^\x20-\x24\x26-\x7e]+/gu, (text) =>
    [...Buffer.from(text)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join(''),
  )
}

/** What is not valid percent-encoding is shown as it came. */
function decodeMessage(message: string): string {
  try {
    return decodeURIComponent(message)
  } catch {
    return message
  }
}

/** The peer's fault is told to the peer; of ours it only hears that there was one. */
export function statusOf(error: unknown): GrpcStatus {
  const code = error instanceof MeshError ? peerFaults[error.code] : undefined
  return code === undefined
    ? { code: grpcCodes.internal, message: 'internal error, see the log of the server' }
    : { code, message: describeError(error) }
}

const peerFaults: Partial<Record<MeshErrorCode, number>> = {
  MESH_XDS_PROTOCOL: grpcCodes.invalidArgument,
  MESH_CONFIG_REJECTED: grpcCodes.permissionDenied,
  MESH_IDENTITY_REFUSED: grpcCodes.permissionDenied,
}
