/** What `tulle status` makes of the sidecars and workloads that the control plane knows. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { recordingTerminal } from '../../../test/support/recording-terminal.ts'
import type { ProxyObject, ProxyTypeStatus, WorkloadObject } from '../../api/view.ts'
import { renderTable } from '../output.ts'
import { statusRows, statusTable } from './status.ts'

function type(name: string, changes: Partial<ProxyTypeStatus> = {}): ProxyTypeStatus {
  return { typeUrl: name, name, status: 'SYNCED', sentVersion: '1', ackedVersion: '1', ...changes }
}

function proxy(name: string, types: readonly ProxyTypeStatus[]): ProxyObject {
  return {
    apiVersion: 'tulle.dev/v1alpha1',
    kind: 'Proxy',
    metadata: { name, namespace: 'default', resourceVersion: '1', uid: name },
    status: {
      nodeId: name,
      workload: name,
      address: '127.0.0.1',
      userAgent: 'tulle',
      variant: 'delta',
      certificate: {
        spiffeId: `spiffe://cluster.local/ns/default/sa/${name}`,
        serial: '1',
        notBefore: '2026-01-01T00:00:00.000Z',
        notAfter: '2026-01-02T00:02:00.000Z',
      },
      connectedSince: '2026-01-01T00:00:00.000Z',
      isBehind: false,
      lastPushMs: 3.4,
      types,
    },
  }
}

function workload(name: string, changes: Partial<WorkloadObject['status']> = {}): WorkloadObject {
  return {
    apiVersion: 'tulle.dev/v1alpha1',
    kind: 'Workload',
    metadata: { name, namespace: 'default', resourceVersion: '1', uid: name },
    status: {
      id: name,
      workload: name,
      serviceAccount: 'default',
      address: '127.0.0.1',
      ports: [],
      health: 'healthy',
      healthMessage: '',
      presence: 'connected',
      locality: '',
      network: '',
      cluster: '',
      ...changes,
    },
  }
}

test('a row for each sidecar and for each workload that has none, with the reason of what is wrong', () => {
  const rejection = {
    reason: 'filter x is not implemented',
    at: '2026-01-01T00:00:00.000Z',
    version: '2',
  }
  const rows = statusRows(
    [
      proxy('b', [type('CDS'), type('LDS', { status: 'REJECTED', rejection })]),
      proxy('a', [type('CDS'), type('RDS', { status: 'STALE' })]),
    ],
    [
      workload('a', { health: 'unhealthy', healthMessage: 'GET /healthz: status 500' }),
      workload('b'),
      workload('c', { presence: 'gone' }),
    ],
    {
      agents: new Map(),
      hops: [],
      exposures: new Map([
        ['default/a', 'network'],
        ['default/b', 'host'],
      ]),
    },
  )
  assert.equal(
    renderTable(statusTable(rows, Date.parse('2026-01-01T12:00:00Z')), recordingTerminal()),
    [
      'NAMESPACE  NAME  PRESENCE   HEALTH     CDS     LDS       EDS  RDS    PUSH MS  CERT   INBOUND                            WHY',
      'default    a     connected  unhealthy  SYNCED  -         -    STALE  3        12.0h  not enforced, open to the network  GET /healthz: status 500',
      'default    b     connected  healthy    SYNCED  REJECTED  -    -      3        12.0h  not enforced                       LDS: filter x is not implemented',
      'default    c     gone       healthy    -       -         -    -      -        none   -',
      '',
    ].join('\n'),
  )
})

test('nobody has joined: it says so', () => {
  const table = statusTable(
    statusRows([], [], { hops: [], exposures: new Map(), agents: new Map() }),
    0,
  )
  assert.equal(renderTable(table, recordingTerminal()), 'no workload has joined\n')
})
