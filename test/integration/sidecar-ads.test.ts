/** What a change that comes over ADS does to a sidecar and to the requests that pass through it. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { typeUrls } from '../../src/xds/resource-set.ts'
import { eventually } from '../support/eventually.ts'
import { skipWithoutHandOver } from '../support/programs.ts'
import {
  type SceneResources,
  type SidecarScene,
  openNamedUpstream,
  openSidecarScene,
  sceneResource as make,
} from '../support/sidecar-scene.ts'

interface DumpedCluster {
  readonly cluster: { readonly lb_policy?: string }
  readonly error_state?: {
    readonly details: string
    readonly failed_configuration: { readonly lb_policy?: string }
  }
}

/** A reason why there are none, or false. */
const noThreads = await skipWithoutHandOver()

function simple(port: number): SceneResources {
  return {
    clusters: [make.edsCluster('c')],
    assignments: [make.assignment('c', [port])],
    listeners: [make.listener('out', 'r')],
    routes: [make.routes('r', 'c')],
  }
}

/** Requests one after the other on several connections, until it is stopped; counts what was not 200. */
function load(scene: SidecarScene, port: number) {
  const stopped = new AbortController()
  let total = 0
  const failed: string[] = []
  const bodies = new Set<string>()
  const worker = async (): Promise<void> => {
    while (!stopped.signal.aborted) {
      total += 1
      try {
        const answer = await scene.get(port)
        if (answer.status === 200) bodies.add(answer.body)
        else failed.push(`${answer.status} ${answer.body}`)
      } catch (error) {
        failed.push(String(error))
      }
    }
  }
  const workers = Array.from({ length: 8 }, worker)
  return {
    bodies,
    get total() {
      return total
    },
    async stop() {
      stopped.abort()
      await Promise.all(workers)
      return { total, failed, bodies: [...bodies] }
    },
    // A test that fails must not leave its load running.
    [Symbol.dispose]: () => stopped.abort(),
  }
}

