/** Secrets by SDS: nothing serves before they are there, and no request fails while they change. */
import assert from 'node:assert/strict'
import { Agent } from 'node:http'
import { test } from 'node:test'
import type { Worker } from 'node:worker_threads'

import { eventually } from '../support/eventually.ts'
import {
  inboundBootstrap,
  outboundBootstrap,
  secretServerCluster,
} from '../support/mtls-bootstrap.ts'
import { type RunningProxy, runApp, runEnvoy, runTulle } from '../support/mtls-scene.ts'
import { findEnvoy, skipUnless, skipWithoutHandOver } from '../support/programs.ts'
import { type SecretServer, openSecretServer } from '../support/secret-server.ts'
import { httpGet } from '../support/sidecar-scene.ts'
import { type TestAuthority, createTestAuthority } from '../support/test-certificate.ts'
import {
  certificateJson,
  secretDownstreamJson,
  secretUpstreamJson,
} from '../support/transport-socket.ts'

const serverId = 'spiffe://cluster.local/ns/default/sa/server'
const clientId = 'spiffe://cluster.local/ns/default/sa/client'
const alpn = ['istio-http/1.1', 'http/1.1']

const authority = await createTestAuthority('first')
const next = await createTestAuthority('second')

interface Wish {
  readonly by: TestAuthority
  readonly trusts: readonly TestAuthority[]
  readonly livesMs?: number
}

/** New certificates for both ends. */
async function give(servers: readonly SecretServer[], wish: Wish): Promise<void> {
  const bundles = { 'cluster.local': wish.trusts.map(({ rootPem }) => rootPem).join('') }
  const notAfterMs = Date.now() + (wish.livesMs ?? 20_000)
  for (const [index, server] of servers.entries()) {
    const uris = [index === 0 ? serverId : clientId]
    server.set({ leaf: await wish.by.issue({ uris, notAfterMs }), bundles })
  }
}

function inboundText(appPort: number, secrets: SecretServer): string {
  const clusters = [secretServerCluster(secrets.path)]
  return inboundBootstrap({ tls: secretDownstreamJson(alpn), appPort, clusters })
}

function outboundText(port: number, secrets: SecretServer): string {
  const clusters = [secretServerCluster(secrets.path)]
  return outboundBootstrap({ tls: secretUpstreamJson([serverId], alpn), port, clusters })
}

test('listeners and clusters wait for their secrets', async () => {
  await using app = await runApp()
  await using inboundSecrets = await openSecretServer()
  await using outboundSecrets = await openSecretServer()
  let isOpen = false
  const opening = runTulle(inboundText(app.port, inboundSecrets)).finally(() => (isOpen = true))
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(isOpen, false)
  await give([inboundSecrets, outboundSecrets], { by: authority, trusts: [authority] })
  await using inbound = await opening
  await using outbound = await runTulle(outboundText(inbound.port, outboundSecrets))
  assert.equal((await httpGet({ port: outbound.port, path: '/' })).body, 'hello')
  const dump = await inbound.get('/config_dump?resource=dynamic_active_secrets')
  assert.match(dump, /"name": "default"/)
  assert.match(dump, /\[redacted\]/)
  assert.doesNotMatch(dump, /PRIVATE KEY/)
})

test('a secret that cannot be used is refused with its reason, and the last good one stays', async () => {
  await using app = await runApp()
  await using secrets = await openSecretServer()
  await using outboundSecrets = await openSecretServer()
  await give([secrets, outboundSecrets], { by: authority, trusts: [authority] })
  await using inbound = await runTulle(inboundText(app.port, secrets))
  const one = await authority.issue({ uris: [serverId] })
  const two = await authority.issue({ uris: [serverId] })
  secrets.setJson([
    { name: 'default', tls_certificate: certificateJson({ ...one, keyPem: two.keyPem }) },
  ])
  const reason = await eventually(() => secrets.rejection(), { deadlineMs: 3_000 })
  assert.match(reason, /default: tls_certificate\.private_key: does not belong to the certificate/)
  await using outbound = await runTulle(outboundText(inbound.port, outboundSecrets))
  assert.equal((await httpGet({ port: outbound.port, path: '/' })).body, 'hello')
})

const rotations = 100

