/** Rows of Istio's own test of what a subset, a port and a rule say together, and what its settings of a port cannot say. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { TrafficPolicy } from '../model/istio/destination-rule.ts'
import { meshSettingsOf } from './input.ts'
import { effectivePolicy } from './traffic-policy.ts'

const pool: TrafficPolicy = { connectionPool: { http: { maxRetries: 10 } } }
const mutual: TrafficPolicy = { tls: { mode: 'ISTIO_MUTUAL' } }
const simple: TrafficPolicy = { tls: { mode: 'SIMPLE' } }
const robin: TrafficPolicy = { loadBalancer: { simple: 'ROUND_ROBIN' } }
const least: TrafficPolicy = { loadBalancer: { simple: 'LEAST_REQUEST' } }
const first: TrafficPolicy = { proxyProtocol: { version: 'V1' } }
const second: TrafficPolicy = { proxyProtocol: { version: 'V2' } }
const budget: TrafficPolicy = { retryBudget: { percent: 10 } }
const ownBudget: TrafficPolicy = { retryBudget: { percent: 30 } }

function ejects(consecutive5xxErrors: number): TrafficPolicy {
  return { outlierDetection: { consecutive5xxErrors } }
}

/** With settings of its own for the port 8080. */
function at8080(policy: TrafficPolicy, own: TrafficPolicy): TrafficPolicy {
  return { ...policy, portLevelSettings: [{ port: { number: 8080 }, ...own }] }
}

const perPort = at8080({ ...robin, ...ejects(20) }, ejects(15))
const subsetPerPort = at8080({ ...robin, ...pool }, ejects(13))

for (const [title, rule, subset, port, expected] of [
  ['nobody says anything', undefined, undefined, 80, {}],
  ['the rule alone', pool, undefined, 80, pool],
  ['the subset alone', undefined, pool, 80, pool],
  ['different blocks', mutual, pool, 80, { ...mutual, ...pool }],
  ['the same block', { ...mutual, ...pool }, simple, 80, { ...simple, ...pool }],
  ['a port of the subset', undefined, at8080({ ...robin, ...pool }, least), 8080, least],
  ['a port of both', perPort, subsetPerPort, 8080, ejects(13)],
  ['a port of both, elsewhere', perPort, subsetPerPort, 9090, { ...robin, ...pool, ...ejects(20) }],
  [
    'a port of the rule',
    perPort,
    { ...robin, ...pool },
    8080,
    { ...robin, ...pool, ...ejects(15) },
  ],
  ["a rule's PROXY protocol", first, pool, 80, { ...first, ...pool }],
  ["a subset's PROXY protocol", first, second, 80, second],
  ['a PROXY protocol beside a port', at8080(first, pool), undefined, 8080, pool],
  [
    "a subset's beside a port of the rule",
    at8080(first, pool),
    second,
    8080,
    { ...second, ...pool },
  ],
  [
    "a rule's beside a port of the subset",
    first,
    at8080(second, pool),
    8080,
    { ...first, ...pool },
  ],
  ["a subset's budget", budget, ownBudget, 80, ownBudget],
  ['a budget beside a port', at8080(budget, pool), undefined, 8080, pool],
  [
    "a rule's budget beside a port of the subset",
    budget,
    at8080(ownBudget, pool),
    8080,
    { ...budget, ...pool },
  ],
] as const) {
  test(`what holds together: ${title}`, () => {
    const policy = effectivePolicy({
      rule,
      subset: subset && { name: 'v1', trafficPolicy: subset },
      port,
      mesh: meshSettingsOf(),
    })
    const none = { connectionPool: {}, outlierDetection: undefined, loadBalancer: undefined }
    const nothing = { ...none, tls: undefined, proxyProtocol: undefined, retryBudget: undefined }
    assert.deepEqual(policy, { ...nothing, ...expected })
  })
}
