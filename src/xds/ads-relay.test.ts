/** The relay between a sidecar and its control plane, with both sides played by hand. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'

import { AdsPeer } from '../../test/support/ads-peer.ts'
import { testResource, TestSource } from '../../test/support/ads-source.ts'
import { eventually } from '../../test/support/eventually.ts'
import { systemClock } from '../lib/clock.ts'
import { silentLog } from '../lib/log.ts'
import { seededRandom } from '../lib/random.ts'
import { openAdsRelay, type AdsRelayOptions } from './ads-relay.ts'
import { openAdsServer, type AdsHooks, type AdsServer } from './ads-server.ts'
import { typeUrls } from './resource-set.ts'

const node = { id: 'proxy', metadata: { FROM: 'proxy', KEPT: 'yes' } }
const { cluster, endpoint } = typeUrls
const common = { clock: systemClock, random: seededRandom(2), log: silentLog }

function openServer(source: TestSource, port: number, hooks: AdsHooks = {}): Promise<AdsServer> {
  const listen = { host: '127.0.0.1', port }
  return openAdsServer({ ...common, listen, source, hooks, debounce: { leadingMs: 1 } })
}

function openRelay(upstream: string, options: Partial<AdsRelayOptions> = {}) {
  return openAdsRelay({ ...common, listen: '127.0.0.1:0', upstream, ...options })
}

function temporaryFolder() {
  const path = mkdtempSync(join(tmpdir(), 'tulle-relay-'))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}

/** Delta: naming a resource again is the way to have it sent again. */
function askedAgain(peer: AdsPeer) {
  peer.send({ typeUrl: cluster, resourceNamesSubscribe: ['a'] })
  return peer.next()
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1))
}

