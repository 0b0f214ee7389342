/**
 * SIGTERM to one replica of two under load: it ends in the order that docs/reference/drain.md has, no request fails, none
 * has to be tried again, and a TCP conversation is waited for.
 */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'

import { eventually } from '../support/eventually.ts'
import { failuresOf, Load } from '../support/load-client.ts'
import { RunningMesh } from '../support/running-mesh.ts'

const url = 'http://my-go-service:8080/'
const skip = process.platform === 'linux' ? false : 'finds its processes in /proc of Linux'

/** Says who it is, and then whatever it is told. */
const echo = `require('net').createServer((socket) => {
  socket.write(process.env.INSTANCE + '\\n')
  socket.on('error', () => {}).pipe(socket)
}).listen(process.env.PORT, '127.0.0.1')`

function addEcho(folder: string): void {
  mkdirSync(join(folder, 'echo'))
  writeFileSync(join(folder, 'echo/echo.cjs'), echo)
  const file = join(folder, 'mesh-node.yaml')
  const service = `
  services:
  - name: echo
    ports: [ { number: 9000, name: tcp, protocol: TCP } ]
    workloads:
    - { name: echo, replicas: 2, cwd: ./echo, terminationGracePeriodSeconds: 10, command: ['\${TULLE_NODE}', echo.cjs] }`
  const text = readFileSync(file, 'utf8')
    .replace(
      'spec:\n',
      'spec:\n  meshConfig: { defaultConfig: { terminationDrainDuration: 6s } }\n',
    )
    .replace('\n  services:', service)
    .replace('  - name: load\n', "  - name: load\n    upstreams: ['echo:9000']\n")
    .replaceAll(
      '    - name: my-go-service-v2\n',
      '    - name: my-go-service-v2\n      terminationGracePeriodSeconds: 10\n',
    )
  writeFileSync(file, text)
}

/** A conversation with one of the replicas. */
class Conversation {
  readonly socket: Socket
  text = ''
  isClosed = false

  constructor(address: string) {
    const [host, port] = address.split(':')
    this.socket = connect({ host: host ?? '', port: Number(port) })
    this.socket.on('data', (chunk: Buffer) => {
      this.text += chunk.toString()
    })
    this.socket.on('error', () => {})
    this.socket.on('close', () => {
      this.isClosed = true
    })
  }

  /** Resolves with the name of whoever it is. */
  partner(): Promise<string> {
    return eventually(() => /^(echo-\d)\n/.exec(this.text)?.[1])
  }

  async say(word: string): Promise<void> {
    this.socket.write(`${word}\n`)
    await eventually(() => this.text.endsWith(`${word}\n`))
  }
}

suite('a replica that is told to end', { skip }, () => {
  let mesh: RunningMesh
  before(async () => {
    mesh = await RunningMesh.startChanged(addEcho)
  })
  after(async () => {
    await mesh[Symbol.asyncDispose]()
  })

  const stepsOf = (workload: string): readonly string[] =>
    mesh
      .events('ending')
      .flatMap((line) => (line['workload'] === workload ? [String(line['step'])] : []))

  const terminate = (workload: string): void => {
    const { pid } = mesh.workload(workload)
    assert.ok(pid)
    process.kill(pid, 'SIGTERM')
  }

  const served = [
    'not-ready',
    'control-plane-told',
    'connections-told',
    'in-flight-ended',
    'stopped-accepting',
    'application-ended',
    'closed',
  ]

  test('under load: no request fails, none is tried again, and the steps are in order', async () => {
    const proxy = mesh.proxyOf('load')
    await using load = new Load({ proxy, url, connections: 8, pauseMs: 1 })
    await eventually(() => load.answers.length > 500, { deadlineMs: 15_000 })
    terminate('my-go-service-v2-1')
    await eventually(() => stepsOf('my-go-service-v2-1').includes('closed'), { deadlineMs: 15_000 })
    const atMs = performance.now()
    await eventually(() => load.since(atMs).length > 200, { deadlineMs: 15_000 })
    await load.stop()
    assert.deepEqual(failuresOf(load.answers), {})
    assert.deepEqual(stepsOf('my-go-service-v2-1'), served)
    const stats = await mesh.read({ admin: 'load' }, '/stats?filter=upstream_rq_retry$')
    const retries = [...stats.matchAll(/: (\d+)$/gm)].map(([, count]) => Number(count))
    assert.equal(
      retries.reduce((sum, count) => sum + count, 0),
      0,
    )
  })

  test('a TCP conversation goes on until it ends; new ones go elsewhere', async () => {
    const address = mesh.workload('load').upstreams[0]?.address ?? ''
    const conversation = new Conversation(address)
    const partner = await conversation.partner()
    terminate(partner)
    await eventually(() => stepsOf(partner).includes('connections-told'))
    const startMs = performance.now()
    for (let word = 1; performance.now() - startMs < 1_500; word += 1) {
      await conversation.say(`word ${word}`)
      const other = new Conversation(address)
      assert.match(await other.partner(), /^echo-\d$/)
      other.socket.destroy()
    }
    assert.equal(conversation.isClosed, false)
    assert.equal(stepsOf(partner).includes('stopped-accepting'), false)
    const last = new Conversation(address)
    assert.notEqual(await last.partner(), partner)
    last.socket.destroy()
    conversation.socket.end()
    await eventually(() => stepsOf(partner).includes('closed'), { deadlineMs: 10_000 })
    assert.deepEqual(stepsOf(partner), served)
  })
})
