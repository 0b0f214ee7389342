/** Counters of TLS go by reason, and fall silent with their listener or cluster. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { smallSlots } from '../../../test/support/fake-host.ts'
import { createListenerStats } from './create-stats.ts'
import { createUpstreamTlsStats } from './create-tls-stats.ts'
import { renderPrometheus } from './render-stats.ts'
import { StatsRegistry } from './stats-registry.ts'

test('a refusal has a metric with its reason as a label', () => {
  const registry = new StatsRegistry(smallSlots())
  createListenerStats(registry, '0.0.0.0:15006').tls.refused('expired').add(1)
  const text = renderPrometheus(registry)
  const labels = 'reason="expired",envoy_listener_address="0.0.0.0:15006"'
  assert.ok(text.includes(`envoy_listener_ssl_refused{${labels}} 1`))
})

test('what is counted after the end goes nowhere, and not into a slot that is used again', () => {
  const registry = new StatsRegistry(smallSlots())
  const stats = createUpstreamTlsStats(registry, 'gone')
  const expired = stats.refused('expired')
  stats.close()
  registry.slots.reclaim()
  const fresh = createUpstreamTlsStats(registry, 'fresh')
  expired.add(5)
  stats.handshake.add(5)
  stats.refused('unknown-ca').add(5)
  const counted = registry.list().filter((stat) => stat.value() !== 0)
  assert.deepEqual(counted, [])
  assert.equal(fresh.handshake.value(), 0)
})
