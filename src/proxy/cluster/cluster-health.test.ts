/** What checks mean for a cluster: when it serves, which hosts it has and which of them are picked. Checks are by TCP. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import {
  ClusterScene,
  clusterConfig,
  edsCluster,
  endpoints,
} from '../../../test/support/cluster-scene.ts'
import { envoyMessage } from '../../../test/support/envoy-message.ts'
import { compileEndpoints } from '../config/compile-endpoints.ts'
import { resolvedList } from './endpoint-source.ts'
import type { LiveCluster } from './live-cluster.ts'
import type { LiveHost, ResolvedList } from './live-host.ts'

const times = 'timeout: 1s, interval: 1s, no_traffic_interval: 1s'
const checks = `health_checks: [{${times}, unhealthy_threshold: 1, healthy_threshold: 1, tcp_health_check: {}}]`

/** Answers every dial that waits: by port whether it stands. */
function answer(scene: ClusterScene, isUp: (port: number) => boolean): void {
  for (const dial of scene.connector.dials.splice(0)) {
    const { address } = dial.options
    assert.ok(address.kind === 'ip')
    if (isUp(address.port)) dial.accept()
    else dial.refuse()
  }
}

function cluster(scene: ClusterScene): LiveCluster {
  const found = scene.table.get('c')
  assert.ok(found)
  return found
}

/** The hosts by their ports, with what is thought of them. */
function healths(scene: ClusterScene): Readonly<Record<string, string>> {
  const entries = cluster(scene).hosts.map((host) => [portOf(host), host.health])
  return Object.fromEntries(entries) as Record<string, string>
}

function portOf({ address }: LiveHost): number {
  return address.kind === 'ip' ? address.port : 0
}

/** Which ports are picked. */
function picked(scene: ClusterScene): readonly number[] {
  const { balancer } = cluster(scene)
  const ports = new Set<number>()
  for (let times = 0; times < 64; times += 1) {
    const host = balancer.pick({ avoid: [], avoidAttemptsMax: 0, hash: undefined })
    if (host?.address.kind === 'ip') ports.add(host.address.port)
  }
  return [...ports].sort((a, b) => a - b)
}

function served(fields = ''): ClusterScene {
  const scene = new ClusterScene()
  scene.table.apply(edsCluster(`${checks}, ${fields}`))
  scene.table.setAssignment('c', endpoints(1, 2))
  answer(scene, () => true)
  return scene
}

test('a cluster serves when every host has been checked once, well or badly', () => {
  const scene = new ClusterScene()
  scene.table.apply(edsCluster(checks))
  scene.table.setAssignment('c', endpoints(1, 2))
  assert.equal(scene.table.get('c'), undefined)
  assert.deepEqual(scene.table.warming, ['c'])
  scene.connector.next()?.accept()
  assert.equal(scene.table.get('c'), undefined)
  scene.connector.next()?.refuse()
  assert.deepEqual(healths(scene), { 1: 'healthy', 2: 'unhealthy' })
  assert.deepEqual(picked(scene), [1])
  assert.equal(scene.table.isWarm, true)
})

test('without hosts there is nothing to check', () => {
  const scene = new ClusterScene()
  scene.table.apply(edsCluster(checks))
  scene.table.setAssignment('c', endpoints())
  assert.notEqual(scene.table.get('c'), undefined)
})

test('a host that leaves while it is waited for is waited for no more', () => {
  const scene = new ClusterScene()
  scene.table.apply(edsCluster(checks))
  scene.table.setAssignment('c', endpoints(1, 2))
  scene.connector.next()?.accept()
  scene.table.setAssignment('c', endpoints(1))
  assert.deepEqual(healths(scene), { 1: 'healthy' })
})

test('a static cluster is checked too', () => {
  const scene = new ClusterScene()
  scene.table.apply(
    clusterConfig(
      `{name: c, ${checks}, load_assignment: {cluster_name: c, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 10.0.0.1, port_value: 7}}}}]}]}}`,
    ),
  )
  assert.equal(scene.table.get('c'), undefined)
  answer(scene, () => false)
  assert.deepEqual(healths(scene), { 7: 'unhealthy' })
})

