/** What happens to traffic when an instance joins, leaves or is killed. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'

import { eventually } from '../support/eventually.ts'
import { isRunning } from '../support/process-table.ts'
import { RunningMesh, sendRequests } from '../support/running-mesh.ts'

const url = 'http://my-go-service:8080/'
const skip = process.platform === 'linux' ? false : 'finds its processes in /proc of Linux'

interface WorkloadItem {
  readonly metadata: { readonly name: string }
  readonly status: { readonly health: string; readonly presence: string }
}

interface EndpointRow {
  readonly endpoint: string
  readonly health: string
  readonly cluster: string
}

async function json<T>(mesh: RunningMesh, ...words: readonly string[]): Promise<T> {
  const { out, error } = await mesh.tulle(...words, '-o', 'json')
  assert.equal(error, '')
  return JSON.parse(out) as T
}

suite('failures', { skip }, () => {
  let mesh: RunningMesh
  before(async () => {
    mesh = await RunningMesh.start()
  })
  after(async () => {
    await mesh[Symbol.asyncDispose]()
  })

  const proxy = () => mesh.workload('load').proxy ?? ''
  const endpoints = () => json<EndpointRow[]>(mesh, 'proxy-config', 'endpoints', 'load')
  const statusOf = async (name: string) => {
    const { items } = await json<{ items: WorkloadItem[] }>(mesh, 'get', 'workloads')
    return items.find(({ metadata }) => metadata.name === name)?.status
  }
  const isBack = async (name: string) => {
    const status = await statusOf(name)
    return status?.presence === 'connected' && status.health === 'healthy'
  }

  test('tulle run --service joins a service with one more version, and leaves it at its end', async () => {
    const script = 'exec "$TULLE_NODE" node/service.ts'
    const words = ['--service', 'my-go-service', '--port', '8080:0', '--label', 'version=v1']
    const [stop] = await mesh.spawnTulle(
      'run',
      ...words,
      '--name',
      'extra',
      '--',
      'sh',
      '-c',
      script,
    )
    await eventually(async () => (await statusOf('extra'))?.health === 'healthy', {
      deadlineMs: 10_000,
    })
    const inService = async () =>
      (await endpoints()).filter(({ cluster }) => cluster.startsWith('outbound|8080|v1|')).length
    await eventually(async () => (await inService()) === 2, { deadlineMs: 5_000 })
    assert.equal(await stop('SIGTERM'), 0)
    await eventually(async () => (await statusOf('extra'))?.presence !== 'connected', {
      deadlineMs: 5_000,
    })
    const { failures } = await sendRequests(proxy(), url, 200)
    assert.deepEqual(failures, [])
  })

  test('kill -9 of a sidecar: callers fail over, and it comes back on the same ports', async () => {
    const { pid, ports } = mesh.workload('my-go-service-v2-2')
    const assigned = () =>
      mesh.lines.filter(
        (line) => line.event === 'assigned' && line['workload'] === 'my-go-service-v2-2',
      )
    const before = assigned().length
    process.kill(pid ?? 0, 'SIGKILL')
    // A request that is under way at this moment may have been served: it is not sent again, and fails.
    await eventually(() => !isRunning(pid ?? 0))
    const { failures } = await sendRequests(proxy(), url, 1_000)
    assert.deepEqual(failures, [])
    await eventually(() => assigned().length > before, { deadlineMs: 15_000 })
    const { addresses } = assigned().at(-1) as unknown as {
      addresses: { ports: { meshPort: number }[] }
    }
    assert.equal(`127.0.0.1:${addresses.ports[0]?.meshPort}`, ports[0]?.mesh)
    await eventually(() => isBack('my-go-service-v2-2'), { deadlineMs: 10_000 })
  })

  test('kill -9 of an application: it is started again, and callers are sent elsewhere meanwhile', async () => {
    const started = () =>
      mesh.lines.filter(
        (line) => line.event === 'application-started' && line['workload'] === 'my-go-service-v2-1',
      )
    const pid = Number(started().at(-1)?.['pid'])
    assert.ok(isRunning(pid))
    process.kill(pid, 'SIGKILL')
    await eventually(() => Number(started().at(-1)?.['pid']) !== pid, { deadlineMs: 10_000 })
    await eventually(() => isBack('my-go-service-v2-1'), { deadlineMs: 10_000 })
    const { failures } = await sendRequests(proxy(), url, 300)
    assert.deepEqual(failures, [])
  })
})

// A mesh of its own: an ejection lasts half a minute, and the tests above need every replica.
test(
  'a replica that answers 503 is ejected, and callers see no error while it is',
  { skip },
  async () => {
    await using mesh = await RunningMesh.start()
    const proxy = () => mesh.workload('load').proxy ?? ''
    const endpoints = () => json<EndpointRow[]>(mesh, 'proxy-config', 'endpoints', 'load')
    await mesh.behave('my-go-service-v2-1', 'failRate=1')
    const broken = mesh.workload('my-go-service-v2-1').ports[0]?.mesh
    await eventually(
      async () => {
        await sendRequests(proxy(), url, 100)
        const rows = await endpoints()
        return rows.some(({ endpoint, health }) => endpoint === broken && health === 'ejected')
      },
      { deadlineMs: 10_000 },
    )
    const { failures, versions } = await sendRequests(proxy(), url, 500)
    assert.deepEqual(failures, [])
    assert.ok((versions.get('v2') ?? 0) > 0, 'the other replica serves v2')
    const rows = await json<{ version: string; endpoints: { total: number; ejected: number } }[]>(
      mesh,
      'top',
      '--once',
      '--interval',
      '1',
    )
    const v2 = rows.find(({ version }) => version === 'v2')
    assert.deepEqual(v2?.endpoints, { total: 2, ejected: 1 })
  },
)
