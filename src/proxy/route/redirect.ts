/** Redirects: the Location of a request, part by part, as Envoy builds it. */
import {
  type RedirectAction,
  RedirectAction_RedirectResponseCode as ResponseCode,
} from '../../xds/proto/generated/envoy/config/route/v3/route_components.ts'
import { type FieldReport, at } from '../config/field-rule.ts'
import { checkHeaderText, octetsOf } from '../config/header-text.ts'
import { checkEnum } from '../config/message-value.ts'
import type { RequestHead } from '../http/message.ts'
import { compilePathRewrite } from './path-rewrite.ts'
import type { MatchedPart } from './route-matcher.ts'
import type { RedirectReply } from './route-table.ts'

const statuses: Readonly<Record<number, number>> = {
  [ResponseCode.MOVED_PERMANENTLY]: 301,
  [ResponseCode.FOUND]: 302,
  [ResponseCode.SEE_OTHER]: 303,
  [ResponseCode.TEMPORARY_REDIRECT]: 307,
  [ResponseCode.PERMANENT_REDIRECT]: 308,
}

export function compileRedirect(
  action: RedirectAction,
  matched: MatchedPart,
  report: FieldReport,
): (head: RequestHead) => RedirectReply {
  const status = statuses[action.responseCode]
  checkEnum(action.responseCode, ResponseCode, at(report, 'response_code'))
  const hostRedirect = octetsOf(action.hostRedirect)
  checkHeaderText(action.hostRedirect, at(report, 'host_redirect'))
  const schemeOf = compileScheme(action)
  const pathOf = compilePath(action, matched, report)
  const port = action.portRedirect === 0 ? '' : `:${action.portRedirect}`
  return (head) => {
    const scheme = schemeOf(head)
    const host = hostRedirect === '' ? requestHost(head, scheme, port) : hostRedirect
    const path = pathOf(head.path)
    const slash = path.startsWith('/') ? '' : '/'
    return { status: status ?? 301, location: `${scheme}://${host}${port}${slash}${path}` }
  }
}

/** Virtual host `require_tls`: the same address with https, for a request that came without. */
export function tlsRedirect(head: RequestHead): RedirectReply {
  return { status: 301, location: `https://${head.authority}${head.path}` }
}

/** What the client spoke to the first proxy, where that one says so. */
export function forwardedScheme(head: RequestHead): string {
  return head.headers.get('x-forwarded-proto') ?? head.scheme
}

function compileScheme(action: RedirectAction): (head: RequestHead) => string {
  const specifier = action.schemeRewriteSpecifier
  if (specifier?.$case === 'schemeRedirect' && specifier.value !== '') {
    const scheme = specifier.value
    return () => scheme
  }
  if (specifier?.$case === 'httpsRedirect' && specifier.value) return () => 'https'
  return (head) => head.scheme
}

/** The request's own host. Its port goes when another is set, or when it was the old scheme's default. */
function requestHost(head: RequestHead, scheme: string, port: string): string {
  const { authority } = head
  const colon = authority.startsWith('[')
    ? authority.lastIndexOf(']:') + 1
    : authority.lastIndexOf(':')
  if (colon <= 0) return authority
  const oldPort = authority.slice(colon)
  const oldScheme = forwardedScheme(head)
  const isOldDefault = oldPort === (oldScheme === 'https' ? ':443' : ':80')
  const removes = port !== '' || (scheme !== oldScheme && isOldDefault)
  return removes ? authority.slice(0, colon) : authority
}

/** A query inside `path_redirect` wins over the request's and is never stripped. */
function compilePath(
  action: RedirectAction,
  matched: MatchedPart,
  report: FieldReport,
): (path: string) => string {
  const { stripQuery, pathRewriteSpecifier: specifier } = action
  if (specifier?.$case === 'pathRedirect' && specifier.value !== '') {
    const target = octetsOf(specifier.value)
    checkHeaderText(target, at(report, 'path_redirect'))
    if (target.includes('?') || stripQuery) return () => target
    return (path) => target + queryOf(path)
  }
  const rewrite = compilePathRewrite(
    {
      prefixRewrite: specifier?.$case === 'prefixRewrite' ? specifier.value : '',
      regexRewrite: specifier?.$case === 'regexRewrite' ? specifier.value : undefined,
    },
    matched,
    report,
  )
  const whole = (path: string): string => rewrite?.(path) ?? path
  return stripQuery ? (path) => whole(path).split('?', 1)[0] ?? '' : whole
}

function queryOf(path: string): string {
  const question = path.indexOf('?')
  return question < 0 ? '' : path.slice(question)
}
