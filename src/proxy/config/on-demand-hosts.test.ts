/** Virtual hosts on demand: what is asked for, what waits, and what is given up; the whole way is in test/integration. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { FakeClock } from '../../../test/support/fake-clock.ts'
import { seededRandom } from '../../lib/random.ts'
import { RouteConfiguration } from '../../xds/proto/generated/envoy/config/route/v3/route.ts'
import { VirtualHost } from '../../xds/proto/generated/envoy/config/route/v3/route_components.ts'
import type { ClusterTable } from '../cluster/cluster-table.ts'
import type { RouteTable } from '../route/route-table.ts'
import { createOnDemandTableStats } from '../telemetry/create-stats.ts'
import { createSlots } from '../telemetry/shared-slots.ts'
import { StatsRegistry } from '../telemetry/stats-registry.ts'
import { compileRouteTable } from './compile-route-table.ts'
import { type GivenHost, OnDemandHosts, type OnDemandLimits } from './on-demand-hosts.ts'
import { RouteStore } from './route-store.ts'
import { RouteSwap } from './route-swap.ts'

interface Scene {
  readonly clock: FakeClock
  readonly hosts: OnDemandHosts
  readonly outcomes: string[]
  readonly stats: StatsRegistry
  readonly warming: Set<string>
  readonly live: Map<string, object>
  readonly table: () => RouteTable | undefined
  readonly ask: (authority: string) => { cancel(): void }
  readonly answer: (...given: readonly GivenHost[]) => readonly string[]
}

const table = RouteConfiguration.fromPartial({
  name: 'routes',
  vhds: { configSource: { configSourceSpecifier: { $case: 'ads', value: {} } } },
})

function scene(limits: Partial<OnDemandLimits> = {}): Scene {
  const clock = new FakeClock()
  const stats = new StatsRegistry(createSlots())
  const warming = new Set<string>()
  const live = new Map<string, object>()
  const clusters = {
    get: (name: string) => live.get(name),
    get warming() {
      return [...warming]
    },
    remove: () => {},
  } as unknown as ClusterTable // What the class asks of it.
  const routes = new RouteStore(() => {})
  const use = routes.use('routes', () => {})
  const hosts = new OnDemandHosts({
    clock,
    clusters,
    swap: new RouteSwap(clock, routes, clusters),
    limits: { namesMax: 3, hostTimeoutMs: 5_000, idleMs: 60_000, ...limits },
    stats: createOnDemandTableStats(stats),
    compile: (message) => compileRouteTable(message, { random: seededRandom(1) }),
    onNames: () => {},
  })
  const base = compileRouteTable(table)
  assert.ok(base.ok)
  hosts.setBase(table, base.value)
  const outcomes: string[] = []
  return {
    clock,
    hosts,
    outcomes,
    stats,
    warming,
    live,
    table: () => use.current(),
    ask: (authority) =>
      hosts.askHost('routes', authority, (outcome) => outcomes.push(`${authority} ${outcome}`)),
    answer(...given) {
      const answered = given.flatMap(({ name, aliases }) => [name, ...aliases])
      return hosts.applyHosts(given, { removed: [], answered }).map(({ reason }) => reason)
    },
  }
}

function given(authority: string, fields: object = {}): GivenHost {
  const name = `routes/${authority}.full`
  const routes = [
    {
      match: { pathSpecifier: { $case: 'prefix' as const, value: '/' } },
      action: {
        $case: 'route' as const,
        value: { clusterSpecifier: { $case: 'cluster' as const, value: `to-${authority}` } },
      },
    },
  ]
  const message = VirtualHost.fromPartial({ name, domains: [authority], routes, ...fields })
  return { name, aliases: [`routes/${authority}`], message }
}

test('a host is asked for by the table and the authority in lower case, once for all who wait', () => {
  const { hosts, ask, outcomes, answer } = scene()
  assert.equal(hosts.canAsk('routes', 'A'), true)
  ask('A')
  ask('a')
  assert.deepEqual(hosts.names.hosts, ['routes/a'])
  assert.deepEqual(answer(given('a')), [])
  assert.deepEqual(outcomes, ['A answered', 'a answered'])
  assert.equal(hosts.canAsk('routes', 'a'), false)
})

test('of a table that holds everything nothing is asked', () => {
  const { hosts } = scene()
  const whole = RouteConfiguration.fromPartial({ name: 'routes' })
  const compiled = compileRouteTable(whole)
  assert.ok(compiled.ok)
  hosts.setBase(whole, compiled.value)
  assert.equal(hosts.canAsk('routes', 'a'), false)
  assert.deepEqual(hosts.names, { routes: [], hosts: [], clusters: [] })
})

test('who waits too long goes on without, and the next one asks anew', () => {
  const { hosts, ask, outcomes, clock } = scene()
  ask('a')
  clock.advance(4_999)
  assert.deepEqual(outcomes, [])
  clock.advance(1)
  assert.deepEqual(outcomes, ['a late'])
  assert.deepEqual(hosts.names.hosts, [])
  ask('a').cancel()
  assert.deepEqual(hosts.names.hosts, ['routes/a'])
})

test('a name that means nothing is answered, and not asked for any longer', () => {
  const { hosts, ask, outcomes } = scene()
  ask('a')
  hosts.applyHosts([], { removed: [], answered: ['routes/a'] })
  assert.deepEqual(outcomes, ['a answered'])
  assert.deepEqual(hosts.names.hosts, [])
})

test('a host takes its place when its clusters serve, and other hosts do not wait for it', () => {
  const { hosts, ask, outcomes, answer, warming, table: current } = scene()
  warming.add('to-a')
  ask('a')
  ask('b')
  answer(given('a'), given('b'))
  assert.deepEqual(outcomes, ['b answered'])
  assert.equal(current()?.hasHost('a'), false)
  warming.clear()
  hosts.onClustersChanged()
  assert.deepEqual(outcomes, ['b answered', 'a answered'])
  assert.equal(current()?.hasHost('a'), true)
})

test('a cluster that never serves holds its host for a time only', () => {
  const { ask, outcomes, answer, warming, clock, table: current } = scene({ hostTimeoutMs: 60_000 })
  warming.add('to-a')
  ask('a')
  answer(given('a'))
  clock.advance(14_999)
  assert.deepEqual(outcomes, [])
  clock.advance(1)
  assert.deepEqual(outcomes, ['a answered'])
  assert.equal(current()?.hasHost('a'), true)
})

test('what is wrong is refused with its reason, and what is beside it is taken', () => {
  const { answer, table: current } = scene()
  const [noDomain] = answer(given('a', { domains: [] }), given('b'))
  assert.match(noDomain ?? '', /domains: value must contain at least 1 item/)
  const [taken] = answer(given('c', { domains: ['b'] }))
  assert.match(taken ?? '', /domains must be unique, "b"/)
  const [named] = answer(given('d', { name: 'routes/other' }))
  assert.match(named ?? '', /is named routes\/other/)
  assert.equal(current()?.hasHost('b'), true)
  assert.equal(current()?.hasHost('c'), false)
})

test('a domain may go from a host that is removed to one that comes in the same answer', () => {
  const { hosts, answer, table: current } = scene()
  answer(given('a'))
  const other = { ...given('b', { domains: ['a'] }), aliases: ['routes/a'] }
  const removed = [given('a').name]
  assert.deepEqual(hosts.applyHosts([other], { removed, answered: ['routes/a'] }), [])
  assert.equal(current()?.hasHost('a'), true)
  assert.deepEqual(hosts.names.hosts, ['routes/a'])
})

test('beyond the ceiling the first that was not used of late is given up', () => {
  const { hosts, ask, answer, stats } = scene()
  for (const name of ['a', 'b', 'c']) {
    ask(name)
    answer(given(name))
  }
  ask('d')
  assert.deepEqual(hosts.names.hosts, ['routes/b', 'routes/c', 'routes/d'])
  const evicted = [...stats.list()].find(({ name }) => name === 'on_demand.hosts_evicted')
  assert.equal(evicted?.value(), 1)
})

test('when all that is asked for is still waited for, one more is refused', () => {
  const { ask, outcomes, clock } = scene()
  for (const name of ['a', 'b', 'c', 'd']) ask(name)
  clock.advance(0)
  assert.deepEqual(outcomes, ['d full'])
})

test('a host that nobody used in two turns is given up; one that is used is not', () => {
  const { hosts, ask, answer, clock, table: current } = scene()
  for (const name of ['a', 'b']) {
    ask(name)
    answer(given(name))
  }
  clock.advance(60_000)
  current()?.match({ authority: 'a', path: '/', method: 'GET' } as never)
  clock.advance(60_000)
  assert.deepEqual(hosts.names.hosts, ['routes/a'])
})

test('a fetched cluster that has no requests between two looks is given up, unless one is under way', () => {
  const { hosts, clock, live, stats } = scene()
  const count = { total: 0, active: 0 }
  const cluster = {
    stats: { rqTotal: { value: () => count.total }, rqActive: { value: () => count.active } },
  }
  hosts.askCluster('a', 5_000, () => {})
  live.set('a', cluster)
  hosts.onClustersChanged()
  count.total = 1
  clock.advance(60_000)
  assert.deepEqual(hosts.names.clusters, ['a'])
  count.active = 1
  clock.advance(60_000)
  assert.deepEqual(hosts.names.clusters, ['a'])
  count.active = 0
  clock.advance(60_000)
  assert.deepEqual(hosts.names.clusters, [])
  const expired = stats.list().find(({ name }) => name === 'on_demand.clusters_expired')
  assert.equal(expired?.value(), 1)
  // Whoever needs it next asks for it anew.
  hosts.askCluster('a', 5_000, () => {})
  assert.deepEqual(hosts.names.clusters, ['a'])
})
