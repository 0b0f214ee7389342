/** Proxies that fetch virtual hosts and clusters when they first call them, from our control plane: ours and Envoy. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { httpRequestThrough } from '../support/absolute-form.ts'
import { openControlPlaneScene, type ControlPlaneScene } from '../support/control-plane-scene.ts'
import { eventually } from '../support/eventually.ts'
import { freePort } from '../support/free-port.ts'
import { runEnvoy, runTulle, type RunningProxy } from '../support/mtls-scene.ts'
import { hostname, meshYaml, onDemandBootstrap, serviceYaml } from '../support/on-demand-scene.ts'
import { findEnvoy, skipUnless } from '../support/programs.ts'
import { openNamedUpstream, type NamedUpstream } from '../support/sidecar-scene.ts'

interface Caller extends AsyncDisposable {
  readonly proxy: RunningProxy
  call(
    host: string,
    init?: { method?: string; body?: string },
  ): Promise<{ status: number; body: string }>
  names(type: 'clusters' | 'routes'): Promise<string>
}

const kinds: readonly {
  readonly name: string
  readonly run: typeof runTulle
  readonly skip: string | false
}[] = [
  { name: 'Tulle', run: runTulle, skip: false },
  { name: 'Envoy', run: runEnvoy, skip: skipUnless(findEnvoy(), 'envoy') },
]

for (const { name, run, skip } of kinds) {
  describe(`on demand (${name})`, { skip }, () => {
    let plane: ControlPlaneScene
    let v1: NamedUpstream
    let v2: NamedUpstream

    before(async () => {
      v1 = await openNamedUpstream('v1')
      v2 = await openNamedUpstream('v2')
      const many = Array.from({ length: 40 }, (_, at) => serviceYaml(`other-${at}`, v2.port))
      plane = await openControlPlaneScene({
        'mesh.yaml': meshYaml('ALLOW_ANY'),
        'config/services.yaml': [
          serviceYaml('reviews', v1.port),
          serviceYaml('ratings', v2.port),
          ...many,
        ].join('---'),
      })
    })

    after(async () => {
      await plane[Symbol.asyncDispose]()
      await v1[Symbol.asyncDispose]()
      await v2[Symbol.asyncDispose]()
    })

    async function start(more: object = {}): Promise<Caller> {
      const proxyPort = await freePort()
      const xds = plane.controlPlane.plaintextXdsAddress
      const proxy = await run(onDemandBootstrap(xds, proxyPort, more))
      await eventually(async () => (await proxy.get('/ready')).includes('LIVE'))
      return {
        proxy,
        call: (host, init) => httpRequestThrough(proxyPort, host, init),
        names: (type) =>
          proxy.get(
            type === 'clusters'
              ? '/config_dump?resource=dynamic_active_clusters'
              : '/config_dump?resource=dynamic_route_configs',
          ),
        [Symbol.asyncDispose]: () => proxy[Symbol.asyncDispose](),
      }
    }

    test('it starts with nothing, and has what it called', async () => {
      await using caller = await start()
      assert.equal((await caller.names('clusters')).includes('outbound|'), false)
      assert.deepEqual(await caller.call('reviews:8080'), { status: 200, body: 'v1' })
      // By another of its names: nothing is asked again.
      assert.deepEqual(await caller.call(`${hostname('reviews')}:8080`), {
        status: 200,
        body: 'v1',
      })
      const clusters = await caller.names('clusters')
      assert.ok(clusters.includes(`outbound|8080||${hostname('reviews')}`))
      assert.equal(clusters.includes('ratings'), false)
      assert.deepEqual(await caller.call('ratings'), { status: 200, body: 'v2' })
      assert.match(
        await caller.names('routes'),
        /http_proxy\/ratings\.default\.svc\.cluster\.local:8080/,
      )
    })

    test('it starts with what it had called before', async () => {
      await using caller = await start({ ON_DEMAND_HOSTS: ['http_proxy/reviews:8080'] })
      await eventually(async () =>
        (await caller.names('clusters')).includes('outbound|8080||reviews'),
      )
      assert.deepEqual(await caller.call('reviews:8080'), { status: 200, body: 'v1' })
    })

    test('hosts that nobody knows answer as the mesh says', async () => {
      await using caller = await start()
      // Let through by its name: the upstream itself.
      const direct = await caller.call(`localhost:${v1.port}`)
      assert.deepEqual(direct, { status: 200, body: 'v1' })
      assert.equal((await caller.call('*')).status >= 400, true)
    })

    test('a changed route reaches who has it, with its new clusters', async () => {
      await using caller = await start()
      assert.equal((await caller.call('reviews:8080')).body, 'v1')
      plane.write(
        'config/route.yaml',
        `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews, namespace: default }
spec:
  hosts: [${hostname('reviews')}]
  http: [{ route: [{ destination: { host: ${hostname('ratings')} } }] }]
`,
      )
      await eventually(async () => {
        const answer = await caller.call('reviews:8080')
        assert.equal(answer.status, 200)
        return answer.body === 'v2'
      })
      plane.write('config/route.yaml', '')
      await eventually(async () => (await caller.call('reviews:8080')).body === 'v1')
    })

    test('a service that goes and one that comes change what its name means', async () => {
      await using caller = await start()
      await caller.call('late.test:8080')
      plane.write(
        'config/late.yaml',
        serviceYaml('late', v2.port).replace(hostname('late'), 'late.test'),
      )
      await eventually(async () => (await caller.call('late.test:8080')).body === 'v2')
      plane.write('config/late.yaml', '')
      await eventually(async () => (await caller.call('late.test:8080')).status !== 200)
    })
  })
}

test('a request with a body waits with it, and goes on', async () => {
  await using upstream = await openNamedUpstream('v1')
  await using plane = await openControlPlaneScene({
    'mesh.yaml': meshYaml('REGISTRY_ONLY'),
    'config/services.yaml': serviceYaml('reviews', upstream.port),
  })
  const proxyPort = await freePort()
  await using proxy = await runTulle(
    onDemandBootstrap(plane.controlPlane.plaintextXdsAddress, proxyPort),
  )
  await eventually(async () => (await proxy.get('/ready')).includes('LIVE'))
  const init = { method: 'POST', body: 'x'.repeat(10_000) }
  assert.deepEqual(await httpRequestThrough(proxyPort, 'reviews:8080', init), {
    status: 200,
    body: 'v1',
  })
  assert.equal((await httpRequestThrough(proxyPort, 'nobody.test')).status, 502)
})

test('each thread of a sidecar has what any of them fetched', async () => {
  await using upstream = await openNamedUpstream('v1')
  await using plane = await openControlPlaneScene({
    'mesh.yaml': meshYaml('REGISTRY_ONLY'),
    'config/services.yaml': serviceYaml('reviews', upstream.port),
  })
  const proxyPort = await freePort()
  const text = onDemandBootstrap(plane.controlPlane.plaintextXdsAddress, proxyPort)
  await using proxy = await runTulle(text, 2)
  await eventually(async () => (await proxy.get('/ready')).includes('LIVE'))
  // Connections of their own, which the threads share out.
  const calls = Array.from({ length: 20 }, () => httpRequestThrough(proxyPort, 'reviews:8080'))
  for (const { status, body } of await Promise.all(calls)) {
    assert.deepEqual([status, body], [200, 'v1'])
  }
  await plane.controlPlane.close()
  const later = Array.from({ length: 20 }, () => httpRequestThrough(proxyPort, 'reviews:8080'))
  for (const { status } of await Promise.all(later)) assert.equal(status, 200)
})
