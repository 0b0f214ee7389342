/** kill -9 of an instance that nobody supervises, and a client that refuses what it is sent. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'

import type { GrpcClientTls } from '../../src/xds/grpc/grpc-client.ts'
import { typeUrls } from '../../src/xds/resource-set.ts'
import { AdsPeer } from '../support/ads-peer.ts'
import { eventually } from '../support/eventually.ts'
import { failuresOf, Load } from '../support/load-client.ts'
import { isRunning } from '../support/process-table.ts'
import { RunningMesh } from '../support/running-mesh.ts'

const url = 'http://my-go-service:8080/'
const skip = process.platform === 'linux' ? false : 'finds its processes in /proc of Linux'

/** Instead of 10 s. */
const graceMs = 2_000
const connections = 4

interface WorkloadItem {
  readonly metadata: { readonly name: string }
  readonly status: { readonly health: string; readonly presence: string }
}

suite('workloads that nobody supervises', { skip }, () => {
  let mesh: RunningMesh
  before(async () => {
    mesh = await RunningMesh.startChanged((folder) => {
      const file = join(folder, 'mesh-node.yaml')
      const setting = `spec:\n  meshConfig:\n    workloadGracePeriod: ${graceMs}ms\n`
      writeFileSync(file, readFileSync(file, 'utf8').replace('spec:\n', setting))
    })
  })
  after(async () => {
    await mesh[Symbol.asyncDispose]()
  })

  const workload = async (name: string) => {
    const text = await mesh.read('control-plane', '/apis/tulle.dev/v1alpha1/workloads')
    const { items } = JSON.parse(text) as { items: WorkloadItem[] }
    return items.find(({ metadata }) => metadata.name === name)?.status
  }

  /** A client that has the identity of a workload, and asks nobody for his. */
  const withCertificateOf = (name: string): GrpcClientTls => {
    const path = join('state/my-go-service/default', name, 'identity/identity.pem')
    const [, keyPem = '', chainPem = ''] =
      /^([^]*END [A-Z ]*PRIVATE KEY-----\n)([^]*)$/.exec(
        readFileSync(join(mesh.home, path), 'utf8'),
      ) ?? []
    return {
      certificate: { keyPem, chainPem },
      serverName: 'control-plane',
      verifyServer: () => ({ ok: true }),
    }
  }

  /** Lines of `load`'s statistics about the cluster of v2. */
  const statistic = async (name: string) => {
    const stats = await mesh.read({ admin: 'load' }, '/stats')
    const start = `cluster.outbound|8080|v2|my-go-service.default.svc.cluster.local.${name}: `
    const line = stats.split('\n').find((text) => text.startsWith(start))
    return Number(line?.slice(start.length))
  }

  test('kill -9 of one: callers are sent elsewhere, and it leaves after the grace period', async () => {
    const others = mesh.processes()
    const words = ['--service', 'my-go-service', '--port', '8080:0', '--label', 'version=v2']
    const script = 'exec "$TULLE_NODE" node/service.ts'
    const command = ['run', ...words, '--name', 'extra', '--', 'sh', '-c', script]
    const [, pid] = await mesh.spawnTulle(...command)
    await eventually(async () => (await workload('extra'))?.health === 'healthy', {
      deadlineMs: 15_000,
    })
    await eventually(async () => (await statistic('membership_total')) === 3)
    const own = mesh.processes().filter((id) => !others.includes(id))
    assert.ok(own.includes(pid) && own.length >= 2, 'it, its reaper and its application')

    await using load = new Load({ proxy: mesh.proxyOf('load'), url, connections, pauseMs: 2 })
    await eventually(async () => (await statistic('upstream_rq_total')) > 50, {
      deadlineMs: 15_000,
    })
    process.kill(pid, 'SIGKILL')
    const killedAtMs = performance.now()
    await eventually(async () => (await workload('extra'))?.presence === 'gone')
    await eventually(async () => (await workload('extra')) === undefined, { deadlineMs: 15_000 })
    const leftAfterMs = performance.now() - killedAtMs
    assert.ok(leftAfterMs > graceMs - 100, `it left after ${leftAfterMs} ms`)
    await eventually(async () => (await statistic('membership_total')) === 2)
    await eventually(() => !own.some(isRunning))
    await load.stop()

    const failures = failuresOf(load.answers)
    // Connections to it are refused, and tried elsewhere. What had been sent to it may not be sent again.
    const wasUnderWay = 'connection termination'
    for (const [text, count] of Object.entries(failures)) {
      assert.ok(text.includes(wasUnderWay) && count <= connections, `${text}: ${count}`)
    }
    assert.ok((await statistic('upstream_rq_retry_success')) > 0, 'something was tried again')
  })

  test('what a sidecar refuses is in tulle status with its reason, and the exit code says so', async () => {
    const node = {
      id: 'sidecar~127.0.0.1~picky.default~default.svc.cluster.local',
      metadata: { NAMESPACE: 'default', WORKLOAD_NAME: 'picky' },
    }
    {
      using peer = new AdsPeer(mesh.ready.xds, 'delta', withCertificateOf('load'))
      peer.send({ node, typeUrl: typeUrls.cluster })
      const { nonce } = await peer.next()
      const errorDetail = { code: 3, message: 'outbound|8080||x: too spicy', details: [] }
      peer.send({ typeUrl: typeUrls.cluster, responseNonce: nonce, errorDetail })
      const status = await eventually(async () => {
        const answer = await mesh.tulle('status')
        return answer.out.includes('REJECTED') && answer
      })
      assert.equal(status.code, 1)
      const line = status.out.split('\n').find((text) => text.includes(' picky '))
      assert.match(line ?? '', /REJECTED.*outbound\|8080\|\|x: too spicy/)
      const metrics = await mesh.read('control-plane', '/metrics')
      assert.match(metrics, /^pilot_total_xds_rejects\{type="cds"\} 1$/m)
      assert.match(metrics, /^tulle_xds_rejected_proxies 1$/m)
    }
    await eventually(async () => (await workload('picky')) === undefined, { deadlineMs: 15_000 })
    assert.equal((await mesh.tulle('status')).code, 0)
  })
})
