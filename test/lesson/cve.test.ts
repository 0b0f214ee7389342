/**
 * What broke other proxies, tried on this one: a test for each lesson that applies, named after it. lesson-table.ts says
 * which lesson is proved where; docs/reference/security-lessons.md is made of it.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { printableName } from '../../src/proxy/connection-security.ts'
import { shapeClientCert } from '../../src/proxy/exchange-client-cert.ts'
import { HeaderList } from '../../src/proxy/http/header-list.ts'
import { compileStringMatcher } from '../../src/proxy/route/string-matcher.ts'
import { compileTextLog } from '../../src/proxy/telemetry/log-text.ts'
import { parseAltNames } from '../../src/proxy/tls/certificate-facts.ts'
import { StringMatcher } from '../../src/xds/proto/generated/envoy/type/matcher/v3/string.ts'
import { http2Bytes, http2Outcome } from '../differential/http2-bytes.ts'
import {
  MemoryProxy,
  type Exchanged,
  type MemoryProxyOptions,
} from '../differential/memory-proxy.ts'
import { fakeSecurity } from './fake-security.ts'

const usual = 'Host: app.test\r\n'

async function ask(text: string, options: MemoryProxyOptions = {}): Promise<Exchanged> {
  await using proxy = await MemoryProxy.open(options)
  return await proxy.exchange([Buffer.from(text, 'latin1')])
}

function statusOf({ received }: Exchanged): string {
  return /^HTTP\/1\.[01] (\d{3})/.exec(received.toString('latin1'))?.[1] ?? '-'
}

function forwarded({ forwarded: bytes }: Exchanged): string {
  return Buffer.concat(bytes).toString('latin1')
}

/** A path that only an administrator may see, and everything else. */
const guarded = [
  '{ name: admin, match: { prefix: /admin }, direct_response: { status: 403 } }',
  '{ name: all, match: { prefix: / }, route: { cluster: origin } }',
]

for (const [lesson, field] of [
  ['CVE-2019-9900: a NUL in a value', 'X-A: a\0b'],
  ['CVE-2019-9900: a NUL in a name', 'X\0A: b'],
  ['CVE-2023-25725: an empty name', ': b'],
  ['CVE-2025-23167: a carriage return and no line feed', '\rX'],
  ['CVE-2022-32213: a coding that is none', 'Transfer-Encoding: chunkedx'],
  ['CVE-2022-32215: a folded coding', 'Transfer-Encoding: chunked\r\n , identity'],
  ['CVE-2022-35256: a coding that ends without a line feed', 'Transfer-Encoding: chunked\rX: y'],
  ['CVE-2023-40225: a length of no digits', 'Content-Length:'],
  ['CVE-2024-27982: white space before a length', ' Content-Length: 5'],
  ['CVE-2019-15605: a length beside a coding', 'Content-Length: 5\r\nTransfer-Encoding: chunked'],
  ['CVE-2020-25017: two lengths', 'Content-Length: 5\r\nContent-Length: 5'],
  ['CVE-2020-25017: two hosts', 'Host: app.test'],
] as const) {
  test(`${lesson} is refused, and nothing is forwarded`, async () => {
    const exchanged = await ask(`GET / HTTP/1.1\r\n${usual}${field}\r\n\r\n`)
    assert.match(statusOf(exchanged), /^(400|501)$/)
    assert.equal(exchanged.isClosed, true)
    assert.equal(forwarded(exchanged), '')
  })
}

test('CVE-2021-40346: a name longer than a small integer holds is a name like any other', async () => {
  const name = `content-length${'0'.repeat(256)}`
  const exchanged = await ask(`POST / HTTP/1.1\r\n${usual}${name}: \r\nContent-Length: 2\r\n\r\nok`)
  assert.equal(statusOf(exchanged), '200')
  assert.ok(forwarded(exchanged).includes(`${name}: \r\n`))
  assert.deepEqual(
    exchanged.read.flat().map(({ bodyBytes }) => bodyBytes),
    [2],
  )
})

test('CVE-2019-18802: white space behind a value does not defeat a matcher', async () => {
  const routes = [
    '{ match: { prefix: /, headers: [{ name: x-deny, string_match: { exact: "yes" } }] }, direct_response: { status: 403 } }',
    ...guarded,
  ]
  assert.equal(
    statusOf(await ask(`GET / HTTP/1.1\r\n${usual}X-Deny: yes \t\r\n\r\n`, { routes })),
    '403',
  )
})

