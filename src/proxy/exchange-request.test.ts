/** How a request is shaped before anything reads it: the scheme that it came by, and what may not go on. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { headerList } from '../../test/support/request-record.ts'
import type { ConnectionSecurity } from './connection-security.ts'
import { type ShapeScope, shapeRequest } from './exchange-request.ts'
import type { RequestHead } from './http/message.ts'

const encrypted: ConnectionSecurity = {
  version: 'TLSv1.3',
  cipher: '',
  serverName: '',
  local: undefined,
  peer: undefined,
  peerChain: [],
} as never

interface Ask {
  readonly head?: Partial<RequestHead>
  readonly fields?: Readonly<Record<string, string>>
  readonly manager?: Partial<ShapeScope['manager']>
  readonly isEncrypted?: boolean
}

function shape({ head = {}, fields = {}, manager = {}, isEncrypted = false }: Ask) {
  const request: RequestHead = {
    method: 'GET',
    path: '/',
    authority: 'a.test',
    scheme: 'http',
    protocol: 'HTTP/1.1',
    headers: headerList(fields),
    bodyLength: 0,
    upgrade: undefined,
    wantsClose: false,
    ...head,
  }
  const shaped = shapeRequest(request, {
    localPort: 80,
    remoteAddress: '10.0.0.9',
    remoteAddressText: '10.0.0.9:5000',
    security: isEncrypted ? encrypted : undefined,
    clientCertElement: { settings: undefined, text: '' },
    requestIds: { next: () => 'id' },
    manager: { ...defaults, ...manager },
  } as never)
  return { shaped, request }
}

const defaults = {
  stripPort: 'none',
  normalizePath: false,
  mergeSlashes: false,
  escapedSlashes: 'keep',
  useRemoteAddress: false,
  skipXffAppend: false,
  xffTrustedHops: 0,
  generateRequestId: false,
}

const edge = { useRemoteAddress: true }
const absolute = { scheme: 'https', hasScheme: true } as const

const schemes: readonly (readonly [claim: string, ask: Ask, expected: 'http' | 'https'])[] = [
  ['plaintext', {}, 'http'],
  ['TLS', { isEncrypted: true }, 'https'],
  ['what the first proxy saw', { fields: { 'x-forwarded-proto': 'https' } }, 'https'],
  ['in any case', { fields: { 'x-forwarded-proto': 'HTTPS' } }, 'https'],
  ['also behind TLS', { fields: { 'x-forwarded-proto': 'http' }, isEncrypted: true }, 'http'],
  ['no other scheme', { fields: { 'x-forwarded-proto': 'ftp' }, isEncrypted: true }, 'https'],
  ['not told to an edge', { fields: { 'x-forwarded-proto': 'https' }, manager: edge }, 'http'],
  [
    'told to one behind a trusted proxy',
    { fields: { 'x-forwarded-proto': 'https' }, manager: { ...edge, xffTrustedHops: 1 } },
    'https',
  ],
  [
    'that of the target',
    { head: { scheme: 'http', hasScheme: true }, fields: { 'x-forwarded-proto': 'https' } },
    'http',
  ],
  ['that of HTTP/2', { head: { protocol: 'HTTP/2', scheme: 'https' } }, 'https'],
]

test('a request that does not say its scheme has that of the first proxy, else of its connection', () => {
  for (const [claim, ask, expected] of schemes) {
    const { shaped, request } = shape(ask)
    assert.equal(shaped.kind, 'ok', claim)
    assert.equal(request.scheme, expected, claim)
  }
})

test('an edge refuses a target of https on plaintext, and nobody else does', () => {
  const kindOf = (ask: Ask): string => shape({ head: absolute, ...ask }).shaped.kind
  assert.equal(kindOf({ manager: edge }), 'forbidden-scheme')
  assert.equal(kindOf({ manager: edge, isEncrypted: true }), 'ok')
  assert.equal(kindOf({ manager: { ...edge, xffTrustedHops: 1 } }), 'ok')
  assert.equal(kindOf({}), 'ok')
  assert.equal(kindOf({ head: { scheme: 'https', protocol: 'HTTP/2' }, manager: edge }), 'ok')
})

test('a referer that is not valid does not go on', () => {
  const refererOf = (referer: string) =>
    shape({ fields: { referer } }).request.headers.get('referer')
  assert.equal(refererOf('http://b.test/x'), 'http://b.test/x')
  assert.equal(refererOf('http://ann:secret@b.test/'), undefined)
})

for (const { method, authority } of [
  { method: 'GET', authority: 'a.test' },
  { method: 'CONNECT', authority: 'a.test:90' },
]) {
  test(`where any port is stripped, ${method} goes to ${authority}`, () => {
    const head = { method, authority: 'a.test:90', path: method === 'GET' ? '/' : '' }
    const { request } = shape({ head, manager: { stripPort: 'any' } })
    assert.equal(request.authority, authority)
  })
}

test('what a request came by is one list', () => {
  const { request } = shape({ fields: { via: '1.0 them' }, manager: { via: '1.1 own' } })
  assert.equal(request.headers.getAll('via'), '1.0 them, 1.1 own')
})
