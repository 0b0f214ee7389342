/** Our RouteTest: one row for each rule. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { testIssues } from '../../../test/support/issue-table.ts'
import { parseText } from '../parse.ts'
import type { RouteTestSpec } from './route-test.ts'

const given = 'given: {url: "http://a/"}'
const expecting = (text: string): string => `tests:\n- ${given}\n  expect: ${text}`

testIssues({ apiVersion: 'tulle.dev/v1alpha1', kind: 'RouteTest' }, [
  ['has tests', 'IST0106', 'spec.tests', 'tests: [] # HERE'],
  [
    'a field that is no field is named',
    'TUL0010',
    'spec.test',
    'test: [] # HERE\ntests: [{given: {url: "http://a/"}, expect: {status: 404}}]',
  ],
  ['a case has an expectation', 'IST0106', 'spec.tests[0].expect', `tests:\n- ${given} # HERE`],
  ['an expectation expects something', 'IST0106', 'spec.tests[0].expect', expecting('{} # HERE')],
  [
    'a request has a URL',
    'IST0106',
    'spec.tests[0].given.url',
    'tests:\n- given: {method: GET} # HERE\n  expect: {status: 404}',
  ],
  [
    'a URL is whole',
    'IST0106',
    'spec.tests[0].given.url',
    'tests:\n- given: {url: /path} # HERE\n  expect: {status: 404}',
  ],
  [
    'a method is one word',
    'IST0106',
    'spec.tests[0].given.method',
    'tests:\n- given: {url: "http://a/", method: "G T"} # HERE\n  expect: {status: 404}',
  ],
  [
    'a header has a name',
    'IST0106',
    'spec.tests[0].given.headers[a b]',
    'tests:\n- given: {url: "http://a/", headers: {"a b": c}} # HERE\n  expect: {status: 404}',
  ],
  [
    'a share is at most all',
    'IST0106',
    'spec.tests[0].expect.destination.share',
    expecting('{destination: {host: a, share: 101}} # HERE'),
  ],
  [
    'one destination, or a list of them',
    'IST0106',
    'spec.tests[0].expect.destination',
    expecting('{destinations: [{host: a}], destination: {host: a}} # HERE'),
  ],
  [
    'a redirect goes to no destination',
    'IST0106',
    'spec.tests[0].expect.destination',
    expecting('{redirect: {location: /b}, destination: {host: a}} # HERE'),
  ],
  [
    'a status is one of HTTP',
    'IST0106',
    'spec.tests[0].expect.status',
    expecting('{status: 99} # HERE'),
  ],
  [
    'a time-out has a unit',
    'IST0106',
    'spec.tests[0].expect.timeout',
    expecting('{timeout: 5} # HERE'),
  ],
  [
    'a rewrite says what',
    'IST0106',
    'spec.tests[0].expect.rewrite',
    expecting('{rewrite: {}} # HERE'),
  ],
])

test('a client is a name, or what the routes ask about one', () => {
  const [document] = parseText(
    `apiVersion: tulle.dev/v1alpha1
kind: RouteTest
metadata: { name: x }
spec:
  tests:
  - { given: { from: load, url: "http://a:80/b?c" }, expect: { status: 404 } }
  - { given: { from: { namespace: shop, labels: { app: web } }, url: "http://a/" }, expect: { timeout: 0s } }
`,
    'x.yaml',
  )
  assert.deepEqual(document?.issues, [])
  const spec = document.resource?.spec as RouteTestSpec
  assert.deepEqual(
    spec.tests.map((one) => one.given.from),
    ['load', { namespace: 'shop', labels: { app: 'web' } }],
  )
})
