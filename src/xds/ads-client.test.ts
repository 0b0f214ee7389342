/** The client against a server played by hand, frame by frame, and against our own server. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import * as fc from 'fast-check'

import {
  TestSource,
  contentOf,
  testResource,
  type TestResources,
} from '../../test/support/ads-source.ts'
import { eventually } from '../../test/support/eventually.ts'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { systemClock } from '../lib/clock.ts'
import { silentLog } from '../lib/log.ts'
import { seededRandom } from '../lib/random.ts'
import {
  AdsClient,
  type AdsClientOptions,
  type AdsUpdate,
  type RejectedResource,
} from './ads-client.ts'
import { openAdsServer, adsPaths, type AdsServer, type AdsServerOptions } from './ads-server.ts'
import { GrpcFrame } from './grpc/grpc-frame.ts'
import { openGrpcServer, type GrpcServer } from './grpc/grpc-server.ts'
import type { GrpcStream } from './grpc/grpc-stream.ts'
import { Node } from './proto/generated/envoy/config/core/v3/base.ts'
import {
  DeltaDiscoveryRequest,
  DeltaDiscoveryResponse,
  DiscoveryRequest,
  DiscoveryResponse,
} from './proto/generated/envoy/service/discovery/v3/discovery.ts'
import { typeUrls } from './resource-set.ts'

const { cluster, endpoint, listener, route } = typeUrls
const node = Node.fromPartial({ id: 'sidecar~127.0.0.1~a.default~default.svc.cluster.local' })

/** A client whose accepted resources can be looked at. */
function openClient(target: string, options: Partial<AdsClientOptions> = {}) {
  const held = new Map<string, Map<string, string>>()
  const updates: AdsUpdate[] = []
  const missing: string[] = []
  const events: string[] = []
  let refuse = (_update: AdsUpdate): readonly RejectedResource[] => []
  const client = new AdsClient({
    target,
    variant: 'delta',
    node,
    clock: systemClock,
    random: seededRandom(3),
    log: silentLog,
    backoffBaseMs: 5,
    ...options,
    events: {
      onUpdate(update) {
        updates.push(update)
        const refused = refuse(update)
        const names = held.get(update.typeUrl) ?? new Map<string, string>()
        held.set(update.typeUrl, names)
        for (const { name, value } of update.resources) {
          if (!refused.some((resource) => resource.name === name)) names.set(name, contentOf(value))
        }
        for (const name of update.removed) names.delete(name)
        return refused
      },
      onMissing: (_, names) => missing.push(...(names.length === 0 ? ['*'] : names)),
      onConnection: ({ state }) => events.push(state),
      ...options.events,
    },
  })
  return {
    client,
    updates,
    missing,
    events,
    heldOf: (typeUrl: string) => Object.fromEntries(held.get(typeUrl) ?? []),
    refuse(decide: typeof refuse) {
      refuse = decide
    },
    [Symbol.dispose]: () => client.close(),
  }
}

/** The server's side of each stream, by hand. */
async function openHand(variant: 'sotw' | 'delta') {
  const requests: (DiscoveryRequest & DeltaDiscoveryRequest)[] = []
  const streams: GrpcStream[] = []
  const grpc: GrpcServer = await openGrpcServer({
    listen: { host: '127.0.0.1', port: 0 },
    clock: systemClock,
    log: silentLog,
    methods: {
      [adsPaths[variant]]: (stream) => {
        streams.push(stream)
        const codec = variant === 'sotw' ? DiscoveryRequest : DeltaDiscoveryRequest
        return {
          onMessage: (bytes) => requests.push(codec.decode(bytes) as (typeof requests)[number]),
          onDrain() {},
          onClose() {},
        }
      },
    },
  })
  return {
    address: grpc.address,
    streams,
    next: () => eventually(() => requests.shift()),
    get waiting() {
      return requests.length
    },
    respond(response: object) {
      const bytes =
        variant === 'sotw'
          ? DiscoveryResponse.encode(DiscoveryResponse.fromPartial(response)).finish()
          : DeltaDiscoveryResponse.encode(DeltaDiscoveryResponse.fromPartial(response)).finish()
      streams.at(-1)?.send(new GrpcFrame(bytes))
    },
    [Symbol.asyncDispose]: () => grpc.close(),
  }
}

