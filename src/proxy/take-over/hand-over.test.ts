/** The old side of a take-over, and a taker that does not come to serve. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { type Server, type Socket, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'

import { eventually } from '../../../test/support/eventually.ts'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { skipWithoutHandOver } from '../../../test/support/programs.ts'
import { silentLog } from '../../lib/log.ts'
import { createSlots } from '../telemetry/shared-slots.ts'
import { StatsRegistry } from '../telemetry/stats-registry.ts'
import { descriptorOf } from '../worker/duplicate-descriptor.ts'
import { type HandOver, openHandOver } from './hand-over.ts'
import { protocolVersion } from './message.ts'

suite('a hand-over', { skip: await skipWithoutHandOver() }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-hand-over-'))
  const path = join(folder, 'next.sock')
  const clock = new FakeClock()
  const stats = new StatsRegistry(createSlots())
  let listening: Server
  let offer: HandOver
  let releases = 0

  before(async () => {
    listening = createServer().listen(0, '127.0.0.1')
    await once(listening, 'listening')
    offer = await openHandOver({
      path,
      epoch: 0,
      clock,
      log: silentLog,
      descriptors: async () => new Map([['web', descriptorOf(listening) ?? -1]]),
      release: async () => {
        releases += 1
      },
      onReleased: () => {},
      stats,
    })
  })
  after(() => {
    offer.close()
    listening.close()
    rmSync(folder, { recursive: true })
  })

  /** Has been given everything, and does nothing more. */
  async function openTaker(): Promise<{ readonly socket: Socket; readonly heard: () => string }> {
    const socket = connect(path)
    let text = ''
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString()
    })
    socket.write(`${JSON.stringify({ protocol: protocolVersion, pid: 1, version: 'x' })}\n`)
    await eventually(() => text.includes('"all"') || text.includes('"refused"'))
    return { socket, heard: () => text }
  }

  test('one that does not come to serve within a minute is given up, and the next one may come', async () => {
    const hanging = await openTaker()
    assert.match(hanging.heard(), /"all"/)
    const early = await openTaker()
    assert.match(early.heard(), /another process is taking over/)
    clock.advance(59_000)
    assert.equal(hanging.socket.destroyed, false)
    const ended = once(hanging.socket, 'close')
    clock.advance(1_000)
    await ended
    assert.equal(releases, 0)
    await eventually(async () => {
      const { socket, heard } = await openTaker()
      socket.destroy()
      return heard().includes('"all"')
    })
    await eventually(() => clock.pendingTimers === 0)
  })

  test('one that is given up learns that it may not go on, and the old one serves', async () => {
    const program = join(import.meta.dirname, '../../../test/support/taking-process.ts')
    const child = spawn(process.execPath, [program, path], { stdio: ['pipe', 'pipe', 'inherit'] })
    let text = ''
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString()
    })
    const exited = once(child, 'exit')
    await eventually(() => text === 'has web\n', { deadlineMs: 10_000 })
    await eventually(() => clock.pendingTimers === 1)
    clock.advance(60_000)
    child.stdin.write('confirm\n')
    await exited
    assert.match(text, /take over from the sidecar at .*: it has not waited so long/)
    assert.equal(releases, 0)
    const next = await openTaker()
    assert.match(next.heard(), /"all"/)
    const counter = stats.scope({ path: 'http.a', metric: 'envoy_http', labels: [] }).counter('rq')
    counter.add(5)
    next.socket.write('ready\n')
    await eventually(() => next.heard().endsWith('released\n'))
    assert.equal(releases, 1)
    const linesOf = () => next.heard().split('released\n')[1]?.split('\n').filter(Boolean) ?? []
    await eventually(() => clock.pendingTimers === 1)
    clock.advance(1_000)
    counter.add(2)
    clock.advance(1_000)
    await eventually(() => linesOf().length === 1)
    counter.add(3)
    const ended = once(next.socket, 'end')
    offer.close()
    await ended
    const told = linesOf().map((line) => JSON.parse(line) as unknown)
    const named = { kind: 'counter', name: 'http.a.rq', metric: 'envoy_http_rq', labels: [] }
    assert.deepEqual(told, [[{ ...named, value: 2 }], [{ ...named, value: 3 }]])
    assert.equal(clock.pendingTimers, 0)
  })
})
