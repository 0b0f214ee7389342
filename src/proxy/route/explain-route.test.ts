/** What is explained is what the table decides, whatever the routes and the request; and each reason is true. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import {
  type Arbitrary,
  array,
  assert as assertProperty,
  boolean,
  constant,
  constantFrom,
  double,
  oneof,
  option,
  property,
  record,
  tuple,
  uniqueArray,
} from 'fast-check'

import { envoyMessage, messageOf } from '../../../test/support/envoy-message.ts'
import { RouteConfiguration } from '../../xds/proto/generated/envoy/config/route/v3/route.ts'
import { typeUrls } from '../../xds/resource-set.ts'
import { HeaderList } from '../http/header-list.ts'
import type { RequestHead } from '../http/message.ts'
import { compileRouteConfiguration } from './compile-route-configuration.ts'
import { type RouteExplanation, compileRouteExplainer } from './explain-route.ts'

function headOf(fields: {
  readonly method?: string
  readonly authority?: string
  readonly path?: string
  readonly headers?: readonly (readonly [string, string])[]
}): RequestHead {
  const headers = new HeaderList()
  for (const [name, value] of fields.headers ?? []) headers.append(name, value)
  return {
    method: fields.method ?? 'GET',
    path: fields.path ?? '/',
    authority: fields.authority ?? 'a.test',
    scheme: 'http',
    protocol: 'HTTP/1.1',
    headers,
    bodyLength: 0,
    upgrade: undefined,
    wantsClose: false,
  }
}

const word = constantFrom('a', 'b', 'ab', 'B', '')
const path = array(word, { maxLength: 3 }).map((words) => `/${words.join('/')}`)

const pathSpecifier: Arbitrary<object> = constantFrom('prefix', 'path', 'regex', 'connect').chain(
  (kind) => {
    if (kind === 'connect') return constant({ connect_matcher: {} })
    if (kind === 'regex')
      return constantFrom('/a.*', '/a/b+', '^/ab', '/b?', '/a|/b', '/[ab]', '.*').map(regexMatch)
    return path.map((value) => ({ [kind]: value }))
  },
)

function regexMatch(regex: string): object {
  return { safe_regex: { regex } }
}

const stringMatch = constantFrom<object>(
  { exact: 'a' },
  { prefix: 'a' },
  { suffix: 'b' },
  { contains: 'b' },
  { safe_regex: { regex: 'a|b' } },
  { exact: 'A', ignore_case: true },
)

const headerMatch = record({
  name: constantFrom('x-one', 'x-two', ':method', ':authority'),
  invert_match: boolean(),
  treat_missing_header_as_empty: boolean(),
  specifier: constantFrom<object>({ present_match: true }, { present_match: false }).chain(
    (present) =>
      option(
        stringMatch.map((matcher) => ({ string_match: matcher })),
        { nil: present },
      ),
  ),
}).map(({ specifier, ...rest }) => ({ ...rest, ...specifier }))

const queryMatch = record({
  name: constantFrom('p', 'q'),
  specifier: option(
    stringMatch.map((matcher) => ({ string_match: matcher })),
    { nil: { present_match: true } },
  ),
}).map(({ name, specifier }) => ({ name, ...specifier }))

/** Each further condition halves what matches: most routes have few. */
function seldom<T>(usual: T, other: Arbitrary<T>): Arbitrary<T> {
  return oneof({ weight: 4, arbitrary: constant(usual) }, { weight: 1, arbitrary: other })
}

const match = record({
  where: pathSpecifier,
  case_sensitive: boolean(),
  headers: seldom<readonly object[]>([], array(headerMatch, { minLength: 1, maxLength: 2 })),
  query_parameters: seldom<readonly object[]>(
    [],
    array(queryMatch, { minLength: 1, maxLength: 1 }),
  ),
  fraction: seldom<number | undefined>(undefined, constantFrom(0, 30, 100)),
  grpc: seldom<object | undefined>(undefined, constant({})),
}).map(({ where, fraction, grpc, ...rest }) => ({
  ...where,
  ...rest,
  ...(grpc && { grpc }),
  ...(fraction !== undefined && { runtime_fraction: { default_value: { numerator: fraction } } }),
}))

const routes = array(match, { maxLength: 16 }).map((matches) =>
  matches.map((one, index) => ({
    name: `route-${index}`,
    match: one,
    direct_response: { status: 200 },
  })),
)

const domains = ['a.test', 'a.test:80', '*.test', 'a.*', '*', 'b.test']

const configuration = record({
  hosts: uniqueArray(constantFrom(...domains), { minLength: 1, maxLength: 4 }).chain((chosen) =>
    tuple(
      ...chosen.map((domain) =>
        record({
          name: constant(domain),
          domains: constant([domain]),
          routes,
          require_tls: seldom('NONE', constant('ALL')),
        }),
      ),
    ),
  ),
  ignore_port_in_host_matching: boolean(),
  ignore_path_parameters_in_path_matching: boolean(),
}).map(({ hosts, ...rest }) => ({ name: 'random', virtual_hosts: hosts, ...rest }))

