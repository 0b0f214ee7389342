/**
 * Envoy's `RouteAction.hash_policy`: what of a request decides its endpoint where the cluster hashes. Several policies
 * are joined in order; one that is terminal ends the list when there is a hash.
 */
import { unreachable } from '../../lib/assert.ts'
import { type Hash64, hexOf, joinHashes, xxHash64 } from '../../lib/xx-hash.ts'
import type {
  RouteAction_HashPolicy as HashPolicy,
  RouteAction_HashPolicy_Cookie as CookiePolicy,
  RouteAction_HashPolicy_Header as HeaderPolicy,
} from '../../xds/proto/generated/envoy/config/route/v3/route_components.ts'
import { accepted } from '../config/compiled.ts'
import { type FieldReport, at, refuse } from '../config/field-rule.ts'
import { checkHeaderLength, checkHeaderText } from '../config/header-text.ts'
import { isIp } from '../config/message-value.ts'
import type { HeaderList } from '../http/header-list.ts'
import type { RequestHead } from '../http/message.ts'
import { queryParameter } from './query-matcher.ts'
import { compileRegexRewrite } from './regex-rewrite.ts'

/** What a hash may be made of besides the request. */
export interface HashSource {
  /** Of the client, as logs print it: `ip:port`. */
  readonly remoteAddressText: string
  readonly localAddressText: string
  /** Texts by key that filters say of the connection; absent: nothing. */
  readonly filterState?: Readonly<Record<string, string>> | undefined
  /** Asks for a `set-cookie` on the response. */
  addCookie(setCookie: string): void
}

export type HashRequest = (head: RequestHead, source: HashSource) => Hash64 | undefined

/** Undefined when there is no policy, or none that could give a hash. */
export function compileHashPolicies(
  policies: readonly HashPolicy[],
  report: FieldReport,
): HashRequest | undefined {
  const steps = policies.flatMap((policy, index) => {
    const hash = compilePolicy(policy, at(report, index))
    return hash === undefined ? [] : [{ hash, isTerminal: policy.terminal }]
  })
  if (steps.length === 0) return undefined
  return (head, source) => {
    let joined: Hash64 | undefined
    for (const { hash, isTerminal } of steps) {
      const next = hash(head, source)
      if (next !== undefined) joined = joinHashes(joined, next)
      if (isTerminal && joined !== undefined) break
    }
    return joined
  }
}

function compilePolicy(policy: HashPolicy, report: FieldReport): HashRequest | undefined {
  const specifier = policy.policySpecifier
  switch (specifier?.$case) {
    case 'header':
      return compileHeader(specifier.value, at(report, 'header'))
    case 'cookie':
      return compileCookie(specifier.value, at(report, 'cookie'))
    case 'connectionProperties':
      if (!specifier.value.sourceIp) return undefined
      return (_head, { remoteAddressText }) => hashAddress(remoteAddressText)
    case 'queryParameter': {
      const { name } = specifier.value
      if (name === '') refuse(at(report, 'query_parameter', 'name'), required)
      return (head) => {
        const value = queryParameter(head.path, name)
        return value === undefined ? undefined : xxHash64(value)
      }
    }
    case 'filterState': {
      const { key } = specifier.value
      if (key === '') refuse(at(report, 'filter_state', 'key'), required)
      return (_head, { filterState }) => {
        const text = filterState?.[key]
        return text === undefined ? undefined : xxHash64(text)
      }
    }
    case undefined:
      refuse(report, 'policy_specifier is required')
      return undefined
    default:
      return unreachable(specifier)
  }
}

const required = 'value length must be at least 1 characters'

function compileHeader(policy: HeaderPolicy, report: FieldReport): HashRequest {
  const name = policy.headerName.toLowerCase()
  if (name === '') refuse(at(report, 'header_name'), required)
  checkHeaderText(name, at(report, 'header_name'))
  const rewrite =
    policy.regexRewrite &&
    accepted(compileRegexRewrite(policy.regexRewrite), at(report, 'regex_rewrite'))
  const shape = rewrite ?? ((value: string) => value)
  const pseudo = pseudoHeaders[name]
  if (pseudo !== undefined) return (head) => xxHash64(shape(pseudo(head)))
  return ({ headers }) => {
    const first = headers.get(name)
    if (first === undefined) return undefined
    const values = valuesOf(headers, name)
    if (values.length === 1) return xxHash64(shape(first))
    // Sorted, so that the order of several values plays no part; the hash of one is the seed of the next.
    let hash: Hash64 | undefined
    for (const value of values.map(shape).sort()) hash = xxHash64(value, hash)
    return hash
  }
}

