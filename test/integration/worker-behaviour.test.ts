/** What a sidecar does with one thread it does with two: changes of configuration, listeners that go, the end. */
import assert from 'node:assert/strict'
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { type Server, createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'

import { eventually } from '../support/eventually.ts'
import { runTulle } from '../support/mtls-scene.ts'
import { skipWithoutHandOver } from '../support/programs.ts'
import {
  type NamedUpstream,
  type SceneResources,
  type SidecarScene,
  httpGet,
  openNamedUpstream,
  openSidecarScene,
  sceneResource as resource,
} from '../support/sidecar-scene.ts'

const fresh = { host: 'app.test', connection: 'close' }

suite('two threads', { skip: await skipWithoutHandOver() }, () => {
  let one: NamedUpstream
  let two: NamedUpstream
  /** Answers when it is told to. */
  let slow: Server
  const held: (() => void)[] = []

  before(async () => {
    one = await openNamedUpstream('one')
    two = await openNamedUpstream('two')
    slow = createServer((_request, response) => held.push(() => response.end('slow')))
    await new Promise<void>((resolve) => slow.listen(0, '127.0.0.1', resolve))
  })
  after(async () => {
    await one[Symbol.asyncDispose]()
    await two[Symbol.asyncDispose]()
    slow.closeAllConnections()
    slow.close()
  })

  const slowPort = (): number => (slow.address() as AddressInfo).port // it listens on TCP

  const routes = (cluster: string): string =>
    `{name: r, virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /slow}, route: {cluster: slow, timeout: 0s}}, {match: {prefix: /}, route: {cluster: ${cluster}}}]}]}`

  const resources = (cluster = 'one', listeners: readonly string[] = ['in']): SceneResources => ({
    clusters: ['one', 'two', 'slow'].map((name) => resource.edsCluster(name)),
    assignments: [
      resource.assignment('one', [one.port]),
      resource.assignment('two', [two.port]),
      resource.assignment('slow', [slowPort()]),
    ],
    listeners: listeners.map((name) => resource.listener(name, 'r')),
    routes: [routes(cluster)],
  })

  const open = async (): Promise<SidecarScene> => {
    const scene = await openSidecarScene({ concurrency: 2, resources: resources() })
    await scene.sidecar.ready
    return scene
  }

  const isRefused = (port: number): Promise<boolean> =>
    new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1')
      socket.once('connect', () => resolve(false)).once('error', () => resolve(true))
      socket.once('connect', () => socket.destroy())
    })

  test('routes change a hundred times under load, and no request fails; both have the last one', async () => {
    await using scene = await open()
    const port = await scene.portOf('in')
    const failures: string[] = []
    let answers = 0
    const state = { isDone: false }
    const ask = async (isKept: boolean): Promise<void> => {
      while (!state.isDone) {
        try {
          const { status, body } = isKept
            ? await scene.get(port)
            : await httpGet({ port, path: '/', headers: fresh })
          if (status !== 200) failures.push(`${status} ${body}`)
        } catch (error) {
          failures.push(String(error))
        }
        answers += 1
      }
    }
    const load = [true, true, true, false, false].map((isKept) => ask(isKept))
    for (let change = 0; change < 100; change += 1) {
      scene.set(resources(change % 2 === 0 ? 'two' : 'one'))
      const seen = answers
      await eventually(() => answers > seen + 10)
    }
    scene.set(resources('two'))
    // Both threads have it: ten connections in turn.
    await eventually(async () => {
      const asked = Array.from({ length: 10 }, () => httpGet({ port, path: '/', headers: fresh }))
      return (await Promise.all(asked)).every(({ body }) => body === 'two')
    })
    state.isDone = true
    await Promise.all(load)
    assert.deepEqual(failures, [])
  })

  test('a listener that goes accepts nothing more, lets what is under way end, and may come again', async () => {
    await using scene = await open()
    const port = await scene.portOf('in')
    const underWay = Array.from({ length: 4 }, () =>
      httpGet({ port, path: '/slow', headers: fresh }),
    )
    await eventually(() => held.length === 4)
    scene.set(resources('one', []))
    await eventually(() => isRefused(port))
    for (const end of held.splice(0)) end()
    const answers = await Promise.all(underWay)
    assert.deepEqual(
      answers.map(({ body }) => body),
      ['slow', 'slow', 'slow', 'slow'],
    )
    scene.set(resources('one', ['in', 'other']))
    await eventually(async () => (await scene.portOf('in')) !== 0)
    for (const name of ['in', 'other']) {
      const again = await scene.portOf(name)
      const asked = Array.from({ length: 4 }, () =>
        httpGet({ port: again, path: '/', headers: fresh }),
      )
      for (const { body } of await Promise.all(asked)) assert.equal(body, 'one')
    }
  })

  test('a drain waits for what both have under way, and accepts nothing more', async () => {
    await using scene = await open()
    const port = await scene.portOf('in')
    const underWay = Array.from({ length: 4 }, () =>
      httpGet({ port, path: '/slow', headers: { host: 'app.test' } }),
    )
    await eventually(() => held.length === 4)
    let isDrained = false
    const drained = scene.sidecar.drain(10_000).finally(() => (isDrained = true))
    await eventually(async () => (await scene.admin('/ready')).body === 'DRAINING\n')
    await eventually(() => isRefused(port), { deadlineMs: 8_000 })
    assert.equal(isDrained, false)
    for (const end of held.splice(0)) end()
    for (const { status, headers } of await Promise.all(underWay)) {
      assert.equal(status, 200)
      assert.equal(headers['connection'], 'close')
    }
    await drained
  })

  test('and cuts at its deadline what does not end', async () => {
    await using scene = await open()
    const port = await scene.portOf('in')
    const underWay = Array.from({ length: 4 }, () =>
      httpGet({ port, path: '/slow', headers: { host: 'app.test' } }),
    )
    const ends = Promise.allSettled(underWay)
    await eventually(() => held.length === 4)
    await scene.sidecar.drain(500)
    assert.deepEqual(
      (await ends).map(({ status }) => status),
      ['rejected', 'rejected', 'rejected', 'rejected'],
    )
    held.length = 0
  })

  test('overload turns requests away on both, and ends on both', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tulle-pressure-'))
    const file = join(folder, 'pressure')
    const press = (pressure: number): void => {
      writeFileSync(`${file}.next`, String(pressure))
      renameSync(`${file}.next`, file)
    }
    press(0)
    try {
      const text = overloadBootstrap(file, one.port)
      await using proxy = await runTulle(text, 2)
      const askEach = async (): Promise<string> => {
        const asked = Array.from({ length: 6 }, () =>
          httpGet({ port: proxy.port, path: '/', headers: fresh }),
        )
        return [...new Set((await Promise.all(asked)).map(({ status }) => status))].join()
      }
      assert.equal(await askEach(), '200')
      press(1)
      const active = 'overload.envoy.overload_actions.stop_accepting_requests.active'
      await eventually(async () => (await proxy.stat(active)) === 2)
      assert.equal(await askEach(), '503')
      press(0)
      await eventually(async () => (await proxy.stat(active)) === 0)
      assert.equal(await askEach(), '200')
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

function overloadBootstrap(file: string, port: number): string {
  const types = 'type.googleapis.com/envoy.extensions'
  return `
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}
overload_manager:
  refresh_interval: 0.05s
  resource_monitors:
  - name: envoy.resource_monitors.injected_resource
    typed_config: {"@type": ${types}.resource_monitors.injected_resource.v3.InjectedResourceConfig, filename: ${file}}
  actions:
  - name: envoy.overload_actions.stop_accepting_requests
    triggers: [{name: envoy.resource_monitors.injected_resource, threshold: {value: 0.9}}]
static_resources:
  listeners:
  - name: in
    address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          "@type": ${types}.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          route_config: {name: r, virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: app}}]}]}
          http_filters: [{name: router, typed_config: {"@type": ${types}.filters.http.router.v3.Router}}]
  clusters:
  - name: app
    connect_timeout: 1s
    load_assignment: {cluster_name: app, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: ${port}}}}}]}]}
`
}
