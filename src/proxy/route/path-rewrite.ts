/** New paths: the matched part replaced, or a regular expression over the path. The query always stays. */
import { lowerAscii } from '../../lib/lower-ascii.ts'
import type { TypedExtensionConfig } from '../../xds/proto/generated/envoy/config/core/v3/extension.ts'
import type { RegexMatchAndSubstitute } from '../../xds/proto/generated/envoy/type/matcher/v3/regex.ts'
import { accepted } from '../config/compiled.ts'
import { type FieldReport, at, refuse } from '../config/field-rule.ts'
import { checkHeaderText, octetsOf } from '../config/header-text.ts'
import { compileTemplateRewrite } from './path-template.ts'
import { pathOnly } from './query-matcher.ts'
import { compileRegexRewrite } from './regex-rewrite.ts'
import type { MatchedPart } from './route-matcher.ts'

export interface PathRewriteFields {
  readonly prefixRewrite: string
  readonly regexRewrite: RegexMatchAndSubstitute | undefined
  readonly pathRewritePolicy?: TypedExtensionConfig | undefined
}

/** Undefined where there is nothing to replace: a filter has changed the path, or parameters stand in what was matched. */
export type PathRewrite = (path: string) => string | undefined

export function compilePathRewrite(
  fields: PathRewriteFields,
  matched: MatchedPart,
  report: FieldReport,
): PathRewrite | undefined {
  const { prefixRewrite, regexRewrite, pathRewritePolicy } = fields
  const set = [prefixRewrite || undefined, regexRewrite, pathRewritePolicy]
  if (set.filter((one) => one !== undefined).length > 1) {
    refuse(report, 'only one of prefix_rewrite, regex_rewrite and path_rewrite_policy may be set')
  }
  checkHeaderText(prefixRewrite, at(report, 'prefix_rewrite'))
  if (pathRewritePolicy !== undefined) {
    const template = matched.kind === 'template' ? matched.template : undefined
    return compileTemplateRewrite(pathRewritePolicy, template, at(report, 'path_rewrite_policy'))
  }
  if (prefixRewrite !== '') {
    if (matched.kind === 'template') {
      refuse(at(report, 'prefix_rewrite'), 'a route with a path_match_policy has no prefix')
    }
    return replaceMatched(octetsOf(prefixRewrite), matched)
  }
  if (regexRewrite === undefined) return undefined
  const replace = accepted(compileRegexRewrite(regexRewrite), at(report, 'regex_rewrite'))
  if (replace === undefined) return undefined
  return (path) => {
    const only = pathOnly(path)
    return replace(only) + path.slice(only.length)
  }
}

function replaceMatched(replacement: string, matched: MatchedPart): PathRewrite {
  if (matched.kind === 'start') {
    const { text, ignoresCase } = matched
    const { length } = text
    if (!ignoresCase) {
      return (path) => (path.startsWith(text) ? replacement + path.slice(length) : undefined)
    }
    const lower = lowerAscii(text)
    return (path) =>
      lowerAscii(path.slice(0, length)) === lower ? replacement + path.slice(length) : undefined
  }
  return (path) => replacement + path.slice(pathOnly(path).length)
}
