/** Endpoints that answer 503 are ejected, each time for longer, and come back. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'

import { eventually } from '../support/eventually.ts'
import { failuresOf, Load } from '../support/load-client.ts'
import { RunningMesh } from '../support/running-mesh.ts'

const url = 'http://my-go-service:8080/'
const skip = process.platform === 'linux' ? false : 'finds its processes in /proc of Linux'

/** Instead of 30 s. */
const baseMs = 2_000
/** How often ejected endpoints are looked at: an ejection lasts until the look after its time is over. */
const intervalMs = 250

interface EndpointRow {
  readonly endpoint: string
  readonly health: string
  readonly cluster: string
}

interface TopRow {
  readonly version: string
  readonly endpoints: { readonly total: number; readonly ejected: number }
}

suite('ejection', { skip }, () => {
  let mesh: RunningMesh
  before(async () => {
    mesh = await RunningMesh.startChanged((folder) => {
      const file = join(folder, 'config/my-go-service.yaml')
      const yaml = readFileSync(file, 'utf8')
        .replace('interval: 30s', `interval: ${intervalMs}ms`)
        .replace('baseEjectionTime: 30s', `baseEjectionTime: ${baseMs}ms`)
        .replace('weight: 90', 'weight: 50')
        .replace('weight: 10', 'weight: 50')
      writeFileSync(file, yaml)
    })
  })
  after(async () => {
    await mesh[Symbol.asyncDispose]()
  })

  const addressOf = (workload: string) => mesh.workload(workload).ports[0]?.mesh ?? ''

  /** As the sidecar of `load` has it now; the CLI reads the same page. */
  const isEjected = async (workload: string, version: string) => {
    const page = await mesh.read({ admin: 'load' }, '/clusters')
    const cluster = `outbound|8080|${version}|my-go-service.default.svc.cluster.local`
    const prefix = `${cluster}::${addressOf(workload)}::health_flags::`
    const line = page.split('\n').find((text) => text.startsWith(prefix))
    assert.ok(line, `no ${prefix} in /clusters`)
    return line.includes('failed_outlier_check')
  }

  const becomes = async (state: boolean, workload: string, version: string) => {
    await eventually(async () => (await isEjected(workload, version)) === state, {
      deadlineMs: 30_000,
    })
    return performance.now()
  }

  const json = async <T>(...words: readonly string[]) => {
    const { out, error } = await mesh.tulle(...words, '-o', 'json')
    assert.equal(error, '')
    return JSON.parse(out) as T
  }

  test('a replica is ejected for one, two and three times the base, and callers see no error meanwhile', async () => {
    await mesh.behave('my-go-service-v2-1', 'failRate=1')
    await using load = new Load({ proxy: mesh.proxyOf('load'), url, connections: 4, pauseMs: 4 })
    for (const times of [1, 2, 3]) {
      const fromMs = await becomes(true, 'my-go-service-v2-1', 'v2')
      // What was under way when it was ejected may still fail.
      const quietMs = fromMs + 100
      const overMs = await becomes(false, 'my-go-service-v2-1', 'v2')
      const lastedMs = overMs - fromMs
      const expectedMs = times * baseMs
      assert.ok(
        // Its begin is seen late where the machine is busy; half of a base still tells one length from the next.
        lastedMs > expectedMs - baseMs / 2 && lastedMs < expectedMs + baseMs,
        `ejection ${times} lasted ${lastedMs} ms`,
      )
      const endMs = fromMs + expectedMs - 100
      const meanwhile = load.since(quietMs).filter(({ atMs }) => atMs < endMs)
      assert.ok(meanwhile.length > 8, `${meanwhile.length} answers`)
      assert.deepEqual(failuresOf(meanwhile), {}, `during ejection ${times}`)
    }
    // The fourth lasts long enough to be seen by the commands.
    await becomes(true, 'my-go-service-v2-1', 'v2')
    const [rows, top] = await Promise.all([
      json<EndpointRow[]>('proxy-config', 'endpoints', 'load'),
      json<TopRow[]>('top', '--once', '--interval', '1'),
    ])
    const healthOf = (workload: string) =>
      rows.find(
        ({ endpoint, cluster }) => endpoint === addressOf(workload) && cluster.includes('|v2|'),
      )?.health
    assert.equal(healthOf('my-go-service-v2-1'), 'ejected')
    assert.equal(healthOf('my-go-service-v2-2'), 'healthy')
    assert.deepEqual(top.find(({ version }) => version === 'v2')?.endpoints, {
      total: 2,
      ejected: 1,
    })
    await mesh.behave('my-go-service-v2-1', 'failRate=0')
    const mendedAtMs = await becomes(false, 'my-go-service-v2-1', 'v2')
    await eventually(() => load.since(mendedAtMs).length > 200)
    assert.deepEqual(failuresOf(load.since(mendedAtMs)), {})
  })

  test('a lone endpoint is ejected too: its callers are told so at once', async () => {
    await mesh.behave('my-go-service-v1', 'failRate=1')
    await using load = new Load({ proxy: mesh.proxyOf('load'), url, connections: 4, pauseMs: 4 })
    const fromMs = await becomes(true, 'my-go-service-v1', 'v1')
    // On a busy machine a hundred answers can take longer than the ejection lasts: those of its first half count.
    const endMs = fromMs + baseMs / 2
    await eventually(() => load.since(endMs).length > 0)
    const meanwhile = load.since(fromMs + 100).filter(({ atMs }) => atMs < endMs)
    assert.ok(meanwhile.length > 2, `${meanwhile.length} answers`)
    const failures = failuresOf(meanwhile)
    assert.deepEqual(Object.keys(failures), ['503 no healthy upstream'])
    await mesh.behave('my-go-service-v1', 'failRate=0')
    const mendedAtMs = await becomes(false, 'my-go-service-v1', 'v1')
    await eventually(() => load.since(mendedAtMs).length > 200)
    assert.deepEqual(failuresOf(load.since(mendedAtMs)), {})
  })
})
