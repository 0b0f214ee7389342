/** The life of clusters: warming, replacing, draining, and what stays the same through it. Time is a fake clock's. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import {
  ClusterScene as Scene,
  clusterConfig as config,
  edsCluster as eds,
  endpoints,
} from '../../../test/support/cluster-scene.ts'
import type { ClusterConfig } from '../config/cluster-config.ts'

test('an EDS cluster serves when its assignment has come', () => {
  const { table } = new Scene()
  table.apply(eds())
  assert.equal(table.get('c'), undefined)
  assert.deepEqual(table.warming, ['c'])
  assert.equal(table.isWarm, false)
  table.setAssignment('c', endpoints(1, 2))
  assert.equal(table.get('c')?.hosts.length, 2)
  assert.equal(table.isWarm, true)
})

test('who waits for a cluster is told once: when it serves, when it goes, or after 5 s', () => {
  const scene = new Scene()
  const { table } = scene
  const told: string[] = []
  const wait = (name: string, who: string) => table.whenServing(name, () => told.push(who))
  assert.equal(wait('c', 'too early'), undefined)
  table.apply(eds())
  wait('c', 'served')
  wait('c', 'left')?.cancel()
  table.setAssignment('c', endpoints(1))
  assert.deepEqual(told, ['served'])
  assert.equal(wait('c', 'too late'), undefined)

  table.remove('c')
  table.apply(eds())
  wait('c', 'gone')
  table.remove('c')
  assert.deepEqual(told, ['served', 'gone'])

  table.apply(eds())
  wait('c', 'late')
  scene.clock.advance(4_999)
  assert.equal(told.length, 2)
  scene.clock.advance(1)
  assert.deepEqual(told, ['served', 'gone', 'late'])
  table.close()
  scene.clock.advance(60_000)
  assert.equal(told.length, 3)
})

test('an assignment that never comes is waited for 15 s', () => {
  const scene = new Scene()
  scene.table.apply(eds())
  scene.clock.advance(14_999)
  assert.equal(scene.table.get('c'), undefined)
  scene.clock.advance(1)
  assert.deepEqual(scene.addresses('c'), [])
  assert.notEqual(scene.table.get('c'), undefined)
})

test('a time-out of 0 waits for ever', () => {
  const scene = new Scene()
  scene.table.apply(
    config(
      '{name: c, type: EDS, eds_cluster_config: {eds_config: {ads: {}, initial_fetch_timeout: 0s}}}',
    ),
  )
  scene.clock.advance(3_600_000)
  assert.equal(scene.table.get('c'), undefined)
})

test('a host whose address stays is the same object, with its ejection and its counts', () => {
  const scene = new Scene()
  scene.table.apply(eds())
  scene.table.setAssignment('c', endpoints(1, 2))
  const [first, second] = scene.table.get('c')?.hosts ?? []
  assert.ok(first && second)
  first.isEjected = true
  first.stats.rqTotal.add(7)
  scene.table.setAssignment('c', endpoints(3, 1))
  const hosts = scene.table.get('c')?.hosts ?? []
  assert.equal(hosts[1], first)
  assert.equal(hosts[1]?.isEjected, true)
  assert.equal(hosts[1]?.stats.rqTotal.value(), 7)
  assert.deepEqual(scene.drained, [second])
})

test('the first of two endpoints at one address counts', () => {
  const scene = new Scene()
  scene.table.apply(eds())
  scene.table.setAssignment('c', endpoints(1, 1))
  assert.equal(scene.table.get('c')?.hosts.length, 1)
})

test('new settings reach the same cluster, whose hosts stay', () => {
  const scene = new Scene()
  scene.table.apply(eds())
  scene.table.setAssignment('c', endpoints(1))
  const before = scene.table.get('c')
  const host = before?.hosts[0]
  scene.table.apply(eds('connect_timeout: 9s, lb_policy: RANDOM, outlier_detection: {}'))
  const after = scene.table.get('c')
  assert.equal(after, before)
  assert.equal(after?.connectTimeoutMs, 9_000)
  assert.equal(after?.hosts[0], host)
  assert.notEqual(after?.outlierDetector, undefined)
  assert.deepEqual(scene.drained, [])
})

const http2 =
  eds(`typed_extension_protocol_options: {envoy.extensions.upstreams.http.v3.HttpProtocolOptions: {
  "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, explicit_http_config: {http2_protocol_options: {}}}}`)

test('connections of another protocol need another cluster, which waits for its assignment, and the old one drains', () => {
  const scene = new Scene()
  scene.table.apply(eds())
  scene.table.setAssignment('c', endpoints(1))
  const before = scene.table.get('c')
  scene.table.apply(http2)
  assert.equal(scene.table.get('c'), before)
  assert.deepEqual(scene.table.warming, ['c'])
  scene.table.setAssignment('c', endpoints(1))
  const after = scene.table.get('c')
  assert.notEqual(after, before)
  assert.equal(before?.removed.aborted, true)
  assert.equal(after?.removed.aborted, false)
  assert.equal(after?.hosts.length, 1)
})

test('an assignment that comes again as it was is what a changed cluster waits for', () => {
  const scene = new Scene()
  scene.table.apply(eds())
  scene.table.setAssignment('c', endpoints(1))
  scene.table.confirmAssignment('c')
  const before = scene.table.get('c')
  scene.table.apply(http2)
  scene.table.confirmAssignment('other')
  assert.equal(scene.table.get('c'), before)
  scene.table.confirmAssignment('c')
  assert.notEqual(scene.table.get('c'), before)
  assert.deepEqual(scene.addresses('c'), ['10.0.0.1:1'])
  assert.deepEqual(scene.table.warming, [])
})

for (const { claim, first, last } of [
  { claim: 'one that leaves as the cluster turns to HTTP/2', first: [1, 2], last: [2] },
  { claim: 'one that comes as the cluster turns away from HTTP/2', first: [2], last: [1, 2] },
]) {
  test(`an endpoint is called in its own way only: ${claim}`, () => {
    const scene = new Scene()
    const turnsToHttp2 = last.length === 1
    // Port 1 speaks HTTP/1.1 only.
    const check = (): void => {
      const cluster = scene.table.get('c')
      const isHttp2 = cluster?.config.transportKey === http2.transportKey
      assert.ok(!isHttp2 || !scene.addresses('c').includes('10.0.0.1:1'))
    }
    const settings = turnsToHttp2 ? [eds(), http2] : [http2, eds()]
    for (const [at, list] of [first, last].entries()) {
      scene.table.apply(settings[at] ?? eds())
      check()
      scene.table.setAssignment('c', endpoints(...list))
      check()
    }
    assert.deepEqual(scene.addresses('c').length, last.length)
    assert.deepEqual(scene.table.warming, [])
  })
}

test('while other settings wait for secrets, endpoints that come are held back, and those that go, go', () => {
  const scene = new Scene()
  scene.table.apply(http2)
  scene.table.setAssignment('c', endpoints(1, 2))
  const secured = eds(`transport_socket: {name: tls, typed_config: {
    "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext,
    common_tls_context: {tls_certificate_sds_secret_configs: [{name: never, sds_config: {ads: {}}}]}}}`)
  scene.table.apply(secured)
  scene.table.setAssignment('c', endpoints(2, 3))
  assert.deepEqual(scene.table.warming, ['c'])
  assert.deepEqual(scene.addresses('c'), ['10.0.0.1:2'])
  scene.table.apply(http2)
  assert.deepEqual(scene.addresses('c'), ['10.0.0.1:2', '10.0.0.1:3'])
  assert.deepEqual(scene.table.warming, [])
})

test('a server that names the endpoints of a changed cluster no more is waited for 15 s', () => {
  for (const timeout of ['', ', initial_fetch_timeout: 0s']) {
    const scene = new Scene()
    const first = config(
      `{name: c, type: EDS, eds_cluster_config: {eds_config: {ads: {}${timeout}}}}`,
    )
    scene.table.apply(first)
    scene.table.setAssignment('c', endpoints(1))
    const before = scene.table.get('c')
    scene.table.apply({ ...http2, edsInitialFetchTimeoutMs: first.edsInitialFetchTimeoutMs })
    scene.clock.advance(14_999)
    assert.equal(scene.table.get('c'), before)
    scene.clock.advance(1)
    assert.notEqual(scene.table.get('c'), before)
    assert.deepEqual(scene.addresses('c'), ['10.0.0.1:1'])
  }
})

test('the old endpoints serve until the new source is warm', () => {
  const scene = new Scene()
  scene.table.apply(
    config(
      '{name: c, load_assignment: {cluster_name: c, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 10.9.9.9, port_value: 9}}}}]}]}}',
    ),
  )
  scene.table.apply(eds())
  assert.deepEqual(scene.addresses('c'), ['10.9.9.9:9'])
  assert.deepEqual(scene.table.warming, ['c'])
  scene.table.setAssignment('c', endpoints(1))
  assert.deepEqual(scene.addresses('c'), ['10.0.0.1:1'])
})

test('a removed cluster drains, and gives its slots back when nothing is in flight', () => {
  const scene = new Scene()
  scene.table.apply(eds())
  scene.table.setAssignment('c', endpoints(1))
  const cluster = scene.table.get('c')
  const host = cluster?.hosts[0]
  assert.ok(cluster && host)
  host.stats.rqActive.add(1)
  cluster.stats.rqActive.add(1)
  const used = scene.slots.usage().gauges
  scene.table.remove('c')
  assert.equal(scene.table.get('c'), undefined)
  assert.equal(cluster.removed.aborted, true)
  assert.deepEqual(scene.drained, [host])
  scene.clock.advance(60_000)
  assert.equal(scene.slots.usage().gauges, used)
  host.stats.rqActive.add(-1)
  cluster.stats.rqActive.add(-1)
  scene.clock.advance(1_000)
  assert.equal(scene.slots.usage().gauges, 0)
})

test('assignments are asked for while a cluster refers to them', () => {
  const scene = new Scene()
  scene.table.apply(eds())
  scene.table.setAssignment('c', endpoints(1))
  scene.table.remove('c')
  assert.deepEqual(scene.names, [['c'], []])
})

const dns = (type: string): ClusterConfig =>
  config(
    `{name: c, type: ${type}, dns_refresh_rate: 5s, dns_failure_refresh_rate: {base_interval: 1s, max_interval: 1s}, load_assignment: {cluster_name: c, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: a.test, port_value: 80}}}}]}]}}`,
  )

test('a STRICT_DNS cluster has every address of its name, and follows the name', () => {
  const scene = new Scene()
  scene.answers.set('a.test', { ok: true, addresses: ['10.0.0.1', '10.0.0.2'] })
  scene.table.apply(dns('STRICT_DNS'))
  assert.equal(scene.table.get('c'), undefined)
  scene.answerNames()
  assert.deepEqual(scene.addresses('c'), ['10.0.0.1:80', '10.0.0.2:80'])
  scene.answers.set('a.test', { ok: true, addresses: ['10.0.0.2', '10.0.0.3'] })
  scene.clock.advance(5_000)
  scene.answerNames()
  assert.deepEqual(scene.addresses('c'), ['10.0.0.2:80', '10.0.0.3:80'])
})

test('a look-up that fails keeps the last good answer and is tried again sooner', () => {
  const scene = new Scene()
  scene.answers.set('a.test', { ok: true, addresses: ['10.0.0.1'] })
  scene.table.apply(dns('STRICT_DNS'))
  scene.answerNames()
  scene.answers.delete('a.test')
  scene.clock.advance(5_000)
  scene.answerNames()
  assert.deepEqual(scene.addresses('c'), ['10.0.0.1:80'])
  scene.clock.advance(1_000)
  assert.equal(scene.asked.length, 3)
})

test('a name that has no address any more takes the endpoints of STRICT_DNS away, not that of LOGICAL_DNS', () => {
  for (const [type, left] of [
    ['STRICT_DNS', []],
    ['LOGICAL_DNS', ['10.0.0.1:80']],
  ] as const) {
    const scene = new Scene()
    scene.answers.set('a.test', { ok: true, addresses: ['10.0.0.1'] })
    scene.table.apply(dns(type))
    scene.answerNames()
    scene.answers.set('a.test', { ok: true, addresses: [] })
    scene.clock.advance(5_000)
    scene.answerNames()
    assert.deepEqual(scene.addresses('c'), left, type)
  }
})

test('a name that does not resolve at first leaves its cluster empty, and warm', () => {
  const scene = new Scene()
  scene.table.apply(dns('STRICT_DNS'))
  scene.answerNames()
  assert.deepEqual(scene.addresses('c'), [])
  assert.equal(scene.table.isWarm, true)
})

test('a LOGICAL_DNS cluster keeps its address while it is among the answers', () => {
  const scene = new Scene()
  scene.answers.set('a.test', { ok: true, addresses: ['10.0.0.1', '10.0.0.2'] })
  scene.table.apply(dns('LOGICAL_DNS'))
  scene.answerNames()
  assert.deepEqual(scene.addresses('c'), ['10.0.0.1:80'])
  scene.answers.set('a.test', { ok: true, addresses: ['10.0.0.2', '10.0.0.1'] })
  scene.clock.advance(5_000)
  scene.answerNames()
  assert.deepEqual(scene.addresses('c'), ['10.0.0.1:80'])
  scene.answers.set('a.test', { ok: true, addresses: ['10.0.0.2'] })
  scene.clock.advance(5_000)
  scene.answerNames()
  assert.deepEqual(scene.addresses('c'), ['10.0.0.2:80'])
})

const forwardProxy = config(`
name: c
lb_policy: CLUSTER_PROVIDED
cluster_type:
  name: envoy.clusters.dynamic_forward_proxy
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig
    dns_cache_config: {name: d, max_hosts: 2, host_ttl: 60s, dns_query_timeout: 2s}`)

function resolveHost(scene: Scene, authority: string): (string | undefined)[] {
  const found: (string | undefined)[] = []
  scene.table.get('c')?.resolveHost?.(authority, (host) => found.push(host?.addressText))
  return found
}

test('a forward proxy finds the host of an authority once', () => {
  const scene = new Scene()
  scene.answers.set('a.test', { ok: true, addresses: ['10.0.0.1'] })
  scene.table.apply(forwardProxy)
  const first = resolveHost(scene, 'a.test:8080')
  const second = resolveHost(scene, 'a.test:8080')
  assert.deepEqual([first, second], [[], []])
  scene.answerNames()
  assert.deepEqual([first, second], [['10.0.0.1:8080'], ['10.0.0.1:8080']])
  assert.deepEqual(resolveHost(scene, 'a.test:8080'), ['10.0.0.1:8080'])
  assert.equal(scene.asked.length, 1)
})

test('an authority that is an address is not looked up, and its port is 80', () => {
  const scene = new Scene()
  scene.table.apply(forwardProxy)
  assert.deepEqual(resolveHost(scene, '10.1.1.1'), ['10.1.1.1:80'])
  assert.deepEqual(resolveHost(scene, '[::1]:81'), ['[::1]:81'])
  assert.equal(scene.asked.length, 0)
})

test('more names than the cache holds are refused', () => {
  const scene = new Scene()
  scene.table.apply(forwardProxy)
  resolveHost(scene, '10.1.1.1')
  resolveHost(scene, '10.1.1.2')
  assert.deepEqual(resolveHost(scene, '10.1.1.3'), [undefined])
})

test('a name that is not answered in time, or does not resolve, gives no host', () => {
  const scene = new Scene()
  scene.table.apply(forwardProxy)
  const slow = resolveHost(scene, 'slow.test')
  scene.clock.advance(2_000)
  assert.deepEqual(slow, [undefined])
  const missing = resolveHost(scene, 'missing.test')
  scene.answerNames()
  assert.deepEqual(missing, [undefined])
  assert.deepEqual(resolveHost(scene, 'nonsense:port:x'), [undefined])
})

test('a host that nobody asks for is dropped after its time', () => {
  const scene = new Scene()
  scene.table.apply(forwardProxy)
  resolveHost(scene, '10.1.1.1')
  scene.clock.advance(120_000)
  assert.deepEqual(scene.addresses('c'), [])
  assert.equal(scene.drained.length, 1)
})

test('a name that leads back to the proxy itself has no host, by whatever name', () => {
  const scene = new Scene()
  scene.answers.set('a.test', { ok: true, addresses: ['127.0.0.1'] })
  scene.table.apply(forwardProxy)
  const byName = resolveHost(scene, 'a.test:15001')
  scene.answerNames()
  assert.deepEqual(byName, [undefined])
  assert.deepEqual(resolveHost(scene, 'a.test:15001'), [undefined])
  assert.deepEqual(resolveHost(scene, '127.0.0.1:15001'), [undefined])
})

test('the other addresses of a name are tried too, but for those that lead back', () => {
  const scene = new Scene()
  scene.table.apply(forwardProxy)
  const found: (readonly string[])[] = []
  const ask = (): void => {
    scene.table.get('c')?.resolveHost?.('a.test', (host) => {
      const all = host === undefined ? [] : [host.address, ...(host.otherAddresses ?? [])]
      found.push(all.map((one) => (one.kind === 'ip' ? one.address : '')))
    })
  }
  ask()
  for (const addresses of [
    ['10.0.0.1', '10.0.0.2', '127.9.9.9'],
    ['10.0.0.3', '10.0.0.1'],
    ['10.0.0.1'],
  ]) {
    scene.answers.set('a.test', { ok: true, addresses })
    scene.answerNames()
    scene.clock.advance(30_000)
    ask()
    scene.clock.advance(30_000)
  }
  const [, ...asked] = found
  assert.deepEqual(asked, [['10.0.0.1', '10.0.0.2'], ['10.0.0.1', '10.0.0.3'], ['10.0.0.1']])
})

/** One endpoint for each zone, as often as it is named. */
const inZones = (name: string, ...zones: readonly string[]): ClusterConfig => {
  const places = zones.map(
    (zone, index) =>
      `{locality: {zone: ${zone}}, lb_endpoints: [{endpoint: {address: {socket_address: {address: 10.0.0.1, port_value: ${index + 1}}}}}]}`,
  )
  return config(
    `{name: ${name}, common_lb_config: {zone_aware_lb_config: {min_cluster_size: 1}}, load_assignment: {cluster_name: ${name}, endpoints: [${places.join(',')}]}}`,
  )
}

test('zones follow the cluster that the proxy is a member of, whichever comes first', () => {
  const scene = new Scene('me')
  const zones = (): readonly string[] => {
    const picked = new Set<string>()
    for (let times = 0; times < 100; times += 1) {
      const host = scene.table
        .get('app')
        ?.balancer.pick({ avoid: [], avoidAttemptsMax: 0, hash: undefined })
      picked.add(host?.locality?.zone ?? '')
    }
    return [...picked].sort((a, b) => (a < b ? -1 : 1))
  }
  scene.table.apply(inZones('app', 'a', 'b'))
  assert.deepEqual(zones(), ['a', 'b'])
  scene.table.apply(inZones('me', 'a', 'b'))
  assert.deepEqual(zones(), ['a'])
  scene.table.apply(inZones('me', 'a', 'a', 'a', 'b'))
  assert.deepEqual(zones(), ['a', 'b'])
})