test('a hundred rotations and a new root while requests flow, and none fails', async () => {
  await using app = await runApp()
  await using inboundSecrets = await openSecretServer()
  await using outboundSecrets = await openSecretServer()
  const servers = [inboundSecrets, outboundSecrets]
  await give(servers, { by: authority, trusts: [authority] })
  await using inbound = await runTulle(inboundText(app.port, inboundSecrets))
  await using outbound = await runTulle(outboundText(inbound.port, outboundSecrets))
  const load = startLoad(outbound)
  const third = Math.floor(rotations / 3)
  for (let count = 0; count < rotations; count += 1) {
    // Both roots are trusted before the second signs, and after it has signed for everybody.
    const by = count < third ? authority : next
    const trusts = count < 2 * third ? [authority, next] : [next]
    await give(servers, { by, trusts, livesMs: 20_000 })
  }
  await eventually(() => load.count() > 2_000, { deadlineMs: 20_000 })
  // What was made by certificates of the first root is gone; what is there now is of the second.
  const { failures, answers } = await load.stop()
  assert.deepEqual(failures, [])
  assert.ok(answers > 2_000)
  const handshakes = await inbound.stat('listener.127.0.0.1_0.ssl.handshake')
  assert.ok(handshakes > 16, `connections were made anew: ${handshakes}`)
  const certificates = await inbound.get('/certs')
  assert.equal((JSON.parse(certificates) as { certificates: object[] }).certificates.length, 1)
})

test(
  'two threads at each end rotate together, and one that takes the place of another has what is in force',
  { skip: await skipWithoutHandOver() },
  async () => {
    const workers: Worker[] = []
    const note = (worker: Worker): void => void workers.push(worker)
    process.on('worker', note)
    await using app = await runApp()
    await using inboundSecrets = await openSecretServer()
    await using outboundSecrets = await openSecretServer()
    const servers = [inboundSecrets, outboundSecrets]
    await give(servers, { by: authority, trusts: [authority] })
    await using inbound = await runTulle(inboundText(app.port, inboundSecrets), 2)
    await using outbound = await runTulle(outboundText(inbound.port, outboundSecrets), 2)
    process.off('worker', note)
    const rotate = async (): Promise<void> => {
      for (let count = 0; count < 10; count += 1) {
        await give(servers, { by: authority, trusts: [authority, next] })
      }
    }
    const load = startLoad(outbound)
    await rotate()
    await eventually(() => load.count() > 200, { deadlineMs: 20_000 })
    assert.deepEqual((await load.stop()).failures, [])
    assert.equal(workers.length, 4)
    for (const [index, worker] of workers.entries()) {
      const end = index < 2 ? inbound : outbound
      await worker.terminate()
      await eventually(async () => (await end.stat('server.worker_deaths')) === 1 + (index % 2))
      await eventually(async () => (await end.stat('server.workers_serving')) === 2)
    }
    // Nobody is left of those that were given secrets by the server.
    const after = startLoad(outbound)
    await eventually(() => after.count() > 200, { deadlineMs: 20_000 })
    await rotate()
    assert.deepEqual((await after.stop()).failures, [])
  },
)

test(
  'Envoy takes the same secrets, and rotates with us at the other end',
  { skip: skipUnless(findEnvoy(), 'envoy') },
  async () => {
    await using app = await runApp()
    await using inboundSecrets = await openSecretServer()
    await using outboundSecrets = await openSecretServer()
    const servers = [inboundSecrets, outboundSecrets]
    await give(servers, { by: authority, trusts: [authority] })
    await using inbound = await runEnvoy(inboundText(app.port, inboundSecrets))
    await using outbound = await runTulle(outboundText(inbound.port, outboundSecrets))
    const load = startLoad(outbound)
    for (let count = 0; count < 10; count += 1) {
      await give(servers, { by: authority, trusts: [authority] })
      const before = load.count()
      await eventually(() => load.count() > before + 20)
    }
    const { failures } = await load.stop()
    assert.deepEqual(failures, [])
  },
)

/** Sixteen clients that ask one request after the other. */
function startLoad(proxy: RunningProxy) {
  const agent = new Agent({ keepAlive: true, maxSockets: 16 })
  const failures: string[] = []
  let answers = 0
  const state = { isOver: false }
  const client = async (): Promise<void> => {
    while (!state.isOver) {
      try {
        const { status, body } = await httpGet({ port: proxy.port, path: '/', agent })
        answers += 1
        if (status !== 200) failures.push(`${status} ${body}`)
      } catch (error) {
        failures.push(String(error))
      }
    }
  }
  const clients = Array.from({ length: 16 }, () => client())
  return {
    count: () => answers,
    async stop() {
      state.isOver = true
      await Promise.all(clients)
      agent.destroy()
      return { failures: failures.slice(0, 5), answers }
    },
  }
}
