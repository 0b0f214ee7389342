/** Faults, mirrors' percentages and CORS of an HTTP route. */
import { durationText } from '../schema/field-shape.ts'
import { headerNameOrWildcard } from '../schema/http-format.ts'
import { atLeastOne, atMostOne } from '../schema/rule.ts'
import {
  bool,
  deprecated,
  int,
  list,
  number,
  object,
  oneOf,
  refine,
  text,
} from '../schema/shape.ts'
import type { Check, Rule, Shape } from '../schema/shape.ts'
import { fieldPath } from '../schema/source-node.ts'
import { stringMatch } from './string-match-shape.ts'
import type {
  CorsPolicy,
  FaultAbort,
  FaultDelay,
  HttpFaultInjection,
  Percent,
} from './virtual-service.ts'

export interface PercentOptions {
  /** Shares below a millionth: allowed for mirrors, not for faults. */
  readonly isTinyAllowed?: boolean
}

export function percent({ isTinyAllowed = false }: PercentOptions = {}): Shape<Percent> {
  const checks = isTinyAllowed ? [] : [checkNotTiny]
  return object<Percent>({ value: number({ min: 0, max: 100 }, ...checks) })
}

const checkNotTiny: Check<number> = (value) =>
  value === 0 || value >= 0.0001
    ? undefined
    : {
        message: `must be 0, or from 0.0001 to 100, got ${String(value)}`,
        remedy: 'Use 0 or at least 0.0001.',
      }

/** Both ends as Istio's code has them. */
export const httpStatus = (): Shape<number> =>
  int({ min: 200, max: 600 }, (status) =>
    status < 600
      ? undefined
      : {
          code: 'IST0133',
          severity: 'warning',
          message: '600 is no HTTP status: 599 is sent in its place',
          remedy: 'Use a status from 200 to 599.',
        },
  )

export function faultInjection(): Shape<HttpFaultInjection> {
  return object<HttpFaultInjection>(
    { delay: faultDelay(), abort: faultAbort() },
    atLeastOne<HttpFaultInjection>('delay', 'abort'),
  )
}

function faultDelay(): Shape<FaultDelay> {
  return object<FaultDelay>(
    {
      fixedDelay: durationText(),
      exponentialDelay: refine(durationText(), (_, path, reading) => {
        reading.report(path, {
          message: 'exponentialDelay is not supported, by Istio neither',
          remedy: 'Use fixedDelay.',
        })
      }),
      percentage: percent(),
      percent: deprecated(int({ min: 0, max: 100 }), {
        code: 'IST0002',
        message: 'fault.delay.percent is deprecated',
        remedy: 'Use percentage.value instead.',
      }),
    },
    atMostOne<FaultDelay>('fixedDelay', 'exponentialDelay'),
    warnWithoutShare,
  )
}

/** Index is the code. */
export const grpcStatusNames = (
  'OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED ' +
  'RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS ' +
  'UNAUTHENTICATED'
).split(' ')

function faultAbort(): Shape<FaultAbort> {
  return object<FaultAbort>(
    {
      httpStatus: httpStatus(),
      grpcStatus: oneOf(...grpcStatusNames),
      http2Error: refine(text(), (_, path, reading) => {
        reading.report(path, {
          message: 'http2Error is not supported, by Istio neither',
          remedy: 'Use httpStatus or grpcStatus.',
        })
      }),
      percentage: percent(),
    },
    atMostOne<FaultAbort>('httpStatus', 'grpcStatus', 'http2Error'),
    warnWithoutStatus,
    warnWithoutShare,
  )
}

const warnWithoutShare: Rule<FaultDelay & FaultAbort> = (_, path, reading) => {
  const names = ['percentage', 'percent']
  if (names.some((name) => reading.isPresent(fieldPath(path, name)))) return
  reading.report(path, {
    code: 'IST0133',
    severity: 'warning',
    message: 'a fault without a percentage is injected into no request',
    remedy: 'Add percentage.value.',
  })
}

const warnWithoutStatus: Rule<FaultAbort> = (_, path, reading) => {
  const names = ['httpStatus', 'grpcStatus', 'http2Error']
  if (names.some((name) => reading.isPresent(fieldPath(path, name)))) return
  reading.report(path, {
    code: 'IST0133',
    severity: 'warning',
    message: 'an abort without httpStatus or grpcStatus aborts nothing',
    remedy: 'Add httpStatus or grpcStatus.',
  })
}

const corsMethods = 'GET HEAD POST PUT PATCH DELETE CONNECT OPTIONS TRACE *'.split(' ')

export function corsPolicy(): Shape<CorsPolicy> {
  return object<CorsPolicy>({
    allowOrigins: list(stringMatch({ isValueNeeded: true })),
    allowOrigin: deprecated(list(text()), {
      code: 'IST0002',
      message: 'corsPolicy.allowOrigin is deprecated',
      remedy: 'Use allowOrigins with exact matches instead.',
    }),
    allowMethods: list(oneOf(...corsMethods)),
    allowHeaders: list(text(headerNameOrWildcard)),
    exposeHeaders: list(text(headerNameOrWildcard)),
    maxAge: durationText({ isWholeSeconds: true }),
    allowCredentials: bool(),
    unmatchedPreflights: oneOf('UNSPECIFIED', 'FORWARD', 'IGNORE'),
  })
}
