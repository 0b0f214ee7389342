/** Which level of a DestinationRule says what a destination's requests are hashed by: the rows of Istio's own tests. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { TrafficPolicy } from '../model/istio/destination-rule.ts'
import { consistentHashOf } from './hash-policy.ts'

function hashed(name: string): TrafficPolicy {
  return { loadBalancer: { consistentHash: { httpCookie: { name } } } }
}

function at(port: number, policy: TrafficPolicy, rest: TrafficPolicy = {}): TrafficPolicy {
  return { ...rest, portLevelSettings: [{ port: { number: port }, ...policy }] }
}

const random: TrafficPolicy = { loadBalancer: { simple: 'RANDOM' } }

for (const [title, rule, subset, destination, expected] of [
  ['the rule', hashed('rule'), undefined, {}, 'rule'],
  ['the rule, for a subset', hashed('rule'), random, { subset: 'v1' }, 'rule'],
  ['a subset alone', undefined, hashed('subset'), { subset: 'v1' }, 'subset'],
  ['a subset before the rule', hashed('rule'), hashed('subset'), { subset: 'v1' }, 'subset'],
  ['a subset, for no subset', undefined, hashed('subset'), {}, undefined],
  ['a port of the rule', at(80, hashed('port')), undefined, { port: { number: 80 } }, 'port'],
  [
    'a port before the rule',
    at(80, hashed('port'), hashed('rule')),
    undefined,
    { port: { number: 80 } },
    'port',
  ],
  [
    'another port',
    at(80, hashed('port'), hashed('rule')),
    undefined,
    { port: { number: 81 } },
    'rule',
  ],
  ['a port, for a destination without one', at(80, hashed('port')), undefined, {}, undefined],
  [
    'a subset before a port of the rule',
    at(80, hashed('port')),
    hashed('subset'),
    { subset: 'v1', port: { number: 80 } },
    'subset',
  ],
  [
    'a port of a subset',
    at(80, hashed('port')),
    at(80, hashed('subset port'), hashed('subset')),
    { subset: 'v1', port: { number: 80 } },
    'subset port',
  ],
] as const) {
  test(`what requests are hashed by: ${title}`, () => {
    const merged = {
      host: 'a.test',
      namespace: 'default',
      parts: [],
      exportTo: [],
      selector: undefined,
      trafficPolicy: rule,
      subsets: subset === undefined ? [] : [{ name: 'v1', trafficPolicy: subset }],
    }
    assert.equal(consistentHashOf(merged, destination)?.httpCookie?.name, expected)
  })
}
