/** A sidecar whose traffic several threads carry: one listener, one set of numbers, one limit, and a thread that dies. */
import assert from 'node:assert/strict'
import { mkdtempSync, renameSync, rmSync } from 'node:fs'
import { Agent, createServer, get, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import type { Worker } from 'node:worker_threads'

import { systemClock } from '../../src/lib/clock.ts'
import { silentLog } from '../../src/lib/log.ts'
import { systemRandom } from '../../src/lib/random.ts'
import { type Sidecar, openSidecar } from '../../src/proxy/sidecar.ts'
import { eventually } from '../support/eventually.ts'
import { skipWithoutHandOver } from '../support/programs.ts'

const ext = 'type.googleapis.com/envoy.extensions.filters'

function bootstrapOf(upstreamPort: number, logFolder: string): string {
  return `
node: {id: node, cluster: c}
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}
static_resources:
  listeners:
  - name: in
    address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          "@type": ${ext}.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          access_log: [{name: file, typed_config: {"@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog, path: ${logFolder}/access.log}}]
          route_config: {name: r, virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: app}}]}]}
          http_filters: [{name: router, typed_config: {"@type": ${ext}.http.router.v3.Router}}]
  clusters:
  - name: app
    connect_timeout: 1s
    circuit_breakers: {thresholds: [{max_requests: 3}]}
    load_assignment: {cluster_name: app, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: ${upstreamPort}}}}}]}]}
`
}

suite('two workers', { skip: await skipWithoutHandOver() }, () => {
  const workers: Worker[] = []
  const waiting: (() => void)[] = []
  const logFolder = mkdtempSync(join(tmpdir(), 'tulle-workers-'))
  let upstream: Server
  let sidecar: Sidecar
  const note = (worker: Worker): void => void workers.push(worker)

  before(async () => {
    process.on('worker', note)
    upstream = createServer((request, response) => {
      if (request.url === '/slow') waiting.push(() => response.end('slow'))
      else response.end('fast')
    })
    await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve))
    const { port } = upstream.address() as AddressInfo // of a server on an IP address
    sidecar = await openSidecar({
      bootstrap: { text: bootstrapOf(port, logFolder), file: 'b.yaml' },
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
      concurrency: 2,
    })
    await sidecar.ready
  })
  after(async () => {
    await sidecar.close()
    process.off('worker', note)
    upstream.closeAllConnections()
    await new Promise((resolve) => upstream.close(resolve))
    rmSync(logFolder, { recursive: true })
  })

  /** On a connection of its own, so that the workers are met in turn. */
  const ask = async (path: string): Promise<number> => {
    const { listeners } = await sidecar.status()
    const address = listeners[0]?.address
    assert.ok(address?.kind === 'ip')
    return new Promise((resolve, reject) => {
      const agent = new Agent({ keepAlive: false })
      const url = `http://127.0.0.1:${address.port}${path}`
      const sent = get(url, { agent, headers: { connection: 'close' } }, (response) => {
        response.resume().on('end', () => resolve(response.statusCode ?? 0))
      })
      sent.on('error', reject)
    })
  }

  const statistic = (name: string): number =>
    sidecar.stats
      .list()
      .find((stat) => stat.name === name)
      ?.value() ?? 0

  test('every connection is served, and all of them are counted together', async () => {
    const before = statistic('http.in.downstream_cx_total')
    for (let round = 0; round < 30; round += 1) {
      assert.deepEqual(await Promise.all([ask('/'), ask('/')]), [200, 200])
    }
    assert.equal(workers.length, 2)
    await eventually(() => statistic('http.in.downstream_cx_total') === before + 60)
    await eventually(() => statistic('http.in.downstream_cx_active') === 0)
    assert.equal(statistic('cluster.app.upstream_rq_200'), 60)
    assert.equal(statistic('cluster.app.membership_total'), 1)
    const { clusters } = await sidecar.status()
    assert.equal(clusters[0]?.hosts[0]?.stats.rq_total, 60)
  })

  test('a log file that cannot be opened again ends none of them', async () => {
    renameSync(logFolder, `${logFolder}.moved`)
    await new Promise<void>((resolve, reject) => {
      const url = `http://${sidecar.adminAddress}/reopen_logs`
      const sent = request(url, { method: 'POST' }, (answer) => answer.resume().on('end', resolve))
      sent.on('error', reject).end()
    })
    await eventually(() => statistic('access_log_file.reopen_failed') === 2)
    assert.equal(statistic('server.worker_deaths'), 0)
    assert.deepEqual(await Promise.all([ask('/'), ask('/')]), [200, 200])
    renameSync(`${logFolder}.moved`, logFolder)
  })

  test('a limit is that of the process: the fourth request is one too many, whoever gets it', async () => {
    const slow = Array.from({ length: 3 }, () => ask('/slow'))
    await eventually(() => waiting.length === 3)
    assert.deepEqual([await ask('/'), await ask('/')], [503, 503])
    assert.equal(statistic('cluster.app.upstream_rq_active_overflow'), 2)
    for (const end of waiting.splice(0)) end()
    assert.deepEqual(await Promise.all(slow), [200, 200, 200])
    assert.deepEqual([await ask('/'), await ask('/')], [200, 200])
  })

  test('a worker that dies is replaced; its counts stay, and what it had in flight is given back', async () => {
    const slow = Promise.allSettled(Array.from({ length: 2 }, () => ask('/slow')))
    await eventually(() => waiting.length === 2)
    const total = statistic('cluster.app.upstream_rq_total')
    assert.equal(statistic('cluster.app.upstream_rq_active'), 2)
    await workers[0]?.terminate()
    await eventually(() => statistic('server.worker_deaths') === 1)
    await eventually(() => statistic('cluster.app.upstream_rq_active') === 1)
    assert.equal(statistic('cluster.app.upstream_rq_total'), total)
    for (const end of waiting.splice(0)) end()
    const ends = (await slow).map(({ status }) => status).toSorted()
    assert.deepEqual(ends, ['fulfilled', 'rejected'])
    await eventually(() => workers.length === 3)
    await eventually(async () => (await ask('/')) === 200 && (await ask('/')) === 200)
    // The dead one's share of the limit is free again.
    const three = Array.from({ length: 3 }, () => ask('/slow'))
    await eventually(() => waiting.length === 3)
    for (const end of waiting.splice(0)) end()
    assert.deepEqual(await Promise.all(three), [200, 200, 200])
  })
})
