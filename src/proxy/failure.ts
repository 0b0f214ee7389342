/**
 * Why a request could not be served: one closed set, and one table from it to every reply that we make.
 *
 * Envoy spreads these over filters; here the HTTP status, the gRPC status, the response flag, the response
 * code details and whether the connection survives stand side by side, and the type makes the table complete.
 * Flags: Envoy access log documentation, `%RESPONSE_FLAGS%`. gRPC codes: those of the HTTP status, as Envoy's local
 * replies map it, but for the end of a stream's time, which Envoy calls DEADLINE_EXCEEDED.
 */

export type Failure =
  // What the downstream sent is wrong.
  | 'bad-request'
  | 'bad-path'
  | 'relative-path'
  | 'missing-host'
  | 'bad-envoy-header'
  | 'forbidden-scheme'
  | 'headers-too-large'
  | 'too-many-headers'
  | 'unsupported-transfer-encoding'
  | 'unsupported-version'
  | 'payload-too-large'
  | 'bad-grpc-web'
  | 'request-timeout'
  | 'downstream-disconnect'
  | 'downstream-reset'
  | 'messaging-error'
  // Configuration has no answer.
  | 'no-route'
  | 'no-cluster'
  // Upstream.
  | 'no-healthy-upstream'
  | 'dns-failure'
  | 'connect-failure'
  | 'connect-timeout'
  | 'upstream-reset'
  | 'upstream-refused-stream'
  | 'upstream-termination'
  | 'upstream-protocol-error'
  | 'upstream-headers-too-large'
  | 'upstream-timeout'
  | 'per-try-timeout'
  | 'upstream-max-duration'
  | 'stream-idle-timeout'
  | 'max-duration'
  // Limits and policy.
  | 'overflow'
  | 'overloaded'
  | 'denied'
  | 'rate-limited'
  | 'fault-abort'
  | 'fault-reset'
  | 'upgrade-refused'

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

const headTooLarge = 'Request Header Fields Too Large'

export const failureReplies: Readonly<Record<Failure, FailureReply>> = {
  'bad-request': row(400, 13, 'DPE', 'http1.codec_error', 'Bad Request', 'close'),
  'bad-path': row(400, 13, '-', 'path_normalization_failed', '', 'close'),
  'relative-path': row(404, 12, '-', 'absolute_path_rejected', '', 'keep'),
  'missing-host': row(400, 13, '-', 'missing_host_header', '', 'close'),
  'bad-envoy-header': row(400, 13, 'IH', 'request_headers_failed_strict_check', '', 'keep'),
  'forbidden-scheme': row(403, 7, 'DPE', 'http1.invalid_scheme', 'Forbidden', 'close'),
  'headers-too-large': row(431, 2, 'DPE', 'request_headers_too_large', headTooLarge, 'close'),
  'too-many-headers': row(431, 2, 'DPE', 'request_headers_too_many', headTooLarge, 'close'),
  'unsupported-transfer-encoding': row(
    501,
    2,
    'DPE',
    'http1.invalid_transfer_encoding',
    'Not Implemented',
    'close',
  ),
  'unsupported-version': row(426, 2, 'DPE', 'low_version', 'Upgrade Required', 'close'),
  'payload-too-large': row(413, 2, '-', 'request_payload_too_large', 'Payload Too Large', 'close'),
  'bad-grpc-web': row(
    400,
    13,
    '-',
    'grpc_base_64_decode_failed',
    'Bad gRPC-web request, invalid base64 data.',
    'close',
  ),
  'request-timeout': row(408, 2, '-', 'request_overall_timeout', 'request timeout', 'close'),
  'downstream-disconnect': row(0, 1, 'DC', 'downstream_remote_disconnect', '', 'close'),
  'downstream-reset': row(0, 1, 'DR', 'http2.remote_reset', '', 'keep'),
  'messaging-error': row(0, 13, 'DPE', 'http2.violation.of.messaging.rule', '', 'close'),
  'no-route': row(404, 12, 'NR', 'route_not_found', '', 'keep'),
  'no-cluster': row(503, 14, 'NC', 'cluster_not_found', '', 'keep'),
  'no-healthy-upstream': row(503, 14, 'UH', 'no_healthy_upstream', 'no healthy upstream', 'keep'),
  'dns-failure': row(503, 14, 'DF', 'dns_resolution_failure', 'DNS resolution failure', 'keep'),
  'connect-failure': upstreamRow('UF', 'remote_connection_failure'),
  'connect-timeout': upstreamRow('UF', 'connection_timeout'),
  'upstream-reset': upstreamRow('UR', 'remote_reset'),
  'upstream-refused-stream': upstreamRow('UR', 'remote_refused_stream_reset'),
  'upstream-termination': upstreamRow('UC', 'connection_termination'),
  'upstream-protocol-error': upstreamRow('UPE', 'protocol_error', 502),
  'upstream-headers-too-large': upstreamRow('UPE', 'protocol_error', 502),
  'upstream-timeout': row(504, 14, 'UT', 'response_timeout', 'upstream request timeout', 'keep'),
  'per-try-timeout': row(
    504,
    14,
    'UT',
    'upstream_per_try_timeout',
    'upstream request timeout',
    'keep',
  ),
  'upstream-max-duration': row(
    504,
    14,
    'UMSDR',
    'upstream_max_stream_duration_reached',
    'upstream max stream duration reached',
    'keep',
  ),
  'stream-idle-timeout': row(408, 2, 'SI', 'stream_idle_timeout', 'stream timeout', 'keep'),
  'max-duration': row(408, 4, '-', 'max_duration_timeout', 'downstream duration timeout', 'keep'),
  overflow: upstreamRow('UO', 'overflow'),
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
  'fault-reset': row(0, 14, 'FI', 'fault_filter_reset', '', 'close'),
  'upgrade-refused': row(403, 7, '-', 'upgrade_failed', '', 'close'),
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

/** An attempt that ended without a response; exchange-reply.ts says more where it was not the first, or began. */
function upstreamRow(flag: string, reason: string, status = 503): FailureReply {
  return row(
    status,
    14,
    flag,
    `upstream_reset_before_response_started{${reason}}`,
    `upstream connect error or disconnect/reset before headers. reset reason: ${reason.replaceAll('_', ' ')}`,
    'keep',
  )
}

/** Nobody gets an answer: the stream, or the connection, is reset. */
export function isUnanswered(failure: Failure): boolean {
  return failureReplies[failure].status === 0
}
