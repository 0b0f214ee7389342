/** What every wire must do, whatever carries its bytes: the suite that each implementation passes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Wire, WireEvents } from '../../src/proxy/wire/wire.ts'
import { eventually } from '../support/eventually.ts'

export interface WirePair {
  readonly near: Wire
  readonly far: Wire
  [Symbol.asyncDispose](): Promise<void>
}

export interface WireContract {
  readonly name: string
  /** Two ends of one connection; neither has been listened to. */
  open(): Promise<WirePair>
  /** Whether this wire joins what one turn writes into one chunk for its peer, on loopback at least. */
  readonly joinsWrites: boolean
}

class Recorder implements WireEvents {
  received = ''
  chunks = 0
  ends = 0
  drains = 0
  closes = 0
  error: Error | undefined
  #afterClose = 0

  get callsAfterClose(): number {
    return this.#afterClose
  }

  onData(chunk: Uint8Array): void {
    this.#note()
    this.chunks += 1
    this.received += Buffer.from(chunk).toString('latin1')
  }

  onEnd(): void {
    this.#note()
    this.ends += 1
  }

  onDrain(): void {
    this.#note()
    this.drains += 1
  }

  onClose(error: Error | undefined): void {
    this.closes += 1
    this.error = error
  }

  #note(): void {
    if (this.closes !== 0) this.#afterClose += 1
  }
}

async function withPair(
  contract: WireContract,
  run: (ends: {
    near: Wire
    far: Wire
    nearEvents: Recorder
    farEvents: Recorder
  }) => Promise<void>,
): Promise<void> {
  await using pair = await contract.open()
  const nearEvents = new Recorder()
  const farEvents = new Recorder()
  pair.near.listen(nearEvents)
  pair.far.listen(farEvents)
  await run({ near: pair.near, far: pair.far, nearEvents, farEvents })
}