function anyOf(typeUrl: string, name: string, content: string) {
  const { any } = testResource(typeUrl, name, content)
  // Field 2 of the Any, behind the type's name and a length of one byte.
  return { typeUrl, value: Buffer.from(any.subarray(2 + typeUrl.length + 2)) }
}

describe('ADS client, state of the world', () => {
  test('the first request has the node, an ACK the version and nonce, and later ones no node', async () => {
    await using hand = await openHand('sotw')
    using scene = openClient(hand.address, { variant: 'sotw' })
    scene.client.subscribe(cluster, '*')
    const first = await hand.next()
    assert.equal(first.node?.id, node.id)
    assert.deepEqual([first.versionInfo, first.responseNonce, first.resourceNames], ['', '', []])
    const resources = [anyOf(cluster, 'a', '1')]
    hand.respond({ typeUrl: cluster, versionInfo: 'v1', nonce: 'n1', resources })
    const ack = await hand.next()
    assert.deepEqual([ack.versionInfo, ack.responseNonce], ['v1', 'n1'])
    assert.equal(ack.errorDetail, undefined)
    assert.equal(ack.node, undefined)
    assert.deepEqual(scene.heldOf(cluster), { a: '1' })
  })

  test('a NACK has the reason, the nonce that it answers and the last good version', async () => {
    await using hand = await openHand('sotw')
    using scene = openClient(hand.address, { variant: 'sotw' })
    scene.client.subscribe(cluster, '*')
    await hand.next()
    hand.respond({
      typeUrl: cluster,
      versionInfo: 'v1',
      nonce: 'n1',
      resources: [anyOf(cluster, 'a', '1')],
    })
    await hand.next()
    scene.refuse(({ resources }) =>
      resources.some(({ name }) => name === 'b') ? [{ name: 'b', reason: 'no such policy' }] : [],
    )
    const resources = [anyOf(cluster, 'a', '2'), anyOf(cluster, 'b', '1')]
    hand.respond({ typeUrl: cluster, versionInfo: 'v2', nonce: 'n2', resources })
    const nack = await hand.next()
    assert.deepEqual([nack.versionInfo, nack.responseNonce], ['v1', 'n2'])
    assert.deepEqual([nack.errorDetail?.code, nack.errorDetail?.message], [3, 'b: no such policy'])
    // What is valid of a refused response is used (gRFC A46).
    assert.deepEqual(scene.heldOf(cluster), { a: '2' })
    assert.equal(scene.client.status().types[0]?.lastRejection, 'b: no such policy')
  })

  const broken = [
    {
      name: 'a resource twice',
      resources: [anyOf(cluster, 'a', '1'), anyOf(cluster, 'a', '2')],
      reason: 'a: is twice in one response',
    },
    {
      name: 'a resource of another type',
      resources: [{ ...anyOf(cluster, 'a', '1'), typeUrl: route }],
      reason: 'a: has type envoy.config.route.v3.RouteConfiguration',
    },
  ]
  for (const { name, resources, reason } of broken) {
    test(`${name} is refused`, async () => {
      await using hand = await openHand('sotw')
      using scene = openClient(hand.address, { variant: 'sotw' })
      scene.client.subscribe(cluster, '*')
      await hand.next()
      hand.respond({ typeUrl: cluster, versionInfo: 'v1', nonce: 'n1', resources })
      const nack = await hand.next()
      assert.deepEqual([nack.versionInfo, nack.errorDetail?.message], ['', reason])
    })
  }

  test('a change of names is told with the last version and nonce', async () => {
    await using hand = await openHand('sotw')
    using scene = openClient(hand.address, { variant: 'sotw' })
    scene.client.subscribe(endpoint, ['a'])
    await hand.next()
    const resources = [anyOf(endpoint, 'a', '1')]
    hand.respond({ typeUrl: endpoint, versionInfo: 'v1', nonce: 'n1', resources })
    await hand.next()
    scene.client.subscribe(endpoint, ['a', 'b'])
    const change = await hand.next()
    assert.deepEqual(change.resourceNames, ['a', 'b'])
    assert.deepEqual([change.versionInfo, change.responseNonce], ['v1', 'n1'])
  })

  test('a name that was dropped while its answer was on its way is asked for anew', async () => {
    await using hand = await openHand('sotw')
    using scene = openClient(hand.address, { variant: 'sotw' })
    scene.client.subscribe(endpoint, ['a', 'b'])
    await hand.next()
    scene.client.subscribe(endpoint, ['b'])
    await hand.next()
    const resources = [anyOf(endpoint, 'a', '1'), anyOf(endpoint, 'b', '1')]
    hand.respond({ typeUrl: endpoint, versionInfo: 'v1', nonce: 'n1', resources })
    assert.equal((await hand.next()).versionInfo, 'v1')
    for (const [names, version] of [
      [['b'], 'v1'],
      [['a', 'b'], ''],
    ] as const) {
      hand.streams.at(-1)?.end({ code: 14, message: 'gone' })
      scene.client.subscribe(endpoint, names)
      const first = await eventually(async () => {
        const request = await hand.next()
        return request.node === undefined ? undefined : request
      })
      assert.deepEqual([first.resourceNames, first.versionInfo], [names, version])
    }
  })

  test('what cannot be put in force after all is refused, and asked for anew', async () => {
    await using hand = await openHand('sotw')
    using scene = openClient(hand.address, { variant: 'sotw' })
    scene.client.reject(listener, { name: 'a', reason: 'its port is taken' })
    scene.client.subscribe(listener, '*')
    await hand.next()
    const resources = [anyOf(listener, 'a', '1')]
    hand.respond({ typeUrl: listener, versionInfo: 'v1', nonce: 'n1', resources })
    assert.equal((await hand.next()).errorDetail, undefined)
    scene.client.reject(listener, { name: 'a', reason: 'its port is taken' })
    const nack = await hand.next()
    assert.deepEqual(
      [nack.responseNonce, nack.errorDetail?.message],
      ['n1', 'a: its port is taken'],
    )
    hand.streams.at(-1)?.end({ code: 14, message: 'gone' })
    const again = await hand.next()
    assert.deepEqual([again.versionInfo, again.resourceNames], ['', []])
  })

  test('what CDS leaves out is gone, and of EDS nothing is', async () => {
    await using hand = await openHand('sotw')
    using scene = openClient(hand.address, { variant: 'sotw' })
    scene.client.subscribe(cluster, '*')
    scene.client.subscribe(endpoint, ['a', 'b'])
    for (const [typeUrl, names] of [
      [cluster, ['a', 'b']],
      [endpoint, ['a', 'b']],
      [cluster, ['b']],
      [endpoint, ['b']],
    ] as const) {
      await hand.next()
      const resources = names.map((name) => anyOf(typeUrl, name, '1'))
      hand.respond({ typeUrl, versionInfo: 'v', nonce: 'n', resources })
    }
    await eventually(() => scene.updates.length === 4)
    assert.deepEqual(scene.heldOf(cluster), { b: '1' })
    assert.deepEqual(scene.heldOf(endpoint), { a: '1', b: '1' })
  })

  test('a new stream starts with the last good version and no nonce', async () => {
    await using hand = await openHand('sotw')
    using scene = openClient(hand.address, { variant: 'sotw' })
    scene.client.subscribe(endpoint, ['a'])
    await hand.next()
    const resources = [anyOf(endpoint, 'a', '1')]
    hand.respond({ typeUrl: endpoint, versionInfo: 'v1', nonce: 'n1', resources })
    await hand.next()
    hand.streams[0]?.end({ code: 14, message: 'going away' })
    const again = await hand.next()
    assert.equal(again.node?.id, node.id)
    assert.deepEqual([again.versionInfo, again.responseNonce], ['v1', ''])
    assert.deepEqual(again.resourceNames, ['a'])
  })

  test('a resource that nobody asked for is acknowledged and ignored', async () => {
    await using hand = await openHand('sotw')
    using scene = openClient(hand.address, { variant: 'sotw' })
    scene.client.subscribe(endpoint, ['a'])
    await hand.next()
    const resources = [anyOf(endpoint, 'a', '1'), anyOf(endpoint, 'x', '1')]
    hand.respond({ typeUrl: endpoint, versionInfo: 'v1', nonce: 'n1', resources })
    assert.equal((await hand.next()).errorDetail, undefined)
    assert.deepEqual(scene.heldOf(endpoint), { a: '1' })
  })
})

