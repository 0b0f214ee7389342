/** When a delegate's match goes beyond the delegating one's: the rows of Istio's own tests, and what lies between. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { HttpMatchRequest } from '../model/istio/virtual-service.ts'
import { isMatchConflict } from './delegate-conflict.ts'

type Row = readonly [title: string, root: HttpMatchRequest, leaf: HttpMatchRequest, is: boolean]

const prefix = (text: string) => ({ prefix: text })
const exact = (text: string) => ({ exact: text })
const regex = (text: string) => ({ regex: text })

const rows: readonly Row[] = [
  ['an expression and a prefix', { uri: regex('^/page') }, { uri: prefix('/page/v2') }, true],
  ['a prefix and an expression', { uri: prefix('/page') }, { uri: regex('/page/v2') }, true],
  ['an expression and nothing', { uri: regex('^/page') }, {}, false],
  ['nothing and an expression', {}, { uri: regex('^/page') }, false],
  ['a longer prefix', { uri: prefix('/page') }, { uri: prefix('/page/v2') }, false],
  ['the same prefix', { uri: prefix('/page') }, { uri: prefix('/page') }, false],
  ['a shorter prefix', { uri: prefix('/page/v2') }, { uri: prefix('/page') }, true],
  ['another prefix', { uri: prefix('/page') }, { uri: prefix('/other') }, true],
  ['an exact path below a prefix', { uri: prefix('/page/v2') }, { uri: exact('/page/v2') }, false],
  ['an exact path beside a prefix', { uri: prefix('/page') }, { uri: exact('/reviews') }, true],
  ['a prefix below an exact path', { uri: exact('/page') }, { uri: prefix('/page') }, true],
  ['another header', { headers: { a: exact('1') } }, { headers: { b: exact('2') } }, false],
  ['the same header', { headers: { a: exact('1') } }, { headers: { a: exact('1') } }, false],
  ['another value', { headers: { a: exact('1') } }, { headers: { a: exact('2') } }, true],
  ['a value below', { headers: { a: prefix('1') } }, { headers: { a: exact('1-v1') } }, false],
  ['a value beside', { headers: { a: prefix('1') } }, { headers: { a: exact('2') } }, true],
  ['a prefix beside', { headers: { a: prefix('1') } }, { headers: { a: prefix('2') } }, true],
  [
    'a header that is missing, beside',
    { withoutHeaders: { a: prefix('1') } },
    { withoutHeaders: { a: exact('2') } },
    true,
  ],
  ['another query', { queryParams: { q: exact('1') } }, { queryParams: { q: exact('2') } }, true],
  ['a query below', { queryParams: { q: prefix('1') } }, { queryParams: { q: exact('1') } }, false],
  ['a method beside', { method: exact('GET') }, { method: exact('POST') }, true],
  ['a scheme beside', { scheme: exact('http') }, { scheme: exact('https') }, true],
  ['an authority beside', { authority: exact('a') }, { authority: exact('b') }, true],
  ['a port where there was none', { port: 0 }, { port: 8080 }, false],
  ['no port where there was one', { port: 8080 }, { port: 0 }, false],
  ['another port', { port: 8080 }, { port: 8090 }, true],
  ['another label', { sourceLabels: { a: 'b' } }, { sourceLabels: { a: 'c' } }, true],
  ['one label more', { sourceLabels: { app: 't' } }, { sourceLabels: { version: 'v1' } }, false],
  ['another namespace', { sourceNamespace: 'one' }, { sourceNamespace: 'two' }, true],
  ['a namespace that is not repeated', { sourceNamespace: 'one' }, {}, true],
  ['a namespace where there was none', {}, { sourceNamespace: 'one' }, false],
  ['fewer gateways', { gateways: ['in', 'mesh'] }, { gateways: ['mesh'] }, false],
  ['more gateways', { gateways: ['in'] }, { gateways: ['in', 'mesh'] }, true],
  ['case that counts, and does not', { ignoreUriCase: true }, {}, true],
]

for (const [title, root, leaf, is] of rows) {
  test(`${title}: ${is ? 'a conflict' : 'none'}`, () => {
    assert.equal(isMatchConflict(root, leaf), is)
  })
}
