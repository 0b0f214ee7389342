/**
 * What the threads of a sidecar know together: how busy a host is, how often it has failed, and that it is ejected. A
 * connection goes to the next thread, so that each sees only its part of the traffic.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, get, type Server } from 'node:http'
import { type Socket, connect } from 'node:net'
import { after, before, suite, test } from 'node:test'
import type { Worker } from 'node:worker_threads'

import { systemClock } from '../../src/lib/clock.ts'
import { silentLog } from '../../src/lib/log.ts'
import { systemRandom } from '../../src/lib/random.ts'
import { type Sidecar, openSidecar } from '../../src/proxy/sidecar.ts'
import { eventually } from '../support/eventually.ts'
import { skipWithoutHandOver } from '../support/programs.ts'

const types = 'type.googleapis.com/envoy.extensions.filters'

function bootstrapOf(ports: readonly number[], cluster: string): string {
  const endpoints = ports
    .map(
      (port) =>
        `{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: ${port}}}}}`,
    )
    .join(', ')
  return `
static_resources:
  listeners:
  - name: in
    address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          "@type": ${types}.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          route_config: {name: r, virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: app}}]}]}
          http_filters: [{name: router, typed_config: {"@type": ${types}.http.router.v3.Router}}]
  clusters:
  - name: app
    connect_timeout: 1s
    ${cluster}
    load_assignment: {cluster_name: app, endpoints: [{lb_endpoints: [${endpoints}]}]}
`
}

interface Scene extends AsyncDisposable {
  readonly sidecar: Sidecar
  readonly port: number
  /** The status and the body, on a connection of its own. */
  ask(): Promise<string>
  statistic(name: string): number
}

