/** Annotations that ask for health checks: what each may say, and what is said of what cannot be read. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { parseYaml } from '../../test/support/parse-yaml.ts'
import { healthCheckFindings } from './health-check.ts'

function problems(annotations: Readonly<Record<string, string>>): readonly string[] {
  const lines = Object.entries(annotations).map(
    ([name, value]) => `    ${name}: ${JSON.stringify(value)}`,
  )
  const text = `apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata:\n  name: a\n  annotations:\n${lines.join('\n')}\nspec: { host: a }\n`
  const { resources } = parseYaml(text, 'a.yaml')
  const [rule] = resources
  assert.ok(rule)
  return healthCheckFindings(rule).map(({ path, message }) => `${path}: ${message}`)
}

const what = 'tulle.dev/health-check'

for (const value of ['http:/', 'http:/healthz?a=b', 'tcp', 'grpc', 'grpc:my.Service']) {
  test(`${value} is something to check`, () => {
    assert.deepEqual(problems({ [what]: value }), [])
  })
}

const refused: readonly (readonly [
  claim: string,
  annotations: Record<string, string>,
  path: string,
])[] = [
  ['nothing', { [what]: '' }, what],
  ['another protocol', { [what]: 'ftp:/x' }, what],
  ['a path that does not begin with a slash', { [what]: 'http:healthz' }, what],
  ['a path with a space', { [what]: 'http:/a b' }, what],
  ['a path with a line’s end', { [what]: 'http:/a\r\nx: y' }, what],
  ['an empty gRPC service', { [what]: 'grpc:' }, what],
  ['an interval of nothing', { [what]: 'tcp', [`${what}-interval`]: '0s' }, `${what}-interval`],
  ['an interval without a unit', { [what]: 'tcp', [`${what}-interval`]: '5' }, `${what}-interval`],
  ['a time-out that is none', { [what]: 'tcp', [`${what}-timeout`]: 'soon' }, `${what}-timeout`],
  [
    'a threshold of nothing',
    { [what]: 'tcp', [`${what}-unhealthy-threshold`]: '0' },
    `${what}-unhealthy-threshold`,
  ],
  [
    'a threshold that is no number',
    { [what]: 'tcp', [`${what}-healthy-threshold`]: 'two' },
    `${what}-healthy-threshold`,
  ],
  ['a name that there is not', { [what]: 'tcp', [`${what}-path`]: '/' }, `${what}-path`],
  ['how without what', { [`${what}-interval`]: '5s' }, `${what}-interval`],
]

for (const [claim, annotations, name] of refused) {
  test(`${claim} is an issue where it stands`, () => {
    const found = problems(annotations)
    assert.equal(found.length, 1, found.join('\n'))
    const [text = ''] = found
    assert.ok(text.startsWith(`metadata.annotations[${name}]: `), text)
    assert.match(text, /not checked$/)
  })
}

test('a rule without such annotations has no such issue', () => {
  assert.deepEqual(problems({ 'other.dev/health-check': 'x' }), [])
})
