/** Joining, leaving, taking over, health, and the restraint in removing, on a clock of the test's own. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { FakeClock } from '../../test/support/fake-clock.ts'
import { nodeOf } from '../../test/support/registry-scene.ts'
import type { Member } from './endpoint.ts'
import { createMemoryRegistrationLog } from './registration-log.ts'
import { WorkloadRegistry } from './workload-registry.ts'
import type { JoiningNode, Membership, WorkloadSettings } from './workload-registry.ts'
import type { WorkloadTemplate } from './workload-template.ts'

const graceMs = 10_000

function openScene(settings: Partial<WorkloadSettings> = {}, restored: readonly Member[] = []) {
  const clock = new FakeClock()
  const members = new Map<string, Member>()
  const templates = new Map<string, WorkloadTemplate>()
  const registrations = createMemoryRegistrationLog()
  const registry = new WorkloadRegistry({
    clock,
    registrations,
    sink: {
      setMember: (member) => members.set(member.workload.id, member),
      removeMember: (id) => members.delete(id),
    },
    templateOf: (namespace, group) => templates.get(`${namespace}/${group}`),
    settings: { gracePeriodMs: graceMs, ...settings },
  })
  registry.restore(restored)
  const join = (node: JoiningNode): Membership => {
    const result = registry.join(node)
    assert.ok(result.ok, JSON.stringify(result))
    return result.value
  }
  const presences = () => [...members.values()].map(({ workload }) => workload.presence)
  return { clock, members, templates, registrations, registry, join, presences }
}

const template: WorkloadTemplate = {
  labels: { app: 'web', tier: 'front' },
  serviceAccount: 'web-account',
  network: 'group-network',
  locality: 'r/z',
  weight: 3,
  ports: { http: 8080 },
  hasProbe: false,
  declaredBy: 'WorkloadGroup default/web',
}

test('a workload stays for the grace period after its stream ended, then leaves', () => {
  const scene = openScene()
  const membership = scene.join(nodeOf('a'))
  assert.deepEqual(scene.presences(), ['connected'])
  scene.registry.leave(membership)
  assert.deepEqual(scene.presences(), ['gone'])
  scene.clock.advance(graceMs - 1)
  assert.deepEqual(scene.presences(), ['gone'])
  scene.clock.advance(1)
  assert.deepEqual(scene.presences(), [])
})

test('one that comes back within the grace period stays', () => {
  const scene = openScene()
  scene.registry.leave(scene.join(nodeOf('a')))
  scene.clock.advance(graceMs / 2)
  scene.join(nodeOf('a'))
  scene.clock.advance(10 * graceMs)
  assert.deepEqual(scene.presences(), ['connected'])
})

test('the end of an old stream does not remove the workload of the new one', () => {
  const scene = openScene()
  const old = scene.join(nodeOf('a'))
  const young = scene.join(nodeOf('a', { LABELS: { version: 'v2' } }))
  assert.equal(old.hasTakenOver, false)
  assert.equal(young.hasTakenOver, true)
  scene.registry.leave(old)
  scene.clock.advance(10 * graceMs)
  const [member] = scene.members.values()
  assert.equal(member?.workload.presence, 'connected')
  assert.deepEqual(member.workload.labels, { version: 'v2' })
  scene.registry.leave(young)
  scene.clock.advance(graceMs)
  assert.equal(scene.members.size, 0)
})

test('an old stream’s report of health is ignored', () => {
  const scene = openScene()
  const old = scene.join(nodeOf('a'))
  const young = scene.join(nodeOf('a'))
  scene.registry.reportHealth(old, false, 'late')
  assert.equal([...scene.members.values()][0]?.workload.health, 'healthy')
  scene.registry.reportHealth(young, false, 'GET /healthz: 503')
  const [member] = scene.members.values()
  assert.equal(member?.workload.health, 'unhealthy')
  assert.equal(member.workload.healthMessage, 'GET /healthz: 503')
})

test('health survives a reconnect, and a message has an end', () => {
  const scene = openScene()
  scene.registry.reportHealth(scene.join(nodeOf('a')), false, 'x'.repeat(5_000))
  scene.join(nodeOf('a'))
  const [member] = scene.members.values()
  assert.equal(member?.workload.health, 'unhealthy')
  assert.equal(member.workload.healthMessage.length, 1_024)
})

test('a workload with a probe is unhealthy until its first report', () => {
  const scene = openScene()
  scene.templates.set('default/web', { ...template, hasProbe: true })
  const membership = scene.join(nodeOf('web', { AUTO_REGISTER_GROUP: 'web' }))
  assert.equal(membership.workload.health, 'unhealthy')
  scene.registry.reportHealth(membership, true)
  assert.equal([...scene.members.values()][0]?.workload.health, 'healthy')
})

test('a second stream that ends first gives the workload back to the first, with what that one has said', () => {
  const scene = openScene()
  const old = scene.join(nodeOf('a'))
  const young = scene.join(nodeOf('a'))
  scene.registry.reportHealth(old, false, 'down')
  assert.equal(scene.members.get(old.id)?.workload.health, 'healthy')
  scene.registry.leave(young)
  assert.deepEqual(scene.presences(), ['connected'])
  assert.equal(scene.members.get(old.id)?.workload.healthMessage, 'down')
  scene.clock.advance(graceMs * 2)
  assert.deepEqual(scene.presences(), ['connected'])
  scene.registry.reportHealth(old, true)
  assert.equal(scene.members.get(old.id)?.workload.health, 'healthy')
  scene.registry.leave(old)
  assert.deepEqual(scene.presences(), ['gone'])
  scene.clock.advance(graceMs)
  assert.deepEqual(scene.presences(), [])
})

test('the node’s labels win over the group’s, and network too; the group gives the rest', () => {
  const scene = openScene()
  scene.templates.set('default/web', template)
  const { workload } = scene.join(
    nodeOf('web', {
      AUTO_REGISTER_GROUP: 'web',
      LABELS: { tier: 'own' },
      NETWORK: 'own-network',
      SERVICE_ACCOUNT: 'ignored',
    }),
  )
  assert.deepEqual(workload.labels, { app: 'web', tier: 'own' })
  assert.equal(workload.network, 'own-network')
  assert.equal(workload.serviceAccount, 'web-account')
  assert.equal(workload.locality, 'r/z')
  assert.equal(workload.weight, 3)
})

test('the node’s locality wins over the group’s', () => {
  const scene = openScene()
  scene.templates.set('default/web', template)
  const node = nodeOf('web', { AUTO_REGISTER_GROUP: 'web' })
  const locality = { region: 'eu', zone: 'a', subZone: '' }
  assert.equal(scene.join({ ...node, locality }).workload.locality, 'eu/a')
})

test('an unknown group is refused, and nothing joins', () => {
  const scene = openScene()
  const result = scene.registry.join(nodeOf('web', { AUTO_REGISTER_GROUP: 'web' }))
  assert.ok(!result.ok)
  assert.equal(result.issues[0]?.code, 'TUL0304')
  assert.match(result.issues[0].message, /WorkloadGroup default\/web/)
  assert.equal(scene.members.size, 0)
})

test('an ad-hoc workload serves its service directly and is labelled as the mesh file would', () => {
  const scene = openScene()
  scene.join(nodeOf('run-1', { SERVICE: 'Web', MESH_PORTS: [{ appPort: 1, meshPort: 2 }] }))
  const [member] = scene.members.values()
  assert.equal(member?.directHost, 'web.default.svc.cluster.local')
  assert.deepEqual(member.workload.labels, { app: 'web' })
})

test('more workloads than the ceiling are refused by name; known ones may come back', () => {
  const scene = openScene({ workloadsMax: 1 })
  scene.registry.leave(scene.join(nodeOf('a')))
  const refused = scene.registry.join(nodeOf('b'))
  assert.ok(!refused.ok)
  assert.equal(refused.issues[0]?.code, 'TUL0305')
  scene.join(nodeOf('a'))
})

function kept(scene: ReturnType<typeof openScene>): Promise<readonly Member[]> {
  return scene.registrations.read()
}

test('after a restart nobody is removed before the grace period has passed', async () => {
  const before = openScene()
  for (const name of ['a', 'b', 'c', 'd']) before.join(nodeOf(name))
  const after = openScene({}, await kept(before))
  assert.deepEqual(after.presences(), Array(4).fill('restored'))
  after.clock.advance(graceMs - 1)
  assert.equal(after.members.size, 4)
  after.join(nodeOf('a'))
  assert.equal(after.presences().filter((presence) => presence === 'connected').length, 1)
})

test('never more than half are removed within one grace period; one always may be', async () => {
  const before = openScene()
  for (let n = 0; n < 10; n += 1) before.join(nodeOf(`w${n}`))
  const after = openScene({}, await kept(before))
  const sizes: number[] = []
  for (let period = 0; period < 5; period += 1) {
    after.clock.advance(graceMs)
    sizes.push(after.members.size)
  }
  assert.deepEqual(sizes, [5, 3, 2, 1, 0])
})

test('the share is a setting, and it holds for streams that end together', () => {
  const scene = openScene({ removalShareMax: 0.2 })
  const memberships = Array.from({ length: 10 }, (_, n) => scene.join(nodeOf(`w${n}`)))
  for (const membership of memberships) scene.registry.leave(membership)
  scene.clock.advance(graceMs)
  assert.equal(scene.members.size, 8)
  scene.clock.advance(graceMs - 1)
  assert.equal(scene.members.size, 8)
  scene.clock.advance(1)
  assert.equal(scene.members.size, 7)
})

test('who waits for the throttle and comes back stays', () => {
  const scene = openScene()
  const memberships = Array.from({ length: 4 }, (_, n) => scene.join(nodeOf(`w${n}`)))
  for (const membership of memberships) scene.registry.leave(membership)
  scene.clock.advance(graceMs)
  scene.join(nodeOf('w3'))
  scene.clock.advance(10 * graceMs)
  assert.deepEqual(
    [...scene.members.values()].map(({ workload }) => workload.name),
    ['w3'],
  )
})

test('a removal is noted in the log', async () => {
  const scene = openScene()
  scene.registry.leave(scene.join(nodeOf('a')))
  assert.equal((await kept(scene)).length, 1)
  scene.clock.advance(graceMs)
  assert.equal((await kept(scene)).length, 0)
})

test('a closed registry has no timer left', () => {
  const scene = openScene()
  scene.registry.leave(scene.join(nodeOf('a')))
  scene.registry.close()
  assert.equal(scene.clock.pendingTimers, 0)
})
