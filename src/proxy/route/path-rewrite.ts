/** New paths: the matched part replaced, or a regular expression over the path. The query always stays. */
import type { RegexMatchAndSubstitute } from '../../xds/proto/generated/envoy/type/matcher/v3/regex.ts'
import { type FieldReport, at, refuse } from '../config/field-rule.ts'
import { pathOnly } from './query-matcher.ts'
import { compileRegexRewrite } from './regex-rewrite.ts'
import type { MatchedPart } from './route-matcher.ts'

export interface PathRewriteFields {
  readonly prefixRewrite: string
  readonly regexRewrite: RegexMatchAndSubstitute | undefined
}

export type PathRewrite = (path: string) => string

export function compilePathRewrite(
  fields: PathRewriteFields,
  matched: MatchedPart,
  report: FieldReport,
): PathRewrite | undefined {
  const { prefixRewrite, regexRewrite } = fields
  if (prefixRewrite !== '' && regexRewrite !== undefined) {
    refuse(report, 'only one of prefix_rewrite and regex_rewrite may be set')
  }
  if (prefixRewrite !== '') return replaceMatched(prefixRewrite, matched)
  if (regexRewrite === undefined) return undefined
  const rewrite = compileRegexRewrite(regexRewrite)
  if (!rewrite.ok) {
    for (const reason of rewrite.reasons) refuse(at(report, 'regex_rewrite'), reason)
    return undefined
  }
  const replace = rewrite.value
  return (path) => {
    const only = pathOnly(path)
    return replace(only) + path.slice(only.length)
  }
}

function replaceMatched(replacement: string, matched: MatchedPart): PathRewrite {
  if (matched.kind === 'start') {
    const { length } = matched
    return (path) => replacement + path.slice(length)
  }
  return (path) => replacement + path.slice(pathOnly(path).length)
}
