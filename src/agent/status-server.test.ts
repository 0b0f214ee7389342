/** What an agent says of its certificate. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { FakeClock } from '../../test/support/fake-clock.ts'
import { freePort } from '../../test/support/free-port.ts'
import { askAdmin } from './admin-client.ts'
import type { IdentityStatus } from './identity/workload-identity.ts'
import { openStatusPort, openStatusServer, type AgentStatus } from './status-server.ts'

async function scene() {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-status-'))
  const path = join(folder, 'agent.sock')
  const clock = new FakeClock(Date.UTC(2026, 0, 1))
  const identity: IdentityStatus = {
    spiffeId: 'spiffe://m/ns/n/sa/a',
    serial: '1',
    notAfterMs: clock.nowMs() + 60_000,
    renewAtMs: clock.nowMs() + 30_000,
    failure: undefined,
    isNearEnd: false,
    requests: 3,
    failures: 1,
  }
  const relay = { state: 'connected', reason: '', staleSinceMs: undefined } as const
  const state: { status: AgentStatus } = {
    status: { identity, relay, isEnding: false },
  }
  const commands: (readonly string[])[] = []
  const server = await openStatusServer({
    path,
    status: () => state.status,
    clock,
    upgrade: (command) => {
      commands.push(command)
      return command[0] === 'bad' ? Promise.reject(new Error('it ended')) : Promise.resolve()
    },
  })
  return {
    path,
    clock,
    state,
    identity,
    relay,
    commands,
    ask: (page: string, method: 'GET' | 'POST' = 'GET') =>
      askAdmin({ address: `unix:${path}`, path: page, method }),
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

test('a good certificate is ready, one near its end too with the reason, an expired one is not', async () => {
  await using here = await scene()
  const { clock, state, identity, relay } = here
  assert.deepEqual(await here.ask('/ready'), {
    status: 200,
    text: 'certificate: good, spiffe://m/ns/n/sa/a until 2026-01-01T00:01:00.000Z\ncontrol plane: connected\n',
  })
  const failing = { ...identity, failure: 'nobody answers', isNearEnd: true }
  state.status = {
    ...state.status,
    identity: failing,
    relay: { ...relay, state: 'cached', reason: 'refused' },
  }
  const near = await here.ask('/ready')
  assert.equal(near.status, 200)
  assert.match(near.text, /near its end[^]*renewal: nobody answers\ncontrol plane: cached: refused/)
  clock.advance(60_000)
  assert.equal((await here.ask('/ready')).status, 503)
})

test('a workload that is being ended is not ready, whatever its certificate', async () => {
  await using here = await scene()
  here.state.status = { ...here.state.status, isEnding: true }
  const answer = await here.ask('/ready')
  assert.equal(answer.status, 503)
  assert.match(answer.text, /^workload: draining\ncertificate: good/)
})

test('an upgrade is asked for by a list of words, by POST, and answers with its reason when it fails', async () => {
  await using here = await scene()
  const upgrade = (command: unknown) =>
    here.ask(`/upgrade?command=${encodeURIComponent(JSON.stringify(command))}`, 'POST')
  assert.equal((await upgrade(['node', 'a b'])).status, 200)
  assert.deepEqual(here.commands, [['node', 'a b']])
  assert.deepEqual(await upgrade(['bad']), { status: 500, text: 'it ended\n' })
  for (const command of [[], 'node', [1], {}]) {
    const answer = await upgrade(command)
    assert.equal(answer.status, 500)
    assert.match(answer.text, /command must be a list of words/)
  }
  assert.equal((await here.ask('/upgrade?command=%5B%22x%22%5D')).status, 404)
  assert.equal(here.commands.length, 2)
})

test('metrics have the names of Istio', async () => {
  await using here = await scene()
  const { text } = await here.ask('/metrics')
  assert.match(text, /^istio_agent_cert_expiry_seconds\{resource_name="default"\} 60$/m)
  assert.match(text, /^istio_agent_num_failed_outgoing_requests\{request_type="csr"\} 1$/m)
})

test('the socket is for its owner, and other paths are unknown', async () => {
  await using here = await scene()
  assert.equal(statSync(here.path).mode & 0o777, 0o600)
  assert.equal((await here.ask('/other')).status, 404)
  assert.equal(JSON.parse((await here.ask('/status')).text).identity.serial, '1')
})

test('on its port the agent is ready when its sidecar is too, and shows the metrics of both', async () => {
  await using here = await scene()
  const { clock, state } = here
  const answers: Record<string, readonly [number, string]> = {
    '/ready': [200, 'LIVE\n'],
    '/stats/prometheus': [200, 'envoy_server_live 1\n'],
  }
  const sidecar = createServer((request, response) => {
    const [code, text] = answers[request.url ?? ''] ?? [404, '']
    response.writeHead(code).end(text)
  })
  await new Promise<void>((resolve) => sidecar.listen(0, '127.0.0.1', resolve))
  try {
    const adminAddress = `127.0.0.1:${(sidecar.address() as AddressInfo).port}`
    const port = await freePort()
    const options = { port, adminAddress, status: () => state.status, clock }
    await using _open = await openStatusPort(options)
    const ask = (path: string) => askAdmin({ address: `127.0.0.1:${port}`, path })
    const ready = await ask('/healthz/ready')
    assert.equal(ready.status, 200)
    assert.match(ready.text, /sidecar: LIVE/)
    const metrics = await ask('/stats/prometheus')
    assert.match(metrics.text, /envoy_server_live 1\n[^]*istio_agent_cert_expiry_seconds/)
    assert.equal((await ask('/other')).status, 404)
    state.status = { ...state.status, isEnding: true }
    assert.equal((await ask('/healthz/ready')).status, 503)
    state.status = { ...state.status, isEnding: false }
    answers['/ready'] = [503, 'INITIALIZING\n']
    assert.equal((await ask('/healthz/ready')).status, 503)
    sidecar.close()
    sidecar.closeAllConnections()
    assert.match((await ask('/healthz/ready')).text, /sidecar at 127/)
    await assert.rejects(openStatusPort(options), /listen on 127\.0\.0\.1:\d+, the statusPort/)
  } finally {
    sidecar.close()
  }
})
