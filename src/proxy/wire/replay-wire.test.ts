/** A wire whose first bytes were read by somebody else. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { testWire } from '../../../test/contract/wire.ts'
import { eventually } from '../../../test/support/eventually.ts'
import { FlushTurn } from './flush-turn.ts'
import { createInternalPair } from './internal-wire.ts'
import { ReplayWire } from './replay-wire.ts'
import type { Wire } from './wire.ts'

interface Scene {
  readonly near: Wire
  readonly replayed: ReplayWire
}

function openScene(held = '', isEnded = false): Scene {
  const turn = new FlushTurn(() => {})
  const [near, far] = createInternalPair('inside', turn)
  far.pause()
  const options = { turn, held: Buffer.from(held), isEnded, requestedServerName: 'a.test' }
  return { near, replayed: new ReplayWire(far, options) }
}

for (const end of ['near', 'far'] as const) {
  testWire({
    name: `replayed wire, ${end} end`,
    joinsWrites: false,
    async open() {
      const { near, replayed } = openScene()
      await Promise.resolve()
      const ends = end === 'near' ? { near: replayed, far: near } : { near, far: replayed }
      return {
        ...ends,
        async [Symbol.asyncDispose]() {
          near.destroy()
          replayed.destroy()
          await Promise.resolve()
        },
      }
    },
  })
}

function listen(wire: Wire) {
  const heard = { text: '', ends: 0, closes: 0 }
  wire.listen({
    onData: (chunk) => {
      heard.text += Buffer.from(chunk).toString('latin1')
    },
    onEnd: () => {
      heard.ends += 1
    },
    onDrain: () => {},
    onClose: () => {
      heard.closes += 1
    },
  })
  return heard
}

test('what was held comes first, then what follows', async () => {
  const { near, replayed } = openScene('first ')
  near.listen({ onData() {}, onEnd() {}, onDrain() {}, onClose() {} })
  near.write('second')
  const heard = listen(replayed)
  assert.equal(heard.text, '')
  await eventually(() => heard.text === 'first second')
  assert.equal(replayed.requestedServerName, 'a.test')
})

test('a wire that is paused holds what was held', async () => {
  const { near, replayed } = openScene('first ')
  near.listen({ onData() {}, onEnd() {}, onDrain() {}, onClose() {} })
  const heard = listen(replayed)
  replayed.pause()
  near.write('second')
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(heard.text, '')
  replayed.resume()
  await eventually(() => heard.text === 'first second')
})

test('a listener that throws at what was held loses its connection', async () => {
  const { near, replayed } = openScene('first ')
  const heard = listen(near)
  replayed.listen({
    onData() {
      throw new Error('a bug')
    },
    onEnd() {},
    onDrain() {},
    onClose() {},
  })
  await eventually(() => heard.closes === 1)
})

test('an end that came before is told after the bytes', async () => {
  const { replayed } = openScene('all', true)
  const heard = listen(replayed)
  await eventually(() => heard.ends === 1)
  assert.equal(heard.text, 'all')
})