describe('ADS relay', () => {
  test('requests and responses pass, under the identity that the agent gives', async () => {
    const source = new TestSource({ cluster: { a: '1' } })
    const joined: unknown[] = []
    await using server = await openServer(source, 0, {
      onOpen: (_, { id, metadata }) => joined.push([id, metadata]),
    })
    await using relay = await openRelay(server.address, {
      node: { id: 'agent', metadata: { FROM: 'agent' } },
    })
    using peer = new AdsPeer(relay.address, 'delta')
    peer.send({ node, typeUrl: cluster })
    const first = await peer.next()
    assert.deepEqual(first.resources, { a: '1' })
    peer.ack(first)
    source.set({ cluster: { a: '2' } })
    assert.deepEqual((await peer.next()).resources, { a: '2' })
    assert.deepEqual(joined, [['agent', { FROM: 'agent', KEPT: 'yes' }]])
    assert.equal(relay.status().state, 'connected')
    assert.equal(relay.status().staleSinceMs, undefined)
  })

  test('health is told on the open stream and at the start of the next one', async () => {
    const told: unknown[] = []
    await using server = await openServer(new TestSource({ cluster: { a: '1' } }), 0, {
      onHealth: (_, report) => told.push(report),
    })
    await using relay = await openRelay(server.address)
    relay.reportHealth(false, 'starting')
    const first = new AdsPeer(relay.address, 'sotw')
    first.send({ node, typeUrl: cluster })
    await first.next()
    relay.reportHealth(true, '')
    await eventually(() => told.length === 2)
    first.close()
    using second = new AdsPeer(relay.address, 'delta')
    second.send({ node, typeUrl: cluster })
    await eventually(() => told.length === 3)
    assert.deepEqual(told, [
      { isHealthy: false, message: 'starting' },
      { isHealthy: true, message: '' },
      { isHealthy: true, message: '' },
    ])
  })

  test('a refusal passes to the control plane, and is seen here too', async () => {
    await using server = await openServer(new TestSource({ cluster: { a: 'bad' } }), 0)
    await using relay = await openRelay(server.address)
    using peer = new AdsPeer(relay.address, 'sotw')
    peer.send({ node, typeUrl: cluster })
    const { nonce } = await peer.next()
    const errorDetail = { code: 3, message: 'a: bad', details: [] }
    peer.send({ typeUrl: cluster, responseNonce: nonce, errorDetail })
    await eventually(() => server.statuses()[0]?.types[0]?.rejection?.reason === 'a: bad')
    assert.equal(relay.status().types[0]?.rejection, 'a: bad')
  })

  test('a sidecar that comes back with all that is current stays with the control plane', async () => {
    using folder = temporaryFolder()
    await using server = await openServer(new TestSource({ cluster: { a: '1' } }), 0)
    const cache = { folder: folder.path }
    await using relay = await openRelay(server.address, { cache, answerTimeoutMs: 100 })
    using first = new AdsPeer(relay.address, 'delta')
    first.send({ node, typeUrl: cluster })
    const seen = await first.next()
    first.ack(seen)
    await eventually(() => readdirSync(folder.path).length > 0)
    first.close()
    using again = new AdsPeer(relay.address, 'delta')
    again.send({ node, typeUrl: cluster, initialResourceVersions: seen.versions })
    await eventually(() => relay.status().state === 'connected')
    // Longer than it waits for an answer.
    const untilMs = performance.now() + 300
    await eventually(() => {
      assert.equal(relay.status().state, 'connected')
      return performance.now() > untilMs
    })
  })

  test('the end of the control plane ends the local stream with the reason', async () => {
    const server = await openServer(new TestSource({ cluster: { a: '1' } }), 0)
    await using relay = await openRelay(server.address)
    using peer = new AdsPeer(relay.address, 'delta')
    peer.send({ node, typeUrl: cluster })
    await peer.next()
    await server.close()
    const status = await peer.closed
    assert.equal(status.code, 14)
    assert.match(status.message, /^control plane 127\.0\.0\.1:/)
    assert.notEqual(relay.status().staleSinceMs, undefined)
  })

  for (const variant of ['sotw', 'delta'] as const) {
    test(`kept resources serve a start without a control plane, until it is back (${variant})`, async () => {
      using folder = temporaryFolder()
      const source = new TestSource({
        cluster: { a: '1', gone: '1' },
        endpoint: { a: '1', gone: '1' },
      })
      const server = await openServer(source, 0)
      const port = portOf(server.address)
      const cache = { folder: folder.path }
      const before = await openRelay(server.address, { cache })
      const names = ['a', 'gone']
      const subscription = { resourceNames: names, resourceNamesSubscribe: names }
      const first = new AdsPeer(before.address, variant)
      first.send({ node, typeUrl: cluster })
      first.ack(await first.next())
      first.send({ typeUrl: endpoint, ...subscription })
      first.ack(await first.next(), names)
      await eventually(() => before.status().types.length === 2)
      source.set({ cluster: { a: '2' }, endpoint: { a: '1' } })
      const seen = await first.next()
      first.ack(seen)
      await eventually(() =>
        server
          .statuses()[0]
          ?.types.every((type) => type.typeUrl !== cluster || type.ackedVersion === seen.version),
      )
      first.close()
      await before.close()
      await server.close()

      await using after = await openRelay(server.address, { cache })
      using peer = new AdsPeer(after.address, variant)
      peer.send({ node, typeUrl: cluster })
      assert.equal((await peer.next()).resources['a'], '2')
      peer.send({ typeUrl: endpoint, resourceNames: ['a'], resourceNamesSubscribe: ['a'] })
      assert.deepEqual((await peer.next()).resources, { a: '1' })
      assert.equal(after.status().state, 'cached')
      assert.notEqual(after.status().staleSinceMs, undefined)

      const joined: unknown[] = []
      await using back = await openServer(source, port, {
        onOpen: (_, { id, metadata }) => joined.push([id, metadata]),
      })
      const ended = await peer.closed
      assert.deepEqual(ended, { code: 14, message: 'the control plane is back' })
      using again = new AdsPeer(after.address, variant)
      again.send({ node, typeUrl: cluster })
      assert.deepEqual((await again.next()).resources, { a: '2' })
      assert.equal(back.statuses().length > 0, true)
      // Who looks for the control plane joins as who it is: its labels and ports are part of its endpoint.
      assert.deepEqual(joined, [
        [node.id, node.metadata],
        [node.id, node.metadata],
      ])
    })
  }

  test('kept resources have the versions of the server, so that nothing is sent twice', async () => {
    using folder = temporaryFolder()
    // As a server does that makes its versions of something else than the bytes.
    const kept = { ...testResource(cluster, 'a', '1'), version: 'v-of-the-server' }
    const source = new TestSource()
    const resources = new Map([['a', kept]])
    source.setView({
      revision: '1',
      resources: (typeUrl) => (typeUrl === cluster ? resources : new Map()),
    })
    const server = await openServer(source, 0)
    await using relay = await openRelay(server.address, { cache: { folder: folder.path } })
    const first = new AdsPeer(relay.address, 'delta')
    first.send({ node, typeUrl: cluster })
    const { versions } = await first.next()
    assert.deepEqual(versions, { a: 'v-of-the-server' })
    first.ack({ ...(await askedAgain(first)), versions })
    await eventually(() => relay.status().types.length === 1)
    await server.close()
    await first.closed
    using peer = new AdsPeer(relay.address, 'delta')
    peer.send({ node, typeUrl: cluster, initialResourceVersions: versions })
    assert.deepEqual((await peer.next()).resources, {})
    assert.equal(relay.status().state, 'cached')
    assert.deepEqual((await askedAgain(peer)).versions, versions)
  })

  test('a control plane that has nothing new to say is there, and one that answers no ping is not', async () => {
    using folder = temporaryFolder()
    const cache = { folder: folder.path }
    const server = await openServer(new TestSource({ cluster: { a: '1' } }), 0)
    const first = await openRelay(server.address, { cache })
    const before = new AdsPeer(first.address, 'sotw')
    before.send({ node, typeUrl: cluster })
    const seen = await before.next()
    before.ack(seen)
    await eventually(() => first.status().types.length === 1)
    await first.close()

    await using relay = await openRelay(server.address, { cache, answerTimeoutMs: 200 })
    using silent = new AdsPeer(relay.address, 'sotw')
    silent.send({ node, typeUrl: cluster, versionInfo: seen.version })
    await eventually(() => relay.status().state === 'connected')
    await server.close()

    const mute = createServer(() => {}).listen(0, '127.0.0.1')
    await once(mute, 'listening')
    // A server that listens on TCP has an address of this kind.
    const { port } = mute.address() as AddressInfo
    await using other = await openRelay(`127.0.0.1:${port}`, { cache, answerTimeoutMs: 200 })
    using peer = new AdsPeer(other.address, 'delta')
    peer.send({ node, typeUrl: cluster })
    assert.deepEqual((await peer.next()).resources, { a: '1' })
    assert.equal(other.status().state, 'cached')
    mute.close()
  })

  test('without kept resources a control plane that is not there is said at once', async () => {
    using folder = temporaryFolder()
    const closed = await openServer(new TestSource(), 0)
    await closed.close()
    await using relay = await openRelay(closed.address, { cache: { folder: folder.path } })
    using peer = new AdsPeer(relay.address, 'delta')
    peer.send({ node, typeUrl: cluster })
    const status = await peer.closed
    assert.equal(status.code, 14)
    assert.match(status.message, /ECONNREFUSED/)
  })

  test('a broken file of the cache is left out and removed', async () => {
    using folder = temporaryFolder()
    writeFileSync(join(folder.path, 'Cluster-0.binpb'), 'no protobuf')
    await using server = await openServer(new TestSource({ cluster: { a: '1' } }), 0)
    await using relay = await openRelay(server.address, { cache: { folder: folder.path } })
    assert.equal(relay.status().state, 'idle')
    assert.deepEqual(readdirSync(folder.path), [])
  })

  test('a socket of a run before is replaced, and only its owner may use the new one', async () => {
    using folder = temporaryFolder()
    const path = join(folder.path, 'ads.sock')
    writeFileSync(path, '')
    await using server = await openServer(new TestSource({ cluster: { a: '1' } }), 0)
    await using relay = await openRelay(server.address, { listen: path })
    assert.equal(relay.address, `unix:${path}`)
    assert.equal(statSync(path).mode & 0o777, 0o600)
    using peer = new AdsPeer(relay.address, 'delta')
    peer.send({ node, typeUrl: cluster })
    assert.deepEqual((await peer.next()).resources, { a: '1' })
  })
})
