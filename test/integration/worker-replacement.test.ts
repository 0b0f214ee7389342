/**
 * Threads that die, and their successors: one serves when it has all that the others have, and one that cannot get there
 * serves nobody, is said to, and is tried again.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, suite, test } from 'node:test'
import type { Worker } from 'node:worker_threads'

import { eventually } from '../support/eventually.ts'
import { skipWithoutHandOver } from '../support/programs.ts'
import {
  type NamedUpstream,
  type SidecarScene,
  httpGet,
  openNamedUpstream,
  openSidecarScene,
  sceneResource as resource,
} from '../support/sidecar-scene.ts'

const oneRequest = { host: 'app.test', connection: 'close' }

suite('a thread that is replaced', { skip: await skipWithoutHandOver() }, () => {
  const workers: Worker[] = []
  const note = (worker: Worker): void => void workers.push(worker)
  const logFolder = mkdtempSync(join(tmpdir(), 'tulle-replacement-'))
  const hidden = `${logFolder}.hidden`
  let one: NamedUpstream
  let two: NamedUpstream

  before(async () => {
    process.on('worker', note)
    one = await openNamedUpstream('one')
    two = await openNamedUpstream('two')
  })
  after(async () => {
    process.off('worker', note)
    await one[Symbol.asyncDispose]()
    await two[Symbol.asyncDispose]()
    rmSync(logFolder, { recursive: true })
  })
  afterEach(() => {
    workers.length = 0
  })

  const logs = `access_log: [{name: file, typed_config: {"@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog, path: ${logFolder}/access.log}}]`

  const resources = (upstream: NamedUpstream, listenerFields: string) => ({
    clusters: [resource.edsCluster('app')],
    assignments: [resource.assignment('app', [upstream.port])],
    listeners: [resource.listener('in', 'r', listenerFields)],
    routes: [resource.routes('r', 'app')],
  })

  /** Each on a connection of its own, so that the threads are met in turn. */
  const askSix = async (scene: SidecarScene): Promise<readonly string[]> => {
    const port = await scene.portOf('in')
    const answers = Array.from({ length: 6 }, () =>
      httpGet({ port, path: '/', headers: oneRequest }),
    )
    return [...new Set((await Promise.all(answers)).map(({ status, body }) => `${status} ${body}`))]
  }

  const statistic = (scene: SidecarScene, name: string): number =>
    scene.sidecar.stats
      .list()
      .find((stat) => stat.name === `server.${name}`)
      ?.value() ?? 0

  const open = (listenerFields: string): Promise<SidecarScene> =>
    openSidecarScene({ concurrency: 2, resources: resources(one, listenerFields) })

  async function kill(scene: SidecarScene, index: number): Promise<void> {
    const deaths = statistic(scene, 'worker_deaths')
    await workers[index]?.terminate()
    await eventually(() => statistic(scene, 'worker_deaths') === deaths + 1)
  }

  test('it has the routes and hosts that came from the control plane, though none is left of those that got them', async () => {
    await using scene = await open('')
    await scene.sidecar.ready
    await scene.stopControlPlane()
    await kill(scene, 0)
    assert.deepEqual(await askSix(scene), ['200 one'])
    await eventually(() => statistic(scene, 'workers_serving') === 2)
    await kill(scene, 1)
    await eventually(() => statistic(scene, 'workers_serving') === 2)
    assert.equal(workers.length, 4)
    assert.deepEqual(await askSix(scene), ['200 one'])
    const { clusters, listeners } = await scene.sidecar.status()
    assert.equal(clusters.find(({ name }) => name === 'app')?.hosts.length, 1)
    assert.equal(listeners.length, 1)
  })

  test('both at once, too', async () => {
    await using scene = await open('')
    await scene.sidecar.ready
    await Promise.all([workers[0]?.terminate(), workers[1]?.terminate()])
    await eventually(() => statistic(scene, 'worker_deaths') === 2)
    await eventually(() => statistic(scene, 'workers_serving') === 2)
    assert.deepEqual(await askSix(scene), ['200 one'])
    scene.set(resources(two, ''))
    await eventually(async () => (await askSix(scene)).join() === '200 two')
  })

  test('a successor that dies before it is there holds nobody up', async () => {
    await using scene = await open('')
    await scene.sidecar.ready
    const heir = new Promise<Worker>((resolve) => process.once('worker', resolve))
    await workers[0]?.terminate()
    const born = await heir
    // It waits for the one that is about to die.
    const status = scene.sidecar.status()
    await born.terminate()
    assert.equal((await status).listeners.length, 1)
    scene.set(resources(two, ''))
    await eventually(async () => (await askSix(scene)).join() === '200 two')
    await eventually(() => statistic(scene, 'workers_serving') === 2)
    assert.equal(statistic(scene, 'worker_deaths'), 2)
  })

  test('one that refuses what is in force gets no connection until it has caught up', async () => {
    await using scene = await open(logs)
    await scene.sidecar.ready
    const port = await scene.portOf('in')
    renameSync(logFolder, hidden)
    await kill(scene, 0)
    await eventually(() => statistic(scene, 'worker_replay_failed') > 0)
    assert.equal(statistic(scene, 'workers_serving'), 1)
    assert.deepEqual(await askSix(scene), ['200 one'])
    assert.equal((await scene.admin('/ready')).body, 'LIVE\n')
    await kill(scene, 1)
    await eventually(async () => (await scene.admin('/ready')).status === 503)
    await eventually(() => statistic(scene, 'worker_replay_failed') > 2)
    assert.equal(statistic(scene, 'workers_serving'), 0)
    // Nobody can take it: it is closed, and counted.
    await assert.rejects(httpGet({ port, path: '/', headers: oneRequest }))
    assert.equal(statistic(scene, 'connections_not_handed_over'), 1)
    renameSync(hidden, logFolder)
    await eventually(() => statistic(scene, 'workers_serving') === 2, { deadlineMs: 10_000 })
    assert.deepEqual(await scene.admin('/ready').then(({ body }) => body), 'LIVE\n')
    assert.deepEqual(await askSix(scene), ['200 one'])
  })

  test('a newer version that it can take ends the wait, and is not overwritten', async () => {
    await using scene = await open(logs)
    await scene.sidecar.ready
    renameSync(logFolder, hidden)
    await kill(scene, 0)
    await eventually(() => statistic(scene, 'worker_replay_failed') > 0)
    scene.set(resources(two, 'server_name: newer'))
    await eventually(() => statistic(scene, 'workers_serving') === 2)
    renameSync(hidden, logFolder)
    await eventually(async () => (await askSix(scene)).join() === '200 two')
    const port = await scene.portOf('in')
    for (let index = 0; index < 4; index += 1) {
      const { headers } = await httpGet({ port, path: '/', headers: oneRequest })
      assert.equal(headers['server'], 'newer')
    }
  })
})
