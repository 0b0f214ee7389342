/**
 * The operators of format strings that tell how long a part of an exchange took, between points that the record holds in
 * milliseconds of the monotonic clock. A point that was not reached leaves its durations out.
 */
import { type Compiled, compiled, refused } from '../config/compiled.ts'
import type { LogOperator, LogSource } from './log-source.ts'

type PointOf = (source: LogSource) => number | undefined

/** The points of `%COMMON_DURATION%`, by Envoy's names. */
const points: Readonly<Record<string, PointOf>> = {
  DS_RX_BEG: ({ beginMs }) => beginMs,
  DS_RX_END: ({ requestEndMs }) => reached(requestEndMs),
  US_TX_BEG: ({ upstreamStartMs }) => reached(upstreamStartMs),
  US_TX_END: ({ upstreamSentMs }) => reached(upstreamSentMs),
  US_RX_BEG: ({ upstreamHeadMs }) => reached(upstreamHeadMs),
  US_RX_END: ({ upstreamEndMs }) => reached(upstreamEndMs),
  DS_TX_BEG: ({ responseStartMs }) => reached(responseStartMs),
  DS_TX_END: ({ beginMs, durationMs, isBrokenOff }) =>
    beginMs === undefined || durationMs === undefined || isBrokenOff === true
      ? undefined
      : beginMs + durationMs,
}

/** Points of connections, which are not kept. */
const unknownPoints = new Set([
  'US_CX_BEG',
  'US_CX_END',
  'US_HS_END',
  'DS_CX_BEG',
  'DS_CX_END',
  'US_RX_BODY_BEG',
])

const digits: Readonly<Record<string, number>> = { ms: 1, us: 1e3, ns: 1e6 }

/** Undefined for a name that is none of them. */
export function durationOperator(
  name: string,
  argument: string,
): Compiled<LogOperator> | undefined {
  if (name === 'COMMON_DURATION') return commonDuration(argument)
  const plain = plainDurations[name]
  return plain && compiled(plain)
}

const plainDurations: Readonly<Record<string, LogOperator>> = {
  REQUEST_DURATION: between('DS_RX_BEG', 'DS_RX_END', 1),
  REQUEST_TX_DURATION: between('DS_RX_BEG', 'US_TX_END', 1),
  RESPONSE_DURATION: between('DS_RX_BEG', 'US_RX_BEG', 1),
  RESPONSE_TX_DURATION: between('US_RX_BEG', 'DS_TX_END', 1),
  UPSTREAM_CONNECTION_POOL_READY_DURATION: (source) => {
    const start = reached(source.attemptStartMs)
    const ready = reached(source.poolEndMs)
    return start === undefined || ready === undefined ? undefined : Math.trunc(ready - start)
  },
  // As Envoy says of them for HTTP/1 and HTTP/2.
  ROUNDTRIP_DURATION: () => undefined,
  DOWNSTREAM_HANDSHAKE_DURATION: () => undefined,
}

export const durationOperatorNames: readonly string[] = [
  ...Object.keys(plainDurations),
  'COMMON_DURATION',
]

function commonDuration(argument: string): Compiled<LogOperator> {
  const [start = '', end = '', precision = '', ...rest] = argument.split(':')
  const here = `%COMMON_DURATION(${argument})%`
  const scale = digits[precision]
  if (rest.length > 0 || scale === undefined) {
    return refused(`${here}: START:END:ms, :us or :ns expected`)
  }
  for (const point of [start, end]) {
    if (unknownPoints.has(point)) return refused(`${here}: the point ${point} is not implemented`)
  }
  // Any other name is a point that a filter could set, and none does.
  return compiled(between(start, end, scale))
}

function between(start: string, end: string, scale: number): LogOperator {
  const from = points[start] ?? never
  const to = points[end] ?? never
  return (source) => {
    const startMs = from(source)
    const endMs = to(source)
    if (startMs === undefined || endMs === undefined) return undefined
    return Math.trunc((endMs - startMs) * scale)
  }
}

const never: PointOf = () => undefined

function reached(ms: number | undefined): number | undefined {
  return ms === 0 ? undefined : ms
}
