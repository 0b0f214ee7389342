/**
 * Which responses outlier detection counts as errors: `outlier_detection.error_matcher` of a cluster's HTTP protocol
 * options, a `MatchPredicate` over the head of a response.
 *
 * Envoy asks it of response heads only. What it could ask of a request, of trailers or of a body would never match, so it
 * is refused.
 */
import type { MatchPredicate } from '../../xds/proto/generated/envoy/config/common/matcher/v3/matcher.ts'
import type { ResponseTest } from '../resilience/outlier-detector.ts'
import { compileResponseMatcher } from '../route/header-matcher.ts'
import { acceptedEach } from './compiled.ts'
import { type FieldReport, at, refuse } from './field-rule.ts'

export function compileErrorMatcher(
  predicate: MatchPredicate | undefined,
  report: FieldReport,
): ResponseTest | undefined {
  const rule = predicate?.rule
  if (rule === undefined) {
    refuse(report, 'rule is required')
    return undefined
  }
  if (rule.$case === 'notMatch') {
    const test = compileErrorMatcher(rule.value, at(report, 'not_match'))
    return test && ((headers, status) => !test(headers, status))
  }
  if (rule.$case === 'anyMatch') {
    if (!rule.value) refuse(at(report, 'any_match'), 'value must equal true')
    return () => true
  }
  if (rule.$case === 'orMatch') {
    const tests = compileSet(rule.value.rules, at(report, 'or_match'))
    return (headers, status) => tests.some((test) => test(headers, status))
  }
  if (rule.$case === 'andMatch') return all(compileSet(rule.value.rules, at(report, 'and_match')))
  // The others are refused by their field rules.
  if (rule.$case !== 'httpResponseHeadersMatch') return undefined
  const here = at(report, 'http_response_headers_match', 'headers')
  return all(acceptedEach(rule.value.headers, compileResponseMatcher, here))
}

function all(tests: readonly ResponseTest[]): ResponseTest {
  return (headers, status) => tests.every((test) => test(headers, status))
}

function compileSet(rules: readonly MatchPredicate[], report: FieldReport): ResponseTest[] {
  if (rules.length < 2) refuse(at(report, 'rules'), 'value must contain at least 2 item(s)')
  return rules.flatMap((rule, index) => compileErrorMatcher(rule, at(report, 'rules', index)) ?? [])
}