export function testWire(contract: WireContract): void {
  const claim = (title: string, run: Parameters<typeof withPair>[1]): void => {
    test(`${contract.name}: ${title}`, async () => await withPair(contract, run))
  }

  claim('text and bytes arrive in order, octet for octet', async ({ near, farEvents }) => {
    near.write('head \xff\x00')
    near.write(Uint8Array.of(0x61, 0x62))
    near.write(' tail')
    await eventually(() => farEvents.received === 'head \xff\x00ab tail')
  })

  claim('what one turn writes leaves together', async ({ near, farEvents }) => {
    near.write('a')
    near.write(Uint8Array.of(0x62))
    near.write('c')
    await eventually(() => farEvents.received === 'abc')
    if (contract.joinsWrites) assert.equal(farEvents.chunks, 1)
  })

  claim('bytes that were written may be overwritten afterwards', async ({ near, farEvents }) => {
    const small = Buffer.alloc(100, 'a')
    const large = Buffer.alloc(100_000, 'b')
    near.write(small)
    near.write(large)
    small.fill('x')
    large.fill('y')
    await eventually(() => farEvents.received.length === 100_100)
    assert.doesNotMatch(farEvents.received, /[xy]/)
  })

  claim('each direction ends on its own, and both ends close the wire once', async (ends) => {
    const { near, far, nearEvents, farEvents } = ends
    near.write('question')
    near.end()
    await eventually(() => farEvents.ends === 1)
    assert.equal(farEvents.received, 'question')
    assert.equal(nearEvents.closes, 0)
    far.write('answer')
    far.end()
    await eventually(() => nearEvents.closes === 1 && farEvents.closes === 1)
    assert.equal(nearEvents.received, 'answer')
    assert.equal(nearEvents.error, undefined)
    assert.equal(nearEvents.callsAfterClose + farEvents.callsAfterClose, 0)
  })

  claim(
    'destroy closes both sides, and is heard of once',
    async ({ near, nearEvents, farEvents }) => {
      near.destroy()
      near.destroy()
      await eventually(() => nearEvents.closes === 1)
      await eventually(() => farEvents.closes === 1 || farEvents.ends === 1)
      assert.equal(nearEvents.closes, 1)
      assert.equal(nearEvents.callsAfterClose, 0)
    },
  )

  claim('destroy does not call back before it returns', async ({ near, nearEvents }) => {
    near.destroy()
    assert.equal(nearEvents.closes, 0)
    await eventually(() => nearEvents.closes === 1)
  })

  claim('destroy inside a callback ends it there, and is heard of once', async (ends) => {
    const { near, far, nearEvents } = ends
    const told: string[] = []
    far.listen({
      onData() {
        told.push('data')
        far.destroy()
        far.write('late')
        far.end()
        far.pause()
        far.resume()
      },
      onEnd: () => void told.push('end'),
      onDrain: () => void told.push('drain'),
      onClose: () => void told.push('close'),
    })
    near.write('x')
    near.end()
    await eventually(() => told.includes('close'))
    near.destroy()
    await eventually(() => nearEvents.closes === 1)
    assert.deepEqual(told, ['data', 'close'])
    assert.equal(nearEvents.received, '')
  })

  claim('a wire that is destroyed unread breaks the peer off with an error', async (ends) => {
    const { near, far, nearEvents, farEvents } = ends
    near.pause()
    far.write('unread')
    await new Promise((resolve) => setImmediate(resolve))
    await new Promise((resolve) => setImmediate(resolve))
    near.destroy()
    await eventually(() => nearEvents.closes === 1 && farEvents.closes === 1)
    assert.ok(farEvents.error instanceof Error)
    assert.equal(farEvents.callsAfterClose, 0)
  })

  claim('a wire that is reset breaks the peer off with an error, if it can', async (ends) => {
    const { near, nearEvents, farEvents } = ends
    const isKnown = near.reset !== undefined
    if (near.reset === undefined) near.destroy()
    else near.reset()
    await eventually(() => nearEvents.closes === 1)
    await eventually(() => farEvents.closes === 1 || farEvents.ends === 1)
    assert.equal(nearEvents.callsAfterClose, 0)
    // Unix sockets and TLS know no reset; those that have one are closed.
    if (isKnown && near.remotePort !== 0 && near.security === undefined) {
      assert.ok(farEvents.error instanceof Error)
    }
  })

  claim('writing to a peer that is gone ends in one close', async ({ near, far, farEvents }) => {
    near.destroy()
    await eventually(
      () => {
        far.write(Buffer.alloc(64 * 1024))
        return farEvents.closes === 1
      },
      { intervalMs: 1 },
    )
    assert.equal(far.bufferedBytes, 0)
    assert.equal(farEvents.callsAfterClose, 0)
  })

  claim('what a slow reader gets is what was written, in order', async (ends) => {
    const { near, far, nearEvents, farEvents } = ends
    far.pause()
    let expected = ''
    for (let index = 0; index < 200; index += 1) {
      // Joined texts, large bodies and texts before them, far beyond what a kernel takes at once.
      const letter = String.fromCharCode(97 + (index % 26))
      near.write(`<${index}>`)
      near.write(Buffer.alloc(index % 3 === 0 ? 100_000 : 300, letter))
      expected += `<${index}>${letter.repeat(index % 3 === 0 ? 100_000 : 300)}`
      if (index % 20 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    near.end()
    far.resume()
    await eventually(() => farEvents.ends === 1)
    assert.ok(farEvents.received === expected, 'the bytes differ')
    assert.equal(nearEvents.closes, 0)
    far.end()
    await eventually(() => nearEvents.closes === 1 && farEvents.closes === 1)
  })

  claim(
    'writing after the end or the close does nothing',
    async ({ near, far, farEvents, nearEvents }) => {
      near.end()
      near.write('late')
      far.end()
      await eventually(() => nearEvents.closes === 1 && farEvents.closes === 1)
      near.write('later')
      near.end()
      near.destroy()
      assert.equal(farEvents.received, '')
    },
  )

  claim('a peer that does not read stops the writer, and starts it again', async (ends) => {
    const { near, far, nearEvents, farEvents } = ends
    far.pause()
    const chunk = Buffer.alloc(64 * 1024, 'x')
    let written = 0
    await eventually(
      () => {
        for (let count = 0; count < 64; count += 1) {
          written += chunk.length
          if (!near.write(chunk)) return true
        }
        assert.ok(written < 1024 * 1024 * 1024, 'the writer was never told to stop')
        return false
      },
      { intervalMs: 1 },
    )
    assert.ok(near.bufferedBytes > 0)
    assert.equal(nearEvents.drains, 0)
    far.resume()
    await eventually(() => nearEvents.drains > 0 && farEvents.received.length === written)
  })

  claim(
    'a wire that is paused is not told of data until it resumes',
    async ({ near, far, farEvents }) => {
      far.pause()
      near.write('hello')
      await new Promise((resolve) => setImmediate(resolve))
      await new Promise((resolve) => setImmediate(resolve))
      assert.equal(farEvents.received, '')
      far.resume()
      await eventually(() => farEvents.received === 'hello')
    },
  )

  claim('whoever listens last is told', async ({ near, far, farEvents }) => {
    const second = new Recorder()
    far.listen(second)
    near.write('x')
    await eventually(() => second.received === 'x')
    assert.equal(farEvents.received, '')
  })

  claim('a listener that throws loses its connection, not the process', async (ends) => {
    const { near, far, nearEvents } = ends
    let closes = 0
    far.listen({
      onData() {
        throw new Error('a bug')
      },
      onEnd() {},
      onDrain() {},
      onClose() {
        closes += 1
      },
    })
    near.write('x')
    await eventually(() => closes === 1)
    near.end()
    await eventually(() => nearEvents.closes === 1)
  })
}
