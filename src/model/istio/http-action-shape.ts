/** What an HTTP route does besides forwarding: redirect, direct response, rewrite, retries. */
import { STATUS_CODES } from '../../lib/node-http.ts'
import { durationText, portOrZero } from '../schema/field-shape.ts'
import { regex } from '../schema/http-format.ts'
import { atLeastOne, atMostOne } from '../schema/rule.ts'
import {
  bool,
  int,
  int32Max,
  object,
  oneOf,
  refine,
  required,
  text,
  zeroAsAbsent,
} from '../schema/shape.ts'
import type { Check, Reading, Rule, Shape } from '../schema/shape.ts'
import { fieldPath } from '../schema/source-node.ts'
import { httpStatus } from './http-fault-shape.ts'
import type {
  HttpBody,
  HttpDirectResponse,
  HttpRedirect,
  HttpRetry,
  HttpRewrite,
  RegexRewrite,
} from './virtual-service.ts'

export function redirect(): Shape<HttpRedirect> {
  return object<HttpRedirect>(
    {
      uri: text(),
      prefixRewrite: text(),
      authority: text(),
      port: portOrZero(),
      derivePort: oneOf('FROM_PROTOCOL_DEFAULT', 'FROM_REQUEST_PORT'),
      scheme: text(checkScheme),
      redirectCode: zeroAsAbsent(refine(int({ min: 0 }), checkRedirectCode)),
    },
    atLeastOne<HttpRedirect>('uri', 'prefixRewrite', 'authority', 'port', 'derivePort', 'scheme'),
    atMostOne<HttpRedirect>('port', 'derivePort'),
    atMostOne<HttpRedirect>('uri', 'prefixRewrite'),
  )
}

const checkScheme: Check<string> = (value) =>
  ['', 'http', 'https'].includes(value)
    ? undefined
    : { message: `must be http or https, got "${value}"`, remedy: 'Write http or https.' }

/** Statuses that Envoy can redirect with. */
const redirectCodes: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

function checkRedirectCode(code: number, path: string, reading: Reading): void {
  if (code === 0 || redirectCodes.has(code)) return
  const isRedirect = code >= 300 && code <= 399
  reading.report(path, {
    ...(isRedirect && { code: 'IST0133', severity: 'warning' }),
    message: isRedirect
      ? `status ${String(code)} cannot redirect: such requests get 503`
      : `must be a 3xx status, got ${String(code)}`,
    remedy: 'Use 301, 302, 303, 307 or 308.',
  })
}

/** Istio refuses bodies over 1 MB and warns over 100 KB: every proxy holds a copy. */
const bodyBytesMax = 1024 * 1024
const bodyBytesLarge = 100 * 1024

export function directResponse(): Shape<HttpDirectResponse> {
  return object<HttpDirectResponse>({
    status: required(httpStatus()),
    body: object<HttpBody>(
      { string: text(checkBody), bytes: text(checkBase64) },
      atMostOne<HttpBody>('string', 'bytes'),
    ),
  })
}

const checkBody: Check<string> = (value) => checkBodySize(Buffer.byteLength(value))

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

const checkBase64: Check<string> = (value) => {
  if (!base64.test(value)) {
    return { message: 'must be base64', remedy: 'Encode the bytes as base64, or use string.' }
  }
  return checkBodySize(Buffer.from(value, 'base64').length)
}

function checkBodySize(bytes: number): ReturnType<Check<string>> {
  if (bytes > bodyBytesMax) {
    return {
      message: `must have at most ${String(bodyBytesMax)} bytes, got ${String(bytes)}`,
      remedy: 'Serve large answers from a service.',
    }
  }
  if (bytes <= bodyBytesLarge) return undefined
  return {
    code: 'IST0133',
    severity: 'warning',
    message: `a body of ${String(bytes)} bytes is held by every proxy`,
    remedy: 'Serve large answers from a service.',
  }
}

export function rewrite(): Shape<HttpRewrite> {
  return object<HttpRewrite>(
    {
      uri: text(),
      authority: text(),
      uriRegexRewrite: object<RegexRewrite>({
        match: required(text(regex)),
        rewrite: required(text(checkReplacement)),
      }),
    },
    atMostOne<HttpRewrite>('uri', 'uriRegexRewrite'),
    atLeastOne<HttpRewrite>('uri', 'uriRegexRewrite', 'authority'),
  )
}

const checkReplacement: Check<string> = (value) =>
  value === ''
    ? { message: 'rewrite must not be empty', remedy: 'Write what replaces the match.' }
    : undefined

/** Also of the mesh's defaultHttpRetryPolicy. */
export function retries(): Shape<HttpRetry> {
  return object<HttpRetry>(
    {
      attempts: int({ min: 0, max: int32Max }),
      perTryTimeout: durationText(),
      retryOn: refine(text(), checkRetryOn),
      retryRemoteLocalities: bool(),
      retryIgnorePreviousHosts: bool(),
      backoff: durationText(),
    },
    checkAttempts,
  )
}

/** Without attempts nothing is retried, so that other settings are a mistake. */
const checkAttempts: Rule<HttpRetry> = (value, path, reading) => {
  const isWritten = reading.isPresent(fieldPath(path, 'attempts'))
  if (isWritten ? value.attempts !== 0 : value.attempts !== undefined) return
  for (const name of ['perTryTimeout', 'retryOn', 'retryRemoteLocalities']) {
    if (!reading.isPresent(fieldPath(path, name))) continue
    reading.report(fieldPath(path, name), {
      message: `${name} needs attempts above 0, got ${isWritten ? '0' : 'none'}`,
      remedy: 'Set attempts, or remove the other settings.',
    })
  }
}

/** Envoy's x-envoy-retry-on and x-envoy-retry-grpc-on. */
export const retryPolicies: ReadonlySet<string> = new Set([
  '5xx',
  'gateway-error',
  'reset',
  'reset-before-request',
  'connect-failure',
  'envoy-ratelimited',
  'retriable-4xx',
  'refused-stream',
  'retriable-status-codes',
  'retriable-headers',
  'http3-post-connect-failure',
  'cancelled',
  'deadline-exceeded',
  'internal',
  'resource-exhausted',
  'unavailable',
])

function checkRetryOn(value: string, path: string, reading: Reading): void {
  if (value === '') return
  for (const policy of value.split(',')) {
    const isStatus = /^\d{3}$/.test(policy) && STATUS_CODES[policy] !== undefined
    if (isStatus || retryPolicies.has(policy)) continue
    const isSpaced = policy !== policy.trim() && retryPolicies.has(policy.trim())
    reading.report(path, {
      message: `"${policy}" is no retry policy and no HTTP status`,
      remedy: isSpaced
        ? 'Separate policies by commas without spaces.'
        : `Use ${[...retryPolicies].slice(0, 5).join(', ')}, … or a status such as 503.`,
    })
  }
}
