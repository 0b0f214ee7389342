/** The scene of redirects that routes follow themselves: where each leads, what the upstream gets, and what is counted. */
import { bootstrapText, commonClusters, httpManager, jsonLog, listener } from './bootstrap-parts.ts'
import type { ParityCase } from './case-table.ts'
import type { Scene } from './scene.ts'

const ext = 'type.googleapis.com/envoy.extensions.internal_redirect'
const predicates = {
  previous: {
    name: 'envoy.internal_redirect_predicates.previous_routes',
    typed_config: { '@type': `${ext}.previous_routes.v3.PreviousRoutesConfig` },
  },
  listed: {
    name: 'envoy.internal_redirect_predicates.allow_listed_routes',
    typed_config: {
      '@type': `${ext}.allow_listed_routes.v3.AllowListedRoutesConfig`,
      allowed_route_names: ['target', 'loop'],
    },
  },
  safe: {
    name: 'envoy.internal_redirect_predicates.safe_cross_scheme',
    typed_config: { '@type': `${ext}.safe_cross_scheme.v3.SafeCrossSchemeConfig` },
  },
}

interface Told {
  readonly status?: number
  readonly location?: string
  readonly headers?: readonly string[]
  readonly body?: string
  /** Of the request. */
  readonly sent?: Pick<ParityCase, 'method' | 'body' | 'headers' | 'host'>
}

function told({ status = 302, location, headers = [], body = 'moved' }: Told): string {
  const lines = [...(location === undefined ? [] : [`location: ${location}`]), ...headers]
  const text = `HTTP/1.1 ${status} X\r\n${lines.map((line) => `${line}\r\n`).join('')}content-length: ${body.length}\r\n\r\n${body}`
  return Buffer.from(text).toString('base64')
}

function ask(name: string, from: string, answer: Told): ParityCase {
  const { headers = {}, ...others } = answer.sent ?? {}
  return {
    name,
    path: `/${from}?do=told`,
    headers: { 'x-request-id': 'mine', 'x-answer': told(answer), ...headers },
    ...others,
  }
}

const target = 'http://app.test/target/x?y=1'

const cases: readonly ParityCase[] = [
  ask('a redirect that is followed', 'plain', { location: target }),
  ask('another host', 'plain', { location: 'http://other.test/target' }),
  ask('a host with a port and a user', 'plain', {
    location: 'http://me:pass@other.test:81/target',
  }),
  ask('a scheme in capitals', 'plain', { location: 'HTTP://other.test/target' }),
  ask('a fragment', 'plain', { location: `${target}#part` }),
  ask('a query without a path', 'plain', { location: 'http://other.test?x=1' }),
  ask('no path', 'plain', { location: 'http://root.test' }),
  ask('a path to be normalized', 'plain', { location: 'http://app.test/a/../target//x' }),
  ask('a path alone', 'plain', { location: '/target' }),
  ask('a host alone', 'plain', { location: '//app.test/target' }),
  ask('an empty location', 'plain', { location: '' }),
  ask('no location', 'plain', {}),
  ask('a location that is none', 'plain', { location: 'http://bad host/target' }),
  ask('another scheme', 'plain', { location: 'https://app.test/target' }),
  ask('another scheme that is allowed', 'cross', { location: 'https://app.test/target' }),
  ask('another scheme that is not safe', 'safe', { location: 'https://app.test/target' }),
  ask('the same scheme is safe', 'safe', { location: target }),
  ask('no route', 'plain', { location: 'http://app.test/nowhere' }),
  ask('a route that answers itself', 'plain', { location: 'http://app.test/direct' }),
  ask('a route that redirects', 'plain', { location: 'http://app.test/away' }),
  ask('a cluster that is not there', 'plain', { location: 'http://app.test/none' }),
  ask('a host that refuses', 'plain', { location: 'http://app.test/refused' }),
  ask('a target that is not listed', 'listed', { location: 'http://app.test/other' }),
  ask('a target that is listed', 'listed', { location: target }),
  ...[301, 302, 303, 307, 308, 300, 304].map((status) =>
    ask(`status ${status} by default`, 'plain', { status, location: target }),
  ),
  ...[301, 302, 303, 307, 308].map((status) =>
    ask(`status ${status} where all are followed`, 'codes', { status, location: target }),
  ),
  ...[301, 303, 307].map((status) =>
    ask(`a body with ${status}`, 'codes', {
      status,
      location: target,
      sent: { method: 'POST', body: 'hello' },
    }),
  ),
  ask('HEAD with 303', 'codes', {
    status: 303,
    location: target,
    body: '',
    sent: { method: 'HEAD' },
  }),
  ask('PUT without a body and 303', 'codes', {
    status: 303,
    location: target,
    sent: { method: 'PUT' },
  }),
  ask('a body beyond what is held', 'small', {
    location: target,
    sent: { method: 'POST', body: 'x'.repeat(100) },
  }),
  ask('a loop to the limit', 'loop', { location: 'http://app.test/loop?do=told' }),
  ask('a loop that is seen', 'seen', { location: 'http://app.test/seen?do=told' }),
  ask('headers that are copied', 'copy', {
    location: target,
    headers: ['x-copy: new', 'x-copy: more', 'x-other: no', 'x-new: 1'],
    sent: { headers: { 'x-copy': 'old', 'x-gone': 'here', 'x-other': 'mine' } },
  }),
  ask('edits and rewrites of the route before', 'edits', { location: target }),
  ask('a redirect that a retry comes before', 'retry', { status: 503, location: target }),
  ask('no policy', 'other', { location: target }),
]

