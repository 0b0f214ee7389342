/**
 * A workload that starts while the control plane is away: what it had fetched on demand is there from the disk of its
 * agent, the rest waits for the control plane, and nothing of either is lost when that comes back.
 */
import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import type { Worker } from 'node:worker_threads'

import { systemClock } from '../../src/lib/clock.ts'
import { silentLog } from '../../src/lib/log.ts'
import { systemRandom } from '../../src/lib/random.ts'
import { openAdsRelay } from '../../src/xds/ads-relay.ts'
import { httpRequestThrough } from '../support/absolute-form.ts'
import { type ControlPlaneScene, openControlPlaneScene } from '../support/control-plane-scene.ts'
import { eventually } from '../support/eventually.ts'
import { freePort } from '../support/free-port.ts'
import { type RunningProxy, runTulle } from '../support/mtls-scene.ts'
import { meshYaml, onDemandBootstrap, serviceYaml } from '../support/on-demand-scene.ts'
import { skipWithoutHandOver } from '../support/programs.ts'
import { type NamedUpstream, openNamedUpstream } from '../support/sidecar-scene.ts'

interface Workload extends AsyncDisposable {
  readonly proxy: RunningProxy
  /** Status and body of one request on a connection of its own. */
  call(host: string): Promise<string>
}

/** A reason why there are none, or false. */
const noThreads = await skipWithoutHandOver()

suite('a workload on demand that starts from disk', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-kept-'))
  let v1: NamedUpstream
  let v2: NamedUpstream
  let plane: ControlPlaneScene
  /** An agent keeps its ports, which stand in what is kept on disk. */
  let proxyPort: number

  before(async () => {
    proxyPort = await freePort()
    v1 = await openNamedUpstream('v1')
    v2 = await openNamedUpstream('v2')
    plane = await openControlPlaneScene({
      'mesh.yaml': meshYaml('REGISTRY_ONLY'),
      'config/services.yaml': ['reviews', 'ratings', 'details', 'never']
        .map((name, index) => serviceYaml(name, index % 2 === 0 ? v1.port : v2.port))
        .join('---'),
    })
  })
  after(async () => {
    await plane[Symbol.asyncDispose]()
    await v1[Symbol.asyncDispose]()
    await v2[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true })
  })

  /** The agent's relay and its sidecar, as two parts of one process. */
  async function start(cacheFolder: string, concurrency = 1): Promise<Workload> {
    // What was opened ends, too, when the sidecar does not become live: its port may be somebody's by now.
    await using opened = new AsyncDisposableStack()
    const relay = await openAdsRelay({
      listen: '127.0.0.1:0',
      upstream: plane.controlPlane.plaintextXdsAddress,
      cache: { folder: cacheFolder },
      answerTimeoutMs: 300,
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
    })
    opened.use(relay)
    const proxy = opened.use(
      await runTulle(onDemandBootstrap(relay.address, proxyPort), concurrency),
    )
    await eventually(async () => (await proxy.get('/ready')).includes('LIVE'), {
      deadlineMs: 10_000,
    })
    const workload = opened.move()
    return {
      proxy,
      async call(host) {
        const { status, body } = await httpRequestThrough(proxyPort, host)
        return status === 200 ? `200 ${body}` : String(status)
      },
      [Symbol.asyncDispose]: () => workload.disposeAsync(),
    }
  }

  const kept = join(folder, 'kept')

  test('what it had called is there, the rest is asked of the control plane when that is back', async () => {
    const killed = join(folder, 'killed')
    {
      await using first = await start(kept)
      assert.equal(await first.call('reviews:8080'), '200 v1')
      assert.equal(await first.call('ratings'), '200 v2')
      // As an agent leaves it that is killed: nothing is written at the end.
      await eventually(() => readdirSync(kept).some((name) => name.startsWith('VirtualHost')))
      await eventually(
        async () => {
          rmSync(killed, { recursive: true, force: true })
          cpSync(kept, killed, { recursive: true })
          return readdirSync(killed).length >= 4
        },
        { deadlineMs: 3_000 },
      )
    }
    await plane.controlPlane.close()
    for (const [from, threads] of [
      [kept, 1],
      [killed, 1],
      [kept, noThreads === false ? 2 : 1],
    ] as const) {
      await using again = await start(from, threads)
      const answers = Array.from({ length: 4 }, () => again.call('reviews:8080'))
      assert.deepEqual([...new Set(await Promise.all(answers))], ['200 v1'])
      assert.equal(await again.call('ratings'), '200 v2')
      // Whoever asks for more waits five seconds for the control plane.
      if (from === killed) assert.equal(await again.call('never:8080'), '503')
    }
  })

  test('the control plane comes back: nothing is forgotten, and the rest comes on demand again', async () => {
    await using workload = await start(kept)
    assert.equal(await workload.call('reviews:8080'), '200 v1')
    await plane.restart()
    await eventually(async () => (await workload.call('details:8080')) === '200 v1', {
      deadlineMs: 20_000,
    })
    assert.equal(await workload.call('reviews:8080'), '200 v1')
    assert.equal(await workload.call('ratings'), '200 v2')
    plane.write('config/services.yaml', serviceYaml('reviews', v2.port))
    await eventually(async () => (await workload.call('reviews:8080')) === '200 v2')
  })

  test(
    'a thread that dies leaves its successor what was on demand',
    { skip: noThreads },
    async () => {
      const workers: Worker[] = []
      const note = (worker: Worker): void => void workers.push(worker)
      process.on('worker', note)
      await using workload = await start(kept, 2)
      process.off('worker', note)
      assert.equal(await workload.call('reviews:8080'), '200 v2')
      await plane.controlPlane.close()
      for (const worker of workers) {
        const deaths = await workload.proxy.stat('server.worker_deaths')
        await worker.terminate()
        await eventually(async () => (await workload.proxy.stat('server.worker_deaths')) > deaths)
        await eventually(async () => (await workload.proxy.stat('server.workers_serving')) === 2)
      }
      const answers = Array.from({ length: 6 }, () => workload.call('reviews:8080'))
      assert.deepEqual([...new Set(await Promise.all(answers))], ['200 v2'])
    },
  )
})