test('a host that fails is not picked, and its pooled connections drain', () => {
  const scene = served('common_lb_config: {healthy_panic_threshold: {value: 0}}')
  scene.drained.length = 0
  scene.clock.advance(1_000)
  answer(scene, (port) => port !== 1)
  assert.deepEqual(picked(scene), [2])
  assert.deepEqual(
    scene.drained.map((host) => host.addressText),
    ['10.0.0.1:1'],
  )
  scene.clock.advance(1_000)
  answer(scene, () => true)
  assert.deepEqual(picked(scene), [1, 2])
})

test('a new host is out until it passes', () => {
  const scene = served()
  scene.table.setAssignment('c', endpoints(1, 2, 3))
  assert.deepEqual(healths(scene), { 1: 'healthy', 2: 'healthy', 3: 'unhealthy' })
  assert.deepEqual(picked(scene), [1, 2])
  answer(scene, () => true)
  assert.deepEqual(picked(scene), [1, 2, 3])
})

test('new hosts push a cluster into panic, unless they are ignored until they have been checked', () => {
  const crowd = endpoints(1, 2, 3, 4, 5, 6, 7, 8)
  const plain = served()
  plain.table.setAssignment('c', crowd)
  assert.equal(picked(plain).length, 8, 'a quarter is well, which is below half')
  const ignoring = served('common_lb_config: {ignore_new_hosts_until_first_hc: true}')
  ignoring.table.setAssignment('c', crowd)
  assert.deepEqual(picked(ignoring), [1, 2])
  assert.equal(cluster(ignoring).members.excluded.value(), 6)
  answer(ignoring, () => false)
  assert.equal(cluster(ignoring).members.excluded.value(), 0)
  assert.equal(picked(ignoring).length, 8, 'checked and not well, they count')
})

test('a host that left its source stays while its checks pass, and goes with the first that fails', () => {
  const scene = served()
  scene.table.setAssignment('c', endpoints(1))
  assert.deepEqual(picked(scene), [1, 2])
  assert.equal(cluster(scene).hosts[1]?.isPendingRemoval, true)
  scene.clock.advance(1_000)
  answer(scene, () => true)
  assert.deepEqual(picked(scene), [1, 2])
  scene.clock.advance(1_000)
  answer(scene, (port) => port !== 2)
  assert.deepEqual(scene.addresses('c'), ['10.0.0.1:1'])
})

test('it is one of them again when it comes back to its source', () => {
  const scene = served()
  scene.table.setAssignment('c', endpoints(1))
  scene.table.setAssignment('c', endpoints(1, 2))
  assert.equal(cluster(scene).hosts[1]?.isPendingRemoval, false)
  scene.clock.advance(1_000)
  answer(scene, () => false)
  assert.equal(cluster(scene).hosts.length, 2)
})

test('it goes at once where that is asked for, and when its checks fail already', () => {
  const asked = served('ignore_health_on_host_removal: true')
  asked.table.setAssignment('c', endpoints(1))
  assert.deepEqual(asked.addresses('c'), ['10.0.0.1:1'])
  const failing = served()
  failing.clock.advance(1_000)
  answer(failing, (port) => port !== 2)
  failing.table.setAssignment('c', endpoints(1))
  assert.deepEqual(failing.addresses('c'), ['10.0.0.1:1'])
})

function endpointsWith(fields: string, status = 'HEALTHY'): ResolvedList {
  const text = `{cluster_name: c, endpoints: [{lb_endpoints: [{health_status: ${status}, endpoint: {address: {socket_address: {address: 10.0.0.1, port_value: 1}}, ${fields}}}]}]}`
  const result = compileEndpoints(envoyMessage.assignment(text), 'refuse')
  assert.ok(result.ok, result.ok ? '' : result.reasons.join('; '))
  return resolvedList(result.value)
}

test('both EDS and checks must find a host well', () => {
  for (const [status, isUp, health] of [
    ['HEALTHY', true, 'healthy'],
    ['HEALTHY', false, 'unhealthy'],
    ['UNHEALTHY', true, 'unhealthy'],
    ['DRAINING', true, 'draining'],
    ['DEGRADED', true, 'degraded'],
    ['DEGRADED', false, 'unhealthy'],
  ] as const) {
    const scene = new ClusterScene()
    scene.table.apply(edsCluster(checks))
    scene.table.setAssignment('c', endpointsWith('', status))
    answer(scene, () => isUp)
    assert.deepEqual(healths(scene), { 1: health }, `${status} ${isUp}`)
  }
})