const pseudoHeaders: Readonly<Record<string, (head: RequestHead) => string>> = {
  ':path': (head) => head.path,
  ':method': (head) => head.method,
  ':authority': (head) => head.authority,
  host: (head) => head.authority,
}

function valuesOf({ fields }: HeaderList, name: string): string[] {
  const values: string[] = []
  for (let index = 0; index < fields.length; index += 2) {
    if (fields[index] === name) values.push(fields[index + 1] ?? '')
  }
  return values
}

/** With a `ttl`, a client that has no cookie gets one, whose value is that of its connection. */
function compileCookie(policy: CookiePolicy, report: FieldReport): HashRequest {
  const { name, ttl } = policy
  if (name === '') refuse(at(report, 'name'), required)
  if (ttl !== undefined && (ttl.seconds < 0 || ttl.nanos < 0)) {
    refuse(at(report, 'ttl'), 'value must be greater than or equal to 0s')
  }
  checkHeaderText(name, at(report, 'name'))
  checkHeaderText(policy.path, at(report, 'path'))
  policy.attributes.forEach((attribute, index) => {
    const here = at(report, 'attributes', index)
    if (attribute.name === '') refuse(at(here, 'name'), required)
    for (const field of ['name', 'value'] as const) {
      checkHeaderText(attribute[field], at(here, field))
      checkHeaderLength(attribute[field], at(here, field))
    }
  })
  const suffix = ttl === undefined ? undefined : cookieSuffix(policy, ttl.seconds)
  return (head, source) => {
    const value = cookieOf(head.headers, name)
    if (value !== '') return xxHash64(value)
    if (suffix === undefined) return undefined
    const made = hexOf(xxHash64(source.remoteAddressText + source.localAddressText))
    source.addCookie(`${name}="${made}"${suffix}`)
    return xxHash64(made)
  }
}

/** A life of 0 seconds is that of the browser's session. */
function cookieSuffix({ path, attributes }: CookiePolicy, seconds: number): string {
  const age = seconds === 0 ? '' : `; Max-Age=${seconds}`
  const where = path === '' ? '' : `; Path=${path}`
  const others = attributes.map((one) =>
    one.value === '' ? `; ${one.name}` : `; ${one.name}=${one.value}`,
  )
  return `${age}${where}${others.join('')}; HttpOnly`
}

/** The first cookie of that name in any `cookie` header, without quotes; '' when there is none. */
function cookieOf({ fields }: HeaderList, name: string): string {
  for (let index = 0; index < fields.length; index += 2) {
    if (fields[index] !== 'cookie') continue
    for (const part of (fields[index + 1] ?? '').split(';')) {
      const equals = part.indexOf('=')
      if (equals < 0 || part.slice(0, equals).trimStart() !== name) continue
      const value = part.slice(equals + 1).trimEnd()
      const isQuoted = value.length >= 2 && value.startsWith('"') && value.endsWith('"')
      return isQuoted ? value.slice(1, -1) : value
    }
  }
  return ''
}

/** Of the IP alone; nothing for a client without one (a Unix socket, a listener of ours). */
export function hashAddress(addressText: string): Hash64 | undefined {
  const colon = addressText.lastIndexOf(':')
  const host = colon < 0 ? '' : addressText.slice(0, colon)
  const bare = host.startsWith('[') ? host.slice(1, -1) : host
  if (!isIp(bare)) return undefined
  return xxHash64(bare.includes(':') ? shortestIpv6(bare) : bare)
}

/** RFC 5952, as Envoy prints addresses; a header may spell one in another way. */
function shortestIpv6(text: string): string {
  return URL.parse(`http://[${text}]`)?.hostname.slice(1, -1) ?? text
}
