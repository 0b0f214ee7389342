/**
 * Envoy's `HTTPFault`, compiled: whom a fault is for, how long it delays, and what it aborts with. The same message
 * stands in `http_filters` and, per route, in `typed_per_filter_config`, where it takes the other's place as a whole.
 */
import { resetMark } from '../../xds/own-metadata.ts'
import type {
  FaultDelay,
  FaultRateLimit,
} from '../../xds/proto/generated/envoy/extensions/filters/common/fault/v3/fault.ts'
import {
  type FaultAbort,
  HTTPFault,
} from '../../xds/proto/generated/envoy/extensions/filters/http/fault/v3/fault.ts'
import type { Any } from '../../xds/proto/generated/google/protobuf/any.ts'
import { acceptedEach } from '../config/compiled.ts'
import {
  type FieldReport,
  type MessageRule,
  at,
  checkFields,
  ignored,
  refuse,
  used,
} from '../config/field-rule.ts'
import { decodeTyped, durationMs } from '../config/message-value.ts'
import type { HeaderList } from '../http/header-list.ts'
import type { RequestHead } from '../http/message.ts'
import { type HeaderMatch, compileRequestMatcher } from '../route/header-matcher.ts'
import { type Fraction, fractionOf } from './fraction.ts'
import type { RouteFilterConfig } from './route-config.ts'

export interface FaultSettings extends RouteFilterConfig {
  readonly kind: 'fault'
  readonly delay: FaultPart<number> | undefined
  readonly abort: FaultPart<AbortStatus> | undefined
  /** KiB of responses a second. */
  readonly rate: FaultPart<number> | undefined
  /** Of requests to any cluster where it is empty. */
  readonly upstreamCluster: string
  /** `x-envoy-downstream-service-node` is one of them; empty: any. */
  readonly downstreamNodes: ReadonlySet<string>
  readonly headers: readonly HeaderMatch<RequestHead>[]
  readonly activeFaultsMax: number
}

/** What is injected, and how often; both may be the request's to say, the latter up to what is configured. */
export interface FaultPart<T> {
  valueOf(headers: HeaderList): T | undefined
  shareOf(headers: HeaderList): Fraction
}

export interface AbortStatus {
  readonly status: number
  readonly grpcStatus: number | undefined
  /** No answer at all: the client sees its connection, or its stream, reset. */
  readonly isReset: boolean
}

const noRuntime = ignored('there is no runtime; the configured value counts')
const percentage = used({
  type: 'envoy.type.v3.FractionalPercent',
  fields: { numerator: used(), denominator: used() },
})

export const faultRule: MessageRule = {
  type: 'envoy.extensions.filters.http.fault.v3.HTTPFault',
  fields: {
    delay: used({
      type: 'envoy.extensions.filters.common.fault.v3.FaultDelay',
      fields: { fixedDelay: used(), headerDelay: used(), percentage },
    }),
    abort: used({
      type: 'envoy.extensions.filters.http.fault.v3.FaultAbort',
      fields: { httpStatus: used(), grpcStatus: used(), headerAbort: used(), percentage },
    }),
    upstreamCluster: used(),
    headers: used(),
    downstreamNodes: used(),
    maxActiveFaults: used(),
    responseRateLimit: used({
      type: 'envoy.extensions.filters.common.fault.v3.FaultRateLimit',
      fields: { fixedLimit: used(), headerLimit: used(), percentage },
    }),
    delayPercentRuntime: noRuntime,
    abortPercentRuntime: noRuntime,
    delayDurationRuntime: noRuntime,
    abortHttpStatusRuntime: noRuntime,
    maxActiveFaultsRuntime: noRuntime,
    responseRateLimitPercentRuntime: noRuntime,
    abortGrpcStatusRuntime: noRuntime,
    disableDownstreamClusterStats: ignored('statistics by the client’s cluster are not kept'),
    filterMetadata: used(
      undefined,
      `${resetMark.key}: ${resetMark.value} makes an abort a reset; nothing else is read`,
    ),
  },
}

export function compileFault(any: Any, report: FieldReport): FaultSettings | undefined {
  const fault = decodeTyped(any, HTTPFault, report)
  if (fault === undefined) return undefined
  checkFields(fault, faultRule, report)
  return {
    kind: 'fault',
    delay: fault.delay && compileDelay(fault.delay, at(report, 'delay')),
    abort: fault.abort && compileAbort(fault.abort, isReset(fault), at(report, 'abort')),
    rate:
      fault.responseRateLimit &&
      compileRate(fault.responseRateLimit, at(report, 'response_rate_limit')),
    upstreamCluster: fault.upstreamCluster,
    downstreamNodes: new Set(fault.downstreamNodes),
    headers: acceptedEach(fault.headers, compileRequestMatcher, at(report, 'headers')),
    activeFaultsMax: fault.maxActiveFaults ?? Number.POSITIVE_INFINITY,
  }
}