const other = 'address: {socket_address: {address: 10.0.0.9, port_value: 9}}'

test('an endpoint may be checked at another port, at another address, or not at all', () => {
  const dialled = (fields: string): readonly object[] => {
    const scene = new ClusterScene()
    scene.table.apply(edsCluster(checks))
    scene.table.setAssignment('c', endpointsWith(fields))
    return scene.connector.dials.map(({ options }) => options.address)
  }
  assert.deepEqual(dialled('health_check_config: {port_value: 81}'), [
    { kind: 'ip', address: '10.0.0.1', port: 81 },
  ])
  assert.deepEqual(dialled(`health_check_config: {${other}}`), [
    { kind: 'ip', address: '10.0.0.9', port: 9 },
  ])
  assert.deepEqual(dialled(`health_check_config: {port_value: 81, ${other}}`), [
    { kind: 'ip', address: '10.0.0.9', port: 81 },
  ])
  assert.deepEqual(dialled('health_check_config: {disable_active_health_check: true}'), [])
})

/** How the endpoint is checked, before and after; what becomes of its host, which passed. */
const rechecked: readonly {
  readonly claim: string
  readonly before: string
  readonly after: string
  readonly hosts: readonly string[]
}[] = [
  {
    claim: 'at another port it is another host, and the first stays beside it',
    before: '',
    after: 'health_check_config: {port_value: 81}',
    hosts: ['another, unhealthy', 'the first, healthy, pending removal'],
  },
  {
    claim: 'at another address too',
    before: 'health_check_config: {port_value: 81}',
    after: `health_check_config: {${other}}`,
    hosts: ['another, unhealthy', 'the first, healthy, pending removal'],
  },
  {
    claim: 'at the same port, in other words, it is the same',
    before: '',
    after: 'health_check_config: {port_value: 1}',
    hosts: ['the first, healthy'],
  },
  {
    claim: 'by another name it is the same',
    before: 'health_check_config: {hostname: a.test}',
    after: 'health_check_config: {hostname: b.test}',
    hosts: ['the first, healthy'],
  },
  {
    claim: 'not any more, it is another host that serves at once',
    before: '',
    after: 'health_check_config: {disable_active_health_check: true}',
    hosts: ['another, healthy'],
  },
  {
    claim: 'from now on, it is another host that is out until it passes',
    before: 'health_check_config: {disable_active_health_check: true}',
    after: '',
    hosts: ['another, unhealthy'],
  },
]

for (const { claim, before, after, hosts } of rechecked) {
  test(`an endpoint that is checked otherwise: ${claim}`, () => {
    const scene = new ClusterScene()
    scene.table.apply(edsCluster(checks))
    scene.table.setAssignment('c', endpointsWith(before || 'hostname: ""'))
    answer(scene, () => true)
    const [first] = cluster(scene).hosts
    scene.table.setAssignment('c', endpointsWith(after || 'hostname: ""'))
    const found = cluster(scene).hosts.map((host) => {
      const which = host === first ? 'the first' : 'another'
      return `${which}, ${host.health}${host.isPendingRemoval ? ', pending removal' : ''}`
    })
    assert.deepEqual(found, hosts)
  })
}

test('where nothing is checked, how it would be is no difference', () => {
  const scene = new ClusterScene()
  scene.table.apply(edsCluster())
  scene.table.setAssignment('c', endpointsWith('health_check_config: {port_value: 81}'))
  const [first] = cluster(scene).hosts
  scene.table.setAssignment('c', endpointsWith('health_check_config: {port_value: 82}'))
  assert.deepEqual(cluster(scene).hosts, [first])
  scene.table.apply(edsCluster(checks))
  assert.deepEqual(
    scene.connector.dials.map(({ options }) => options.address),
    [{ kind: 'ip', address: '10.0.0.1', port: 82 }],
  )
})

