/** A connection does not outlive its certificates by more than is said. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { FakeClock } from '../../../test/support/fake-clock.ts'
import type { CertificateFacts, ConnectionSecurity } from '../connection-security.ts'
import type { Wire } from '../wire/wire.ts'
import { CertificateWatch, cutMs, idleGraceMs } from './certificate-watch.ts'

function createScene(notAfterMs: number) {
  const clock = new FakeClock()
  const events: string[] = []
  const security = {
    peer: { notAfterMs: clock.nowMs() + notAfterMs } as CertificateFacts,
    local: undefined,
    isLeaving: false,
  } as unknown as ConnectionSecurity // the watch reads no more of it
  const trust = { isGone: false }
  const retireAtMs = (): number => (trust.isGone ? 0 : Infinity)
  const wire = { security, retireAtMs } as unknown as Wire // nor of the wire
  const watch = new CertificateWatch(clock)
  const connection = {
    closeWhenIdle: () => void events.push('idle'),
    destroy: () => void events.push('cut'),
  }
  watch.add(connection, wire)
  return { clock, events, security, trust, watch, connection }
}

test('an expired certificate asks its connection to leave, then closes it, then cuts it', () => {
  const { clock, events, security } = createScene(5_000)
  clock.advance(4_000)
  assert.equal(security.isLeaving, false)
  clock.advance(2_000)
  assert.equal(security.isLeaving, true)
  assert.deepEqual(events, [])
  clock.advance(idleGraceMs)
  assert.equal(events[0], 'idle')
  clock.advance(cutMs)
  assert.equal(events.at(-1), 'cut')
})

test('a peer that the trust of now refuses leaves at once', () => {
  const { clock, security, trust } = createScene(3_600_000)
  trust.isGone = true
  clock.advance(1_000)
  assert.equal(security.isLeaving, true)
})

test('nothing is looked at when no connection is left', () => {
  const { clock, watch, connection } = createScene(5_000)
  watch.delete(connection)
  clock.advance(1_000)
  assert.equal(clock.pendingTimers, 0)
})
