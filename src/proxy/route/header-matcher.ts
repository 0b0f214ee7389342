/**
 * Envoy's `route.v3.HeaderMatcher` over a request or a response.
 *
 * Of a repeated field one value has to match; inverted, none may. (Envoy 1.40 does so; older ones matched the values
 * joined by commas, and a second value could then slip past a rule.) A field that is absent matches nothing, inverted
 * or not, unless `treat_missing_header_as_empty` is set; only `present_match` can ask for absence.
 */
import { lowerAscii } from '../../lib/lower-ascii.ts'
import { type HeaderMatcher } from '../../xds/proto/generated/envoy/config/route/v3/route_components.ts'
import { type Compiled, compiled, refused } from '../config/compiled.ts'
import { endsLine, octetsOf } from '../config/header-text.ts'
import type { HeaderList } from '../http/header-list.ts'
import type { RequestHead } from '../http/message.ts'
import { type TextMatch, compileRegexMatcher } from './regex.ts'
import { compileOctetMatcher } from './string-matcher.ts'

/** The first value of a field, or undefined when it is absent. */
export type FieldReader<Message> = (message: Message) => string | undefined

/** Whether a value of the field passes; undefined when it is absent. */
type FieldTest<Message> = (message: Message, test: TextMatch) => boolean | undefined

export type HeaderMatch<Message> = (message: Message) => boolean

export function compileRequestMatcher(matcher: HeaderMatcher): Compiled<HeaderMatch<RequestHead>> {
  const name = lowerAscii(matcher.name)
  if (!name.startsWith(':') && name !== 'host') {
    return compileMatcher(matcher, (head, test) => anyValue(head.headers, name, test))
  }
  const read = requestReader(name)
  return compileMatcher(matcher, (head, test) => {
    const value = read(head)
    return value === undefined ? undefined : test(value)
  })
}

/** Over response fields; `:status` is read too. */
export function compileResponseMatcher(
  matcher: HeaderMatcher,
): Compiled<(headers: HeaderList, status: number) => boolean> {
  const name = lowerAscii(matcher.name)
  const field: FieldTest<{ headers: HeaderList; status: number }> =
    name === ':status'
      ? ({ status }, test) => test(String(status))
      : ({ headers }, test) => anyValue(headers, name, test)
  const result = compileMatcher(matcher, field)
  if (!result.ok) return result
  return compiled((headers, status) => result.value({ headers, status }))
}

/** Pseudo headers are fields of the head; `host` is Envoy's alias of `:authority`. */
export function requestReader(name: string): FieldReader<RequestHead> {
  const lower = lowerAscii(name)
  switch (lower) {
    case ':method':
      return (head) => head.method
    case ':path':
      return (head) => (head.path === '' ? undefined : head.path)
    case ':authority':
    case 'host':
      return (head) => (head.authority === '' ? undefined : head.authority)
    case ':scheme':
      return (head) => head.scheme
    default:
      return (head) => head.headers.get(lower)
  }
}

function anyValue(headers: HeaderList, name: string, test: TextMatch): boolean | undefined {
  const { fields } = headers
  let found: boolean | undefined
  for (let index = 0; index < fields.length; index += 2) {
    if (fields[index] !== name) continue
    if (test(fields[index + 1] as string)) return true // names and values alternate
    found = false
  }
  return found
}

function compileMatcher<Message>(
  matcher: HeaderMatcher,
  field: FieldTest<Message>,
): Compiled<HeaderMatch<Message>> {
  if (matcher.name === '') return refused('name: is required')
  if (endsLine(matcher.name)) {
    return refused('name: may hold no NUL, line feed or carriage return')
  }
  const { invertMatch, treatMissingHeaderAsEmpty, headerMatchSpecifier } = matcher
  if (headerMatchSpecifier === undefined || headerMatchSpecifier.$case === 'presentMatch') {
    const wanted = (headerMatchSpecifier?.value ?? true) !== invertMatch
    if (treatMissingHeaderAsEmpty) return compiled(() => wanted)
    return compiled((message) => (field(message, isAny) !== undefined) === wanted)
  }
  const value = compileValue(headerMatchSpecifier)
  if (!value.ok) return value
  const matches = value.value
  return compiled((message) => {
    const matched = field(message, matches) ?? (treatMissingHeaderAsEmpty ? matches('') : undefined)
    return matched !== undefined && matched !== invertMatch
  })
}

const isAny: TextMatch = () => true

type ValueSpecifier = Exclude<
  NonNullable<HeaderMatcher['headerMatchSpecifier']>,
  { $case: 'presentMatch' }
>

function compileValue(specifier: ValueSpecifier): Compiled<TextMatch> {
  switch (specifier.$case) {
    case 'exactMatch': {
      const wanted = octetsOf(specifier.value)
      // The deprecated matcher with an empty value asks for presence only.
      return compiled((text) => wanted === '' || text === wanted)
    }
    case 'prefixMatch':
    case 'suffixMatch':
    case 'containsMatch':
      return compileDeprecated(specifier)
    case 'safeRegexMatch':
      return compileSafeRegex(specifier.value)
    case 'rangeMatch': {
      const start = boundOf(specifier.value.start)
      const end = boundOf(specifier.value.end)
      return compiled((text) => {
        const value = integerOf(text)
        return value !== undefined && value >= start && value < end
      })
    }
    case 'stringMatch': {
      const inner = compileOctetMatcher(specifier.value)
      return inner.ok ? inner : refused(...inner.reasons.map((reason) => `string_match.${reason}`))
    }
    default:
      return refused('header_match_specifier: not implemented')
  }
}

function compileSafeRegex(matcher: { readonly regex: string }): Compiled<TextMatch> {
  const inner = compileRegexMatcher({ regex: octetsOf(matcher.regex) })
  if (inner.ok) return inner
  return refused(...inner.reasons.map((reason) => `safe_regex_match.${reason}`))
}

function compileDeprecated(specifier: {
  readonly $case: 'prefixMatch' | 'suffixMatch' | 'containsMatch'
  readonly value: string
}): Compiled<TextMatch> {
  const value = octetsOf(specifier.value)
  switch (specifier.$case) {
    case 'prefixMatch':
      return value === ''
        ? refused('prefix_match: must not be empty')
        : compiled((text) => text.startsWith(value))
    case 'suffixMatch':
      return value === ''
        ? refused('suffix_match: must not be empty')
        : compiled((text) => text.endsWith(value))
    case 'containsMatch':
    default:
      return value === ''
        ? refused('contains_match: must not be empty')
        : compiled((text) => text.includes(value))
  }
}

/** absl::SimpleAtoi: white space around, an optional sign, digits; nothing beyond 64 bits. */
function integerOf(text: string): number | bigint | undefined {
  const trimmed = text.trim()
  if (!/^[+-]?\d+$/.test(trimmed)) return undefined
  const digits = trimmed.startsWith('+') ? trimmed.slice(1) : trimmed
  const value = Number(digits)
  if (Number.isSafeInteger(value)) return value
  const whole = BigInt(digits)
  return whole > int64Max || whole < -int64Max - 1n ? undefined : whole
}

const int64Max = 9_223_372_036_854_775_807n

/** The greatest of 64 bits is read as 2^63, which is one too many. */
function boundOf(read: number): number | bigint {
  return read >= 2 ** 63 ? int64Max : read
}