interface EdsStep {
  readonly claim: string
  /** What EDS says of port 1; absent: nothing new. */
  readonly status?: string
  /** What the next check finds; absent: none is made. */
  readonly isUp?: boolean
  readonly health: string
}

const edsStory: readonly EdsStep[] = [
  { claim: 'out until its first check', status: 'HEALTHY', health: 'unhealthy' },
  { claim: 'in with it', isUp: true, health: 'healthy' },
  { claim: 'unhealthy by EDS', status: 'UNHEALTHY', health: 'unhealthy' },
  { claim: 'and by its checks', isUp: false, health: 'unhealthy' },
  { claim: 'well by EDS alone', status: 'HEALTHY', health: 'unhealthy' },
  { claim: 'well by both', isUp: true, health: 'healthy' },
  { claim: 'too slow for EDS', status: 'TIMEOUT', health: 'unhealthy' },
  { claim: 'degraded by EDS', status: 'DEGRADED', health: 'degraded' },
  { claim: 'failing, which is worse', isUp: false, health: 'unhealthy' },
  { claim: 'degraded again', isUp: true, health: 'degraded' },
  { claim: 'going', status: 'DRAINING', health: 'draining' },
  { claim: 'unknown to EDS, which is well', status: 'UNKNOWN', health: 'healthy' },
]

test('what EDS says and what checks find, one after the other', () => {
  const scene = new ClusterScene()
  scene.table.apply(edsCluster(checks))
  scene.table.setAssignment('c', endpoints())
  for (const { claim, status, isUp, health } of edsStory) {
    if (status !== undefined) scene.table.setAssignment('c', endpointsWith('', status))
    if (isUp !== undefined) {
      scene.clock.advance(scene.connector.dials.length === 0 ? 1_000 : 0)
      answer(scene, () => isUp)
    }
    assert.deepEqual(healths(scene), { 1: health }, claim)
  }
})

test('a host that EDS says goes is not kept for its checks, unless it only drains', () => {
  for (const [status, kept] of [
    ['UNHEALTHY', 0],
    ['TIMEOUT', 0],
    ['DRAINING', 1],
    ['DEGRADED', 1],
  ] as const) {
    const scene = new ClusterScene()
    scene.table.apply(edsCluster(checks))
    scene.table.setAssignment('c', endpointsWith(''))
    answer(scene, () => true)
    scene.table.setAssignment('c', endpointsWith('', status))
    scene.table.setAssignment('c', endpoints())
    assert.equal(cluster(scene).hosts.length, kept, status)
  }
})

test('a host that was kept, failed and came back is another', () => {
  const scene = served()
  const [, gone] = cluster(scene).hosts
  scene.table.setAssignment('c', endpoints(1))
  scene.clock.advance(1_000)
  answer(scene, (port) => port !== 2)
  scene.table.setAssignment('c', endpoints(1, 2))
  const [, back] = cluster(scene).hosts
  assert.notEqual(back, gone)
  assert.equal(back?.health, 'unhealthy')
})

test('what checks found stays when a host moves to another priority', () => {
  const scene = served()
  const before = cluster(scene).hosts
  const moved = { ...endpoints(2, 1) }
  const [second, first] = moved.endpoints
  assert.ok(first && second)
  scene.table.setAssignment('c', { ...moved, endpoints: [second, { ...first, priority: 1 }] })
  assert.deepEqual(new Set(cluster(scene).hosts), new Set(before))
  assert.deepEqual(
    cluster(scene).hosts.map(({ priority, health }) => [priority, health]),
    [
      [0, 'healthy'],
      [1, 'healthy'],
    ],
  )
})

