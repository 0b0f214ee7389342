/**
 * The one catalogue of errors that are the world's fault: the store, the network, a peer, the disk.
 *
 * Configuration mistakes are `Issue`s (model/), a request that could not be served is a `Failure`
 * (proxy/failure.ts), and a bug is an assertion. docs/reference/errors.md has a row for each code here;
 * a tidy test compares the two lists.
 */

export const meshErrorCodes = [
  'MESH_STORE_CONFLICT',
  'MESH_STORE_NOT_FOUND',
  'MESH_STORE_EXISTS',
  'MESH_STORE_OWNED_BY_FILE',
  'MESH_STORE_UNAVAILABLE',
  'MESH_CONFIG_REJECTED',
  'MESH_BOOTSTRAP_INVALID',
  'MESH_CONTROL_PLANE_UNREACHABLE',
  'MESH_XDS_PROTOCOL',
  'MESH_LISTEN_FAILED',
  'MESH_WORKER_LOST',
  'MESH_TAKE_OVER_FAILED',
  'MESH_COMMAND_FAILED',
  'MESH_COMMAND_NOT_FOUND',
  'MESH_COMMAND_NOT_EXECUTABLE',
  'MESH_API_FAILED',
  'MESH_IDENTITY_INVALID',
  'MESH_IDENTITY_REFUSED',
  'MESH_FAULT_REFUSED',
  'MESH_CA_UNAVAILABLE',
  'MESH_CA_UNREACHABLE',
  'MESH_NOT_IMPLEMENTED',
  'MESH_USAGE',
] as const

export type MeshErrorCode = (typeof meshErrorCodes)[number]

export interface MeshErrorOptions {
  readonly cause?: unknown
  /** What the reader can do about it: one sentence. */
  readonly remedy?: string
}

/** An error with a stable code; the message says what we were doing, to what, and what was expected. */
export class MeshError extends Error {
  readonly code: MeshErrorCode
  readonly remedy: string | undefined

  constructor(code: MeshErrorCode, message: string, options: MeshErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'MeshError'
    this.code = code
    this.remedy = options.remedy
  }
}

/** Text of anything that was thrown, with its chain of causes, for a log line or a terminal. */
export function describeError(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown)
  const own = thrown.message === '' ? thrown.name : thrown.message
  return thrown.cause === undefined ? own : `${own}: ${describeError(thrown.cause)}`
}
