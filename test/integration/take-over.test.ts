/**
 * A sidecar that takes over from a running one, under load: clients that open a connection for each request, clients that
 * keep theirs, and TCP conversations. Nobody is refused, nobody is reset, nothing fails.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { Agent, createServer as createHttpServer, request, type Server } from 'node:http'
import { connect, createServer, type Server as TcpServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'

import { openDescriptorPassing } from '../../src/proxy/take-over/pass-descriptor.ts'
import { eventually } from '../support/eventually.ts'

const program = join(import.meta.dirname, '../../bin/tulle')
const types = 'type.googleapis.com/envoy.extensions.filters.network'

function hcm(name: string): string {
  return `
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          "@type": ${types}.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: ${name}
          route_config: {name: r, virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: web}}]}]}
          http_filters: [{name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]`
}

function bootstrap(folder: string, web: number, echo: number): string {
  const cluster = (name: string, port: number): string => `
  - name: ${name}
    connect_timeout: 1s
    load_assignment: {cluster_name: ${name}, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: ${port}}}}}]}]}`
  const any = 'socket_address: {address: 127.0.0.1, port_value: 0}'
  return `
admin: {address: {pipe: {path: ${folder}/admin.sock}}}
static_resources:
  listeners:
  - name: web
    address: {${any}}${hcm('web')}
  - name: local
    address: {pipe: {path: ${folder}/local.sock}}${hcm('local')}
  - name: echo
    address: {${any}}
    filter_chains:
    - filters:
      - {name: tcp, typed_config: {"@type": ${types}.tcp_proxy.v3.TcpProxy, stat_prefix: echo, cluster: echo}}
  clusters:${cluster('web', web)}${cluster('echo', echo)}
`
}

async function reasonToSkip(): Promise<string | false> {
  try {
    await openDescriptorPassing()
    return false
  } catch (error) {
    return String(error)
  }
}

interface Get {
  readonly port?: number
  readonly socketPath?: string
  readonly path: string
  readonly agent?: Agent
}

function get(options: Get): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', agent: false, ...options }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        text += chunk
      })
      response.on('end', () => resolve(text))
      response.on('error', reject)
    })
    sent.on('error', reject)
    sent.end()
  })
}

/** Works until it is told to stop; what went wrong is kept. */
class Workers {
  done = 0
  readonly failures: string[] = []
  #isStopping = false
  readonly #all: Promise<unknown>[] = []

  start(count: number, work: () => Promise<void>): void {
    for (let index = 0; index < count; index += 1) this.#all.push(this.#run(work))
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    await Promise.all(this.#all)
  }

  async #run(work: () => Promise<void>): Promise<void> {
    while (!this.#isStopping) {
      try {
        await work()
        this.done += 1
      } catch (error) {
        this.failures.push(error instanceof Error ? error.message : String(error))
      }
    }
  }
}

/** With the echo. */
class Conversation {
  readonly #socket: Socket
  #heard = ''

  constructor(port: number) {
    this.#socket = connect(port, '127.0.0.1')
    this.#socket.on('data', (chunk: Buffer) => {
      this.#heard += chunk.toString()
    })
  }

  async say(word: string): Promise<void> {
    this.#socket.write(word)
    await eventually(() => this.#heard.endsWith(word))
  }

  end(): void {
    this.#socket.end()
  }
}