describe('ADS client, delta', () => {
  test('an ACK has only the nonce, and a change of names has none', async () => {
    await using hand = await openHand('delta')
    using scene = openClient(hand.address)
    scene.client.subscribe(endpoint, ['a', 'b'])
    const first = await hand.next()
    assert.deepEqual(first.resourceNamesSubscribe, ['a', 'b'])
    const resource = anyOf(endpoint, 'a', '1')
    const resources = [{ name: 'a', version: '7', resource }]
    hand.respond({ typeUrl: endpoint, nonce: 'n1', resources, removedResources: ['b'] })
    const ack = await hand.next()
    assert.equal(ack.responseNonce, 'n1')
    assert.deepEqual([ack.resourceNamesSubscribe, ack.resourceNamesUnsubscribe], [[], []])
    assert.deepEqual(scene.updates[0]?.removed, ['b'])
    scene.client.subscribe(endpoint, ['b', 'c'])
    const change = await hand.next()
    assert.equal(change.responseNonce, '')
    assert.deepEqual(change.resourceNamesSubscribe, ['c'])
    assert.deepEqual(change.resourceNamesUnsubscribe, ['a'])
  })

  test('a new stream tells the versions that were accepted, and not those that were refused', async () => {
    await using hand = await openHand('delta')
    using scene = openClient(hand.address)
    scene.refuse(() => [{ name: 'b', reason: 'bad' }])
    scene.client.subscribe(cluster, '*')
    await hand.next()
    const resources = ['a', 'b'].map((name) => ({
      name,
      version: '1',
      resource: anyOf(cluster, name, 'x'),
    }))
    hand.respond({ typeUrl: cluster, nonce: 'n1', resources })
    assert.equal((await hand.next()).errorDetail?.message, 'b: bad')
    hand.streams[0]?.end({ code: 14, message: '' })
    const again = await hand.next()
    assert.deepEqual(again.initialResourceVersions, { a: '1' })
    assert.deepEqual(again.resourceNamesSubscribe, ['*'])
  })

  test('what cannot be put in force after all is told without its version: it can still be taken back', async () => {
    await using hand = await openHand('delta')
    using scene = openClient(hand.address)
    scene.client.subscribe(listener, '*')
    await hand.next()
    const resources = [{ name: 'a', version: '1', resource: anyOf(listener, 'a', 'x') }]
    hand.respond({ typeUrl: listener, nonce: 'n1', resources })
    await hand.next()
    scene.client.reject(listener, { name: 'a', reason: 'its port is taken' })
    assert.equal((await hand.next()).errorDetail?.message, 'a: its port is taken')
    hand.streams[0]?.end({ code: 14, message: '' })
    assert.deepEqual((await hand.next()).initialResourceVersions, { a: '' })
  })

  test('a slow verdict holds the answers back, in order', async () => {
    await using hand = await openHand('delta')
    const verdicts: (() => void)[] = []
    const seen: string[] = []
    using scene = openClient(hand.address, {
      events: {
        onUpdate: async ({ version }) => {
          seen.push(version)
          await new Promise<void>((resolve) => verdicts.push(resolve))
          return []
        },
      },
    })
    scene.client.subscribe(cluster, '*')
    await hand.next()
    hand.respond({ typeUrl: cluster, systemVersionInfo: '1', nonce: 'n1' })
    hand.respond({ typeUrl: cluster, systemVersionInfo: '2', nonce: 'n2' })
    await eventually(() => verdicts.length === 1)
    assert.equal(hand.waiting, 0)
    verdicts[0]?.()
    assert.equal((await hand.next()).responseNonce, 'n1')
    await eventually(() => verdicts.length === 2)
    verdicts[1]?.()
    assert.equal((await hand.next()).responseNonce, 'n2')
    assert.deepEqual(seen, ['1', '2'])
  })
})

