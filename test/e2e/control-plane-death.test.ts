/** kill -9 of the control plane under load: nobody notices, and on its return nothing is lost or sent twice. */
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test } from 'node:test'

import { eventually } from '../support/eventually.ts'
import { failuresOf, Load, shareOf } from '../support/load-client.ts'
import { RunningMesh } from '../support/running-mesh.ts'

const url = 'http://my-go-service:8080/'
const skip = process.platform === 'linux' ? false : 'finds its processes in /proc of Linux'

interface ProxyItem {
  readonly metadata: { readonly name: string }
  readonly status: { readonly types: readonly { readonly name: string; readonly status: string }[] }
}

suite('kill -9 of the control plane', { skip }, () => {
  test('no request fails, no endpoint is lost, and nothing unchanged is sent again', async () => {
    await using mesh = await RunningMesh.start()
    const names = mesh.ready.workloads.map(({ name }) => name)
    const proxies = async () => {
      const text = await mesh.read('control-plane', '/apis/tulle.dev/v1alpha1/proxies')
      return (JSON.parse(text) as { items: ProxyItem[] }).items
    }
    /** How often routes and endpoints were sent to each sidecar since its start, and how often its endpoints changed. */
    const updates = () =>
      Promise.all(
        names.map(async (admin) => {
          const stats = await mesh.read({ admin }, '/stats')
          return stats
            .split('\n')
            .filter((line) =>
              /^\w+\.[er]ds\.update_success|^cluster\..*\.membership_change/.test(line),
            )
        }),
      )
    const isSynced = async () => {
      const items = await proxies()
      const isAll = names.every((name) => items.some(({ metadata }) => metadata.name === name))
      return (
        isAll && items.every(({ status }) => status.types.every((type) => type.status === 'SYNCED'))
      )
    }
    await eventually(isSynced, { deadlineMs: 10_000 })

    await using load = new Load({ proxy: mesh.proxyOf('load'), url, connections: 4, pauseMs: 4 })
    await eventually(() => load.answers.length > 200)
    const before = await updates()
    const killedAtMs = performance.now()
    process.kill(mesh.controlPlanePid(), 'SIGKILL')
    await eventually(() => mesh.events('control-plane-ready').length === 2, { deadlineMs: 15_000 })
    await eventually(() => isSynced().catch(() => false), { deadlineMs: 20_000 })
    assert.equal(mesh.events('process-ended').length, 1, 'only the control plane was started again')

    // Pushes for the joins of others would have come by now: they are collected for 100 ms.
    const backAtMs = performance.now()
    await eventually(() => performance.now() - backAtMs > 500 && load.since(backAtMs).length > 100)
    assert.deepEqual(await updates(), before)
    const metrics = await mesh.read('control-plane', '/metrics')
    const sentBytes = (type: string) =>
      Number(
        new RegExp(`^tulle_xds_sent_bytes\\{type="${type}"\\} (\\d+)$`, 'm').exec(metrics)?.[1] ??
          0,
      )
    // Each sidecar gets two answers that hold nothing, and each agent has asked for one cluster to see who is there.
    assert.deepEqual([sentBytes('rds'), sentBytes('eds')], [0, 0])
    assert.ok(sentBytes('lds') <= names.length * 128, `${sentBytes('lds')} bytes of listeners`)
    assert.ok(sentBytes('cds') <= names.length * 1_024, `${sentBytes('cds')} bytes of clusters`)

    await load.stop()
    const answers = load.since(killedAtMs)
    assert.ok(answers.length > 500, `${answers.length} answers`)
    assert.deepEqual(failuresOf(answers), {})
    assert.ok(Math.abs(shareOf('v2', answers) - 0.1) < 0.07)
  })

  test('and no request fails when the list of who had joined is lost with it', async () => {
    await using mesh = await RunningMesh.start()
    await using load = new Load({ proxy: mesh.proxyOf('load'), url, connections: 4, pauseMs: 4 })
    await eventually(() => load.answers.length > 200)
    const killedAtMs = performance.now()
    process.kill(mesh.controlPlanePid(), 'SIGKILL')
    rmSync(join(mesh.home, 'state/my-go-service/control-plane/registrations.json'))
    await eventually(() => mesh.events('control-plane-ready').length === 2, { deadlineMs: 15_000 })
    // Beyond the time for which sidecars that come back are left with what they have.
    const backAtMs = performance.now()
    await eventually(() => performance.now() - backAtMs > 12_000, { deadlineMs: 20_000 })
    await load.stop()
    assert.deepEqual(failuresOf(load.since(killedAtMs)), {})
    const text = await mesh.read('control-plane', '/apis/tulle.dev/v1alpha1/workloads')
    assert.equal((JSON.parse(text) as { items: unknown[] }).items.length, 4)
  })
})
