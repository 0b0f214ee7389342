/** Hops from the metrics of the called sidecar. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { parsePrometheusText } from '../prometheus-text.ts'
import { hopsOf } from './hop.ts'

test('a hop is locked when every request of it was, as the called sidecar says', () => {
  const metrics = new Set(['istio_requests_total', 'istio_tcp_connections_opened_total'])
  const line = (from: string, policy: string, count: number) =>
    `istio_requests_total{reporter="destination",source_workload="${from}",source_principal="spiffe://m/ns/n/sa/${from}",` +
    `connection_security_policy="${policy}"} ${count}`
  const text = [
    line('a', 'mutual_tls', 3),
    line('a', 'mutual_tls', 2).replace(
      'istio_requests_total',
      'istio_tcp_connections_opened_total',
    ),
    line('b', 'mutual_tls', 1),
    line('b', 'none', 1),
    line('c', 'none', 4),
    line('d', 'none', 0),
    line('e', 'mutual_tls', 9).replace('destination', 'source'),
  ].join('\n')
  const hops = hopsOf(parsePrometheusText(text, metrics), { to: 's', namespace: 'n' })
  assert.deepEqual(
    hops.map(({ from, lock, count }) => [from, lock, count]),
    [
      ['a', 'mutual TLS', 5],
      ['b', 'both', 2],
      ['c', 'plaintext', 4],
    ],
  )
  assert.equal(hops[0]?.principal, 'spiffe://m/ns/n/sa/a')
})