test('hosts that drain are left out of the count that makes a panic', () => {
  const scene = new ClusterScene()
  scene.table.apply(edsCluster())
  const status = (port: number, health: string): string =>
    `{health_status: ${health}, endpoint: {address: {socket_address: {address: 10.0.0.1, port_value: ${port}}}}}`
  const assign = (...statuses: readonly string[]): void => {
    const list = statuses.map((health, index) => status(index + 1, health)).join(', ')
    const text = `{cluster_name: c, endpoints: [{lb_endpoints: [${list}]}]}`
    const result = compileEndpoints(envoyMessage.assignment(text), 'refuse')
    assert.ok(result.ok)
    scene.table.setAssignment('c', resolvedList(result.value))
  }
  assign('DRAINING', 'HEALTHY', 'DRAINING')
  assert.deepEqual(picked(scene), [2])
  const { members } = cluster(scene)
  assert.deepEqual(
    [members.total.value(), members.healthy.value(), members.excluded.value()],
    [3, 1, 2],
  )
  assign('UNHEALTHY', 'HEALTHY', 'UNHEALTHY')
  assert.deepEqual(picked(scene), [1, 2, 3], 'a third is well, of those that count')
  assign('DRAINING', 'UNHEALTHY', 'UNHEALTHY')
  assert.deepEqual(picked(scene), [1, 2, 3], 'in a panic it is picked')
})

test('an ejected host that passes a check comes back at once, unless that is switched off', () => {
  const outcome = (fields: string): boolean => {
    const scene = served(
      `outlier_detection: {consecutive_5xx: 1, max_ejection_percent: 100, ${fields}}`,
    )
    const [host] = cluster(scene).hosts
    assert.ok(host)
    cluster(scene).outlierDetector?.report(host, { kind: 'response', status: 500 })
    assert.equal(host.isEjected, true)
    scene.clock.advance(1_000)
    answer(scene, () => true)
    return host.isEjected
  }
  assert.equal(outcome(''), false)
  assert.equal(outcome('successful_active_health_check_uneject_host: false'), true)
})

test('TCP connections to a host end when it fails, where that is asked for', () => {
  const scene = served('close_connections_on_host_health_failure: true')
  let ended = 0
  cluster(scene).hosts[0]?.closers?.add(() => {
    ended += 1
  })
  scene.clock.advance(1_000)
  answer(scene, () => false)
  assert.equal(ended, 1)
  assert.equal(cluster(served()).hosts[0]?.closers, undefined)
})

test('checks that are switched on later put nobody out before their first result', () => {
  const scene = new ClusterScene()
  scene.table.apply(edsCluster())
  scene.table.setAssignment('c', endpoints(1, 2))
  scene.table.apply(edsCluster(checks))
  assert.deepEqual(healths(scene), { 1: 'healthy', 2: 'healthy' })
  answer(scene, (port) => port === 1)
  assert.deepEqual(healths(scene), { 1: 'healthy', 2: 'unhealthy' })
})

test('checks that are switched off leave no mark, and take with them what only they kept', () => {
  const scene = served()
  scene.table.setAssignment('c', endpoints(1))
  scene.clock.advance(1_000)
  answer(scene, (port) => port === 2)
  assert.deepEqual(healths(scene), { 1: 'unhealthy', 2: 'healthy' })
  scene.table.apply(edsCluster())
  assert.deepEqual(healths(scene), { 1: 'healthy' })
  scene.clock.advance(10_000)
  assert.equal(scene.connector.dials.length, 0)
})

test('new settings of checks keep what is known', () => {
  const scene = served()
  scene.table.apply(edsCluster(checks.replace('interval: 1s', 'interval: 5s')))
  assert.deepEqual(healths(scene), { 1: 'healthy', 2: 'healthy' })
})

test('a removed cluster checks no more', () => {
  const scene = served()
  scene.table.remove('c')
  scene.clock.advance(10_000)
  assert.equal(scene.connector.dials.length, 0)
})

test('a cluster that waits for its first checks is given up when it is removed', () => {
  const scene = new ClusterScene()
  scene.table.apply(edsCluster(checks))
  scene.table.setAssignment('c', endpoints(1))
  scene.table.remove('c')
  assert.equal(scene.connector.next()?.isGivenUp, true)
})

test('settings that come while the first checks are made do not begin them again', () => {
  const scene = new ClusterScene()
  scene.table.apply(edsCluster(checks))
  scene.table.setAssignment('c', endpoints(1))
  scene.table.apply(edsCluster(`${checks}, connect_timeout: 9s`))
  assert.equal(scene.connector.dials.length, 1)
  answer(scene, () => true)
  assert.equal(cluster(scene).connectTimeoutMs, 9_000)
})
