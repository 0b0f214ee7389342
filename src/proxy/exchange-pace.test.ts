/** A rate of responses, with an injected clock: how much leaves when, room, and clients that do not read. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { FakeClock } from '../../test/support/fake-clock.ts'
import { PacedResponse } from './exchange-pace.ts'
import { CopyBuffers } from './wire/copy-buffer.ts'

function scene(options: { kibPerSecond: number; bytesMax?: number }) {
  const clock = new FakeClock()
  const sent: number[] = []
  const told: string[] = []
  let takes = true
  const paced = new PacedResponse({
    bytesMax: 1_000_000,
    ...options,
    clock,
    turn: { run: (run) => run(), copies: new CopyBuffers() },
    stream: {
      sendData(chunk) {
        sent.push(chunk.length)
        return takes
      },
      sendEnd: () => told.push('end'),
    },
    onRoom: () => told.push('room'),
    onOut: () => told.push('out'),
  })
  const total = (): number => sent.reduce((sum, bytes) => sum + bytes, 0)
  return { clock, paced, told, total, setTakes: (value: boolean) => (takes = value) }
}

test('what an interval allows leaves at once, and then at the rate', () => {
  const { clock, paced, told, total } = scene({ kibPerSecond: 10 })
  paced.push(new Uint8Array(2048))
  paced.end(undefined)
  clock.advance(0)
  assert.equal(total(), 512)
  clock.advance(50)
  assert.equal(total(), 1024)
  assert.deepEqual(told, [])
  clock.advance(100)
  assert.equal(total(), 2048)
  assert.deepEqual(told, ['end', 'out'])
})

test('above its ceiling it wants no more, until half of that is left', () => {
  const { clock, paced, told } = scene({ kibPerSecond: 10, bytesMax: 1024 })
  assert.equal(paced.push(new Uint8Array(1024)), true)
  assert.equal(paced.push(new Uint8Array(1024)), false)
  clock.advance(0)
  clock.advance(50)
  assert.deepEqual(told, [])
  clock.advance(50)
  assert.deepEqual(told, ['room'])
})

test('a client that does not read gets nothing more', () => {
  const { clock, paced, told, total, setTakes } = scene({ kibPerSecond: 10 })
  setTakes(false)
  paced.push(new Uint8Array(1024))
  paced.end(undefined)
  clock.advance(0)
  clock.advance(500)
  assert.equal(total(), 512)
  setTakes(true)
  paced.onDrain()
  clock.advance(0)
  assert.equal(total(), 1024)
  assert.deepEqual(told, ['end', 'out'])
})

test('nothing happens after it was closed', () => {
  const { clock, paced, told, total } = scene({ kibPerSecond: 10 })
  paced.push(new Uint8Array(2048))
  clock.advance(0)
  paced.close()
  clock.advance(1000)
  assert.equal(total(), 512)
  assert.deepEqual(told, [])
})