suite('two threads together', { skip: await skipWithoutHandOver() }, () => {
  const workers: Worker[] = []
  const note = (worker: Worker): void => void workers.push(worker)
  const held: (() => void)[] = []
  let good: Server
  let bad: Server
  let isBad = true
  let isSlow = false

  before(async () => {
    process.on('worker', note)
    good = createServer((_request, response) => response.end('good'))
    bad = createServer((_request, response) => {
      const answer = (): void => {
        response.statusCode = isBad ? 500 : 200
        response.end('bad')
      }
      if (isSlow) held.push(answer)
      else answer()
    })
    for (const server of [good, bad]) {
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
    }
  })
  after(() => {
    process.off('worker', note)
    for (const server of [good, bad]) {
      server.closeAllConnections()
      server.close()
    }
  })

  async function open(cluster: string, more = ''): Promise<Scene> {
    workers.length = 0
    const text = bootstrapOf([portOf(good), portOf(bad)], cluster) + more
    const sidecar = await openSidecar({
      bootstrap: { text, file: 'b.yaml' },
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
      concurrency: 2,
    })
    const address = (await sidecar.status()).listeners[0]?.address
    assert.ok(address?.kind === 'ip')
    const { port } = address
    return {
      sidecar,
      port,
      ask: () =>
        new Promise((resolve, reject) => {
          const headers = { connection: 'close' }
          const sent = get({ host: '127.0.0.1', port, agent: false, headers }, (response) => {
            let text = `${response.statusCode} `
            response.setEncoding('utf8')
            response.on('data', (chunk: string) => {
              text += chunk
            })
            response.on('end', () => resolve(text))
          })
          sent.on('error', reject)
        }),
      statistic: (name) =>
        sidecar.stats
          .list()
          .find((stat) => stat.name === `cluster.app.${name}`)
          ?.value() ?? 0,
      [Symbol.asyncDispose]: () => sidecar.close(),
    }
  }

  const outlier = (fields: string): string =>
    `outlier_detection: {interval: 0.2s, base_ejection_time: 1.5s, max_ejection_percent: 100, ${fields}}`

  /** Asks until the bad host has answered so often. */
  async function failTimes(scene: Scene, times: number): Promise<void> {
    for (let failed = 0; failed < times;) if ((await scene.ask()).startsWith('500')) failed += 1
  }

  async function isOut(scene: Scene): Promise<boolean> {
    const answers = await Promise.all(Array.from({ length: 16 }, () => scene.ask()))
    return answers.every((answer) => answer === '200 good')
  }

  test('failures that two threads have seen add up, and both leave the host out', async () => {
    isBad = true
    await using scene = await open(outlier('consecutive_5xx: 6, enforcing_success_rate: 0'))
    await failTimes(scene, 5)
    assert.equal(scene.statistic('outlier_detection.ejections_enforced_total'), 0)
    await failTimes(scene, 1)
    await eventually(() => scene.statistic('outlier_detection.ejections_active') === 1)
    await eventually(() => isOut(scene))
    await eventually(
      () => scene.statistic('outlier_detection.ejections_enforced_consecutive_5xx') === 1,
    )
    // It comes back for both.
    isBad = false
    await eventually(() => scene.statistic('outlier_detection.ejections_active') === 0)
    await eventually(async () => !(await isOut(scene)))
  })

  test('failure percentages are judged over the traffic of both', async () => {
    isBad = true
    const rates =
      'consecutive_5xx: 0, enforcing_success_rate: 0, failure_percentage_threshold: 90, enforcing_failure_percentage: 100, ' +
      'failure_percentage_minimum_hosts: 2, failure_percentage_request_volume: 30'
    await using scene = await open(outlier(rates).replace('interval: 0.2s', 'interval: 4s'))
    // Neither thread has 30 answers of the host in an interval; both together have.
    for (let batch = 0; batch < 10; batch += 1) {
      await Promise.all(Array.from({ length: 8 }, () => scene.ask()))
    }
    await eventually(() => scene.statistic('outlier_detection.ejections_active') === 1, {
      deadlineMs: 10_000,
    })
    await eventually(() => isOut(scene))
    await eventually(
      () => scene.statistic('outlier_detection.ejections_enforced_failure_percentage') === 1,
    )
  })

  test('when the thread that decides dies, what it has ejected comes back, and its successor decides', async () => {
    isBad = true
    const long = outlier('consecutive_5xx: 4, enforcing_success_rate: 0').replace('1.5s', '600s')
    await using scene = await open(long)
    await failTimes(scene, 4)
    await eventually(() => isOut(scene))
    await workers[0]?.terminate()
    await eventually(() => workers.length === 3)
    await eventually(async () => (await scene.ask().catch(() => '')).startsWith('500'))
    await eventually(() => isOut(scene).catch(() => false), { deadlineMs: 10_000 })
    await eventually(() => scene.statistic('outlier_detection.ejections_active') === 1)
  })

  test('a thread that is replaced learns which hosts are out', async () => {
    isBad = true
    const long = outlier('consecutive_5xx: 4, enforcing_success_rate: 0').replace('1.5s', '600s')
    await using scene = await open(long)
    await failTimes(scene, 4)
    await eventually(() => isOut(scene))
    await workers[1]?.terminate()
    await eventually(() => workers.length === 3)
    await eventually(() => isOut(scene).catch(() => false))
    for (let round = 0; round < 4; round += 1) assert.equal(await isOut(scene), true)
  })

  test('the ceiling of connections is that of the process, and one more is refused', async () => {
    isBad = false
    const monitor = 'envoy.resource_monitors.global_downstream_max_connections'
    await using scene = await open(
      '',
      `
overload_manager:
  resource_monitors:
  - name: ${monitor}
    typed_config: {"@type": type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig, max_active_downstream_connections: 3}
`,
    )
    const total = (name: string): number =>
      scene.sidecar.stats
        .list()
        .find((stat) => stat.name === name)
        ?.value() ?? 0
    const sockets: Socket[] = []
    const closed = new Set<Socket>()
    const dial = async (): Promise<void> => {
      const socket = connect(scene.port, '127.0.0.1')
      sockets.push(socket)
      socket.on('close', () => closed.add(socket)).resume()
      await once(socket, 'connect')
    }
    for (let count = 1; count <= 3; count += 1) {
      await dial()
      await eventually(() => total('server.total_connections') === count)
    }
    await dial()
    await dial()
    await eventually(() => closed.size === 2)
    assert.deepEqual(
      sockets.map((socket) => closed.has(socket)),
      [false, false, false, true, true],
    )
    assert.equal(total(`overload.${monitor}.failed_updates`), 2)
    for (const socket of sockets) socket.destroy()
    await eventually(() => total('server.total_connections') === 0)
    await eventually(async () => (await scene.ask()).startsWith('200'))
  })

  test('a host is as busy as both make it: the least busy one is found by the thread that has not asked it', async () => {
    isBad = false
    isSlow = true
    const cluster =
      'lb_policy: LEAST_REQUEST\n    least_request_lb_config: {choice_count: 30}\n    circuit_breakers: {thresholds: [{max_requests: 100}]}'
    await using scene = await open(cluster)
    // The first that the slow host gets occupies it for everybody.
    const arrived = eventually(() => held.length > 0)
    let first: Promise<unknown>
    do first = scene.ask()
    while ((await Promise.race([arrived, first])) !== true)
    for (let round = 0; round < 20; round += 1) assert.equal(await scene.ask(), '200 good')
    assert.equal(held.length, 1)
    isSlow = false
    for (const answer of held.splice(0)) answer()
    await first
    const { clusters } = await scene.sidecar.status()
    assert.deepEqual(
      clusters[0]?.hosts.map(({ stats }) => stats.rq_active),
      [0, 0],
    )
  })
})

function portOf(server: Server): number {
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}
