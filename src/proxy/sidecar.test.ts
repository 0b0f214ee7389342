/** A sidecar from a static bootstrap: its start, its admin interface, its end. */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { Agent } from 'node:http'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { eventually } from '../../test/support/eventually.ts'
import { httpGet, openNamedUpstream } from '../../test/support/sidecar-scene.ts'
import { systemClock } from '../lib/clock.ts'
import { createLog, silentLog } from '../lib/log.ts'
import { MeshError } from '../lib/mesh-error.ts'
import { systemRandom } from '../lib/random.ts'
import { type OpenSidecarOptions, type Sidecar, openSidecar } from './sidecar.ts'

interface StaticParts {
  readonly upstreamPort?: number
  readonly drainType?: 'DEFAULT' | 'MODIFY_ONLY'
  readonly listenPort?: number
  readonly admin?: string
  readonly direction?: string
}

function bootstrapOf(parts: StaticParts = {}): string {
  const admin = parts.admin ?? 'socket_address: {address: 127.0.0.1, port_value: 0}'
  return `
node: {id: node, cluster: c}
admin: {address: {${admin}}}
static_resources:
  listeners:
  - name: in
    traffic_direction: ${parts.direction ?? 'INBOUND'}
    drain_type: ${parts.drainType ?? 'DEFAULT'}
    address: {socket_address: {address: 127.0.0.1, port_value: ${parts.listenPort ?? 0}}}
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          route_config: {name: r, virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: app}}]}]}
          http_filters: [{name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]
  clusters:
  - name: app
    connect_timeout: 1s
    outlier_detection: {}
    load_assignment: {cluster_name: app, endpoints: [{locality: {zone: z}, lb_endpoints: [{endpoint: {hostname: h, address: {socket_address: {address: 127.0.0.1, port_value: ${parts.upstreamPort ?? 1}}}}}]}]}
`
}

function open(parts: StaticParts = {}, more: Partial<OpenSidecarOptions> = {}): Promise<Sidecar> {
  return openSidecar({
    bootstrap: { text: bootstrapOf(parts), file: 'b.yaml' },
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    ...more,
  })
}

async function portOf(sidecar: Sidecar): Promise<number> {
  const address = (await sidecar.status()).listeners[0]?.address
  return address?.kind === 'ip' ? address.port : 0
}

interface AdminCall {
  readonly method?: string
  readonly headers?: Record<string, string>
}

const post: AdminCall = { method: 'POST' }

function admin(sidecar: Sidecar, path: string, call: AdminCall = {}) {
  return httpGet({ port: Number(sidecar.adminAddress?.split(':')[1]), path, ...call })
}

async function rejection(promise: Promise<unknown>): Promise<MeshError> {
  try {
    await promise
  } catch (error) {
    assert.ok(error instanceof MeshError)
    return error
  }
  throw new Error('nothing was rejected')
}

test('a static sidecar serves when it is open', async () => {
  await using upstream = await openNamedUpstream('app')
  await using sidecar = await open({ upstreamPort: upstream.port })
  const answer = await httpGet({ port: await portOf(sidecar), path: '/' })
  assert.equal(answer.body, 'app')
  assert.equal((await sidecar.status()).state, 'LIVE')
})

test('one process holds many sidecars, each with its own statistics', async () => {
  await using upstream = await openNamedUpstream('app')
  await using first = await open({ upstreamPort: upstream.port })
  await using second = await open({ upstreamPort: upstream.port })
  await httpGet({ port: await portOf(first), path: '/' })
  const count = async (sidecar: Sidecar) =>
    (await admin(sidecar, '/stats?filter=^http.in.downstream_rq_total$')).body
  assert.equal(await count(first), 'http.in.downstream_rq_total: 1\n')
  assert.equal(await count(second), 'http.in.downstream_rq_total: 0\n')
})