suite('a sidecar that takes over', { skip: await reasonToSkip() }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-take-over-'))
  const children = new Set<ChildProcess>()
  let web: Server
  let echo: TcpServer

  before(async () => {
    web = createHttpServer((_request, response) => response.end('served'))
    web.keepAliveTimeout = 0
    echo = createServer((socket) => socket.on('error', () => {}).pipe(socket))
    for (const server of [web, echo]) {
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
    }
    const file = join(folder, 'bootstrap.yaml')
    writeFileSync(file, bootstrap(folder, portOf(web), portOf(echo)))
  })
  after(() => {
    for (const child of children) child.kill('SIGKILL')
    web.closeAllConnections()
    web.close()
    echo.close()
    rmSync(folder, { recursive: true })
  })

  const admin = (path: string): Promise<string> =>
    get({ socketPath: join(folder, 'admin.sock'), path })

  async function startSidecar(...flags: readonly string[]): Promise<ChildProcess> {
    const words = ['sidecar', '-c', 'bootstrap.yaml', '--take-over', 'next.sock', '-l', 'warn']
    const child = spawn(program, [...words, ...flags], {
      cwd: folder,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    children.add(child)
    child.once('exit', () => children.delete(child))
    const [message] = await Promise.race([
      once(child, 'message'),
      once(child, 'exit').then(() => Promise.reject(new Error('it ended'))),
    ])
    assert.deepEqual(message, { event: 'sidecar-live' })
    return child
  }

  const epoch = async (): Promise<number> =>
    Number(/hot_restart_epoch: (\d+)/.exec(await admin('/stats?filter=hot_restart'))?.[1])

  async function portsOf(): Promise<{ readonly web: number; readonly echo: number }> {
    const text = await admin('/listeners')
    const port = (name: string): number =>
      Number(new RegExp(`^${name}::.*:(\\d+)$`, 'm').exec(text)?.[1])
    return { web: port('web'), echo: port('echo') }
  }

  for (const concurrency of ['1', '2']) {
    test(`with ${concurrency} thread(s), again and again under load, and nothing fails`, async () => {
      let current = await startSidecar('--concurrency', concurrency, '--drain-time-s', '2')
      const ports = await portsOf()
      assert.equal(statSync(join(folder, 'next.sock')).mode & 0o777, 0o600)
      const fresh = new Workers()
      fresh.start(4, async () => assert.equal(await get({ port: ports.web, path: '/' }), 'served'))
      fresh.start(1, async () => {
        assert.equal(await get({ socketPath: join(folder, 'local.sock'), path: '/' }), 'served')
      })
      const kept = new Workers()
      const agent = new Agent({ keepAlive: true, maxSockets: 4 })
      kept.start(4, async () => {
        assert.equal(await get({ port: ports.web, path: '/', agent }), 'served')
        await new Promise((resolve) => setTimeout(resolve, 5))
      })
      const conversation = new Conversation(ports.echo)
      await conversation.say('before')

      const startEpoch = await epoch()
      for (let round = 1; round <= 3; round += 1) {
        const seen = fresh.done
        await eventually(() => fresh.done > seen + 300, { deadlineMs: 20_000 })
        const old = current
        const ended = once(old, 'exit')
        current = await startSidecar('--concurrency', concurrency, '--drain-time-s', '2')
        assert.equal(await epoch(), startEpoch + round)
        assert.deepEqual(await portsOf(), ports)
        const after = fresh.done
        await eventually(() => fresh.done > after + 300, { deadlineMs: 20_000 })
        if (round === 1) {
          await conversation.say('the one that it was opened with still carries it')
          conversation.end()
        }
        const [code] = await ended
        assert.equal(code, 0)
      }
      await Promise.all([fresh.stop(), kept.stop()])
      agent.destroy()
      assert.deepEqual(fresh.failures, [])
      assert.deepEqual(kept.failures, [])
      assert.ok(fresh.done > 1_800 && kept.done > 100)
      const ended = once(current, 'exit')
      current.kill('SIGTERM')
      await ended
    })
  }

  for (const concurrency of ['1', '2']) {
    test(`with ${concurrency} thread(s), what the old one counts while it drains stands in the statistics of the new one`, async () => {
      const old = await startSidecar('--concurrency', concurrency, '--drain-time-s', '60')
      const ports = await portsOf()
      const conversation = new Conversation(ports.echo)
      const statistic = async (name: string): Promise<number> =>
        Number(new RegExp(`^tcp.echo.${name}: (\\d+)$`, 'm').exec(await admin('/stats'))?.[1] ?? 0)
      await conversation.say('before')
      const ended = once(old, 'exit')
      const next = await startSidecar('--concurrency', concurrency, '--drain-time-s', '0')
      await conversation.say('later')
      await eventually(async () => (await statistic('downstream_cx_rx_bytes_total')) === 5)
      assert.equal(await statistic('downstream_cx_active'), 1)
      assert.equal(await statistic('downstream_cx_total'), 0)
      conversation.end()
      old.kill('SIGTERM')
      await ended
      await eventually(async () => (await statistic('downstream_cx_active')) === 0)
      assert.equal(await statistic('downstream_cx_rx_bytes_total'), 5)
      const nextEnded = once(next, 'exit')
      next.kill('SIGTERM')
      await nextEnded
    })
  }

  test('one that cannot start leaves the old one as it was', async () => {
    const old = await startSidecar()
    const ports = await portsOf()
    writeFileSync(join(folder, 'broken.yaml'), 'static_resources: {listeners: [{name: x}]}')
    const broken = spawn(
      program,
      ['sidecar', '-c', 'broken.yaml', '--take-over', 'next.sock', '-l', 'silent'],
      { cwd: folder, stdio: 'ignore' },
    )
    const [code] = await once(broken, 'exit')
    assert.equal(code, 1)
    assert.equal(await get({ port: ports.web, path: '/' }), 'served')
    assert.equal(await get({ socketPath: join(folder, 'local.sock'), path: '/' }), 'served')
    assert.match(await admin('/ready'), /^LIVE/)
    // And the next one may come.
    const ended = once(old, 'exit')
    const next = await startSidecar('--drain-time-s', '0')
    assert.deepEqual(await portsOf(), ports)
    old.kill('SIGTERM')
    await ended
    assert.equal(await get({ port: ports.web, path: '/' }), 'served')
    const nextEnded = once(next, 'exit')
    next.kill('SIGTERM')
    await nextEnded
  })

  test('one whose admin interface cannot be opened leaves the old one as it was', async () => {
    const text = bootstrap(folder, portOf(web), portOf(echo))
    const withoutAdmin = text.replace(/^admin: .*$/m, '')
    const taken = `{socket_address: {address: 127.0.0.1, port_value: ${portOf(echo)}}}`
    writeFileSync(join(folder, 'no-admin.yaml'), withoutAdmin)
    writeFileSync(join(folder, 'taken.yaml'), `admin: {address: ${taken}}\n${withoutAdmin}`)
    const old = await startSidecar('-c', 'no-admin.yaml')
    const [code] = await once(
      spawn(program, ['sidecar', '-c', 'taken.yaml', '--take-over', 'next.sock', '-l', 'silent'], {
        cwd: folder,
        stdio: 'ignore',
      }),
      'exit',
    )
    assert.equal(code, 1)
    assert.equal(await get({ socketPath: join(folder, 'local.sock'), path: '/' }), 'served')
    const ended = once(old, 'exit')
    old.kill('SIGTERM')
    await ended
  })

  test('of more listeners than a socket holds records', async () => {
    const listeners = Array.from(
      { length: 400 },
      (_, index) => `
  - name: l${index}
    address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    filter_chains:
    - filters:
      - {name: tcp, typed_config: {"@type": ${types}.tcp_proxy.v3.TcpProxy, stat_prefix: echo, cluster: echo}}`,
    )
    const text = bootstrap(folder, portOf(web), portOf(echo))
    writeFileSync(
      join(folder, 'many.yaml'),
      text.replace('  clusters:', `${listeners.join('')}\n  clusters:`),
    )
    const old = await startSidecar('-c', 'many.yaml', '--drain-time-s', '0')
    const before = await admin('/listeners')
    const ended = once(old, 'exit')
    const next = await startSidecar('-c', 'many.yaml', '--drain-time-s', '0')
    await ended
    assert.equal(await admin('/listeners'), before)
    assert.equal(before.split('\n').filter((line) => line.startsWith('l')).length, 401)
    const nextEnded = once(next, 'exit')
    next.kill('SIGTERM')
    await nextEnded
  })

  test('though the path of a Unix socket has been taken away', async () => {
    const old = await startSidecar('--drain-time-s', '0')
    rmSync(join(folder, 'local.sock'))
    const ended = once(old, 'exit')
    const next = await startSidecar('--drain-time-s', '0')
    assert.deepEqual(await ended, [0, null])
    assert.match(await admin('/ready'), /^LIVE/)
    const nextEnded = once(next, 'exit')
    next.kill('SIGTERM')
    await nextEnded
  })

  for (const [name, said, reason] of [
    ['no greeting', 'GET / HTTP/1.1\n', /cannot be read/],
    [
      'another version',
      '{"protocol":99}\n',
      /speaks version 1 of the hand-over, and the new one 99/,
    ],
  ] as const) {
    test(`refused: ${name}`, async () => {
      const old = await startSidecar()
      const socket = connect(join(folder, 'next.sock'))
      let text = ''
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString()
      })
      socket.write(said)
      await once(socket, 'close')
      assert.match(text, reason)
      assert.match(await admin('/ready'), /^LIVE/)
      const ended = once(old, 'exit')
      old.kill('SIGTERM')
      await ended
    })
  }
})

function portOf(server: Server | TcpServer): number {
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}