const request = record({
  method: constantFrom('GET', 'a', 'CONNECT'),
  authority: constantFrom('a.test', 'a.test:80', 'A.test', 'b.test:81', 'a.org', 'other', ''),
  path: tuple(path, constantFrom('', ';b', '?p=a', '?q=b&p', '?p')).map((parts) => parts.join('')),
  headers: array(
    tuple(
      constantFrom('x-one', 'x-two', 'content-type'),
      constantFrom('a', 'b', 'application/grpc'),
    ),
    { maxLength: 3 },
  ),
})

test('explains every request as the table routes it', () => {
  let matches = 0
  assertProperty(
    property(
      configuration,
      array(request, { minLength: 1, maxLength: 8 }),
      double({ min: 0, max: 0.999, noNaN: true }),
      (fields, requests, draw) => {
        const message = messageOf(typeUrls.route, RouteConfiguration, fields)
        const options = { random: () => draw }
        const table = compileRouteConfiguration(message, options)
        const explainer = compileRouteExplainer(message, options)
        assert.ok(table.ok && explainer.ok)
        for (const one of requests) {
          const expected = table.value.match(headOf(one))
          const explained: RouteExplanation = explainer.value(headOf(one))
          assert.deepEqual(explained.matched?.virtualHost, expected?.virtualHost)
          assert.equal(explained.matched?.route.name, expected?.route.name)
          if (explained.isTlsRequired) continue
          if (explained.virtualHost === undefined) assert.equal(expected, undefined)
          assert.equal(explained.route?.name, expected?.route.name)
          const failing = explained.tried.filter((tried) => !tried.isMatch)
          assert.ok(failing.every(({ conditions }) => conditions.some(({ isMet }) => !isMet)))
          if (explained.route !== undefined) matches += 1
        }
      },
    ),
    { numRuns: 1000 },
  )
  assert.ok(matches > 500, `only ${matches} requests matched a route`)
})

test('each reason says what was wanted and what the request had', () => {
  const message = envoyMessage.routes(`
    name: r
    virtual_hosts:
    - name: a
      domains: [a.test]
      routes:
      - match: { prefix: /v1, headers: [{ name: x-user, string_match: { exact: jason } }] }
        direct_response: { status: 200 }
      - match: { path: /only, headers: [{ name: ':method', string_match: { exact: POST } }] }
        direct_response: { status: 201 }
      - match:
          safe_regex: { regex: '/v[12]/.*' }
          headers: [{ name: x-debug, present_match: true, invert_match: true }]
          query_parameters: [{ name: page, string_match: { prefix: '1' } }]
        direct_response: { status: 202 }
      - match: { prefix: / }
        direct_response: { status: 203 }
  `)
  const explainer = compileRouteExplainer(message, { random: () => 0 })
  assert.ok(explainer.ok)
  const explained = explainer.value(
    headOf({
      path: '/v1/x?page=2',
      headers: [
        ['x-debug', '1'],
        ['x-debug', '2'],
      ],
    }),
  )
  assert.deepEqual(explained.virtualHost, { name: 'a', domain: 'a.test' })
  const lines = explained.tried.map(({ conditions }) =>
    conditions.map(
      ({ subject, wanted, got, isMet }) =>
        `${isMet ? '' : 'not '}${subject}: ${wanted}, got ${got ?? 'nothing'}`,
    ),
  )
  assert.deepEqual(lines, [
    ['path: prefix "/v1", got /v1/x', 'not header x-user: exact "jason", got nothing'],
    ['not path: exact "/only", got /v1/x', 'not method: exact "POST", got GET'],
    [
      'path: regex "/v[12]/.*", got /v1/x',
      'not header x-debug: to be absent, got 1,2',
      'not query page: prefix "1", got 2',
    ],
    ['path: prefix "/", got /v1/x'],
  ])
})

test('a virtual host that wants TLS is told apart from one without a route', () => {
  const message = envoyMessage.routes(`
    name: r
    virtual_hosts:
    - { name: a, domains: [a.test], require_tls: ALL, routes: [{ match: { prefix: / }, direct_response: { status: 200 } }] }
    - { name: b, domains: [b.test], routes: [{ match: { prefix: /x }, direct_response: { status: 200 } }] }
  `)
  const explainer = compileRouteExplainer(message, { random: () => 0 })
  assert.ok(explainer.ok)
  const [secure, without, nobody] = ['a.test', 'b.test', 'c.test'].map((authority) =>
    explainer.value(headOf({ authority })),
  )
  assert.deepEqual([secure?.isTlsRequired, secure?.tried.length], [true, 0])
  assert.equal(secure?.matched?.route.action.kind, 'redirect')
  assert.deepEqual([without?.isTlsRequired, without?.tried.length], [false, 1])
  assert.equal(without?.matched, undefined)
  assert.equal(nobody?.virtualHost, undefined)
})

test('what the proxy refuses is refused in its words', () => {
  const message = envoyMessage.routes('{ name: r, virtual_hosts: [{ name: a, domains: [] }] }')
  const explainer = compileRouteExplainer(message, { random: () => 0 })
  assert.deepEqual(explainer, compileRouteConfiguration(message))
  assert.ok(!explainer.ok)
})