describe('ADS client whose stream is lost while an answer is being worked on', () => {
  async function loseWhileUndecided(refused: readonly RejectedResource[]) {
    await using hand = await openHand('delta')
    let decide: (() => void) | undefined
    using scene = openClient(hand.address, {
      events: {
        onUpdate: async () => {
          await new Promise<void>((resolve) => (decide = resolve))
          return refused
        },
      },
    })
    scene.client.subscribe(cluster, '*')
    await hand.next()
    const resources = [{ name: 'a', version: '1', resource: anyOf(cluster, 'a', 'x') }]
    hand.respond({ typeUrl: cluster, nonce: 'n1', resources })
    await eventually(() => decide)
    hand.streams[0]?.end({ code: 14, message: '' })
    await eventually(() => hand.streams.length === 2)
    // A wish changes meanwhile; it is said with the rest.
    scene.client.subscribe(endpoint, ['b'])
    assert.equal(hand.waiting, 0)
    decide?.()
    return [await hand.next(), await hand.next()] as const
  }

  test('the new stream says what was accepted of it, so that the server can take it back', async () => {
    const [first, second] = await loseWhileUndecided([])
    assert.deepEqual(first.initialResourceVersions, { a: '1' })
    assert.deepEqual(first.resourceNamesSubscribe, ['*'])
    assert.equal(first.responseNonce, '')
    assert.equal(first.node?.id, node.id)
    assert.deepEqual(second.resourceNamesSubscribe, ['b'])
  })

  test('and does not say what was refused', async () => {
    const [first] = await loseWhileUndecided([{ name: 'a', reason: 'bad' }])
    assert.deepEqual(first.initialResourceVersions, {})
  })
})