for (const variant of ['sotw', 'delta'] as const) {
  describe(`a sidecar on ${variant} ADS`, () => {
    test('is live when clusters, endpoints, listeners and routes are there', async () => {
      await using upstream = await openNamedUpstream('one')
      await using scene = await openSidecarScene({ variant, resources: simple(upstream.port) })
      await scene.sidecar.ready
      assert.equal((await scene.admin('/ready')).body, 'LIVE\n')
      assert.equal((await scene.get(await scene.portOf('out'))).body, 'one')
    })

    for (const concurrency of [1, 2]) {
      const skip = concurrency > 1 && noThreads
      test(
        `endpoints that are to be called in another way are, as soon as they are named again, with threads: ${concurrency}`,
        { skip },
        async () => {
          await using upstream = await openNamedUpstream('one')
          const before = simple(upstream.port)
          await using scene = await openSidecarScene({ variant, concurrency, resources: before })
          await scene.sidecar.ready
          const http2 = `typed_extension_protocol_options: {envoy.extensions.upstreams.http.v3.HttpProtocolOptions: {
          "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, explicit_http_config: {http2_protocol_options: {}}}}`
          scene.set({ ...before, clusters: [make.edsCluster('c', http2)] })
          await eventually(async () => {
            const { body } = await scene.admin('/config_dump?resource=dynamic_active_clusters')
            return body.includes('http2_protocol_options')
          })
        },
      )
    }

    test('a listener whose port is taken when its routes come is refused after all', async () => {
      await using upstream = await openNamedUpstream('one')
      await using owner = await openNamedUpstream('owner')
      const { listeners = [], routes = [], ...rest } = simple(upstream.port)
      const shut = (more = '') =>
        make.listener('shut', 'late', more).replace('port_value: 0', `port_value: ${owner.port}`)
      const before = { ...rest, routes, listeners: [...listeners, shut()] }
      await using scene = await openSidecarScene({ variant, resources: before })
      await eventually(() => scene.typeStatus(typeUrls.listener)?.status === 'SYNCED')
      const after = { ...before, routes: [...routes, make.routes('late', 'c')] }
      scene.set(after)
      await eventually(() => scene.typeStatus(typeUrls.listener)?.status === 'REJECTED')
      const { rejection } = scene.typeStatus(typeUrls.listener) ?? {}
      assert.match(rejection?.reason ?? '', /^shut: listen on 127\.0\.0\.1:\d+.*EADDRINUSE/)
      const { body } = await scene.admin('/config_dump?resource=dynamic_listeners')
      const dumped = JSON.parse(body).configs.find(
        ({ name }: { readonly name: string }) => name === 'shut',
      )
      assert.equal(dumped.active_state, undefined)
      assert.match(dumped.error_state.details, /EADDRINUSE/)
      await owner[Symbol.asyncDispose]()
      scene.set({ ...after, listeners: [...listeners, shut('server_name: again')] })
      await eventually(() => scene.typeStatus(typeUrls.listener)?.status === 'SYNCED')
      // It is acknowledged, and then opened.
      await eventually(async () => (await scene.get(owner.port)).body === 'one')
    })

    test('moves to other endpoints, routes and clusters without a failed request', async () => {
      await using one = await openNamedUpstream('one')
      await using two = await openNamedUpstream('two')
      await using three = await openNamedUpstream('three')
      await using scene = await openSidecarScene({ variant, resources: simple(one.port) })
      await scene.sidecar.ready
      const port = await scene.portOf('out')
      using traffic = load(scene, port)
      await eventually(() => traffic.bodies.has('one'))
      scene.set({ ...simple(one.port), assignments: [make.assignment('c', [two.port])] })
      await eventually(() => traffic.bodies.has('two'))
      scene.set({
        clusters: [make.edsCluster('c', 'lb_policy: RANDOM'), make.edsCluster('d')],
        assignments: [make.assignment('c', [two.port]), make.assignment('d', [three.port])],
        listeners: [make.listener('out', 'r', 'via: changed')],
        routes: [make.routes('r', 'd')],
      })
      await eventually(() => traffic.bodies.has('three'))
      scene.set({
        clusters: [make.edsCluster('d')],
        assignments: [make.assignment('d', [three.port])],
        listeners: [make.listener('out', 'r', 'via: again')],
        routes: [make.routes('r', 'd')],
      })
      await eventually(async () => {
        const { clusters } = await scene.sidecar.status()
        return !clusters.some((cluster) => cluster.name === 'c')
      })
      await eventually(() => traffic.total > 50)
      const { failed } = await traffic.stop()
      assert.deepEqual(failed, [])
    })

    test('keeps the last good version of what it refuses, and takes the rest', async () => {
      await using one = await openNamedUpstream('one')
      await using two = await openNamedUpstream('two')
      await using scene = await openSidecarScene({ variant, resources: simple(one.port) })
      await scene.sidecar.ready
      const port = await scene.portOf('out')
      scene.set({
        clusters: [make.edsCluster('c', 'lb_policy: CLUSTER_PROVIDED'), make.edsCluster('d')],
        assignments: [make.assignment('c', [one.port]), make.assignment('d', [two.port])],
        listeners: [make.listener('out', 'r')],
        routes: [make.routes('r', 'd')],
      })
      await eventually(async () => (await scene.get(port)).body === 'two')
      const { ads } = await scene.sidecar.status()
      const cds = ads?.types.find((type) => type.typeUrl.endsWith('.Cluster'))
      assert.match(cds?.lastRejection ?? '', /c: lb_policy: CLUSTER_PROVIDED belongs to dynamic/)
      const dump = JSON.parse(
        (await scene.admin('/config_dump?resource=dynamic_active_clusters&name_regex=c')).body,
      ) as { configs: readonly DumpedCluster[] }
      const [entry] = dump.configs
      assert.equal(entry?.cluster.lb_policy, undefined)
      assert.match(entry?.error_state?.details ?? '', /lb_policy/)
      assert.equal(entry?.error_state?.failed_configuration.lb_policy, 'CLUSTER_PROVIDED')
    })

    test('goes on without its control plane', async () => {
      await using upstream = await openNamedUpstream('one')
      await using scene = await openSidecarScene({ variant, resources: simple(upstream.port) })
      await scene.sidecar.ready
      const port = await scene.portOf('out')
      await scene.stopControlPlane()
      await eventually(async () => {
        const { ads } = await scene.sidecar.status()
        return ads?.staleSinceMs !== undefined
      })
      assert.equal((await scene.get(port)).body, 'one')
      assert.equal((await scene.admin('/ready')).status, 200)
    })
  })
}