test('a resource of the bootstrap that is refused ends the start, with its place', async () => {
  const text = bootstrapOf().replace(
    'connect_timeout: 1s',
    'protocol_selection: USE_DOWNSTREAM_PROTOCOL',
  )
  const error = await rejection(open({}, { bootstrap: { text, file: 'b.yaml' } }))
  assert.equal(error.code, 'MESH_BOOTSTRAP_INVALID')
  assert.match(
    error.message,
    /b\.yaml:\d+:\d+: static_resources\.clusters\[0\] app: protocol_selection: protocol_selection is not implemented/,
  )
})

test('a listener that cannot be bound ends the start', async () => {
  const taken = createServer()
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
  const { port } = taken.address() as AddressInfo // it listens on TCP
  const error = await rejection(open({ listenPort: port }))
  assert.match(error.message, new RegExp(`in: .*${port}`))
  taken.close()
})

test('a socket that listens already is taken over', async () => {
  await using upstream = await openNamedUpstream('app')
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo // it listens on TCP
  const listenSockets = new Map([[`127.0.0.1:${port}`, server]])
  await using sidecar = await open(
    { upstreamPort: upstream.port, listenPort: port },
    { listenSockets },
  )
  assert.equal((await httpGet({ port, path: '/' })).body, 'app')
  assert.equal((await sidecar.status()).listeners.length, 1)
})

test('the admin interface on a Unix socket is for its owner, and replaces a stale file', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-admin-'))
  const path = join(folder, 'admin.sock')
  const first = await open({ admin: `pipe: {path: ${path}}` })
  assert.equal(first.adminAddress, `unix:${path}`)
  assert.equal(statSync(path).mode & 0o777, 0o600)
  await first.close()
  const second = await open({ admin: `pipe: {path: ${path}}` })
  assert.ok(existsSync(path))
  await second.close()
  rmSync(folder, { recursive: true })
})

test('what changes something is POST only', async () => {
  await using sidecar = await open()
  for (const path of [
    '/quitquitquit',
    '/healthcheck/fail',
    '/reset_counters',
    '/drain_listeners',
    '/logging',
    '/reopen_logs',
  ]) {
    const answer = await admin(sidecar, path)
    assert.equal(answer.status, 405, path)
    assert.equal(answer.body, 'Method GET not allowed, POST required.')
  }
  assert.equal((await sidecar.status()).state, 'LIVE')
})

test('a Host header of another name is refused, so that no web page can read it', async () => {
  await using sidecar = await open()
  assert.equal((await admin(sidecar, '/stats', { headers: { host: 'evil.example' } })).status, 403)
  assert.equal(
    (await admin(sidecar, '/stats', { headers: { host: '127.0.0.1.evil.example' } })).status,
    403,
  )
  assert.equal(
    (await admin(sidecar, '/stats', { headers: { host: 'localhost:15000' } })).status,
    200,
  )
})

test('readiness follows the health check that an operator sets', async () => {
  await using sidecar = await open()
  assert.equal((await admin(sidecar, '/ready')).body, 'LIVE\n')
  await admin(sidecar, '/healthcheck/fail', post)
  const failing = await admin(sidecar, '/ready')
  assert.deepEqual([failing.status, failing.body], [503, 'DRAINING\n'])
  await admin(sidecar, '/healthcheck/ok', post)
  assert.equal((await admin(sidecar, '/ready')).status, 200)
})

test('/clusters says of each host what Envoy says', async () => {
  await using sidecar = await open({ upstreamPort: 9 })
  const text = (await admin(sidecar, '/clusters')).body
  for (const line of [
    'app::default_priority::max_retries::3',
    'app::added_via_api::false',
    'app::127.0.0.1:9::health_flags::healthy',
    'app::127.0.0.1:9::hostname::h',
    'app::127.0.0.1:9::zone::z',
    'app::127.0.0.1:9::success_rate::-1',
  ]) {
    assert.ok(text.includes(`${line}\n`), line)
  }
  const json = JSON.parse((await admin(sidecar, '/clusters?format=json')).body) as {
    cluster_statuses: { name: string; host_statuses: Record<string, unknown>[] }[]
  }
  const [status] = json.cluster_statuses
  assert.equal(status?.name, 'app')
  assert.deepEqual(status?.host_statuses[0]?.['health_status'], { eds_health_status: 'HEALTHY' })
  assert.deepEqual(status?.host_statuses[0]?.['locality'], { zone: 'z' })
})

