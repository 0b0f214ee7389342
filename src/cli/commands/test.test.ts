/** `tulle test`: what passes, what fails with which words, and the three kinds of report. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { runCli } from '../../../test/support/cli-context.ts'
import { assertGolden } from '../../../test/support/golden.ts'

const example = join(import.meta.dirname, '../../../examples/my-go-service')

const routes = `
apiVersion: v1
kind: Service
metadata: { name: reviews }
spec: { selector: { app: reviews }, ports: [{ port: 9080, name: http }] }
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: reviews }
spec: { host: reviews, subsets: [{ name: v1, labels: { version: v1 } }, { name: v2, labels: { version: v2 } }] }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews }
spec:
  hosts: [reviews]
  http:
  - name: web
    match: [{ sourceLabels: { app: web } }]
    route: [{ destination: { host: reviews, subset: v2 } }]
  - name: old
    match: [{ uri: { prefix: /old } }]
    redirect: { uri: /new, redirectCode: 308 }
  - match: [{ uri: { exact: /health } }]
    directResponse: { status: 299, body: { string: fine } }
    headers: { response: { set: { x-by: mesh } } }
  - match: [{ uri: { prefix: /slow } }]
    fault: { delay: { fixedDelay: 2s, percentage: { value: 10 } }, abort: { httpStatus: 503, percentage: { value: 0.5 } } }
    mirrors:
    - { destination: { host: reviews, subset: v2 }, percentage: { value: 20 } }
    - { destination: { host: reviews, subset: v1 } }
    route: [{ destination: { host: reviews, subset: v1 } }]
  - match: [{ uri: { prefix: /broken } }]
    fault: { abort: { grpcStatus: UNAVAILABLE, percentage: { value: 100 } } }
    route: [{ destination: { host: reviews, subset: v1 } }]
  - match: [{ uri: { prefix: /gone } }]
    route: [{ destination: { host: reviews, subset: v9 } }]
  - match: [{ headers: { x-user: { exact: jason } } }]
    rewrite: { uri: /inner, authority: inner.test }
    timeout: 1.5s
    retries: { attempts: 4, perTryTimeout: 500ms, retryOn: 5xx }
    headers: { request: { set: { x-a: b }, remove: [x-secret] }, response: { remove: [server], add: { x-c: d } } }
    route:
    - { destination: { host: reviews, subset: v1 }, weight: 1 }
    - { destination: { host: reviews, subset: v2 }, weight: 2 }
  - match: [{ uri: { prefix: /cors } }]
    corsPolicy: { allowOrigins: [{ exact: "http://a.test" }] }
    route: [{ destination: { host: reviews, subset: v1 } }]
  - match: [{ method: { exact: GET } }]
    route: [{ destination: { host: reviews, subset: v1 } }]
`

function caseText(given: string, expect: string, name = 'a case'): string {
  return `
---
apiVersion: tulle.dev/v1alpha1
kind: RouteTest
metadata: { name: reviews }
spec:
  tests:
  - name: ${name}
    given: { ${[...(given.includes('url:') ? [] : ['url: "http://reviews:9080/"']), given].join(', ')} }
    expect: ${expect}
`
}

async function runCase(text: string, ...words: readonly string[]) {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-test-'))
  try {
    const file = join(folder, 'routes.yaml')
    writeFileSync(file, routes + text)
    return await runCli(['test', file, ...words], { cwd: folder })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const jason = 'headers: { X-User: jason, x-secret: s }'
const bothShares =
  '[{ host: reviews, subset: v2, share: 66.67 }, { host: reviews, subset: v1, port: 9080, share: 33.33 }]'

const preflight =
  'method: OPTIONS, url: "http://reviews:9080/cors", headers: { origin: "http://a.test", access-control-request-method: PUT }'
const slow = 'url: "http://reviews:9080/slow"'
const bothCopies =
  '[{ host: reviews, subset: v1, share: 100 }, { host: reviews, subset: v2, port: 9080, share: 20 }]'

for (const [title, given, expect] of [
  ['a destination', '', '{ destination: { host: reviews, subset: v1, port: 9080 } }'],
  [
    'a destination by its full name',
    '',
    '{ destination: { host: reviews.default.svc.cluster.local } }',
  ],
  ['shares, in any order', jason, `{ destinations: ${bothShares} }`],
  ['one share of several', jason, '{ destination: { host: reviews, subset: v2, share: 66.67 } }'],
  [
    'labels of the client',
    'from: { labels: { app: web } }',
    '{ destination: { host: reviews, subset: v2 }, route: web }',
  ],
  [
    'a redirect',
    'url: "http://reviews:9080/old/x"',
    '{ redirect: { location: "http://reviews:9080/new", status: 308 } }',
  ],
  [
    'an answer',
    'url: "http://reviews:9080/health"',
    '{ status: 299, body: fine, responseHeaders: { set: { X-By: mesh } } }',
  ],
  [
    'a rewrite',
    `${jason}, url: "http://reviews:9080/?q"`,
    '{ rewrite: { path: "/inner?q", authority: inner.test } }',
  ],
  [
    'a time-out and retries',
    jason,
    '{ timeout: 1500ms, retries: { attempts: 4, perTryTimeout: 0.5s } }',
  ],
  [
    'request headers',
    jason,
    '{ requestHeaders: { set: { x-a: b }, removed: [X-Secret, x-never] } }',
  ],
  ['response headers', jason, '{ responseHeaders: { set: { x-c: d }, removed: [server] } }'],
  [
    'a delay and an abort',
    slow,
    '{ fault: { delay: { fixedDelay: 2s, share: 10 }, abort: { httpStatus: 503, share: 0.5 } }, destination: { host: reviews } }',
  ],
  ['a delay of any share', slow, '{ fault: { delay: { fixedDelay: 2000ms } } }'],
  [
    'an abort by gRPC status of every request',
    'url: "http://reviews:9080/broken"',
    '{ fault: { abort: { grpcStatus: UNAVAILABLE, share: 100 } }, status: 200 }',
  ],
  ['no fault', '', '{ fault: { delay: { fixedDelay: 0s }, abort: { share: 0 } } }'],
  ['copies', slow, `{ mirrors: ${bothCopies} }`],
  ['no copies', '', '{ mirrors: [] }'],
  ['a preflight that the sidecar answers', preflight, '{ status: 200 }'],
  [
    'an answer, and where the route leads',
    preflight,
    '{ status: 200, destination: { host: reviews, subset: v1 } }',
  ],
  ['no route', 'method: PUT', '{ status: 404 }'],
  ['a subset that nobody defined', 'url: "http://reviews:9080/gone"', '{ status: 503 }'],
] as const) {
  test(`${title}: passes when it is so`, async () => {
    const { exitCode, out, error } = await runCase(caseText(given, expect))
    assert.equal(error, '')
    assert.equal(exitCode, 0, out)
    assert.match(out, /1 passed\n$/)
  })
}

for (const [title, given, expect, message] of [
  [
    'another subset',
    '',
    '{ destination: { host: reviews, subset: v2 } }',
    /destination: expected reviews subset v2, got reviews\.default\.svc\.cluster\.local:9080 subset v1 100 %/,
  ],
  [
    'a destination among others without a share',
    jason,
    '{ destination: { host: reviews, subset: v1 } }',
    /destination: expected reviews subset v1, got .* 33\.33 %, .* 66\.67 %/,
  ],
  [
    'a share',
    jason,
    '{ destinations: [{ host: reviews, subset: v1, share: 50 }] }',
    /expected reviews subset v1 50 %, and it is not there[^]*got .*subset v2 66\.67 %, which is not expected/,
  ],
  [
    'a host',
    '',
    '{ destination: { host: ratings } }',
    /destination: expected ratings, got reviews/,
  ],
  [
    'a failure that is not expected',
    'method: PUT',
    '{ destination: { host: reviews } }',
    /expected no failure, got fails 404 NR: no route/,
  ],
  ['a redirect', '', '{ redirect: { location: /x } }', /expected a redirect, got forwarded/],
  ['a status', '', '{ status: 404 }', /status: expected 404, got forwarded/],
  [
    'another destination beside a status',
    preflight,
    '{ status: 200, destination: { host: reviews, subset: v2 } }',
    /destination: expected reviews subset v2, got .* subset v1/,
  ],
  [
    'a destination of what the route answers itself',
    'url: "http://reviews:9080/health"',
    '{ status: 299, destination: { host: reviews } }',
    /expected a route that leads somewhere, and none does/,
  ],
  ['a body', '', '{ body: fine }', /expected an answer of the route, got forwarded/],
  [
    'a destination of a preflight that the sidecar answers',
    preflight,
    '{ destination: { host: reviews } }',
    /expected to be forwarded, got answered 200: a preflight/,
  ],
  [
    'a body where no route answers',
    'method: PUT',
    '{ status: 404, body: fine }',
    /body: expected "fine", and no direct response is sent/,
  ],
  [
    'a rewrite',
    '',
    '{ rewrite: { path: /x, authority: y } }',
    /rewrite\.path: expected "\/x", got "\/"[^]*rewrite\.authority: expected "y", got "reviews:9080"/,
  ],
  ['a time-out', '', '{ timeout: 1s }', /timeout: expected "1s", got "0ms"/],
  ['retries', '', '{ retries: { attempts: 0 } }', /retries\.attempts: expected 0, got 2/],
  [
    'a header',
    '',
    '{ requestHeaders: { set: { x-a: b } } }',
    /requestHeaders\.set\.x-a: expected "b", got none/,
  ],
  [
    'a header that stays',
    'headers: { x-s: "1" }',
    '{ requestHeaders: { removed: [x-s] } }',
    /expected x-s to be removed, and it is not/,
  ],
  [
    'a delay',
    '',
    '{ fault: { delay: { fixedDelay: 2s, share: 10 } } }',
    /fault\.delay\.fixedDelay: expected "2s", got "0ms"[^]*fault\.delay\.share: expected 10, got 0/,
  ],
  [
    'an abort by another status',
    slow,
    '{ fault: { abort: { grpcStatus: UNAVAILABLE } } }',
    /fault\.abort\.grpcStatus: expected "UNAVAILABLE", got none/,
  ],
  [
    'an abort of another share',
    slow,
    '{ fault: { abort: { httpStatus: 500, share: 1 } } }',
    /fault\.abort\.httpStatus: expected 500, got 503[^]*fault\.abort\.share: expected 1, got 0\.5/,
  ],
  [
    'a copy',
    slow,
    '{ mirrors: [{ host: reviews, subset: v2, share: 20 }, { host: reviews, subset: v3 }] }',
    /mirrors: expected reviews subset v3, and it is not there[^]*mirrors: got .*subset v1 100 %, which is not expected/,
  ],
  ['a route', '', '{ route: web }', /route: expected "web", got ""/],
] as const) {
  test(`${title}: fails with what was expected, what came, and the rule that decided`, async () => {
    const { exitCode, out } = await runCase(caseText(given, expect))
    assert.equal(exitCode, 1)
    assert.match(out, message)
    assert.match(out, /not by routes\.yaml:\d+: sourceLabels wanted app=web, got nothing/)
    assert.match(out, /0 passed, 1 failed\n$/)
  })
}

const mixed = `${caseText('', '{ destination: { host: reviews, subset: v1 } }', "'passes & <so>'")}
  - name: 'fails # "so"'
    given: { url: "http://reviews:9080/" }
    expect: { timeout: 1s }
`

for (const format of ['table', 'tap', 'junit'] as const) {
  test(`the report as ${format}`, async () => {
    const { exitCode, out } = await runCase(mixed, '-o', format)
    assert.equal(exitCode, 1)
    assertGolden(join(import.meta.dirname, `../testdata/test/${format}.txt`), out)
  })
}

test('as JSON each case says whether it passed, and the rules that were tried', async () => {
  const { out } = await runCase(mixed, '-o', 'json')
  const { tests } = JSON.parse(out) as { tests: { passed: boolean; rules: unknown[] }[] }
  assert.deepEqual(
    tests.map(({ passed }) => passed),
    [true, false],
  )
  assert.ok(tests.every(({ rules }) => rules.length > 1))
})

for (const format of ['table', 'tap', 'junit'] as const) {
  test(`errors of the files fail the run, as ${format}`, async () => {
    const broken =
      '\n---\nkind: VirtualService\napiVersion: networking.istio.io/v1\nmetadata: { name: b }\nspec: { hots: [x] }\n'
    const passing = caseText('', '{ destination: { host: reviews } }')
    const { exitCode, out } = await runCase(passing + broken, '-o', format)
    assert.equal(exitCode, 1)
    assert.match(out, /unknown field/)
  })
}

test('a workload that the mesh file does not have fails its case and no other', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-test-'))
  try {
    const file = join(folder, 'tests.yaml')
    const one = (from: string) =>
      caseText(`from: ${from}, url: "http://my-go-service:8080/"`, '{ timeout: 0s }', from).replace(
        'name: reviews',
        `name: ${from}`,
      )
    writeFileSync(file, one('load') + one('nobody'))
    const { exitCode, out } = await runCli(['test', join(example, 'mesh.yaml'), file])
    assert.equal(exitCode, 1)
    assert.match(out, /ok .* load\n[^]*FAIL .* nobody\n +no workload nobody \(one of /)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

test('files without a test are misuse', async () => {
  const { exitCode, error } = await runCase('')
  assert.equal(exitCode, 2)
  assert.match(error, /no RouteTest in/)
})

test("the example's tests pass", async () => {
  const { exitCode, out } = await runCli([
    'test',
    join(example, 'mesh.yaml'),
    join(example, 'tests'),
  ])
  assert.equal(exitCode, 0, out)
})
