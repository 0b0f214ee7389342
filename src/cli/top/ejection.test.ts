/** Counting endpoints that some caller has ejected. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { WorkloadObject } from '../../api/view.ts'
import type { HostState } from '../proxy-config/config-dump.ts'
import { countEndpoints } from './ejection.ts'

function workload(name: string, version: string, meshPort: number): WorkloadObject {
  return {
    apiVersion: 'tulle.dev/v1alpha1',
    kind: 'Workload',
    metadata: {
      name,
      namespace: 'default',
      labels: { app: 'shop', version },
      resourceVersion: '1',
      uid: name,
    },
    status: {
      id: name,
      workload: name,
      serviceAccount: '',
      address: '127.0.0.1',
      ports: [{ name: 'http', appPort: 1, meshPort }],
      health: 'healthy',
      healthMessage: '',
      presence: 'connected',
      locality: '',
      network: '',
      cluster: '',
    },
  }
}

function host(port: number, health: string, cluster = 'outbound|80|v2|shop'): HostState {
  const counts = { weight: 1, activeRequests: 0, totalRequests: 0, failedRequests: 0 }
  return { cluster, address: `127.0.0.1:${port}`, health, ...counts }
}

test('an endpoint counts once, as ejected when any caller or subset has ejected it', () => {
  const hosts = [
    host(1, 'healthy'),
    host(2, 'ejected'),
    host(2, 'healthy', 'outbound|80||shop'),
    host(3, 'healthy'),
    host(9, 'ejected', 'inbound|80||'),
  ]
  const workloads = [workload('a', 'v1', 1), workload('b', 'v2', 2), workload('c', 'v2', 3)]
  assert.deepEqual(
    [...countEndpoints(hosts, workloads)],
    [
      ['default/shop/v1', { total: 1, ejected: 0 }],
      ['default/shop/v2', { total: 2, ejected: 1 }],
    ],
  )
})

test('a workload that nobody calls is not counted', () => {
  assert.equal(countEndpoints([], [workload('a', 'v1', 1)]).size, 0)
})