test('CVE-2026-26308: a matcher sees all values of a field', async () => {
  const routes = [
    '{ match: { prefix: /, headers: [{ name: x-role, string_match: { contains: admin } }] }, direct_response: { status: 403 } }',
    ...guarded,
  ]
  const sent = `GET / HTTP/1.1\r\n${usual}X-Role: user\r\nX-Role: admin\r\n\r\n`
  assert.equal(statusOf(await ask(sent, { routes })), '403')
})

for (const [lesson, path, manager] of [
  ['CVE-2019-9901: dots', '/public/../admin', { normalizePath: true }],
  ['CVE-2019-9901: escaped dots', '/public/%2e%2E/admin', { normalizePath: true }],
  ['CVE-2021-31920: slashes', '//admin', { normalizePath: true, mergeSlashes: true }],
  ['CVE-2026-73551: dots with a parameter', '/public/..;/admin', { normalizePath: true }],
  [
    'CVE-2026-73511: dots with a parameter and a value',
    '/public/..;a=b/admin',
    { normalizePath: true },
  ],
  [
    'CVE-2021-29492: escaped slashes',
    '/public%2f..%2fadmin',
    { normalizePath: true, escapedSlashes: 'unescape-forward' },
  ],
  [
    'CVE-2021-29492: escaped back slashes',
    '/public%5c..%5Cadmin',
    { normalizePath: true, escapedSlashes: 'unescape-forward' },
  ],
] as const) {
  test(`${lesson} do not lead around a route`, async () => {
    const exchanged = await ask(`GET ${path} HTTP/1.1\r\n${usual}\r\n`, {
      routes: guarded,
      manager,
    })
    assert.equal(statusOf(exchanged), '403')
  })
}

test('CVE-2021-29492: escaped slashes are refused, or redirected to what is meant, where that is chosen', async () => {
  const sent = `GET /a%2Fb HTTP/1.1\r\n${usual}\r\n`
  const refused = await ask(sent, { manager: { escapedSlashes: 'reject' } })
  assert.equal(statusOf(refused), '400')
  const redirected = await ask(sent, { manager: { escapedSlashes: 'unescape-redirect' } })
  assert.match(redirected.received.toString(), /^HTTP\/1\.1 307 [\s\S]*\r\nlocation: \/a\/b\r\n/)
})

test('CVE-2019-9901: what is matched is what is forwarded', async () => {
  const exchanged = await ask(`GET /a/../b//c HTTP/1.1\r\n${usual}\r\n`, {
    manager: { normalizePath: true, mergeSlashes: true },
  })
  assert.deepEqual(
    exchanged.read.flat().map(({ target }) => target),
    ['/b/c'],
  )
})

test('CVE-2021-32779: a fragment is refused', async () => {
  const exchanged = await ask(`GET /admin#/../public HTTP/1.1\r\n${usual}\r\n`)
  assert.equal(statusOf(exchanged), '400')
  assert.equal(forwarded(exchanged), '')
})

test('CVE-2020-8595: a query is no part of the path that is matched', async () => {
  const routes = [
    '{ match: { path: /admin }, direct_response: { status: 403 } }',
    ...guarded.slice(1),
  ]
  assert.equal(statusOf(await ask(`GET /admin?x HTTP/1.1\r\n${usual}\r\n`, { routes })), '403')
})

test('CVE-2021-39155: a host is compared in lower case', async () => {
  const exchanged = await ask('GET / HTTP/1.1\r\nHost: APP.Test\r\n\r\n')
  assert.deepEqual(
    exchanged.read.flat().map(({ host }) => host),
    ['app.test'],
  )
})

test('GHSA-w44g-8m76-8gc5: a method in another case is another method, and HTTP/1 knows none such', async () => {
  const routes = [
    '{ match: { prefix: /, headers: [{ name: ":method", string_match: { exact: GET } }] }, direct_response: { status: 200 } }',
    '{ match: { prefix: / }, direct_response: { status: 403 } }',
  ]
  await using proxy = await MemoryProxy.open({ routes })
  const fields = [
    [':method', 'get'],
    [':scheme', 'http'],
    [':authority', 'app.test'],
    [':path', '/'],
  ] as const
  const second = await proxy.exchange([http2Bytes([{ fields }])])
  assert.equal(http2Outcome(second.received), '403')
  assert.equal(statusOf(await ask(`get / HTTP/1.1\r\n${usual}\r\n`)), '400')
})

