/** Hops from the metrics of both sides. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Sample } from '../prometheus-text.ts'
import { hopsOf } from './hop.ts'

const id = (name: string) => `spiffe://m/ns/n/sa/${name}`

function sample(labels: Record<string, string>, value = 1): Sample {
  return {
    name: 'istio_requests_total',
    labels: {
      destination_workload: 's',
      destination_workload_namespace: 'n',
      source_workload: 'unknown',
      source_principal: 'unknown',
      destination_principal: 'unknown',
      response_flags: '-',
      ...labels,
    },
    value,
  }
}

const source = (from: string, principal: string, value?: number) =>
  sample(
    {
      reporter: 'source',
      source_workload: from,
      source_principal: id(from),
      destination_principal: principal,
    },
    value,
  )
const destination = (caller: string, policy: string, value?: number) =>
  sample(
    {
      reporter: 'destination',
      source_principal: caller,
      destination_principal: policy === 'none' ? 'unknown' : id('s'),
      connection_security_policy: policy,
    },
    value,
  )

test('a hop is locked when the called one proved who it is, every time', () => {
  const hops = hopsOf([
    source('a', id('s'), 3),
    source('a', id('s'), 2),
    source('b', id('s')),
    source('b', 'unknown'),
    source('c', 'unknown', 4),
    destination(id('a'), 'mutual_tls', 5),
  ])
  assert.deepEqual(
    hops.map(({ from, to, lock, count, principal }) => [from, to, lock, count, principal]),
    [
      ['a', 's', 'mutual TLS', 5, id('s')],
      ['b', 's', 'both', 2, id('s')],
      ['c', 's', 'plaintext', 4, ''],
    ],
  )
})

test('who has no sidecar of ours is told by the called one', () => {
  const hops = hopsOf([
    source('a', id('s')),
    destination(id('envoy'), 'mutual_tls', 2),
    destination('unknown', 'none', 7),
    destination('unknown', 'none', 0),
  ])
  assert.deepEqual(
    hops.map(({ from, lock, count }) => [from, lock, count]),
    [
      ['a', 'mutual TLS', 1],
      ['n/envoy', 'mutual TLS', 2],
      ['unknown', 'plaintext', 7],
    ],
  )
})

test('a call that reached nobody is no hop', () => {
  const failed = { reporter: 'source', source_workload: 'a', response_flags: 'UF' }
  const outside = { ...failed, response_flags: '-', destination_workload: 'unknown' }
  assert.deepEqual(hopsOf([sample(failed), sample(outside)]), [])
})
