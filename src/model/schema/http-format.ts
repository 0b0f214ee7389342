/** Header names, regular expressions and durations: what HTTP routes are written with. */
import { RE2JS } from 're2js'

import { parseDurationMs } from '../duration.ts'
import { check, mismatch } from './format.ts'
import { clip } from './shape.ts'
import type { Check } from './shape.ts'

export interface DurationOptions {
  /** 0s switches something off. */
  readonly isZeroAllowed?: boolean
  readonly isWholeSeconds?: boolean
}

/** Istio: at least 1 ms, and whole milliseconds. */
export function duration(options: DurationOptions = {}): Check<string> {
  return (value) => {
    const ms = parseDurationMs(value)
    if (ms === undefined) {
      const remedy = 'Write a number with a unit: "10s", "250ms", "1h30m".'
      return mismatch('a duration', value, remedy)
    }
    if (options.isZeroAllowed === true && ms === 0) return undefined
    if (ms < 1) {
      const least = options.isZeroAllowed === true ? '0s, or 1ms or more' : '1ms or more'
      return mismatch(
        `a duration of ${least}`,
        value,
        'Use a longer duration, or leave the field out.',
      )
    }
    if (!Number.isInteger(ms)) {
      return mismatch('a duration in whole milliseconds', value, 'Round it to milliseconds.')
    }
    if (options.isWholeSeconds === true && ms % 1000 !== 0) {
      return mismatch('a duration in whole seconds', value, 'Round it to seconds.')
    }
    return undefined
  }
}

const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
const pseudoHeaders = new Set([':method', ':scheme', ':authority', ':path'])

export function isHeaderName(value: string): boolean {
  return token.test(value)
}

const headerRemedy = 'Use a header name such as x-user.'

export const headerName = check(isHeaderName, 'a header name', headerRemedy)

/** Of a probe: the CRD takes fewer characters than HTTP does. */
export const plainHeaderName = check(
  (value) => /^[-_A-Za-z0-9]+$/.test(value),
  'a header name (letters, digits, "-" and "_")',
  headerRemedy,
)

/** `@request.auth.claims.sub`, `@request.auth.claims[a][b]`: routing by the claims of a token. */
export function isClaimKey(value: string): boolean {
  return /^@request\.auth\.claims(?:\..+|(?:\[[^\][]+\])+)$/i.test(value)
}

/** Keys of `match.headers`: RFC 9110 tokens, HTTP/2's pseudo headers, claims of a token. */
export const matchHeaderName = check(
  (value) => isHeaderName(value) || pseudoHeaders.has(value) || isClaimKey(value),
  'a header name',
  headerRemedy,
)

export const headerNameOrWildcard = check(
  (value) => value === '*' || isHeaderName(value),
  'a header name or *',
  headerRemedy,
)

/** Envoy counts RE2 program size; Istio bounds the text instead. */
const regexCharsMax = 1024

export const regex: Check<string> = (value) => {
  if (value === '') return mismatch('a regular expression', value, 'Write a pattern, or remove it.')
  if (Buffer.byteLength(value) > regexCharsMax) {
    return {
      message: `must be at most ${String(regexCharsMax)} bytes long, got ${String(Buffer.byteLength(value))}`,
      remedy: 'Shorten the pattern, or split it into several matches.',
    }
  }
  try {
    RE2JS.compile(value)
    return undefined
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown)
    return {
      message: `must be an RE2 regular expression, got "${clip(value)}" (${reason})`,
      remedy: 'Use RE2 syntax: no look-around, no back-references.',
    }
  }
}
