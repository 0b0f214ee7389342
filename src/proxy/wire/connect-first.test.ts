/** Several addresses of one endpoint: which is tried when, whose connection is taken, and what becomes of the others. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { FakeClock } from '../../../test/support/fake-clock.ts'
import { FakeConnector } from '../../../test/support/fake-connector.ts'
import { connectFirst } from './connect-first.ts'
import type { ConnectOptions, ConnectResult, WireAddress } from './wire.ts'

const ip = (address: string): WireAddress => ({ kind: 'ip', address, port: 1 })

function scene(addresses: readonly string[], connectTimeoutMs = 1_000) {
  const clock = new FakeClock()
  const connector = new FakeConnector()
  const asked: ConnectOptions[] = []
  const results: ConnectResult[] = []
  const [address = ip('10.0.0.1'), ...otherAddresses] = addresses.map(ip)
  const stop = connectFirst(
    { address, otherAddresses, connectTimeoutMs },
    {
      clock,
      connectOne: (options, done) => {
        asked.push(options)
        return connector.connect(options, done)
      },
    },
    (result) => results.push(result),
  )
  return {
    clock,
    results,
    stop,
    dials: connector.dials,
    /** What has been tried so far. */
    get tried(): readonly string[] {
      return asked.map((options) => (options.address.kind === 'ip' ? options.address.address : ''))
    },
    get timeouts(): readonly number[] {
      return asked.map((options) => options.connectTimeoutMs)
    },
  }
}

test('the next one is tried when the one before fails, or takes too long', () => {
  const one = scene(['10.0.0.1', '10.0.0.2', '10.0.0.3'])
  assert.deepEqual(one.tried, ['10.0.0.1'])
  one.dials[0]?.refuse()
  assert.deepEqual(one.tried, ['10.0.0.1', '10.0.0.2'])
  one.clock.advance(299)
  assert.equal(one.tried.length, 2)
  one.clock.advance(1)
  assert.deepEqual(one.tried, ['10.0.0.1', '10.0.0.2', '10.0.0.3'])
  assert.deepEqual(one.timeouts, [1_000, 1_000, 700], 'the time is that of all together')
})

test('the first connection that stands is taken, and the others are given up', () => {
  const one = scene(['10.0.0.1', '10.0.0.2', '10.0.0.3'])
  one.clock.advance(300)
  const wire = one.dials[1]?.accept()
  const [result] = one.results
  assert.equal(result?.ok === true && result.wire === wire, true)
  assert.equal(one.dials[0]?.isGivenUp, true)
  one.clock.advance(1_000)
  assert.equal(one.tried.length, 2)
  assert.equal(one.clock.pendingTimers, 0)
})

test('when none stands the last failure is told', () => {
  const one = scene(['10.0.0.1', '10.0.0.2'])
  one.clock.advance(300)
  one.dials[1]?.refuse()
  assert.deepEqual(one.results, [], 'the first may stand yet')
  one.dials[0]?.refuse()
  assert.deepEqual(one.results, [{ ok: false, reason: 'refused', message: 'connection refused' }])
})

test('the families take turns, beginning with the first address’s', () => {
  const one = scene(['::1', '::2', '::3', '10.0.0.1', '10.0.0.2'])
  one.clock.advance(5 * 300)
  assert.deepEqual(one.tried, ['::1', '10.0.0.1', '::2', '10.0.0.2', '::3'])
})

test('what is stopped tries nothing more and is told nothing', () => {
  const one = scene(['10.0.0.1', '10.0.0.2'])
  one.stop()
  one.clock.advance(1_000)
  assert.equal(one.dials[0]?.isGivenUp, true)
  assert.equal(one.tried.length, 1)
  assert.deepEqual(one.results, [])
})

test('without an end of the time no attempt has one', () => {
  const one = scene(['10.0.0.1', '10.0.0.2'], 0)
  one.clock.advance(300)
  assert.deepEqual(one.timeouts, [0, 0])
})