test('/config_dump holds the bootstrap and its resources, by part and by mask', async () => {
  await using sidecar = await open()
  const dump = JSON.parse((await admin(sidecar, '/config_dump')).body) as {
    configs: Record<string, unknown>[]
  }
  assert.deepEqual(
    dump.configs.map((config) => String(config['@type']).split('.').at(-1)),
    [
      'BootstrapConfigDump',
      'ClustersConfigDump',
      'ListenersConfigDump',
      'ScopedRoutesConfigDump',
      'RoutesConfigDump',
      'SecretsConfigDump',
    ],
  )
  const masked = await admin(sidecar, '/config_dump?resource=static_listeners&mask=listener.name')
  assert.deepEqual(JSON.parse(masked.body), {
    configs: [
      {
        '@type': 'type.googleapis.com/envoy.admin.v3.ListenersConfigDump.StaticListener',
        listener: { name: 'in' },
      },
    ],
  })
  assert.equal((await admin(sidecar, '/config_dump?resource=nope')).status, 404)
  assert.equal((await admin(sidecar, '/config_dump?resource=bootstrap')).status, 400)
  assert.equal((await admin(sidecar, '/config_dump?name_regex=(')).status, 400)
})

test('the log level is changed while it runs', async () => {
  const log = createLog({ name: 'test', level: 'error' })
  await using sidecar = await open({}, { log })
  const answer = await admin(sidecar, '/logging?level=warning', post)
  assert.equal(answer.body, 'active loggers:\n  sidecar: warning\n')
  assert.equal(log.level, 'warn')
  assert.equal((await admin(sidecar, '/logging?level=loud', post)).status, 400)
})

test('every page answers, and an unknown one lists them', async () => {
  await using sidecar = await open()
  const help = (await admin(sidecar, '/help')).body
  const pages = [...help.matchAll(/^ {2}(\/\S*):/gm)].map(([, path]) => path ?? '')
  assert.ok(pages.length >= 12, pages.join(' '))
  for (const path of pages) assert.ok((await admin(sidecar, path)).status < 500, path)
  const unknown = await admin(sidecar, '/nope')
  assert.equal(unknown.status, 404)
  assert.match(unknown.body, /^invalid path\. admin commands are:/)
})

test('quitting asks whoever runs the sidecar', async () => {
  let asked = 0
  await using sidecar = await open({}, { onQuit: () => (asked += 1) })
  assert.equal((await admin(sidecar, '/quitquitquit', post)).body, 'OK\n')
  assert.equal(asked, 1)
})

test('a drain serves those who have not heard of it, then accepts nobody, and lets what is in flight end', async () => {
  await using upstream = await openNamedUpstream('app')
  const held: (() => void)[] = []
  upstream.server.removeAllListeners('request')
  upstream.server.on('request', (_request, response) => held.push(() => response.end('late')))
  await using sidecar = await open({ upstreamPort: upstream.port })
  const port = await portOf(sidecar)
  const answer = httpGet({ port, path: '/' })
  await eventually(() => held.length === 1)
  const drained = sidecar.drain(5_000)
  assert.equal((await admin(sidecar, '/ready')).status, 503)
  // Those who have not heard of it are still served, for a moment.
  const late = httpGet({ port, path: '/' })
  await eventually(() => held.length === 2)
  held[1]?.()
  assert.equal((await late).body, 'late')
  await eventually(() => isRefused(port))
  held[0]?.()
  assert.equal((await answer).body, 'late')
  await drained
})

test('a drain ends at its deadline', async () => {
  await using upstream = await openNamedUpstream('app')
  upstream.server.removeAllListeners('request')
  let arrived = 0
  upstream.server.on('request', () => {
    arrived += 1
  })
  await using sidecar = await open({ upstreamPort: upstream.port })
  const answer = httpGet({ port: await portOf(sidecar), path: '/' })
  const outcome = answer.then(
    () => 'answered',
    () => 'cut',
  )
  await eventually(() => arrived === 1)
  await sidecar.drain(50)
  assert.equal(await outcome, 'cut')
})