/** Says nothing by itself: it stands in the list so that routes may. */
export function isIdle({ delay, abort, rate }: FaultSettings): boolean {
  return delay === undefined && abort === undefined && rate === undefined
}

function compileDelay(delay: FaultDelay, report: FieldReport): FaultPart<number> | undefined {
  const share = fractionOf(delay.percentage)
  const specifier = delay.faultDelaySecifier
  switch (specifier?.$case) {
    case 'fixedDelay': {
      const rule = { absentMs: 0, least: 'positive' } as const
      // Envoy counts whole milliseconds.
      const delayMs = Math.floor(durationMs(specifier.value, rule, at(report, 'fixed_delay')))
      return { valueOf: () => delayMs, shareOf: () => share }
    }
    case 'headerDelay':
      return {
        valueOf: (headers) => unsigned(headers.get('x-envoy-fault-delay-request')),
        shareOf: shareByHeader('x-envoy-fault-delay-request-percentage', share),
      }
    case undefined:
    default:
      refuse(report, 'one of fixed_delay and header_delay is required')
      return undefined
  }
}

function isReset({ filterMetadata }: HTTPFault): boolean {
  return filterMetadata?.[resetMark.key] === resetMark.value
}

function compileAbort(
  abort: FaultAbort,
  isReset: boolean,
  report: FieldReport,
): FaultPart<AbortStatus> | undefined {
  const share = fractionOf(abort.percentage)
  const { errorType } = abort
  switch (errorType?.$case) {
    case 'httpStatus': {
      const status = errorType.value
      if (!isStatus(status)) {
        refuse(at(report, 'http_status'), `value must be inside range [200, 600), got ${status}`)
      }
      const value = { status, grpcStatus: undefined, isReset }
      return { valueOf: () => value, shareOf: () => share }
    }
    case 'grpcStatus': {
      const value = { status: 200, grpcStatus: errorType.value, isReset }
      return { valueOf: () => value, shareOf: () => share }
    }
    case 'headerAbort':
      return {
        valueOf: (headers) => abortByHeader(headers, isReset),
        shareOf: shareByHeader('x-envoy-fault-abort-request-percentage', share),
      }
    case undefined:
    default:
      refuse(report, 'one of http_status, grpc_status and header_abort is required')
      return undefined
  }
}

function compileRate(rate: FaultRateLimit, report: FieldReport): FaultPart<number> | undefined {
  const share = fractionOf(rate.percentage)
  const { limitType } = rate
  switch (limitType?.$case) {
    case 'fixedLimit': {
      const { limitKbps } = limitType.value
      if (limitKbps < 1) {
        refuse(at(report, 'fixed_limit', 'limit_kbps'), 'value must be greater than or equal to 1')
      }
      return { valueOf: () => limitKbps, shareOf: () => share }
    }
    case 'headerLimit':
      return {
        valueOf: (headers) =>
          unsigned(headers.get('x-envoy-fault-throughput-response')) || undefined,
        shareOf: shareByHeader('x-envoy-fault-throughput-response-percentage', share),
      }
    case undefined:
    default:
      refuse(report, 'one of fixed_limit and header_limit is required')
      return undefined
  }
}

function abortByHeader(headers: HeaderList, isReset: boolean): AbortStatus | undefined {
  const status = unsigned(headers.get('x-envoy-fault-abort-request'))
  if (status !== undefined && isStatus(status)) return { status, grpcStatus: undefined, isReset }
  const grpcStatus = unsigned(headers.get('x-envoy-fault-abort-grpc-request'))
  return grpcStatus === undefined ? undefined : { status: 200, grpcStatus, isReset }
}

function isStatus(status: number): boolean {
  return status >= 200 && status < 600
}

function shareByHeader(name: string, most: Fraction): (headers: HeaderList) => Fraction {
  return (headers) => {
    const asked = unsigned(headers.get(name))
    if (asked === undefined) return most
    return { numerator: Math.min(asked, most.numerator), denominator: most.denominator }
  }
}

function unsigned(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined
}