describe('ADS client and time', () => {
  test('a name that the server does not answer is missing after 15 s on a live stream', async () => {
    await using hand = await openHand('delta')
    const clock = new FakeClock()
    using scene = openClient(hand.address, { clock })
    scene.client.subscribe(endpoint, ['a', 'b'])
    await hand.next()
    const resources = [{ name: 'a', version: '1', resource: anyOf(endpoint, 'a', '1') }]
    hand.respond({ typeUrl: endpoint, nonce: 'n1', resources })
    await hand.next()
    clock.advance(14_999)
    assert.deepEqual(scene.missing, [])
    clock.advance(1)
    assert.deepEqual(scene.missing, ['b'])
  })

  test('a server that is not there is tried again with growing, drawn waits, up to a ceiling', async () => {
    const clock = new FakeClock()
    const waits: number[] = []
    await using hand = await openHand('delta')
    await hand[Symbol.asyncDispose]()
    using scene = openClient(hand.address, {
      clock,
      random: () => 0.5,
      backoffBaseMs: 500,
      backoffMaxMs: 2_000,
      events: {
        onUpdate: () => [],
        onConnection: (state) => {
          if (state.state === 'disconnected') waits.push(state.retryInMs)
        },
      },
    })
    for (let count = 1; count <= 4; count += 1) {
      await eventually(() => waits.length === count)
      clock.advance(2_000)
    }
    assert.deepEqual(waits, [250, 750, 1_000, 1_000])
    assert.notEqual(scene.client.status().staleSinceMs, undefined)
  })
})

async function openServer(source: TestSource, options: Partial<AdsServerOptions> = {}) {
  return openAdsServer({
    listen: { host: '127.0.0.1', port: 0 },
    source,
    clock: systemClock,
    random: seededRandom(1),
    log: silentLog,
    debounce: { leadingMs: 1, quietMs: 2 },
    ...options,
  })
}

function portOf(server: AdsServer): number {
  return Number(server.address.slice(server.address.lastIndexOf(':') + 1))
}

for (const variant of ['sotw', 'delta'] as const) {
  test(`after a restart of the server nothing is sent again that is the same (${variant})`, async () => {
    const source = new TestSource({ cluster: { a: '1', b: '1' }, endpoint: { a: '1' } })
    const server = await openServer(source)
    using scene = openClient(server.address, { variant })
    scene.client.subscribe(cluster, '*')
    scene.client.subscribe(endpoint, ['a'])
    await eventually(() => scene.updates.length === 2)
    await eventually(() => scene.client.status().types.every((type) => type.acceptedVersion !== ''))
    const port = portOf(server)
    await server.close()
    await using back = await openServer(source, {
      listen: { host: '127.0.0.1', port },
      random: seededRandom(9),
    })
    const status = await eventually(() => {
      const found = back.statuses()[0]
      const isSynced = found?.types.every((type) => type.status === 'SYNCED')
      return isSynced && found?.types.length === 2 ? found : undefined
    })
    assert.deepEqual(
      scene.updates.slice(2).flatMap(({ resources, removed }) => [...resources, ...removed]),
      [],
    )
    // In delta the wildcard gets an answer that holds nothing: the client knows that the server is there.
    assert.deepEqual(
      status.types.map((type) => type.sentAtMs > 0),
      [variant === 'delta', false],
    )
    const known = scene.updates.length
    source.set({ cluster: { a: '1', b: '2' }, endpoint: { a: '1' } })
    await eventually(() => scene.heldOf(cluster)['b'] === '2')
    const changed = scene.updates.slice(known).filter((update) => update.typeUrl === cluster)
    assert.equal(changed.length, 1)
    if (variant === 'delta')
      assert.deepEqual(
        changed[0]?.resources.map(({ name }) => name),
        ['b'],
      )
  })
}

