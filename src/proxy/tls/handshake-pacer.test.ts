/** A thousand handshakes at once are spread over turns, and nobody slow keeps the others out. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { FakeClock } from '../../../test/support/fake-clock.ts'
import { HandshakePacer, type HandshakePacerOptions } from './handshake-pacer.ts'

function createScene(options: Partial<HandshakePacerOptions> = {}) {
  const clock = new FakeClock()
  const turns: (() => void)[] = []
  const nextTurn = (run: () => void): void => void turns.push(run)
  const pacer = new HandshakePacer({ clock, nextTurn, startsPerTurnMax: 2, ...options })
  const started: number[] = []
  const leave: ((() => void) | undefined)[] = []
  return {
    clock,
    pacer,
    started,
    enter(count: number) {
      for (let index = 0; index < count; index += 1) {
        const number = leave.length
        leave.push(pacer.enter(() => started.push(number)))
      }
    },
    leave: (number: number) => leave[number]?.(),
    wasRefused: (number: number) => leave[number] === undefined,
    turn() {
      for (const run of turns.splice(0)) run()
    },
  }
}

test('a turn starts as many handshakes as the ceiling says, in the order of arrival', () => {
  const scene = createScene()
  scene.enter(5)
  assert.deepEqual(scene.started, [0, 1])
  scene.turn()
  assert.deepEqual(scene.started, [0, 1, 2, 3])
  scene.turn()
  scene.turn()
  assert.deepEqual(scene.started, [0, 1, 2, 3, 4])
  assert.equal(scene.pacer.waiting, 0)
})

test('no more are half done than the ceiling says, until one ends', () => {
  const scene = createScene({ openMax: 3 })
  scene.enter(5)
  scene.turn()
  scene.turn()
  assert.deepEqual(scene.started, [0, 1, 2])
  scene.leave(1)
  scene.turn()
  assert.deepEqual(scene.started, [0, 1, 2, 3])
})

test('a peer that does not answer keeps its place for a while only', () => {
  const scene = createScene({ openMax: 2, holdMs: 50 })
  scene.enter(3)
  scene.turn()
  assert.deepEqual(scene.started, [0, 1])
  scene.clock.advance(50)
  scene.turn()
  assert.deepEqual(scene.started, [0, 1, 2])
})

test('who is given up while waiting is never started', () => {
  const scene = createScene()
  scene.enter(4)
  scene.leave(2)
  scene.turn()
  assert.deepEqual(scene.started, [0, 1, 3])
})

test('beyond the ceiling of the queue a handshake is refused at once', () => {
  const scene = createScene({ waitingMax: 1 })
  scene.enter(4)
  assert.deepEqual([scene.wasRefused(2), scene.wasRefused(3)], [false, true])
})
