/** What the answers to names make of a cluster: its endpoints, when it serves, and when nothing has changed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ClusterScene, clusterConfig } from '../../../test/support/cluster-scene.ts'
import type { LiveCluster } from './live-cluster.ts'
import type { Resolution } from './resolver.ts'

interface Name {
  readonly name: string
  readonly port: number
  /** Of the endpoint, and of its group. */
  readonly fields?: string
  readonly group?: string
}

function config(type: string, names: readonly Name[], fields = '') {
  const groups = names.map(
    ({ name, port, fields: own = '', group = '' }) =>
      `{${group} lb_endpoints: [{${own} endpoint: {address: {socket_address: {address: ${name}, port_value: ${port}}}}}]}`,
  )
  return clusterConfig(
    `{name: c, type: ${type}, dns_refresh_rate: 4s, ${fields} load_assignment: {cluster_name: c, endpoints: [${groups.join(', ')}]}}`,
  )
}

class Scene extends ClusterScene {
  /** The name gets a new answer, and is asked for it. */
  answer(name: string, answer: readonly string[] | 'failure'): void {
    const found: Resolution =
      answer === 'failure' ? { ok: false, message: 'no' } : { ok: true, addresses: answer }
    this.answers.set(name, found)
    this.clock.advance(4_000)
    this.answerNames(name)
  }

  get cluster(): LiveCluster {
    const found = this.table.get('c')
    assert.ok(found)
    return found
  }

  get hosts(): readonly string[] {
    return this.addresses('c')
  }

  /** Counters `update_…` of the cluster. */
  get updates(): Readonly<Record<string, number>> {
    const prefix = 'cluster.c.update_'
    const found = this.stats.list().filter(({ name }) => name.startsWith(prefix))
    return Object.fromEntries(found.map((one) => [one.name.slice(prefix.length), one.value()]))
  }

  get changes(): number {
    return this.cluster.members.change.value()
  }
}

const a: Name = { name: 'a.test', port: 1 }
const b: Name = { name: 'b.test', port: 2 }
const alsoB: Name = { name: 'also-b.test', port: 2 }

interface Step {
  readonly claim: string
  readonly name: string
  readonly answer: readonly string[] | 'failure'
  readonly hosts: readonly string[]
  /** Whether the cluster is told of a change. */
  readonly isChange: boolean
}

const story: readonly Step[] = [
  {
    claim: 'every address is an endpoint',
    name: 'a.test',
    answer: ['10.0.0.1', '10.0.0.2'],
    hosts: ['10.0.0.1:1', '10.0.0.2:1'],
    isChange: true,
  },
  {
    claim: 'another order is no change',
    name: 'a.test',
    answer: ['10.0.0.2', '10.0.0.1'],
    hosts: ['10.0.0.1:1', '10.0.0.2:1'],
    isChange: false,
  },
  {
    claim: 'another address takes the place of those before',
    name: 'a.test',
    answer: ['10.0.0.3'],
    hosts: ['10.0.0.3:1'],
    isChange: true,
  },
  {
    claim: 'an address that is named twice is one endpoint',
    name: 'b.test',
    answer: ['10.0.0.9', '10.0.0.9'],
    hosts: ['10.0.0.3:1', '10.0.0.9:2'],
    isChange: true,
  },
  {
    claim: 'the address of another name is another endpoint',
    name: 'also-b.test',
    answer: ['10.0.0.9'],
    hosts: ['10.0.0.3:1', '10.0.0.9:2', '10.0.0.9:2'],
    isChange: true,
  },
  {
    claim: 'a name without addresses has no endpoints',
    name: 'a.test',
    answer: [],
    hosts: ['10.0.0.9:2', '10.0.0.9:2'],
    isChange: true,
  },
  {
    claim: 'a name that is not resolved keeps those that it had',
    name: 'b.test',
    answer: 'failure',
    hosts: ['10.0.0.9:2', '10.0.0.9:2'],
    isChange: false,
  },
  {
    claim: 'one of two alike goes alone',
    name: 'b.test',
    answer: [],
    hosts: ['10.0.0.9:2'],
    isChange: true,
  },
]

test('STRICT_DNS: each answer by itself', () => {
  const scene = new Scene()
  scene.table.apply(config('STRICT_DNS', [a, b, alsoB]))
  let changes = 0
  assert.deepEqual(scene.updates, { attempt: 3, success: 0, failure: 0, no_rebuild: 0 })
  for (const { claim, name, answer, hosts, isChange } of story) {
    scene.answer(name, answer)
    assert.deepEqual(scene.hosts, hosts, claim)
    if (isChange) changes += 1
    assert.equal(scene.changes, changes, claim)
  }
  const { attempt: _, ...updates } = scene.updates
  assert.deepEqual(updates, { success: 7, failure: 1, no_rebuild: 1 })
  scene.table.remove('c')
  assert.deepEqual(scene.updates, {})
})

