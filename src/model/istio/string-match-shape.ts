/** Istio's StringMatch: exact, prefix or regex; where it may be empty depends on what it matches. */
import { regex } from '../schema/http-format.ts'
import { atMostOne } from '../schema/rule.ts'
import { named, object, text, wrongType } from '../schema/shape.ts'
import type { Check, Reading, Rule, Shape } from '../schema/shape.ts'
import { fieldPath } from '../schema/source-node.ts'
import type { StringMatch } from './virtual-service.ts'

export interface StringMatchOptions {
  /** `{}` asks for presence (headers); elsewhere it matches anything, which is hardly meant. */
  readonly isPresence?: boolean
  readonly isEmptyPrefixAllowed?: boolean
  /** Neither `{}` nor an empty text: CORS origins. */
  readonly isValueNeeded?: boolean
}

export function stringMatch(options: StringMatchOptions = {}): Shape<StringMatch> {
  const shape = named(
    'string match',
    object<StringMatch>(
      {
        exact: text(...(options.isValueNeeded === true ? [checkNotEmpty('exact')] : [])),
        prefix: text(...(options.isEmptyPrefixAllowed === true ? [] : [checkNotEmpty('prefix')])),
        regex: text(options.isPresence === true ? regexOrStar : regex),
      },
      atMostOne<StringMatch>('exact', 'prefix', 'regex'),
      reportEmpty(options),
    ),
  )
  return {
    ...shape,
    read(node, path, reading) {
      if (node.type !== 'scalar') return shape.read(node, path, reading)
      reading.report(path, { ...wrongType('an object', node), remedy: howToMatch })
      return undefined
    },
  }
}

/** A text alone is the commonest slip: `uri: /a`. */
const howToMatch = 'Write { exact: … }, { prefix: … } or { regex: … } instead of the text alone.'

/** `*` is no regular expression; Istio reads it as "is present". */
const regexOrStar: Check<string> = (value) => (value === '*' ? undefined : regex(value))

function checkNotEmpty(name: string): Check<string> {
  return (value) =>
    value === ''
      ? { message: `${name} must not be empty`, remedy: 'Write a value, or remove the match.' }
      : undefined
}

function reportEmpty(options: StringMatchOptions): Rule<StringMatch> {
  return (_, path, reading) => {
    if (options.isPresence === true || isAnySet(path, reading)) return
    reading.report(path, {
      severity: options.isValueNeeded === true ? 'error' : 'warning',
      ...(options.isValueNeeded === true ? {} : { code: 'IST0133' }),
      message: 'must have one of exact, prefix, regex; an empty match matches anything',
      remedy: 'Add exact, prefix or regex, or remove the match.',
    })
  }
}

function isAnySet(path: string, reading: Reading): boolean {
  return ['exact', 'prefix', 'regex'].some((name) => reading.isPresent(fieldPath(path, name)))
}