/** What one kept connection is told at its next response. */
async function askOn(agent: Agent, port: number): Promise<string> {
  const { headers } = await httpGet({ port, path: '/', agent })
  return String(headers['connection'] ?? 'nothing')
}

test('/drain_listeners closes the door and leaves what is open alone, as Envoy does', async () => {
  await using upstream = await openNamedUpstream('app')
  await using sidecar = await open({ upstreamPort: upstream.port })
  const port = await portOf(sidecar)
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  assert.notEqual(await askOn(agent, port), 'close')
  assert.equal((await admin(sidecar, '/drain_listeners?skip_exit', post)).body, 'OK\n')
  assert.equal(await isRefused(port), false)
  assert.equal((await admin(sidecar, '/drain_listeners', post)).body, 'OK\n')
  await eventually(() => isRefused(port))
  assert.notEqual(await askOn(agent, port), 'close')
  assert.equal((await admin(sidecar, '/ready')).body, 'LIVE\n')
  agent.destroy()
})

test('/drain_listeners?graceful tells connections over the drain time, then closes the door', async () => {
  await using upstream = await openNamedUpstream('app')
  await using sidecar = await open({ upstreamPort: upstream.port }, { drainTimeMs: 1_500 })
  const port = await portOf(sidecar)
  const startMs = performance.now()
  const drain = (): Promise<unknown> => admin(sidecar, '/drain_listeners?graceful', post)
  await drain()
  assert.equal(await isRefused(port), false)
  // Again is not anew.
  await eventually(() => performance.now() - startMs > 1_400)
  await drain()
  await eventually(() => isRefused(port))
  assert.ok(performance.now() - startMs < 2_900)
})

test('/drain_listeners?graceful&skip_exit never closes the door, and then tells everybody', async () => {
  await using upstream = await openNamedUpstream('app')
  await using sidecar = await open({ upstreamPort: upstream.port }, { drainTimeMs: 50 })
  const port = await portOf(sidecar)
  const startMs = performance.now()
  await admin(sidecar, '/drain_listeners?graceful&skip_exit', post)
  await eventually(() => performance.now() - startMs > 100)
  const agent = new Agent({ keepAlive: true })
  for (let count = 0; count < 5; count += 1) assert.equal(await askOn(agent, port), 'close')
  agent.destroy()
})

test('with the immediate strategy everybody is told at once', async () => {
  await using upstream = await openNamedUpstream('app')
  const options = { drainTimeMs: 60_000, drainStrategy: 'immediate' } as const
  await using sidecar = await open({ upstreamPort: upstream.port }, options)
  await admin(sidecar, '/drain_listeners?graceful', post)
  const agent = new Agent({ keepAlive: true })
  assert.equal(await askOn(agent, await portOf(sidecar)), 'close')
  agent.destroy()
})

for (const [drainType, told] of [
  ['DEFAULT', 'close'],
  ['MODIFY_ONLY', 'keep-alive'],
] as const) {
  test(`a sidecar that fails its health checks tells connections of listeners with ${drainType}: ${told}`, async () => {
    await using upstream = await openNamedUpstream('app')
    await using sidecar = await open({ upstreamPort: upstream.port, drainType })
    const port = await portOf(sidecar)
    const agent = new Agent({ keepAlive: true })
    const isTold = async (): Promise<boolean> => (await askOn(agent, port)) === 'close'
    assert.equal(await isTold(), false)
    await admin(sidecar, '/healthcheck/fail', post)
    assert.equal((await admin(sidecar, '/ready')).body, 'DRAINING\n')
    assert.equal(await isTold(), told === 'close')
    await admin(sidecar, '/healthcheck/ok', post)
    assert.equal(await isTold(), false)
    agent.destroy()
  })
}

/** Whether nobody listens there. */
function isRefused(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.on('connect', () => {
      socket.destroy()
      resolve(false)
    })
    socket.on('error', () => resolve(true))
  })
}