test('GO-2022-0325: a trailing dot and a port do not lead around a virtual host', async () => {
  const exchanged = await ask('GET / HTTP/1.1\r\nHost: app.test.:80\r\n\r\n', {
    manager: { stripPort: 'any', stripTrailingHostDot: true },
  })
  assert.deepEqual(
    exchanged.read.flat().map(({ host }) => host),
    ['app.test'],
  )
})

test('CVE-2019-14993: an expression that backtracks elsewhere is answered at once', async () => {
  const routes = [
    '{ match: { safe_regex: { regex: "/(a+)+b" } }, direct_response: { status: 403 } }',
    ...guarded,
  ]
  const exchanged = await ask(`GET /${'a'.repeat(3_000)} HTTP/1.1\r\n${usual}\r\n`, { routes })
  assert.equal(statusOf(exchanged), '200')
})

test('CVE-2026-39350: a dot in a name stands for a dot', () => {
  const name = 'spiffe://cluster.local/ns/a/sa/my.app'
  const matches = compileStringMatcher(
    StringMatcher.fromPartial({ matchPattern: { $case: 'exact', value: name } }),
  )
  assert.ok(matches.ok)
  assert.deepEqual([name, name.replace('my.app', 'my-app')].map(matches.value), [true, false])
})

test('CVE-2024-45806: a neighbour is not internal, and what only an internal client may say goes', async () => {
  const sent = `GET / HTTP/1.1\r\n${usual}X-Envoy-Retry-On: 5xx\r\nX-Envoy-Internal: true\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n`
  const text = forwarded(await ask(sent))
  assert.doesNotMatch(text, /x-envoy-(retry-on|internal)/)
})

test('CVE-2023-27487: an edge does not believe what a client says its path was', async () => {
  const sent = `GET / HTTP/1.1\r\n${usual}X-Envoy-Original-Path: /admin\r\n\r\n`
  const text = forwarded(await ask(sent, { manager: { useRemoteAddress: true } }))
  assert.doesNotMatch(text, /x-envoy-original-path/)
})

test('CVE-2024-45410: Connection removes nothing that proxies own', async () => {
  const sent = `GET / HTTP/1.1\r\n${usual}Connection: Authorization, X-Request-Id\r\nAuthorization: a\r\nX-Request-Id: i\r\n\r\n`
  assert.match(forwarded(await ask(sent)), /authorization: a\r\n[\s\S]*x-request-id: i\r\n/)
  const hidden = `GET / HTTP/1.1\r\n${usual}Connection: X-Forwarded-For\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n`
  assert.equal(statusOf(await ask(hidden)), '400')
})

test('CVE-2021-22960: an extension of a chunk is never forwarded', async () => {
  const sent = `POST / HTTP/1.1\r\n${usual}Transfer-Encoding: chunked\r\n\r\n2;a="b"\r\nok\r\n0;c\r\n\r\n`
  const text = forwarded(await ask(sent))
  assert.match(text, /\r\n\r\n2\r\nok\r\n0\r\n\r\n$/)
})

for (const [lesson, body] of [
  ['CVE-2025-55315: a line feed in an extension', '2;x\nok\r\n0\r\n\r\n'],
  ['CVE-2024-22019: extensions without end', `2;${'x'.repeat(5_000)}\r\nok\r\n0\r\n\r\n`],
] as const) {
  test(`${lesson} is refused`, async () => {
    const sent = `POST / HTTP/1.1\r\n${usual}Transfer-Encoding: chunked\r\n\r\n${body}`
    const exchanged = await ask(sent)
    assert.equal(statusOf(exchanged), '400')
    assert.equal(exchanged.read.flat().length, 0)
  })
}

