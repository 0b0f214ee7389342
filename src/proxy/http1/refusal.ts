/**
 * Every reason for which the HTTP/1.1 codec refuses bytes, by name. The name is the label of the counter and
 * what tests expect; the failure gives status and flag (failure.ts). A request that is refused ends its
 * connection, because where the next one would start is no longer certain (RFC 9112 §11.2).
 */
import type { Failure } from '../failure.ts'

const requestFailures = {
  'request-line': 'bad-request',
  method: 'bad-request',
  target: 'bad-request',
  version: 'bad-request',
  'version-unsupported': 'unsupported-version',
  'target-too-large': 'headers-too-large',
  'http2-preface': 'bad-request',
  'http10-not-accepted': 'unsupported-version',
  'line-ending': 'bad-request',
  'obs-fold': 'bad-request',
  'header-name': 'bad-request',
  'header-value': 'bad-request',
  'header-underscore': 'bad-request',
  'head-too-large': 'headers-too-large',
  'too-many-headers': 'too-many-headers',
  'host-missing': 'missing-host',
  'host-duplicate': 'bad-request',
  'host-invalid': 'bad-request',
  'content-length': 'bad-request',
  'content-length-duplicate': 'bad-request',
  'content-length-and-transfer-encoding': 'bad-request',
  connection: 'bad-request',
  'transfer-encoding': 'unsupported-transfer-encoding',
  'transfer-encoding-unsupported': 'unsupported-transfer-encoding',
  'transfer-encoding-http10': 'bad-request',
  'chunk-size': 'bad-request',
  'chunk-extension': 'bad-request',
  'chunk-ending': 'bad-request',
  'trailers-too-large': 'headers-too-large',
  'header-timeout': 'request-timeout',
  'request-timeout': 'request-timeout',
  'head-idle': 'stream-idle-timeout',
  'head-duration': 'max-duration',
  'connect-body': 'bad-request',
  'status-line': 'bad-request',
  'status-101': 'bad-request',
  'framing-not-allowed': 'bad-request',
  'unexpected-bytes': 'bad-request',
} as const satisfies Readonly<Record<string, Failure>>

export type Refusal = keyof typeof requestFailures

export const refusals = Object.keys(requestFailures) as readonly Refusal[]

/** What a request that was refused for this reason is answered with. */
export function requestFailure(refusal: Refusal): Failure {
  return requestFailures[refusal]
}

/** The same for a response of an upstream. */
export function responseFailure(refusal: Refusal): Failure {
  return refusal === 'head-too-large' || refusal === 'too-many-headers'
    ? 'upstream-headers-too-large'
    : 'upstream-protocol-error'
}