test('a listener whose routes have not come does not accept, and is shown as warming', async () => {
  await using upstream = await openNamedUpstream('one')
  await using scene = await openSidecarScene({
    resources: { ...simple(upstream.port), routes: [] },
  })
  await eventually(async () => {
    const { warmingListeners } = await scene.sidecar.status()
    return warmingListeners.includes('out')
  })
  assert.equal((await scene.admin('/ready')).status, 503)
  scene.set(simple(upstream.port))
  await scene.sidecar.ready
  assert.equal((await scene.get(await scene.portOf('out'))).body, 'one')
})

test('a TCP connection waits for the endpoints of a cluster that has been accepted', async () => {
  await using upstream = await openNamedUpstream('one')
  const { clusters = [], assignments = [], listeners = [], routes = [] } = simple(upstream.port)
  await using scene = await openSidecarScene({ resources: simple(upstream.port) })
  await scene.sidecar.ready
  const filter = `{name: tcp, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: t, cluster: d}}`
  const before = {
    clusters: [...clusters, make.edsCluster('d')],
    assignments,
    listeners: [
      ...listeners,
      `{name: t, address: {socket_address: {address: 127.0.0.1, port_value: 0}}, filter_chains: [{filters: [${filter}]}]}`,
    ],
    routes,
  }
  scene.set(before)
  await eventually(async () => (await scene.sidecar.status()).warmingClusters.includes('d'))
  await eventually(async () => (await scene.portOf('t')) !== 0)
  const answer = scene.get(await scene.portOf('t'))
  await eventually(async () => {
    const { body } = await scene.admin('/stats?filter=^tcp.t.downstream_cx_active')
    return body.includes('tcp.t.downstream_cx_active: 1')
  })
  scene.set({ ...before, assignments: [...assignments, make.assignment('d', [upstream.port])] })
  assert.equal((await answer).body, 'one')
})

test('a removed listener stops accepting', async () => {
  await using upstream = await openNamedUpstream('one')
  await using scene = await openSidecarScene({ resources: simple(upstream.port) })
  await scene.sidecar.ready
  const port = await scene.portOf('out')
  scene.set({ ...simple(upstream.port), listeners: [] })
  await eventually(async () => (await scene.sidecar.status()).listeners.length === 0)
  await eventually(async () => {
    const refused = await scene.get(port).then(
      () => false,
      () => true,
    )
    return refused
  })
})

test('the same resources again compile nothing and change no host', async () => {
  await using upstream = await openNamedUpstream('one')
  await using scene = await openSidecarScene({ variant: 'sotw', resources: simple(upstream.port) })
  await scene.sidecar.ready
  const port = await scene.portOf('out')
  await scene.get(port)
  const before = (await scene.sidecar.status()).clusters.find(({ name }) => name === 'c')
  scene.set({ ...simple(upstream.port), clusters: [make.edsCluster('c'), make.edsCluster('d')] })
  await eventually(async () => (await scene.sidecar.status()).warmingClusters.includes('d'))
  const after = (await scene.sidecar.status()).clusters.find(({ name }) => name === 'c')
  assert.deepEqual(after?.hosts[0]?.stats, before?.hosts[0]?.stats)
})

test('a request in flight ends when its cluster is removed', async () => {
  await using upstream = await openNamedUpstream('one')
  const held: (() => void)[] = []
  upstream.server.removeAllListeners('request')
  upstream.server.on('request', (_request, response) => held.push(() => response.end('late')))
  await using scene = await openSidecarScene({ resources: simple(upstream.port) })
  await scene.sidecar.ready
  const port = await scene.portOf('out')
  const answer = scene.get(port)
  await eventually(() => held.length === 1)
  scene.set({ listeners: [make.listener('out', 'r')], routes: [make.routes('r', 'gone')] })
  await eventually(async () => {
    const { clusters } = await scene.sidecar.status()
    return !clusters.some((cluster) => cluster.name === 'c')
  })
  held[0]?.()
  assert.equal((await answer).body, 'late')
  assert.equal((await scene.get(port)).status, 503)
})

test('a removed cluster that a route still names is gone a moment later: 503', async () => {
  await using one = await openNamedUpstream('one')
  await using scene = await openSidecarScene({ variant: 'delta', resources: simple(one.port) })
  await scene.sidecar.ready
  const port = await scene.portOf('out')
  assert.equal((await scene.get(port)).status, 200)
  scene.set({ ...simple(one.port), clusters: [], assignments: [] })
  await eventually(async () => (await scene.get(port)).status === 503)
  const { clusters } = await scene.sidecar.status()
  assert.deepEqual(
    clusters.filter(({ name }) => name === 'c'),
    [],
  )
})
