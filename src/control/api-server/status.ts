/** Refusals in Kubernetes' form: every reason that the API gives, with its code. */
import type { Status, StatusDetails } from '../../api/object.ts'

const codes = {
  BadRequest: 400,
  Forbidden: 403,
  NotFound: 404,
  MethodNotAllowed: 405,
  NotAcceptable: 406,
  AlreadyExists: 409,
  Conflict: 409,
  Expired: 410,
  RequestEntityTooLarge: 413,
  UnsupportedMediaType: 415,
  Invalid: 422,
  TooManyRequests: 429,
  InternalError: 500,
  ServiceUnavailable: 503,
} as const

export type StatusReason = keyof typeof codes

/** Thrown inside the API server, and answered by it. */
export class ApiError extends Error {
  readonly status: Status

  constructor(reason: StatusReason, message: string, details?: StatusDetails) {
    super(message)
    this.name = 'ApiError'
    this.status = failure(reason, message, details)
  }
}

export function failure(reason: StatusReason, message: string, details?: StatusDetails): Status {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    reason,
    ...(details === undefined ? {} : { details }),
    code: codes[reason],
  }
}

export function success(details: StatusDetails): Status {
  const head = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success' } as const
  return { ...head, message: '', reason: '', details, code: 200 }
}
