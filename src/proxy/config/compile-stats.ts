/** Envoy `stats_config` → which statistics are shown, and with which labels. */
import { unreachable } from '../../lib/assert.ts'
import type {
  StatsConfig,
  StatsMatcher,
  TagSpecifier,
} from '../../xds/proto/generated/envoy/config/metrics/v3/stats.ts'
import type { ListStringMatcher } from '../../xds/proto/generated/envoy/type/matcher/v3/string.ts'
import { compileStringMatcher } from '../route/string-matcher.ts'
import type { StatsPolicy, TagRule } from '../telemetry/shown-stats.ts'
import { acceptedEach } from './compiled.ts'
import { type FieldReport, at, refuse, showValue } from './field-rule.ts'

/** Undefined: all are shown as they are. */
export function compileStats(
  config: StatsConfig | undefined,
  report: FieldReport,
): StatsPolicy | undefined {
  if (config === undefined) return undefined
  const tags = config.statsTags.flatMap(
    (tag, index) => compileTag(tag, at(report, 'stats_tags', index)) ?? [],
  )
  const isShown = compileMatcher(config.statsMatcher, at(report, 'stats_matcher'))
  if (isShown === undefined && tags.length === 0) return undefined
  return { isShown: isShown ?? (() => true), tags }
}

function compileMatcher(
  matcher: StatsMatcher | undefined,
  report: FieldReport,
): StatsPolicy['isShown'] | undefined {
  if (matcher === undefined) return undefined
  const specifier = matcher.statsMatcher
  switch (specifier?.$case) {
    case undefined:
      refuse(report, 'stats_matcher is required')
      return undefined
    case 'rejectAll':
      return specifier.value ? () => false : undefined
    case 'inclusionList':
      return anyOf(specifier.value, at(report, 'inclusion_list'))
    case 'exclusionList': {
      const matches = anyOf(specifier.value, at(report, 'exclusion_list'))
      return (name) => !matches(name)
    }
    default:
      return unreachable(specifier)
  }
}

function anyOf({ patterns }: ListStringMatcher, report: FieldReport): (name: string) => boolean {
  if (patterns.length === 0) refuse(at(report, 'patterns'), 'must not be empty')
  const matchers = acceptedEach(patterns, compileStringMatcher, at(report, 'patterns'))
  return (name) => matchers.some((matches) => matches(name))
}

function compileTag({ tagName, tagValue }: TagSpecifier, report: FieldReport): TagRule | undefined {
  if (tagName === '') {
    refuse(at(report, 'tag_name'), 'is required: Envoy’s own tags are labels in any case')
    return undefined
  }
  if (tagValue?.$case === 'fixedValue') return { name: tagName, value: tagValue.value }
  const regex = tagValue?.value ?? ''
  // A tag of Envoy's by name alone is one that we label anyway.
  if (regex === '') return undefined
  const pattern = patternOf(regex)
  if (pattern === undefined) {
    refuse(
      at(report, 'regex'),
      `must be a regular expression with one or two groups, got ${showValue(regex)}`,
    )
    return undefined
  }
  return { name: tagName, pattern }
}

/** Envoy reads tags by ECMAScript's grammar, and not by RE2's. */
function patternOf(regex: string): RegExp | undefined {
  try {
    const pattern = new RegExp(regex)
    const groups = (new RegExp(`${regex}|`).exec('')?.length ?? 1) - 1
    return groups >= 1 ? pattern : undefined
  } catch {
    return undefined
  }
}