test('CVE-2025-64763: bytes behind CONNECT wait until the tunnel is accepted', async () => {
  const routes = [
    '{ match: { connect_matcher: {} }, route: { cluster: origin, upgrade_configs: [{ upgrade_type: CONNECT }] } }',
  ]
  const seen: string[] = []
  await using proxy = await MemoryProxy.open({
    routes,
    answer: (upstream) => upstream.on('data', (chunk: Buffer) => void seen.push(chunk.toString())),
  })
  await proxy.exchange([
    Buffer.from(`CONNECT app.test:80 HTTP/1.1\r\n${usual}\r\nGET /hidden HTTP/1.1\r\n\r\n`),
  ])
  assert.match(seen.join(''), /^CONNECT app\.test:80 HTTP\/1\.1\r\n/)
  assert.doesNotMatch(seen.join(''), /hidden/)
})

test('CVE-2026-73547: CONNECT without a path meets routes that look at paths', async () => {
  const routes = ['{ match: { safe_regex: { regex: "/.*" } }, direct_response: { status: 403 } }']
  await using proxy = await MemoryProxy.open({ routes })
  const fields = [
    [':method', 'CONNECT'],
    [':authority', 'app.test:80'],
  ] as const
  assert.equal(http2Outcome((await proxy.exchange([http2Bytes([{ fields }])])).received), '404')
})

test('CVE-2026-21710: a name that objects inherit is a name like any other', async () => {
  const sent = `GET / HTTP/1.1\r\n${usual}__proto__: 1\r\nconstructor: 2\r\ntoString: 3\r\n\r\n`
  assert.match(forwarded(await ask(sent)), /__proto__: 1\r\nconstructor: 2\r\ntostring: 3\r\n/)
})

test('CVE-2025-59465: a malformed HEADERS frame ends its connection, and nothing else', async () => {
  await using proxy = await MemoryProxy.open()
  const bytes = http2Bytes([{ fields: [], data: '' }])
  // An index of the dynamic table that was never filled.
  const spoilt = Buffer.from(bytes)
  spoilt[bytes.indexOf(Buffer.from([0, 0, 0, 1]), 24 + 9 + 9) + 4] = 0xff
  const answered = await proxy.exchange([spoilt])
  assert.match(http2Outcome(answered.received), /^goaway 9$/)
  const next = await proxy.exchange([Buffer.from(`GET / HTTP/1.1\r\n${usual}\r\n`)])
  assert.equal(statusOf(next), '200')
})

test('CVE-2023-27493: a certificate’s name makes no header and no element of its own', () => {
  const uri = 'spiffe://a/b\r\nx-admin: yes'
  assert.equal(printableName(uri), 'spiffe://a/b%0D%0Ax-admin:%20yes')
  const headers = new HeaderList()
  const security = fakeSecurity({ uris: [uri, 'spiffe://a;By=spiffe://admin'], dns: ['a",b'] })
  const forwarding = { mode: 'sanitize-set', details: ['uri', 'dns'] } as const
  shapeClientCert(headers, forwarding, {
    security,
    clientCertElement: { settings: undefined, text: '' },
  })
  assert.equal(
    headers.get('x-forwarded-client-cert'),
    'Hash=00;URI=spiffe://a/b%0D%0Ax-admin:%20yes;URI="spiffe://a;By=spiffe://admin";DNS="a\\",b"',
  )
})

test('CVE-2021-44532: names of a certificate that cannot be told apart are none', () => {
  assert.deepEqual(parseAltNames('DNS:a, DNS:"b, URI:spiffe://admin').uris, [])
  assert.deepEqual(parseAltNames('DNS:"a\\u0000b"').dns, ['a\0b'])
})

test('CVE-2024-45808: a value cannot end its field in a line of the log', () => {
  const format = compileTextLog('"%REQ(USER-AGENT)%" "%REQ(:METHOD)%"', {
    hostname: '',
    omitEmpty: false,
  })
  assert.ok(format.ok)
  const headers = new HeaderList()
  headers.append('user-agent', 'x" "DELETE"\n"forged')
  const request = {
    method: 'GET',
    path: '/',
    authority: 'a',
    scheme: 'http',
    protocol: 'HTTP/1.1',
    headers,
    bodyLength: 0,
    upgrade: undefined,
    wantsClose: false,
  } as const
  assert.equal(format.value({ request }), '"x\\x22 \\x22DELETE\\x22\\x0a\\x22forged" "GET"')
})
