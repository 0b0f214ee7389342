/**
 * The overload manager: the same bootstrap, run by a real Envoy and by Tulle, does the same to the same requests while a
 * file says how short of something both are, and counts it by the same names.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { type Socket, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'

import { eventually } from '../support/eventually.ts'
import { findEnvoy, skipUnless } from '../support/programs.ts'
import { type OpenProxy, openEnvoy, openTulle } from './parity/open-proxy.ts'

const envoy = findEnvoy()
const types = 'type.googleapis.com/envoy.extensions'
const pressures = [0.1, 0.6, 0.92, 0.97, 0.995, 0.1] as const
const connectionsMax = 3

function bootstrap(pressureFile: string): string {
  const injected = 'envoy.resource_monitors.injected_resource'
  const listener = (name: string, more: string): string => `
  - name: ${name}
    ${more}
    address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    stat_prefix: ${name}
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          "@type": ${types}.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: ${name}
          append_local_overload: true
          route_config: {name: r, virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, direct_response: {status: 200, body: {inline_string: served}}}]}]}
          http_filters: [{name: router, typed_config: {"@type": ${types}.filters.http.router.v3.Router}}]`
  return `
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}
overload_manager:
  refresh_interval: 0.05s
  resource_monitors:
  - name: ${injected}
    typed_config: {"@type": ${types}.resource_monitors.injected_resource.v3.InjectedResourceConfig, filename: ${pressureFile}}
  - name: envoy.resource_monitors.fixed_heap
    typed_config: {"@type": ${types}.resource_monitors.fixed_heap.v3.FixedHeapConfig, max_heap_size_bytes: 1000000000000}
  - name: envoy.resource_monitors.global_downstream_max_connections
    typed_config: {"@type": ${types}.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig, max_active_downstream_connections: ${connectionsMax}}
  actions:
  - {name: envoy.overload_actions.stop_accepting_requests, triggers: [{name: ${injected}, threshold: {value: 0.9}}]}
  - {name: envoy.overload_actions.disable_http_keepalive, triggers: [{name: ${injected}, scaled: {scaling_threshold: 0.4, saturation_threshold: 0.6}}]}
  - {name: envoy.overload_actions.reject_incoming_connections, triggers: [{name: ${injected}, threshold: {value: 0.99}}]}
  - {name: envoy.overload_actions.shrink_heap, triggers: [{name: envoy.resource_monitors.fixed_heap, threshold: {value: 0.99}}]}
  loadshed_points:
  - {name: envoy.load_shed_points.tcp_listener_accept, triggers: [{name: ${injected}, threshold: {value: 0.95}}]}
static_resources:
  listeners:${listener('in', '')}${listener('aside', 'bypass_overload_manager: true')}
`
}

/** What one proxy said and did, as far as both must be alike. */
interface Story {
  readonly answers: readonly string[]
  readonly statistics: readonly string[]
  readonly heldOpen: readonly boolean[]
}

