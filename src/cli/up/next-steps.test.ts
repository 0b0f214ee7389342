/** What `tulle up` prints when the mesh is up. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { nextSteps } from './next-steps.ts'
import type { ReadyEvent, ReadyWorkload } from './ready-event.ts'

const workload: ReadyWorkload = {
  name: 'shop-v1',
  workload: 'shop-v1',
  namespace: 'default',
  service: 'shop',
  labels: {},
  pid: 1,
  isHealthy: true,
  admin: '127.0.0.1:1',
  proxy: 'http://127.0.0.1:2',
  ports: [{ name: 'http', servicePort: 80, app: '127.0.0.1:3', mesh: '127.0.0.1:4' }],
  upstreams: [],
}

const event: ReadyEvent = {
  event: 'ready',
  mesh: 'm',
  pid: 1,
  api: 'http://127.0.0.1:5',
  xds: '127.0.0.1:6',
  file: '/mesh.yaml',
  workloads: [workload],
}

test('a mesh without steps of its own gets a call, top and status', () => {
  const text = nextSteps(event, undefined)
  assert.match(text, /^mesh m is up: 1 workload, API http:\/\/127\.0\.0\.1:5\n/)
  assert.match(text, /tulle run -- curl -s http:\/\/shop:80\/\n/)
  assert.match(text, /tulle top /)
})

test("the mesh file's own steps get the addresses of its applications", () => {
  const text = nextSteps(event, 'curl ${shop-v1}/x\necho ${nobody}\n')
  assert.match(text, /\n {2}curl 127\.0\.0\.1:3\/x\n {2}echo \$\{nobody\}\n/)
  assert.equal(text.includes('tulle top'), false)
})

test('what is not healthy is named', () => {
  const text = nextSteps({ ...event, workloads: [{ ...workload, isHealthy: false }] }, undefined)
  assert.match(text, /\nnot healthy yet: shop-v1\n/)
})
