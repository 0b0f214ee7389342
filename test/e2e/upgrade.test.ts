/**
 * `tulle upgrade` in a running mesh, under load: the sidecars of a client and of a service are replaced, twice. No request
 * fails, no connection is refused, applications and endpoints stay, and at the end nothing is left behind.
 */
import assert from 'node:assert/strict'
import { request } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'

import { askAdmin } from '../../src/agent/admin-client.ts'
import { eventually } from '../support/eventually.ts'
import { failuresOf, Load } from '../support/load-client.ts'
import { isRunning } from '../support/process-table.ts'
import { RunningMesh } from '../support/running-mesh.ts'

const url = 'http://my-go-service:8080/'
const skip = process.platform === 'linux' ? false : 'finds its processes in /proc of Linux'
const service = 'my-go-service-v1'

suite('an upgrade', { skip }, () => {
  let mesh: RunningMesh
  before(async () => {
    mesh = await RunningMesh.start()
  })
  after(async () => {
    await mesh[Symbol.asyncDispose]()
  })

  const epochOf = async (admin: string): Promise<number> =>
    Number(
      /hot_restart_epoch: (\d+)/.exec(await mesh.read({ admin }, '/stats?filter=hot_restart'))?.[1],
    )

  const applicationPids = (): readonly number[] =>
    mesh.events('application-started').map((line) => Number(line['pid']))

  const health = async (): Promise<readonly string[]> => {
    const text = await mesh.read('control-plane', '/apis/tulle.dev/v1alpha1/workloads')
    const { items } = JSON.parse(text) as {
      items: { metadata: { name: string }; status: { health: string; presence: string } }[]
    }
    return items.map(
      ({ metadata, status }) => `${metadata.name} ${status.health} ${status.presence}`,
    )
  }

  /** Opens a connection for each request, and counts what is refused. */
  class NewConnections {
    answered = 0
    readonly failures: string[] = []
    #isStopping = false
    readonly #done: Promise<unknown>

    constructor(proxy: string) {
      const { hostname, port } = new URL(proxy)
      const one = async (): Promise<void> => {
        while (!this.#isStopping) {
          await new Promise<void>((resolve) => {
            const fail = (error: Error): void => {
              this.failures.push(error.message)
              resolve()
            }
            const headers = { host: new URL(url).host }
            const sent = request(
              { hostname, port, path: url, headers, agent: false },
              (response) => {
                response.resume()
                response.on('error', fail)
                response.on('end', () => {
                  if (response.statusCode === 200) this.answered += 1
                  else this.failures.push(`status ${response.statusCode}`)
                  resolve()
                })
              },
            )
            sent.on('error', fail)
            sent.end()
          })
        }
      }
      this.#done = Promise.all(Array.from({ length: 4 }, one))
    }

    async stop(): Promise<void> {
      this.#isStopping = true
      await this.#done
    }
  }

  test('replaces the sidecars of a client and of a service under load, and nobody notices', async () => {
    const proxy = mesh.proxyOf('load')
    const before = { pids: applicationPids(), health: await health() }
    await using load = new Load({ proxy, url, connections: 4, pauseMs: 1 })
    const fresh = new NewConnections(proxy)
    await eventually(() => fresh.answered > 300, { deadlineMs: 20_000 })
    for (const epoch of [1, 2]) {
      const { code, out, error } = await mesh.tulle('upgrade', service, 'load')
      assert.equal(code, 0, out + error)
      assert.match(out, /^load +default +upgraded /m)
      assert.match(out, /^my-go-service-v1 +default +upgraded /m)
      assert.equal(await epochOf(service), epoch)
      assert.equal(await epochOf('load'), epoch)
      const seen = fresh.answered
      await eventually(() => fresh.answered > seen + 300, { deadlineMs: 20_000 })
    }
    await fresh.stop()
    await load.stop()
    assert.deepEqual(fresh.failures, [])
    assert.deepEqual(failuresOf(load.answers), {})
    assert.deepEqual(applicationPids(), before.pids)
    assert.deepEqual(await health(), before.health)
    assert.equal(mesh.events('sidecar-upgraded').length, 4)
    const status = await mesh.tulle('status')
    assert.equal(status.code, 0, status.out)
  })

  test('one that fails says why, and the sidecar that runs goes on', async () => {
    const socket = join(mesh.home, 'state/my-go-service/default', service, 'agent.sock')
    const path = `/upgrade?command=${encodeURIComponent(JSON.stringify(['false']))}`
    const answer = await askAdmin({ address: `unix:${socket}`, path, method: 'POST' })
    assert.equal(answer.status, 500)
    assert.match(answer.text, /the new sidecar ended with code 1/)
    assert.equal(await epochOf(service), 2)
    const unknown = await mesh.tulle('upgrade', 'nobody')
    assert.equal(unknown.code, 2)
    assert.match(unknown.error, /no workload nobody of mesh my-go-service on this host/)
  })

  test('one that dies after it has taken over is not said to have changed nothing; the workload starts anew', async () => {
    const socket = join(mesh.home, 'state/my-go-service/default', service, 'agent.sock')
    const dying = join(import.meta.dirname, '../support/dying-taker.ts')
    const command = encodeURIComponent(JSON.stringify([process.execPath, dying]))
    const path = `/upgrade?command=${command}`
    const started = applicationPids().length
    const answer = await askAdmin({ address: `unix:${socket}`, path, method: 'POST' })
    assert.equal(answer.status, 500)
    assert.match(answer.text, /ended with code 3.*it had taken over, so that nobody listens/)
    assert.doesNotMatch(answer.text, /the old sidecar goes on/)
    await eventually(() => applicationPids().length === started + 1, { deadlineMs: 20_000 })
    await eventually(async () => (await epochOf(service)) === 0, { deadlineMs: 20_000 })
    await eventually(
      async () => (await health()).some((line) => line === `${service} healthy connected`),
      { deadlineMs: 20_000 },
    )
  })

  test('after it a workload still ends in order, and nothing is left of it', async () => {
    const before = mesh.processes()
    const [address] = mesh.workload(service).ports
    assert.equal(await mesh.stop('SIGINT'), 0)
    await eventually(() => !before.some(isRunning))
    const [host, port] = (address?.mesh ?? '').split(':')
    await assert.rejects(
      new Promise((resolve, reject) => {
        connect(Number(port), host).once('connect', resolve).once('error', reject)
      }),
      /ECONNREFUSED/,
    )
  })
})
