/** Durations in protobuf's form and in Go's. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { durationMs, parseDurationMs } from './duration.ts'

const table: readonly (readonly [string, number | undefined])[] = [
  ['10s', 10_000],
  ['0.1s', 100],
  ['1.5s', 1500],
  ['250ms', 250],
  ['1h30m', 5_400_000],
  ['1m0.001s', 60_001],
  ['1us', 0.001],
  ['1µs', 0.001],
  ['1ns', 0.000_001],
  ['0', 0],
  ['0s', 0],
  ['-1s', -1000],
  ['+1s', 1000],
  ['.5s', 500],
  ['1.s', 1000],
  ['1d', undefined],
  ['10', undefined],
  ['s', undefined],
  ['', undefined],
  ['1 s', undefined],
  ['1S', undefined],
  ['--1s', undefined],
  ['soon', undefined],
]

for (const [text, expected] of table) {
  test(`"${text}" is ${expected === undefined ? 'no duration' : `${String(expected)} ms`}`, () => {
    assert.equal(parseDurationMs(text), expected)
  })
}

test('durationMs is for text that was checked', () => {
  assert.equal(durationMs('30s'), 30_000)
})
