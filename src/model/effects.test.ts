/** The table of effects speaks of fields that exist, and of each kind that is read in full. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { effectOf, effects } from './effects.ts'
import { shapeOfKind } from './kind-shape.ts'
import { kinds } from './kinds.ts'
import type { Shape } from './schema/shape.ts'

function shapeAt(
  shape: Shape<unknown> | undefined,
  steps: readonly string[],
): Shape<unknown> | undefined {
  const [step, ...rest] = steps
  if (step === undefined || shape === undefined) return shape
  return shapeAt(step === '[]' ? shape.item : shape.fields?.[step], rest)
}

function takes(shape: Shape<unknown> | undefined, value: string): boolean {
  if (shape?.type === 'boolean') return value === 'true' || value === 'false'
  return shape?.type === 'text' || shape?.type.split(/[ ,]+/).includes(value) === true
}

test('every pattern is a field, and every value one that the field takes', () => {
  const wrong: string[] = []
  for (const [name, table] of Object.entries(effects)) {
    const kind = kinds.find((entry) => entry.kind === name && entry.supported === 'full')
    assert.ok(kind, name)
    for (const key of Object.keys(table)) {
      const [pattern = '', value] = key.split('=')
      const steps = pattern.replaceAll('[]', '.[]').split('.').slice(1)
      const shape = shapeAt(shapeOfKind(kind), steps)
      const isWord = value === undefined || takes(shape, value)
      if (shape === undefined || !isWord) wrong.push(`${name} ${key}`)
    }
  }
  assert.deepEqual(wrong, [])
})

test('every kind that is read in full has a table', () => {
  const full = kinds.filter(({ supported }) => supported === 'full').map(({ kind }) => kind)
  assert.deepEqual(new Set(Object.keys(effects)), new Set(full))
})

test('the longest pattern decides, a value before a field, a field before its parent', () => {
  assert.equal(effectOf('VirtualService', 'spec.http[].route[].weight'), 'effective')
  assert.equal(effectOf('VirtualService', 'spec.tcp[].match[].sourceSubnet'), 'by-design')
  assert.equal(effectOf('VirtualService', 'spec.tls[].match[].sniHosts'), 'effective')
  assert.equal(effectOf('VirtualService', 'spec.gateways[]', 'mesh'), 'effective')
  assert.equal(effectOf('VirtualService', 'spec.gateways[]', 'gw'), 'not-yet')
  const tunnel = 'spec.trafficPolicy.tunnel.protocol'
  assert.equal(effectOf('DestinationRule', tunnel, 'POST'), 'not-yet')
  assert.notEqual(effectOf('DestinationRule', tunnel, 'CONNECT'), 'not-yet')
  assert.equal(effectOf('Gateway', 'spec.servers'), 'not-yet')
})
