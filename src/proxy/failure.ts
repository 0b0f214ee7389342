/**
 * Why a request could not be served: one closed set, and one table from it to every reply that we make.
 *
 * Envoy spreads these over filters; here the HTTP status, the gRPC status, the response flag, the response
 * code details and whether the connection survives stand side by side, and the type makes the table complete.
 * Flags: Envoy access log documentation, `%RESPONSE_FLAGS%`. gRPC codes: the HTTP-to-gRPC mapping of
 * grpc/grpc `doc/http-grpc-status-mapping.md`, as Envoy's local replies use it.
 */

export type Failure =
  // What the downstream sent is wrong.
  | 'bad-request'
  | 'headers-too-large'
  | 'too-many-headers'
  | 'unsupported-transfer-encoding'
  | 'unsupported-version'
  | 'payload-too-large'
  | 'request-timeout'
  | 'downstream-disconnect'
  // Configuration has no answer.
  | 'no-route'
  | 'no-cluster'
  // Upstream.
  | 'no-healthy-upstream'
  | 'dns-failure'
  | 'connect-failure'
  | 'connect-timeout'
  | 'upstream-reset'
  | 'upstream-termination'
  | 'upstream-protocol-error'
  | 'upstream-headers-too-large'
  | 'upstream-timeout'
  | 'per-try-timeout'
  | 'stream-idle-timeout'
  | 'max-duration'
  // Limits and policy.
  | 'overflow'
  | 'retry-limit-exceeded'
  | 'overloaded'
  | 'denied'
  | 'rate-limited'
  | 'fault-abort'
  | 'upgrade-refused'
  | 'draining'

export interface FailureReply {
  /** HTTP status; 0 where nobody is left to answer. */
  readonly status: number
  /** gRPC status for requests of content type application/grpc. */
  readonly grpcStatus: number
  /** Envoy's short response flag, `-` for none. */
  readonly flag: string
  /** Envoy's `%RESPONSE_CODE_DETAILS%`. */
  readonly details: string
  /** Body of the local reply. */
  readonly body: string
  /** Whether the downstream connection may carry another request. */
  readonly connection: 'keep' | 'close'
}

export const failureReplies: Readonly<Record<Failure, FailureReply>> = {
  'bad-request': row(400, 3, 'DPE', 'http1.codec_error', 'Bad Request', 'close'),
  'headers-too-large': row(431, 8, 'DPE', 'request_headers_too_large', '', 'close'),
  'too-many-headers': row(431, 8, 'DPE', 'request_headers_too_many', '', 'close'),
  'unsupported-transfer-encoding': row(
    501,
    12,
    'DPE',
    'http1.invalid_transfer_encoding',
    '',
    'close',
  ),
  'unsupported-version': row(426, 3, '-', 'low_version', '', 'close'),
  'payload-too-large': row(413, 8, '-', 'request_payload_too_large', 'Payload Too Large', 'close'),
  'request-timeout': row(408, 4, 'DPE', 'request_overall_timeout', 'request timeout', 'close'),
  'downstream-disconnect': row(0, 1, 'DC', 'downstream_remote_disconnect', '', 'close'),
  'no-route': row(404, 12, 'NR', 'route_not_found', '', 'keep'),
  'no-cluster': row(503, 14, 'NC', 'cluster_not_found', '', 'keep'),
  'no-healthy-upstream': row(503, 14, 'UH', 'no_healthy_upstream', 'no healthy upstream', 'keep'),
  'dns-failure': row(503, 14, 'DF', 'dns_resolution_failure', 'DNS resolution failure', 'keep'),
  'connect-failure': upstreamRow('UF', 'remote_connection_failure'),
  'connect-timeout': upstreamRow('UF', 'connection_timeout'),
  'upstream-reset': upstreamRow('UR', 'remote_reset'),
  'upstream-termination': upstreamRow('UC', 'connection_termination'),
  'upstream-protocol-error': row(
    502,
    14,
    'UPE',
    'upstream_reset_before_response_started{protocol_error}',
    'upstream connect error or disconnect/reset before headers. reset reason: protocol error',
    'keep',
  ),
  'upstream-headers-too-large': row(502, 14, 'UPE', 'upstream_headers_too_large', '', 'keep'),
  'upstream-timeout': row(504, 4, 'UT', 'response_timeout', 'upstream request timeout', 'keep'),
  'per-try-timeout': row(
    504,
    4,
    'UT',
    'upstream_per_try_timeout',
    'upstream request timeout',
    'keep',
  ),
  'stream-idle-timeout': row(408, 4, 'SI', 'stream_idle_timeout', 'stream timeout', 'close'),
  'max-duration': row(
    408,
    4,
    'UMSDR',
    'max_duration_timeout',
    'downstream duration timeout',
    'close',
  ),
  overflow: row(
    503,
    14,
    'UO',
    'upstream_reset_before_response_started{overflow}',
    'upstream connect error or disconnect/reset before headers. reset reason: overflow',
    'keep',
  ),
  'retry-limit-exceeded': row(
    503,
    14,
    'URX',
    'upstream_retry_limit_exceeded',
    'upstream connect error or disconnect/reset before headers',
    'keep',
  ),
  overloaded: row(503, 14, 'OM', 'overload', 'envoy overloaded', 'close'),
  denied: row(
    403,
    7,
    '-',
    'rbac_access_denied_matched_policy[none]',
    'RBAC: access denied',
    'keep',
  ),
  'rate-limited': row(429, 14, 'RL', 'local_rate_limited', 'local_rate_limited', 'keep'),
  'fault-abort': row(503, 14, 'FI', 'fault_filter_abort', 'fault filter abort', 'keep'),
  'upgrade-refused': row(403, 7, '-', 'upgrade_failed', '', 'close'),
  draining: row(503, 14, 'DC', 'connection_draining', '', 'close'),
}

// The order of a table's columns reads better than six field names a row.
// oxlint-disable-next-line max-params
function row(
  status: number,
  grpcStatus: number,
  flag: string,
  details: string,
  body: string,
  connection: 'keep' | 'close',
): FailureReply {
  return { status, grpcStatus, flag, details, body, connection }
}

function upstreamRow(flag: string, reason: string): FailureReply {
  return row(
    503,
    14,
    flag,
    `upstream_reset_before_response_started{${reason}}`,
    `upstream connect error or disconnect/reset before headers. reset reason: ${reason.replaceAll('_', ' ')}`,
    'keep',
  )
}
