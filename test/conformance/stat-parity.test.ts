/** Statistics: a real Envoy and Tulle count the same of the same requests, by the same names. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { compareScene } from './parity/scene.ts'
import { statScene, statsOf } from './parity/stat-scene.ts'

/** What counts otherwise, or is not there, and why. */
const known: readonly (readonly [names: RegExp, why: string])[] = [
  [/^(http|listener)\.admin\./, 'the admin interface counts nothing about itself'],
  [/\.worker_0\./, 'one thread is not told from another'],
  [/\.total_match_count$/, 'a cluster with one transport socket has nothing to match'],
  [/_bytes_buffered$/, 'what is buffered is watched for the whole process'],
  [
    /^cluster\.a\.upstream_(cx_(destroy|destroy_local|destroy_with_active_rq|destroy_local_with_active_rq|http1_total|total)|rq_pending_total)$/,
    'the rest of a retried response is read, and its connection used again; Envoy ends it',
  ],
  [
    /^cluster\.a\.upstream_cx_destroy_remote(_with_active_rq)?$/,
    'to Envoy it is its own end when the last bytes of half an answer come together with the end, and not when that comes later',
  ],
  [
    /^cluster\.overflow\.upstream_(cx_active|cx_http1_total|cx_total|rq_pending_total)$/,
    'a request beyond max_requests opens no connection; in Envoy it does first',
  ],
  [/^cluster\.empty\.lb_healthy_panic$/, 'without any host there is nothing to panic over'],
  [
    /\.downstream_cx_delayed_close_timeout$/,
    'FIN comes before the wait for the client’s, in Envoy behind it',
  ],
  [
    /^http\.main\.downstream_rq_rx_reset$/,
    'the client of a websocket may end its direction; in Envoy that ends both',
  ],
  [/\.downstream_rq_rejected\./, 'ours: refused messages by reason'],
  [/^tcp\.[^.]+\.downstream_cx_active$/, 'ours'],
]

/** Heads hold times, so bytes are compared roughly. */
function isClose(name: string, left: number, right: number): boolean {
  return name.endsWith('_bytes_total') && Math.abs(left - right) <= left * 0.05
}

compareScene(statScene, ({ envoy, tulle }) => {
  test('virtual clusters, and routes with a name of their own for it', () => {
    const ofHosts = (text: string) =>
      [...statsOf(text)].filter(([name]) => name.startsWith('vhost'))
    const counted = ofHosts(envoy.admin).filter(([, value]) => value > 0)
    const actual = new Map(ofHosts(tulle.admin))
    assert.deepEqual(
      counted.map(([name]) => [name, actual.get(name)]),
      counted,
    )
    assert.ok(counted.length > 30)
  })

  test('counters and gauges', () => {
    const expected = statsOf(envoy.admin)
    const actual = statsOf(tulle.admin)
    const isKnown = (name: string): boolean => known.some(([names]) => names.test(name))
    const wrong = [...expected].filter(([name, value]) => {
      const ours = actual.get(name) ?? 0
      return ours !== value && !isClose(name, value, ours) && !isKnown(name)
    })
    const lines = wrong.map(([name, value]) => `${name}: ${value}, here ${actual.get(name)}`)
    assert.deepEqual(lines, [])
    assert.ok([...expected].filter(([name, value]) => value > 0 && actual.has(name)).length > 100)
  })

  test('no name is of our own making', () => {
    const expected = statsOf(envoy.admin)
    const isKnown = (name: string): boolean => known.some(([names]) => names.test(name))
    const names = [...statsOf(tulle.admin).keys()]
    assert.deepEqual(
      names.filter((name) => !expected.has(name) && !isKnown(name)),
      [],
    )
  })
})