test('STRICT_DNS: what is written of an endpoint holds for each of its addresses', () => {
  const scene = new Scene()
  scene.table.apply(
    config('STRICT_DNS', [
      {
        ...a,
        fields: 'health_status: DEGRADED, load_balancing_weight: 7,',
        group: 'locality: {region: r, zone: z}, load_balancing_weight: 3,',
      },
      { ...b, group: 'priority: 1,' },
    ]),
  )
  scene.answer('a.test', ['10.0.0.1', '10.0.0.2'])
  scene.answer('b.test', ['10.0.0.3'])
  const parts = scene.cluster.hosts.map((host) => [
    host.addressText,
    host.hostname,
    host.priority,
    host.weight,
    host.health,
    host.locality.zone,
    host.localityWeight,
  ])
  assert.deepEqual(parts, [
    ['10.0.0.1:1', 'a.test', 0, 7, 'degraded', 'z', 3],
    ['10.0.0.2:1', 'a.test', 0, 7, 'degraded', 'z', 3],
    ['10.0.0.3:2', 'b.test', 1, 1, 'healthy', '', 0],
  ])
})

test('STRICT_DNS: a name of its own goes before that which is resolved', () => {
  const scene = new Scene()
  const text =
    '{name: c, type: STRICT_DNS, dns_refresh_rate: 4s, load_assignment: {cluster_name: c, endpoints: [{lb_endpoints: [{endpoint: {hostname: own.test, address: {socket_address: {address: a.test, port_value: 1}}}}]}]}}'
  scene.table.apply(clusterConfig(text))
  scene.answer('a.test', ['10.0.0.1'])
  assert.equal(scene.cluster.hosts[0]?.hostname, 'own.test')
})

test('a cluster serves with the first name that has an address', () => {
  const scene = new Scene()
  scene.table.apply(config('STRICT_DNS', [a, b]))
  scene.answers.set('b.test', { ok: true, addresses: ['10.0.0.2'] })
  scene.answerNames('a.test')
  assert.equal(scene.table.isWarm, false, 'the other may have one')
  scene.answerNames('b.test')
  assert.deepEqual(scene.hosts, ['10.0.0.2:2'])
})

test('a cluster that serves waits for all names of new settings', () => {
  const scene = new Scene()
  scene.table.apply(config('STRICT_DNS', [a]))
  scene.answer('a.test', ['10.0.0.1'])
  scene.table.apply(config('STRICT_DNS', [b, a]))
  scene.answers.set('b.test', { ok: true, addresses: ['10.0.0.2'] })
  scene.answerNames('b.test')
  assert.deepEqual(scene.hosts, ['10.0.0.1:1'])
  scene.answerNames('a.test')
  assert.deepEqual(scene.hosts, ['10.0.0.2:2', '10.0.0.1:1'])
})

test('it does not wait where an address is written, or where it has no endpoints', () => {
  for (const names of [[a, { name: '10.0.0.7', port: 7 }], []]) {
    const scene = new Scene()
    scene.table.apply(config('STRICT_DNS', names))
    assert.equal(scene.table.isWarm, true)
  }
})

test('with wait_for_warm_on_init: false nobody waits for its names', () => {
  const scene = new Scene()
  scene.table.apply(config('LOGICAL_DNS', [a], 'wait_for_warm_on_init: false,'))
  assert.equal(scene.table.isWarm, true)
})

const logical: readonly {
  readonly claim: string
  readonly answer: readonly string[] | 'failure'
  /** The first and those that are tried behind it. */
  readonly addresses: readonly string[]
}[] = [
  {
    claim: 'all addresses are one endpoint',
    answer: ['10.0.0.1', '10.0.0.2'],
    addresses: ['10.0.0.1', '10.0.0.2'],
  },
  {
    claim: 'another order changes nothing',
    answer: ['10.0.0.2', '10.0.0.1'],
    addresses: ['10.0.0.1', '10.0.0.2'],
  },
  {
    claim: 'its address stays while it is among the answers',
    answer: ['10.0.0.3', '10.0.0.2', '10.0.0.1'],
    addresses: ['10.0.0.1', '10.0.0.3', '10.0.0.2'],
  },
  {
    claim: 'a failure changes nothing',
    answer: 'failure',
    addresses: ['10.0.0.1', '10.0.0.3', '10.0.0.2'],
  },
  {
    claim: 'nor does a name without addresses',
    answer: [],
    addresses: ['10.0.0.1', '10.0.0.3', '10.0.0.2'],
  },
  {
    claim: 'without its address the first takes its place',
    answer: ['10.0.0.4', '10.0.0.3'],
    addresses: ['10.0.0.4', '10.0.0.3'],
  },
]

