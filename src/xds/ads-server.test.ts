/** Scenes of the ADS protocol, request by request, against Envoy's xDS protocol page. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { AdsPeer } from '../../test/support/ads-peer.ts'
import { TestSource, createView, type TestResources } from '../../test/support/ads-source.ts'
import { eventually } from '../../test/support/eventually.ts'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { systemClock } from '../lib/clock.ts'
import { silentLog } from '../lib/log.ts'
import { MeshError } from '../lib/mesh-error.ts'
import { seededRandom } from '../lib/random.ts'
import { openAdsServer, type AdsServerOptions } from './ads-server.ts'
import {
  typeUrls,
  type EncodedResource,
  type LayeredResources,
  type ResourceView,
  type StreamNode,
  type ViewSource,
} from './resource-set.ts'

const node = { id: 'sidecar~127.0.0.1~a.default~default.svc.cluster.local', cluster: 'a' }
const { cluster, endpoint, listener, route } = typeUrls

async function openScene(resources: TestResources, options: Partial<AdsServerOptions> = {}) {
  const source = new TestSource(resources)
  const server = await openAdsServer({
    listen: { host: '127.0.0.1', port: 0 },
    source,
    clock: systemClock,
    random: seededRandom(1),
    log: silentLog,
    debounce: { leadingMs: 1, quietMs: 2 },
    ...options,
  })
  const peers: AdsPeer[] = []
  return {
    source,
    server,
    connect(variant: 'sotw' | 'delta'): AdsPeer {
      const peer = new AdsPeer(server.address, variant)
      peers.push(peer)
      return peer
    },
    statusOf(typeUrl: string) {
      return server.statuses()[0]?.types.find((type) => type.typeUrl === typeUrl)
    },
    async [Symbol.asyncDispose]() {
      for (const peer of peers) peer.close()
      await server.close()
    },
  }
}

describe('ADS, state of the world', () => {
  test('no names on the first request of CDS mean all', async () => {
    await using scene = await openScene({ cluster: { a: '1', b: '1' } })
    const peer = scene.connect('sotw')
    peer.send({ node, typeUrl: cluster })
    const first = await peer.next()
    assert.deepEqual(first.resources, { a: '1', b: '1' })
    assert.equal(first.type, 'cluster')
    assert.notEqual(first.nonce, '')
    assert.notEqual(first.version, '')
  })

  test('a change sends the whole of CDS, with what is gone left out', async () => {
    await using scene = await openScene({ cluster: { a: '1', b: '1', c: '1' } })
    const peer = scene.connect('sotw')
    peer.send({ node, typeUrl: cluster })
    peer.ack(await peer.next())
    scene.source.set({ cluster: { a: '1', b: '2' } })
    const second = await peer.next()
    assert.deepEqual(second.resources, { a: '1', b: '2' })
  })

  test('of EDS only what changed is sent', async () => {
    await using scene = await openScene({ endpoint: { a: '1', b: '1', c: '1' } })
    const peer = scene.connect('sotw')
    peer.send({ node, typeUrl: endpoint, resourceNames: ['a', 'b'] })
    const first = await peer.next()
    assert.deepEqual(first.resources, { a: '1', b: '1' })
    peer.ack(first, ['a', 'b'])
    scene.source.set({ endpoint: { a: '1', b: '2', c: '2' } })
    assert.deepEqual((await peer.next()).resources, { b: '2' })
  })

  test('an ACK is not answered, and a newly subscribed name is, although it is unchanged', async () => {
    await using scene = await openScene({ endpoint: { a: '1', b: '1' } })
    const peer = scene.connect('sotw')
    peer.send({ node, typeUrl: endpoint, resourceNames: ['a'] })
    const first = await peer.next()
    peer.ack(first, ['a'])
    peer.ack(first, ['a', 'b'])
    assert.deepEqual((await peer.next()).resources, { b: '1' })
  })

  test('a name that is given up and asked for again is sent again', async () => {
    await using scene = await openScene({ endpoint: { a: '1', b: '1' } })
    const peer = scene.connect('sotw')
    peer.send({ node, typeUrl: endpoint, resourceNames: ['a', 'b'] })
    const first = await peer.next()
    peer.ack(first, ['b'])
    peer.ack(first, ['a', 'b'])
    const again = await peer.next()
    assert.deepEqual(again.resources, { a: '1' })
    assert.notEqual(again.nonce, first.nonce)
  })

  test('a name that does not exist is sent once it does', async () => {
    await using scene = await openScene({ route: { other: '1' } })
    const peer = scene.connect('sotw')
    peer.send({ node, typeUrl: route, resourceNames: ['r'] })
    await eventually(() => scene.statusOf(route)?.status === 'NOT SENT')
    scene.source.set({ route: { other: '2', r: '1' } })
    assert.deepEqual((await peer.next()).resources, { r: '1' })
  })

  test('LDS by name answers with all of the names that exist', async () => {
    await using scene = await openScene({ listener: { a: '1', b: '1', c: '1' } })
    const peer = scene.connect('sotw')
    peer.send({ node, typeUrl: listener, resourceNames: ['a'] })
    const first = await peer.next()
    assert.deepEqual(first.resources, { a: '1' })
    peer.ack(first, ['a', 'b'])
    const second = await peer.next()
    assert.deepEqual(second.resources, { a: '1', b: '1' })
    peer.ack(second, ['a', 'b'])
    scene.source.set({ listener: { b: '1', c: '1' } })
    assert.deepEqual((await peer.next()).resources, { b: '1' })
  })

  test('after names were given, no names mean nothing', async () => {
    await using scene = await openScene({ listener: { a: '1' }, cluster: { x: '1' } })
    const peer = scene.connect('sotw')
    peer.send({ node, typeUrl: listener, resourceNames: ['a'] })
    const first = await peer.next()
    peer.ack(first, [])
    await eventually(() => scene.statusOf(listener)?.names === 0)
    scene.source.set({ listener: { a: '2' }, cluster: { x: '1' } })
    peer.send({ typeUrl: cluster })
    assert.equal((await peer.next()).type, 'cluster')
    assert.equal(scene.statusOf(listener)?.sentVersion, first.version)
  })

  test('a star beside a name means all', async () => {
    await using scene = await openScene({ listener: { a: '1', b: '1' } })
    const peer = scene.connect('sotw')
    peer.send({ node, typeUrl: listener, resourceNames: ['*', 'a'] })
    assert.deepEqual((await peer.next()).resources, { a: '1', b: '1' })
  })

  test('an empty set is answered, because Envoy waits for it at start', async () => {
    await using scene = await openScene({})
    const peer = scene.connect('sotw')
    peer.send({ node, typeUrl: cluster })
    assert.deepEqual((await peer.next()).resources, {})
  })

  test('a NACK is remembered with its reason, and the same content is not sent again', async () => {
    await using scene = await openScene({ cluster: { a: 'bad' } })
    const peer = scene.connect('sotw')
    peer.send({ node, typeUrl: cluster })
    const bad = await peer.next()
    const errorDetail = { code: 3, message: 'a: bad content', details: [] }
    peer.send({ typeUrl: cluster, responseNonce: bad.nonce, errorDetail })
    const rejected = await eventually(() => scene.statusOf(cluster)?.rejection)
    assert.equal(rejected.reason, 'a: bad content')
    assert.equal(rejected.version, bad.version)
    assert.equal(scene.statusOf(cluster)?.status, 'REJECTED')
    scene.source.set({ cluster: { a: 'good' } })
    const good = await peer.next()
    assert.deepEqual(good.resources, { a: 'good' })
    peer.ack(good)
    await eventually(() => scene.statusOf(cluster)?.status === 'SYNCED')
    assert.equal(scene.statusOf(cluster)?.rejection, undefined)
    assert.equal(scene.statusOf(cluster)?.ackedVersion, good.version)
  })

  test('a NACK that names the newest version is still a NACK', async () => {
    await using scene = await openScene({ cluster: { a: 'bad' } })
    const peer = scene.connect('sotw')
    peer.send({ node, typeUrl: cluster })
    const { version, nonce } = await peer.next()
    const errorDetail = { code: 3, message: '', details: [] }
    peer.send({ typeUrl: cluster, versionInfo: version, responseNonce: nonce, errorDetail })
    await eventually(() => scene.statusOf(cluster)?.status === 'REJECTED')
  })

  test('names in a request with a stale nonce are ignored', async () => {
    await using scene = await openScene({ endpoint: { a: '1', b: '1' } })
    const peer = scene.connect('sotw')
    peer.send({ node, typeUrl: endpoint, resourceNames: ['a'] })
    const first = await peer.next()
    peer.ack(first, ['a'])
    await eventually(() => scene.statusOf(endpoint)?.status === 'SYNCED')
    scene.source.set({ endpoint: { a: '2', b: '1' } })
    const second = await peer.next()
    peer.ack(first, ['b'])
    peer.ack(second, ['a'])
    scene.source.set({ endpoint: { a: '3', b: '3' } })
    assert.deepEqual((await peer.next()).resources, { a: '3' })
  })

  test('a client that comes back with what is current gets nothing', async () => {
    await using scene = await openScene({ cluster: { a: '1' }, endpoint: { a: '1', b: '1' } })
    const before = scene.connect('sotw')
    before.send({ node, typeUrl: cluster })
    const clusters = await before.next()
    before.send({ typeUrl: endpoint, resourceNames: ['a'] })
    const endpoints = await before.next()
    before.close()
    await before.closed

    const after = scene.connect('sotw')
    after.send({ node, typeUrl: cluster, versionInfo: clusters.version })
    const resourceNames = ['a']
    after.send({ typeUrl: endpoint, resourceNames, versionInfo: endpoints.version })
    await eventually(() => scene.statusOf(endpoint)?.status === 'SYNCED')
    assert.equal(scene.statusOf(cluster)?.status, 'SYNCED')
    scene.source.set({ cluster: { a: '2' }, endpoint: { a: '1', b: '1' } })
    const next = await after.next()
    assert.deepEqual([next.type, next.resources], ['cluster', { a: '2' }])
  })

  test('a client that comes back with an older version gets what is current', async () => {
    await using scene = await openScene({ cluster: { a: '1' } })
    const peer = scene.connect('sotw')
    const responseNonce = 'of-another-stream'
    peer.send({ node, typeUrl: cluster, versionInfo: 'old', responseNonce })
    assert.deepEqual((await peer.next()).resources, { a: '1' })
  })

  test('endpoints follow a changed cluster although they are the same: it warms until they come', async () => {
    const resources = { cluster: { a: '1', b: '1' }, endpoint: { a: '1', b: '1' } }
    await using scene = await openScene(resources)
    const peer = scene.connect('sotw')
    peer.send({ node, typeUrl: cluster })
    peer.ack(await peer.next())
    peer.send({ typeUrl: endpoint, resourceNames: ['a', 'b'] })
    peer.ack(await peer.next(), ['a', 'b'])
    scene.source.set({ ...resources, cluster: { a: '2', b: '1' } })
    assert.equal((await peer.next()).type, 'cluster')
    const endpoints = await peer.next()
    assert.deepEqual([endpoints.type, endpoints.resources], ['endpoint', { a: '1' }])
  })

  test('a change goes out in the order CDS, EDS, LDS, RDS, and removed clusters go last', async () => {
    await using scene = await openScene({
      cluster: { old: '1' },
      endpoint: { old: '1' },
      listener: { l: '1' },
      route: { r: '1' },
    })
    const peer = scene.connect('sotw')
    peer.send({ node, typeUrl: cluster })
    peer.ack(await peer.next())
    for (const [typeUrl, resourceNames] of [
      [route, ['r']],
      [endpoint, ['old', 'new']],
    ] as const) {
      peer.send({ typeUrl, resourceNames })
      peer.ack(await peer.next(), resourceNames)
    }
    peer.send({ typeUrl: listener })
    peer.ack(await peer.next())
    scene.source.set({
      cluster: { new: '1' },
      endpoint: { new: '1' },
      listener: { l: '2' },
      route: { r: '2' },
    })
    const seen = []
    for (let count = 0; count < 5; count += 1) {
      const { type, resources } = await peer.next()
      seen.push([type, Object.keys(resources).sort()])
    }
    assert.deepEqual(seen, [
      ['cluster', ['new', 'old']],
      ['endpoint', ['new']],
      ['listener', ['l']],
      ['route', ['r']],
      ['cluster', ['new']],
    ])
  })
})

describe('ADS, delta', () => {
  test('no names on the first request of CDS mean all, and later only changes are sent', async () => {
    await using scene = await openScene({ cluster: { a: '1', b: '1', c: '1' } })
    const peer = scene.connect('delta')
    peer.send({ node, typeUrl: cluster })
    const first = await peer.next()
    assert.deepEqual(first.resources, { a: '1', b: '1', c: '1' })
    peer.ack(first)
    scene.source.set({ cluster: { a: '1', b: '2', d: '1' } })
    const second = await peer.next()
    assert.deepEqual(second.resources, { b: '2', d: '1' })
    assert.deepEqual(second.removed, ['c'])
  })

  test('a subscription is answered although the last response is not acknowledged', async () => {
    await using scene = await openScene({ endpoint: { a: '1', b: '1' } })
    const peer = scene.connect('delta')
    peer.send({ node, typeUrl: endpoint, resourceNamesSubscribe: ['a'] })
    assert.deepEqual((await peer.next()).resources, { a: '1' })
    peer.send({ typeUrl: endpoint, resourceNamesSubscribe: ['b'] })
    assert.deepEqual((await peer.next()).resources, { b: '1' })
  })

  test('what is subscribed again is sent again, even with a stale nonce', async () => {
    await using scene = await openScene({ endpoint: { a: '1' } })
    const peer = scene.connect('delta')
    peer.send({ node, typeUrl: endpoint, resourceNamesSubscribe: ['a'] })
    const first = await peer.next()
    peer.ack(first)
    peer.send({ typeUrl: endpoint, resourceNamesSubscribe: ['a'], responseNonce: 'stale' })
    const again = await peer.next()
    assert.deepEqual(again.resources, { a: '1' })
    assert.notEqual(again.nonce, first.nonce)
  })

  test('names that do not exist are answered as removed, and sent once they exist', async () => {
    await using scene = await openScene({ endpoint: { a: '1' } })
    const peer = scene.connect('delta')
    peer.send({ node, typeUrl: endpoint, resourceNamesSubscribe: ['a', 'b'] })
    const first = await peer.next()
    assert.deepEqual([first.resources, first.removed], [{ a: '1' }, ['b']])
    scene.source.set({ endpoint: { a: '1', b: '1' } })
    assert.deepEqual((await peer.next()).resources, { b: '1' })
  })

  test('a client that comes back gets only what differs from what it has', async () => {
    await using scene = await openScene({ cluster: { a: '1', b: '1', c: '1' } })
    const before = scene.connect('delta')
    before.send({ node, typeUrl: cluster, resourceNamesSubscribe: ['*'] })
    const first = await before.next()
    before.close()
    await before.closed
    scene.source.set({ cluster: { a: '1', b: '2', d: '1' } })
    const after = scene.connect('delta')
    after.send({
      node,
      typeUrl: cluster,
      resourceNamesSubscribe: ['*'],
      initialResourceVersions: first.versions,
    })
    const second = await after.next()
    assert.deepEqual([second.resources, second.removed], [{ b: '2', d: '1' }, ['c']])
  })

  test('a server that holds takes nothing from who comes back, and tells the newest when it ends', async () => {
    const clock = new FakeClock()
    await using scene = await openScene({ cluster: { a: '1' } }, { clock, holdReturningMs: 10_000 })
    const back = scene.connect('delta')
    const initialResourceVersions = { a: 'x', lost: 'y' }
    back.send({ node, typeUrl: cluster, initialResourceVersions })
    const fresh = scene.connect('delta')
    fresh.send({ node, typeUrl: cluster })
    assert.deepEqual((await fresh.next()).resources, { a: '1' })
    await eventually(() => scene.server.statuses().length === 2)
    scene.source.set({ cluster: { a: '1', lost: '2' } })
    clock.advance(9_000)
    assert.deepEqual((await fresh.next()).resources, { lost: '2' })
    clock.advance(1_000)
    const told = await back.next()
    assert.deepEqual([told.resources, told.removed], [{ a: '1', lost: '2' }, []])
    back.ack(told)
    scene.source.set({ cluster: { a: '1' } })
    clock.advance(1_000)
    assert.deepEqual((await back.next()).removed, ['lost'])
  })

  test('a client that comes back with all that is current gets an answer that holds nothing', async () => {
    await using scene = await openScene({ cluster: { a: '1' }, endpoint: { a: '1' } })
    const before = scene.connect('delta')
    before.send({ node, typeUrl: cluster })
    const clusters = await before.next()
    before.send({ typeUrl: endpoint, resourceNamesSubscribe: ['a'] })
    const endpoints = await before.next()
    before.close()
    await before.closed
    const after = scene.connect('delta')
    const initialResourceVersions = clusters.versions
    after.send({ node, typeUrl: cluster, initialResourceVersions })
    after.send({
      typeUrl: endpoint,
      resourceNamesSubscribe: ['a'],
      initialResourceVersions: endpoints.versions,
    })
    after.send({ typeUrl: route, resourceNamesSubscribe: ['none'] })
    const first = await after.next()
    assert.deepEqual([first.type, first.resources, first.removed], ['cluster', {}, []])
    const next = await after.next()
    assert.deepEqual([next.type, next.removed], ['route', ['none']])
  })

  test('a name unsubscribed under the wildcard is answered with what holds under it', async () => {
    await using scene = await openScene({ cluster: { a: '1', b: '1' } })
    const peer = scene.connect('delta')
    peer.send({ node, typeUrl: cluster, resourceNamesSubscribe: ['*', 'a', 'x'] })
    const first = await peer.next()
    assert.deepEqual([first.resources, first.removed], [{ a: '1', b: '1' }, ['x']])
    peer.send({ typeUrl: cluster, resourceNamesUnsubscribe: ['a', 'x'] })
    const second = await peer.next()
    assert.deepEqual([second.resources, second.removed], [{ a: '1' }, ['x']])
  })

  test('unsubscribing what was never subscribed changes nothing', async () => {
    await using scene = await openScene({ cluster: { a: '1' } })
    const peer = scene.connect('delta')
    peer.send({ node, typeUrl: cluster })
    await peer.next()
    peer.send({ typeUrl: cluster, resourceNamesUnsubscribe: ['a', 'phantom'] })
    scene.source.set({ cluster: { a: '2' } })
    assert.deepEqual((await peer.next()).resources, { a: '2' })
  })

  test('after the star is given up only names are followed', async () => {
    await using scene = await openScene({ cluster: { a: '1', b: '1' } })
    const peer = scene.connect('delta')
    peer.send({ node, typeUrl: cluster, resourceNamesSubscribe: ['*', 'a'] })
    await peer.next()
    peer.send({ typeUrl: cluster, resourceNamesUnsubscribe: ['*'] })
    await eventually(() => scene.statusOf(cluster)?.isWildcard === false)
    scene.source.set({ cluster: { a: '2', b: '2' } })
    assert.deepEqual((await peer.next()).resources, { a: '2' })
  })

  test('an unsubscribed name is not sent', async () => {
    await using scene = await openScene({ endpoint: { a: '1', b: '1' } })
    const peer = scene.connect('delta')
    peer.send({ node, typeUrl: endpoint, resourceNamesSubscribe: ['a', 'b'] })
    peer.ack(await peer.next())
    peer.send({ typeUrl: endpoint, resourceNamesUnsubscribe: ['a'] })
    await eventually(() => scene.statusOf(endpoint)?.names === 1)
    scene.source.set({ endpoint: { a: '2', b: '2' } })
    assert.deepEqual((await peer.next()).resources, { b: '2' })
  })

  test('removals leave last, listeners before the clusters they used', async () => {
    await using scene = await openScene({
      cluster: { old: '1' },
      endpoint: { old: '1' },
      listener: { l: '1', gone: '1' },
    })
    const peer = scene.connect('delta')
    peer.send({ node, typeUrl: cluster })
    peer.ack(await peer.next())
    peer.send({ typeUrl: endpoint, resourceNamesSubscribe: ['old'] })
    peer.ack(await peer.next())
    peer.send({ typeUrl: listener })
    peer.ack(await peer.next())
    scene.source.set({ cluster: { new: '1' }, listener: { l: '2' } })
    const seen = []
    for (let count = 0; count < 5; count += 1) {
      const { type, resources, removed } = await peer.next()
      seen.push([type, Object.keys(resources), removed])
    }
    assert.deepEqual(seen, [
      ['cluster', ['new'], []],
      ['listener', ['l'], []],
      ['listener', [], ['gone']],
      ['cluster', [], ['old']],
      ['endpoint', [], ['old']],
    ])
  })

  test('a client that comes back to a changed cluster gets its endpoints, although it has them', async () => {
    await using scene = await openScene({ cluster: { a: '1' }, endpoint: { a: '1', b: '1' } })
    const before = scene.connect('delta')
    before.send({ node, typeUrl: cluster })
    const clusters = await before.next()
    before.send({ typeUrl: endpoint, resourceNamesSubscribe: ['a', 'b'] })
    const endpoints = await before.next()
    before.close()
    await before.closed
    scene.source.set({ cluster: { a: '2' }, endpoint: { a: '1', b: '1' } })
    const after = scene.connect('delta')
    after.send({ node, typeUrl: cluster, initialResourceVersions: clusters.versions })
    assert.deepEqual((await after.next()).resources, { a: '2' })
    after.send({
      typeUrl: endpoint,
      resourceNamesSubscribe: ['a', 'b'],
      initialResourceVersions: endpoints.versions,
    })
    assert.deepEqual((await after.next()).resources, { a: '1' })
  })
})

describe('ADS, views in layers', () => {
  test('a large answer comes in two parts: what the class shares, and what is the client’s own', async () => {
    const many = Array.from({ length: 40 }, (_, at) => [`shared-${at}`, '1'] as const)
    const shared = createView({ cluster: Object.fromEntries(many) }, 0).resources(cluster)
    const own = createView({ cluster: { mine: '1' } }, 0).resources(cluster)
    await using scene = await openScene({})
    scene.source.setView(layeredView(shared, own))
    const peer = scene.connect('delta')
    peer.send({ node, typeUrl: cluster })
    const first = await peer.next()
    assert.equal(Object.keys(first.resources).length, 40)
    const second = await peer.next()
    assert.deepEqual(second.resources, { mine: '1' })
    peer.ack(first)
    peer.ack(second)
    await eventually(() => scene.statusOf(cluster)?.status === 'SYNCED')

    const changed = createView({ cluster: { ...Object.fromEntries(many), 'shared-0': '2' } }, 0)
    scene.source.setView(layeredView(changed.resources(cluster), own))
    assert.deepEqual((await peer.next()).resources, { 'shared-0': '2' })
    const none = createView({}, 0).resources(cluster)
    scene.source.setView(layeredView(changed.resources(cluster), none))
    assert.deepEqual((await peer.next()).removed, ['mine'])
  })
})

describe('ADS streams', () => {
  test('a first request without a node is refused', async () => {
    await using scene = await openScene({})
    const peer = scene.connect('sotw')
    peer.send({ typeUrl: cluster })
    assert.equal((await peer.closed).code, 3)
  })

  test('a request without a type is refused', async () => {
    await using scene = await openScene({})
    const peer = scene.connect('delta')
    peer.send({ node })
    assert.equal((await peer.closed).code, 3)
  })

  test('bytes that are no request end this stream and no other', async () => {
    await using scene = await openScene({ cluster: { a: '1' } })
    const broken = scene.connect('sotw')
    const other = scene.connect('sotw')
    other.send({ node, typeUrl: cluster })
    other.ack(await other.next())
    broken.sendBytes(new Uint8Array([0x0a, 0xff]))
    assert.equal((await broken.closed).code, 3)
    scene.source.set({ cluster: { a: '2' } })
    assert.deepEqual((await other.next()).resources, { a: '2' })
  })

  test('a type that nobody makes is remembered and left unanswered', async () => {
    await using scene = await openScene({ cluster: { a: '1' } })
    const peer = scene.connect('delta')
    const typeUrl = 'type.googleapis.com/istio.networking.nds.v1.NameTable'
    peer.send({ node, typeUrl, resourceNamesSubscribe: ['x'] })
    peer.send({ typeUrl: cluster })
    assert.equal((await peer.next()).type, 'cluster')
    assert.equal(scene.statusOf(typeUrl)?.status, 'NOT SENT')
  })

  test('joining, health and leaving are told', async () => {
    const told: unknown[] = []
    await using scene = await openScene(
      {},
      {
        hooks: {
          onOpen: (_, opened) => told.push(['open', opened.id]),
          onHealth: (_, report) => told.push(report),
          onClose: (_, closed) => told.push(['close', closed.id]),
        },
      },
    )
    const peer = scene.connect('delta')
    const typeUrl = typeUrls.healthInformation
    peer.send({ node, typeUrl })
    peer.send({ typeUrl, errorDetail: { code: 500, message: 'probe failed', details: [] } })
    await eventually(() => told.length === 3)
    peer.close()
    await eventually(() => told.length === 4)
    assert.deepEqual(told, [
      ['open', node.id],
      { isHealthy: true, message: '' },
      { isHealthy: false, message: 'probe failed' },
      ['close', node.id],
    ])
  })

  test('a client that does not acknowledge gets the newest snapshot later, and none in between', async () => {
    const big = (version: string) => ({ cluster: { a: version.repeat(100) } })
    await using scene = await openScene(big('1'), { bytesInFlightMax: 400 })
    const peer = scene.connect('delta')
    peer.send({ node, typeUrl: cluster })
    const first = await peer.next()
    // The other client comes after it in each round: what that has seen, this one has been offered.
    const other = scene.connect('delta')
    other.send({ node: { ...node, id: 'other' }, typeUrl: cluster })
    other.ack(await other.next())
    for (const version of ['2', '3', '4']) {
      scene.source.set(big(version))
      const seen = await other.next()
      assert.deepEqual(seen.resources, big(version).cluster)
      other.ack(seen)
      assert.equal(scene.server.statuses()[0]?.isBehind, true)
    }
    peer.ack(first)
    assert.deepEqual((await peer.next()).resources, big('4').cluster)
    assert.equal(scene.server.statuses()[0]?.isBehind, false)
  })

  test('streams beyond the ceiling are refused', async () => {
    await using scene = await openScene({ cluster: { a: '1' } }, { streamsMax: 1 })
    const first = scene.connect('delta')
    first.send({ node, typeUrl: cluster })
    await first.next()
    const second = scene.connect('delta')
    assert.equal((await second.closed).code, 8)
  })

  test('the end of the server is told to its clients', async () => {
    await using scene = await openScene({ cluster: { a: '1' } })
    const peer = scene.connect('delta')
    peer.send({ node, typeUrl: cluster })
    await peer.next()
    await scene.server.close()
    assert.equal((await peer.closed).code, 14)
  })
})

class LayeredMap extends Map<string, EncodedResource> implements LayeredResources {
  readonly shared: ReadonlyMap<string, EncodedResource>
  readonly own: ReadonlyMap<string, EncodedResource>

  constructor(
    shared: ReadonlyMap<string, EncodedResource>,
    own: ReadonlyMap<string, EncodedResource>,
  ) {
    super([...shared, ...own])
    this.shared = shared
    this.own = own
  }
}

function layeredView(
  shared: ReadonlyMap<string, EncodedResource>,
  own: ReadonlyMap<string, EncodedResource>,
): ResourceView {
  const clusters = new LayeredMap(shared, own)
  const none = new Map<string, EncodedResource>()
  return { revision: '', resources: (typeUrl) => (typeUrl === cluster ? clusters : none) }
}

describe('ADS, a first view that takes time', () => {
  test('requests wait for it, and are answered in their order', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const joined: string[] = []
    const source = new TestSource({ cluster: { a: '1' }, listener: { l: '1' } })
    const prepared: ViewSource = {
      prepare: () => (joined.length === 0 ? promise : undefined),
      viewOf: (one) => source.viewOf(one),
      onChange: (told) => source.onChange(told),
    }
    const hooks = { onOpen: (_: unknown, { id }: StreamNode) => void joined.push(id) }
    await using scene = await openScene({}, { source: prepared, hooks })
    const peer = scene.connect('delta')
    peer.send({ node, typeUrl: cluster })
    peer.send({ typeUrl: listener })
    const gone = scene.connect('delta')
    gone.send({ node: { ...node, id: 'gone' }, typeUrl: cluster })
    // A stream that is refused shows that the server has read so far.
    const refused = scene.connect('delta')
    refused.send({ typeUrl: cluster })
    await refused.closed
    gone.close()
    assert.equal(joined.length, 0)
    resolve()
    assert.deepEqual((await peer.next()).resources, { a: '1' })
    assert.deepEqual((await peer.next()).resources, { l: '1' })
    assert.ok(joined.includes(node.id))
  })

  test('too many requests before it end the stream', async () => {
    await using scene = await openScene(
      {},
      {
        source: {
          prepare: () => new Promise(() => {}),
          viewOf: () => createView({}, 0),
          onChange: () => ({ [Symbol.dispose]() {} }),
        },
      },
    )
    const peer = scene.connect('delta')
    for (let at = 0; at < 70; at += 1) peer.send({ node, typeUrl: cluster })
    const { message } = await peer.closed
    assert.match(message, /at most 64 requests/)
  })

  test('a client that is refused after it hears why', async () => {
    const hooks = {
      onOpen() {
        throw new MeshError('MESH_CONFIG_REJECTED', 'not you')
      },
    }
    const source: ViewSource = {
      prepare: () => Promise.resolve(),
      viewOf: () => createView({}, 0),
      onChange: () => ({ [Symbol.dispose]() {} }),
    }
    await using scene = await openScene({}, { source, hooks })
    const peer = scene.connect('delta')
    peer.send({ node, typeUrl: cluster })
    const { code, message } = await peer.closed
    assert.equal(code, 7)
    assert.match(message, /not you/)
  })
})
