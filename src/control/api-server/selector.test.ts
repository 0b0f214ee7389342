/** Label selectors in the forms that Kubernetes documents. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { compileLabelSelector } from './selector.ts'

const labels = { app: 'web', tier: 'front', 'example.com/zone': 'a' }
const object = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'x', resourceVersion: '1', uid: 'u', labels },
}

const selectors: readonly (readonly [text: string, expected: boolean])[] = [
  ['', true],
  ['app=web', true],
  ['app==web', true],
  ['app = web', true],
  ['app=', false],
  ['app!=web', false],
  ['none!=web', true],
  ['app=web,tier=front', true],
  ['app=web,tier=back', false],
  ['app in (web,api)', true],
  ['app in (api),tier=front', false],
  ['app notin (api, db)', true],
  ['none notin (a)', true],
  ['none in (a)', false],
  ['app', true],
  ['none', false],
  ['!app', false],
  ['!none', true],
  ['example.com/zone in (a,b),app', true],
]

for (const [text, expected] of selectors) {
  test(`labelSelector "${text}" ${expected ? 'selects' : 'does not select'}`, () => {
    assert.equal(compileLabelSelector(text)(object), expected)
  })
}

for (const text of ['=web', 'app in', 'app in web', 'app=web=x', 'a b', 'app in (a', '!']) {
  test(`labelSelector "${text}" is refused`, () => {
    assert.throws(() => compileLabelSelector(text), { name: 'ApiError' })
  })
}