test('LOGICAL_DNS: each answer by itself', () => {
  const scene = new Scene()
  scene.table.apply(config('LOGICAL_DNS', [{ ...a, group: 'priority: 3,' }]))
  let [before] = scene.table.get('c')?.hosts ?? []
  for (const { claim, answer, addresses } of logical) {
    scene.answer('a.test', answer)
    const [host, ...more] = scene.cluster.hosts
    assert.ok(host)
    assert.equal(more.length, 0)
    const found = [host.address, ...host.otherAddresses].map(
      (one) => one.kind === 'ip' && one.address,
    )
    assert.deepEqual(found, addresses, claim)
    const isSame = before?.addressText === host.addressText
    if (before !== undefined) assert.equal(host === before, isSame, `${claim}: the host stays`)
    before = host
  }
  assert.equal(before?.priority, 0, 'there is no other')
  assert.equal(before?.hostname, 'a.test')
})

const tcpCheck =
  'health_checks: [{timeout: 1s, interval: 60s, no_traffic_interval: 60s, unhealthy_threshold: 1, healthy_threshold: 1, tcp_health_check: {}}],'

test('STRICT_DNS: an address that is gone stays while its checks pass, unless that is switched off', () => {
  for (const [fields, kept] of [
    ['', ['10.0.0.1:1', '10.0.0.2:1']],
    ['ignore_health_on_host_removal: true,', ['10.0.0.1:1']],
  ] as const) {
    const scene = new Scene()
    scene.table.apply(config('STRICT_DNS', [a], `${tcpCheck} ${fields}`))
    scene.answers.set('a.test', { ok: true, addresses: ['10.0.0.1', '10.0.0.2'] })
    scene.answerNames()
    assert.equal(scene.table.get('c'), undefined, 'it waits for the first checks')
    for (const dial of scene.connector.dials.splice(0)) dial.accept()
    scene.answer('a.test', ['10.0.0.1'])
    assert.deepEqual(scene.hosts, kept)
    scene.clock.advance(60_000)
    for (const dial of scene.connector.dials.splice(0)) dial.refuse()
    assert.deepEqual(scene.hosts, ['10.0.0.1:1'], 'it goes with the first that fails')
  }
})

test('LOGICAL_DNS: checks go where requests go, at the port of checks', () => {
  const dialled = (check: string): object | undefined => {
    const scene = new Scene()
    const text = `{name: c, type: LOGICAL_DNS, ${tcpCheck} load_assignment: {cluster_name: c, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: a.test, port_value: 1}}, health_check_config: {${check}}}}]}]}}`
    scene.table.apply(clusterConfig(text))
    scene.answers.set('a.test', { ok: true, addresses: ['10.0.0.1', '10.0.0.2'] })
    scene.answerNames()
    const { address, otherAddresses } = scene.connector.next()?.options ?? {}
    return [address, ...(otherAddresses ?? [])]
  }
  const ip = (address: string, port: number): object => ({ kind: 'ip', address, port })
  assert.deepEqual(dialled(''), [ip('10.0.0.1', 1), ip('10.0.0.2', 1)])
  assert.deepEqual(dialled('port_value: 8000'), [ip('10.0.0.1', 8000), ip('10.0.0.2', 8000)])
  assert.deepEqual(dialled('address: {socket_address: {address: 10.0.0.9, port_value: 9}}'), [
    ip('10.0.0.9', 9),
  ])
})

test('checks of a name without addresses have nothing to wait for', () => {
  const scene = new Scene()
  scene.table.apply(config('STRICT_DNS', [a], tcpCheck))
  scene.answers.set('a.test', { ok: true, addresses: [] })
  scene.answerNames()
  assert.deepEqual(scene.hosts, [])
  assert.equal(scene.table.isWarm, true)
})

test('LOGICAL_DNS: its endpoint serves before its first check', () => {
  const scene = new Scene()
  scene.table.apply(config('LOGICAL_DNS', [a], tcpCheck))
  scene.answers.set('a.test', { ok: true, addresses: ['10.0.0.1'] })
  scene.answerNames()
  scene.connector.next()?.accept()
  assert.deepEqual(
    scene.cluster.hosts.map(({ health }) => health),
    ['healthy'],
  )
})
