/**
 * One spelling for the path of a request, before anything matches on it; what was matched is what is forwarded
 * (CVE-2019-9901, CVE-2021-29492, CVE-2021-31920). Envoy `normalize_path`, `merge_slashes`,
 * `path_with_escaped_slashes_action`, in Envoy's order: escaped slashes, RFC 3986 normalization, merged slashes.
 */

export interface PathRules {
  readonly normalizePath: boolean
  readonly mergeSlashes: boolean
  readonly escapedSlashes: 'keep' | 'reject' | 'unescape-redirect' | 'unescape-forward'
}

export type PathResult =
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'redirect'; readonly path: string }
  /** With the path as far as it was changed, for the log. */
  | { readonly kind: 'reject'; readonly path: string }

/** Characters that any rule could act on; a path without them is returned as it is. */
const suspicious = /[%\\"<>^`{|}]|\/\.|\/\//

/** `path` starts with `/` and may carry a query, which no rule touches. */
export function normalizePath(path: string, rules: PathRules): PathResult {
  const question = path.indexOf('?')
  const bare = question === -1 ? path : path.slice(0, question)
  if (!suspicious.test(bare)) return { kind: 'path', path }
  const query = question === -1 ? '' : path.slice(question)
  let isRedirect = false
  let changed = bare
  if (rules.escapedSlashes !== 'keep' && escapedSlash.test(changed)) {
    isRedirect = rules.escapedSlashes === 'unescape-redirect'
    changed = changed.replaceAll(escapedSlashes, (code) =>
      code.endsWith('5c') || code.endsWith('5C') ? '\\' : '/',
    )
    if (rules.escapedSlashes === 'reject') return { kind: 'reject', path: changed + query }
  }
  if (rules.normalizePath) {
    // As Envoy: no file has NUL in its name, and C's strings end at it.
    if (changed.includes('%00')) return { kind: 'reject', path: changed + query }
    changed = removeDotSegments(decodeUnreserved(changed.replaceAll('\\', '/')))
    changed = changed.replaceAll(unwise, (char) => escapes[char] ?? char)
  }
  if (rules.mergeSlashes) changed = changed.replaceAll(/\/{2,}/g, '/')
  return { kind: isRedirect ? 'redirect' : 'path', path: changed + query }
}

const escapedSlash = /%2f|%5c/i
const escapedSlashes = /%2f|%5c/gi

/** What a URL may not hold as it is (WHATWG URL, the path's percent-encode set, and what RFC 2396 called unwise). */
const unwise = /["<>^`{|}]/g
const escapes: Readonly<Record<string, string>> = {
  '"': '%22',
  '<': '%3C',
  '>': '%3E',
  '^': '%5E',
  '`': '%60',
  '{': '%7B',
  '|': '%7C',
  '}': '%7D',
}

/** Decodes what needs no encoding (RFC 3986 §6.2.2.2), so that `%2e%2e` is seen as dots; what is malformed stays. */
function decodeUnreserved(path: string): string {
  if (!path.includes('%')) return path
  return path.replaceAll(/%[0-9a-fA-F]{2}/g, (code) => {
    const char = String.fromCharCode(Number.parseInt(code.slice(1), 16))
    return /[0-9A-Za-z._~-]/.test(char) ? char : code
  })
}

/** RFC 3986 §5.2.4: dots that would climb above the root are dropped. */
function removeDotSegments(path: string): string {
  if (!path.includes('/.')) return path
  const kept: string[] = []
  const segments = path.split('/')
  for (let index = 1; index < segments.length; index += 1) {
    const segment = segments[index] ?? ''
    const isLast = index === segments.length - 1
    // Tomcat and its like cut matrix parameters before they resolve dots (CVE-2026-73551).
    const name = segment.startsWith('.') ? (segment.split(';', 1)[0] ?? '') : segment
    if (name === '..') {
      kept.pop()
      if (isLast) kept.push('')
    } else if (name === '.') {
      if (isLast) kept.push('')
    } else kept.push(segment)
  }
  return `/${kept.join('/')}`
}
