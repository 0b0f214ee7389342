/** `tulle up` on the example, as a new user sees it: the split, an edit, the end. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test } from 'node:test'

import { eventually } from '../support/eventually.ts'
import { isRunning } from '../support/process-table.ts'
import { RunningMesh, sendRequests, type Answers } from '../support/running-mesh.ts'

const url = 'http://my-go-service:8080/'
const skip = process.platform === 'linux' ? false : 'finds its processes in /proc of Linux'

function shareOf(version: string, { versions }: Answers): number {
  const total = [...versions.values()].reduce((sum, count) => sum + count, 0)
  return (versions.get(version) ?? 0) / total
}

function proxyOf(mesh: RunningMesh): string {
  const { proxy } = mesh.workload('load')
  assert.ok(proxy)
  return proxy
}

suite('the example', { skip }, () => {
  test('splits 90 to 10, follows an edit without a failure, and ends without a trace', async () => {
    await using mesh = await RunningMesh.start()
    const before = await sendRequests(proxyOf(mesh), url, 2_000)
    assert.deepEqual(before.failures, [])
    // Four standard deviations of a binomial with 2 000 draws.
    assert.ok(Math.abs(shareOf('v2', before) - 0.1) < 0.027, `v2 got ${shareOf('v2', before)}`)

    const file = join(mesh.folder, 'config/my-go-service.yaml')
    const yaml = readFileSync(file, 'utf8')
    writeFileSync(
      file,
      yaml.replace('weight: 90', 'weight: 50').replace('weight: 10', 'weight: 50'),
    )
    const failures: string[] = []
    await eventually(
      async () => {
        const answers = await sendRequests(proxyOf(mesh), url, 200)
        failures.push(...answers.failures)
        return shareOf('v2', answers) > 0.36
      },
      { deadlineMs: 5_000 },
    )
    assert.deepEqual(failures, [])

    const processes = mesh.processes()
    assert.ok(processes.length >= 10, `found ${processes.length} processes`)
    const began = performance.now()
    assert.equal(await mesh.stop('SIGINT'), 0)
    assert.ok(performance.now() - began < 5_000, 'it ends within five seconds')
    assert.deepEqual(mesh.processes(), [])
  })

  test('tulle run joins it as a client, and passes output and exit code on', async () => {
    await using mesh = await RunningMesh.start()
    const curl = await mesh.tulle('run', '--', 'curl', '-sS', `${url}hello`)
    assert.equal(curl.error, '')
    assert.equal(curl.code, 0)
    const { service, path } = JSON.parse(curl.out) as { service: string; path: string }
    assert.deepEqual({ service, path }, { service: 'my-go-service', path: '/hello' })
    const failing = await mesh.tulle('run', '--', 'sh', '-c', 'exit 3')
    assert.equal(failing.code, 3)
  })

  test('kill -9 of the supervisor leaves no process behind', async () => {
    await using mesh = await RunningMesh.start()
    const processes = mesh.processes()
    process.kill(mesh.pid, 'SIGKILL')
    await eventually(() => !processes.some(isRunning), { deadlineMs: 8_000 })
    assert.deepEqual(mesh.processes(), [])
  })
})