describe('the overload manager of Envoy and of Tulle', { skip: skipUnless(envoy, 'envoy') }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-overload-parity-'))
  const pressureFile = join(folder, 'pressure')
  const stories: { envoy?: Story; tulle?: Story } = {}

  before(async () => {
    const file = join(folder, 'bootstrap.yaml')
    writeFileSync(file, bootstrap(pressureFile))
    stories.envoy = await tell(() => openEnvoy({ envoy: envoy ?? '', file, folder, listeners: 2 }))
    stories.tulle = await tell(() => openTulle(file))
  })
  after(() => rmSync(folder, { recursive: true }))

  /** Envoy looks again when another file has taken the place. */
  function press(pressure: number): void {
    writeFileSync(`${pressureFile}.next`, String(pressure))
    renameSync(`${pressureFile}.next`, pressureFile)
  }

  async function tell(open: () => Promise<OpenProxy>): Promise<Story> {
    press(pressures[0])
    await using proxy = await open()
    const answers: string[] = []
    for (const pressure of pressures) {
      press(pressure)
      await pressureShows(proxy, pressure)
      for (const listener of ['in', 'aside']) {
        answers.push(`${pressure} ${listener}: ${await ask(proxy.ports.get(listener) ?? 0)}`)
      }
    }
    const heldOpen = await holdConnections(proxy.ports.get('in') ?? 0)
    const shown =
      /^(?:overload\.|http\.(?:in|aside)\.downstream_rq_overload|listener\..*downstream_(?:global_)?cx_over)/
    const statistics = (await proxy.admin('/stats')).split('\n').filter((line) => {
      const isOurs = line.includes('tulle.') || /stop_accepting_connections/.test(line)
      return shown.test(line) && !isOurs && !unlike.test(line)
    })
    return { answers, statistics, heldOpen }
  }

  test('the same requests are served, closed, refused and rejected', () => {
    assert.deepEqual(stories.tulle?.answers, stories.envoy?.answers)
    const text = stories.tulle?.answers.join('\n') ?? ''
    assert.match(text, /0\.1 in: 200 served$/m)
    assert.match(text, /0\.6 in: 200 close served$/m)
    assert.match(text, /0\.92 in: 503 close x-envoy-local-overloaded envoy overloaded$/m)
    assert.match(text, /0\.97 in: nothing$/m)
    assert.match(text, /0\.995 aside: 200 served$/m)
  })

  test('the ceiling of connections lets as many in, and no more', () => {
    assert.deepEqual(stories.tulle?.heldOpen, stories.envoy?.heldOpen)
    assert.deepEqual(stories.tulle?.heldOpen, [true, true, true, false, false])
  })

  test('every statistic of Envoy’s is there, with the same value', () => {
    assert.deepEqual(stories.tulle?.statistics, stories.envoy?.statistics)
    assert.ok((stories.tulle?.statistics.length ?? 0) > 20)
  })
})

/** Of the allocator, of updates that overtake each other, and when a moment is looked at: nothing of ours. */
const unlike =
  /shrink_count|skipped_updates|refresh_interval_delay|max_connections\.pressure|fixed_heap\.pressure|reset_high_memory|listener\.admin/

async function pressureShows(proxy: OpenProxy, pressure: number): Promise<void> {
  const line = `injected_resource.pressure: ${Math.trunc(pressure * 100)}`
  await eventually(async () => (await proxy.admin('/stats?filter=injected')).includes(line))
}

/** The status, `close`, the header of overload and the body; `nothing` where the connection was refused. */
function ask(port: number): Promise<string> {
  return new Promise((resolve) => {
    let text = ''
    const socket = connect({ host: '127.0.0.1', port })
    const finish = (): void => {
      clearTimeout(timer)
      socket.destroy()
      resolve(text === '' ? 'nothing' : summary(text))
    }
    const timer = setTimeout(finish, 4_000)
    socket.setEncoding('latin1')
    socket.on('connect', () => socket.write('GET / HTTP/1.1\r\nhost: a.test\r\n\r\n'))
    socket.on('data', (chunk: string) => {
      text += chunk
      if (/\r\n\r\n.*(?:served|overloaded)/s.test(text)) finish()
    })
    socket.on('error', finish)
    socket.on('close', finish)
  })
}

function summary(text: string): string {
  const [head = '', body = ''] = text.split('\r\n\r\n')
  const words = [head.split(' ')[1] ?? '']
  if (/^connection: close$/im.test(head)) words.push('close')
  if (/^x-envoy-local-overloaded: true$/im.test(head)) words.push('x-envoy-local-overloaded')
  return [...words, body].join(' ')
}

/** Whether each of five connections that say nothing is still open once the last two have ended. */
async function holdConnections(port: number): Promise<readonly boolean[]> {
  const sockets: Socket[] = []
  const ended = new Set<Socket>()
  try {
    for (let count = 0; count < 5; count += 1) {
      const socket = connect({ host: '127.0.0.1', port })
      socket.on('error', () => ended.add(socket))
      socket.on('close', () => ended.add(socket))
      socket.resume()
      sockets.push(socket)
      await new Promise((resolve) => socket.once('connect', resolve))
    }
    await eventually(() => ended.size >= 5 - connectionsMax)
    return sockets.map((socket) => !ended.has(socket))
  } finally {
    for (const socket of sockets) socket.destroy()
  }
}