const contents = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), fc.constantFrom('1', '2', '3'))
const edit = fc.record({ cluster: contents, endpoint: contents, route: contents })
type Step =
  | { readonly kind: 'edit'; readonly resources: TestResources }
  | { readonly kind: 'subscribe'; readonly names: readonly string[] }
  | { readonly kind: 'break' }
  | { readonly kind: 'slow'; readonly isSlow: boolean }
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('edit' as const), resources: edit }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('subscribe' as const),
      names: fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e')),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('break' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('slow' as const), isSlow: fc.boolean() }),
  },
)

for (const variant of ['sotw', 'delta'] as const) {
  test(`after any edits, subscriptions, slow answers and lost streams the client has the server's view (${variant})`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        const source = new TestSource({})
        await using server = await openServer(source, { bytesInFlightMax: 500 })
        let slow: Promise<void> | undefined
        let release = () => {}
        const held = new Map<string, Map<string, string>>()
        using scene = openClient(server.address, {
          variant,
          backoffBaseMs: 1,
          events: {
            async onUpdate(update) {
              if (slow !== undefined) await slow
              const names = held.get(update.typeUrl) ?? new Map<string, string>()
              held.set(update.typeUrl, names)
              for (const { name, value } of update.resources) names.set(name, contentOf(value))
              for (const name of update.removed) names.delete(name)
              return []
            },
          },
        })
        let names: readonly string[] = ['a']
        scene.client.subscribe(cluster, '*')
        scene.client.subscribe(endpoint, names)
        for (const action of steps) {
          if (action.kind === 'edit') source.set(action.resources)
          if (action.kind === 'break') breakStreams(server)
          if (action.kind === 'subscribe') {
            names = action.names
            scene.client.subscribe(endpoint, names)
          }
          if (action.kind === 'slow') {
            release()
            slow = action.isSlow ? new Promise((resolve) => (release = resolve)) : undefined
          }
          await new Promise((resolve) => setImmediate(resolve))
        }
        release()
        slow = undefined
        await eventually(() => {
          assert.deepEqual(sorted(held.get(cluster) ?? []), expected(source, cluster, undefined))
          assert.deepEqual(
            onlyNamed(held.get(endpoint), names, source),
            expected(source, endpoint, names),
          )
          return true
        })
      }),
      { numRuns: 100 },
    )
  })
}

function breakStreams(server: AdsServer): void {
  for (const { id } of server.statuses()) server.disconnect(id, 'broken by the test')
}

function expected(source: TestSource, typeUrl: string, names: readonly string[] | undefined) {
  const found = new Map<string, string>()
  for (const [name, { any }] of source.view.resources(typeUrl)) {
    if (names !== undefined && !names.includes(name)) continue
    found.set(name, contentOf(any.subarray(2 + typeUrl.length + 2)))
  }
  return sorted(found)
}

/** In state of the world nobody says that endpoints are gone; and what is not wanted is not looked at. */
function onlyNamed(
  held: ReadonlyMap<string, string> | undefined,
  names: readonly string[],
  source: TestSource,
): Map<string, string> {
  const there = source.view.resources(endpoint)
  const entries = [...(held ?? [])].filter(([name]) => names.includes(name) && there.has(name))
  return sorted(entries)
}

function sorted(entries: Iterable<[string, string]>): Map<string, string> {
  return new Map([...entries].sort(([a], [b]) => (a < b ? -1 : 1)))
}