const follow = (policy: object = {}, more: object = {}) => ({
  route: { cluster: 'a', internal_redirect_policy: policy, ...more },
})

function named(name: string, rest: object): object {
  return { name, match: { prefix: `/${name}` }, ...rest }
}

const all = [301, 302, 303, 307, 308]

export const internalRedirectScene: Scene = {
  title: 'redirects that are followed, in Envoy and in Tulle',
  listeners: 1,
  cases,
  isInOrder: true,
  adminPath: '/stats',
  // A request whose redirect is followed has an entry for each of its ways.
  isLogged: (log) => log.split('\n').length > cases.length,
  bootstrap: (ports) =>
    bootstrapText({
      listeners: [
        listener('main', [
          httpManager({
            stat_prefix: 'main',
            normalize_path: true,
            merge_slashes: true,
            access_log: [
              jsonLog(ports.log, {
                status: '%RESPONSE_CODE%',
                flags: '%RESPONSE_FLAGS%',
                details: '%RESPONSE_CODE_DETAILS%',
                sent: '%BYTES_SENT%',
                url: '%REQ(X-ENVOY-ORIGINAL-URL)%',
                host: '%REQ(:AUTHORITY)%',
                location: '%RESP(LOCATION)%',
                attempts: '%UPSTREAM_REQUEST_ATTEMPT_COUNT%',
              }),
            ],
            route_config: {
              name: 'table',
              validate_clusters: false,
              virtual_hosts: [{ name: 'app', domains: ['*'], routes }],
            },
          }),
        ]),
      ],
      clusters: commonClusters(ports),
    }),
}

const routes = [
  named('plain', follow()),
  named('cross', follow({ allow_cross_scheme_redirect: true })),
  named('safe', follow({ allow_cross_scheme_redirect: true, predicates: [predicates.safe] })),
  named('listed', follow({ predicates: [predicates.listed] })),
  named('codes', follow({ redirect_response_codes: all })),
  named('loop', follow({ max_internal_redirects: 3 })),
  named('seen', follow({ max_internal_redirects: 10, predicates: [predicates.previous] })),
  named('copy', follow({ response_headers_to_copy: ['x-copy', 'X-Gone', 'x-new', 'x-absent'] })),
  named('small', { ...follow(), per_request_buffer_limit_bytes: 10 }),
  named('edits', {
    ...follow({}, { prefix_rewrite: '/rewritten', host_rewrite_literal: 'rewritten.test' }),
    request_headers_to_add: [{ header: { key: 'x-edit', value: 'before' } }],
    response_headers_to_add: [{ header: { key: 'x-edited', value: 'before' } }],
  }),
  named('retry', follow({}, { retry_policy: { retry_on: '5xx', num_retries: 1 } })),
  named('other', { route: { cluster: 'a' } }),
  named('target', {
    route: { cluster: 'b' },
    response_headers_to_add: [{ header: { key: 'x-target', value: 'yes' } }],
  }),
  named('direct', { direct_response: { status: 200, body: { inline_string: 'direct' } } }),
  named('away', { redirect: { path_redirect: '/far' } }),
  named('none', { route: { cluster: 'none' } }),
  named('refused', { route: { cluster: 'refused' } }),
  { name: 'root', match: { path: '/' }, route: { cluster: 'b' } },
]

/** What redirects have counted, and the answers. */
export function redirectStats(text: string): ReadonlyMap<string, number> {
  const stats = new Map<string, number>()
  for (const line of text.split('\n')) {
    const match =
      /^(\S*internal_redirect\S*|cluster\.[ab]\.upstream_rq_(?:\dxx|\d{3}|completed|total|retry\S*)|http\.main\.(?:downstream_rq_(?:\dxx|total|completed|active)|rq_\S+)): (\d+)$/.exec(
        line,
      )
    if (match?.[1] !== undefined && match[2] !== '0') stats.set(match[1], Number(match[2]))
  }
  return new Map([...stats].sort(([left], [right]) => (left < right ? -1 : 1)))
}

/** All entries, in their order: a case may have several. */
export function logLines(text: string): readonly string[] {
  return text.split('\n').filter((line) => line !== '')
}
