/**
 * Two wires joined inside the process: what one writes, the other receives. Envoy calls this an internal
 * address; a CONNECT tunnel reaches the listener that routes what is inside it this way.
 *
 * Bytes are delivered when the turn ends, never inside `write`, so that neither side is entered twice. A side
 * that is paused leaves what was sent to it in the sender's queue, which has the watermark of a socket.
 */
import type { FlushTurn } from './flush-turn.ts'
import type { Wire, WireEvents } from './wire.ts'

const watermarkBytes = 64 * 1024

/** The connecting and the accepting end. `name` stands for the address in logs. */
export function createInternalPair(name: string, turn: FlushTurn): readonly [Wire, Wire] {
  const near = new InternalWire('', name, turn)
  const far = new InternalWire(name, '', turn)
  near.join(far)
  far.join(near)
  return [near, far]
}

class InternalWire implements Wire {
  readonly localAddress: string
  readonly remoteAddress: string
  readonly localPort = 0
  readonly remotePort = 0
  readonly #turn: FlushTurn
  #peer: InternalWire | undefined
  #events: WireEvents | undefined
  #queue: Buffer[] = []
  #queuedBytes = 0
  #isScheduled = false
  #isPaused = false
  #needsDrain = false
  #isEnding = false
  #isEndDelivered = false
  #isClosed = false

  constructor(localAddress: string, remoteAddress: string, turn: FlushTurn) {
    this.localAddress = localAddress
    this.remoteAddress = remoteAddress
    this.#turn = turn
  }

  join(peer: InternalWire): void {
    this.#peer = peer
  }

  get bufferedBytes(): number {
    return this.#queuedBytes
  }

  listen(events: WireEvents): void {
    this.#events = events
    this.#wakePeer()
  }

  write(data: Uint8Array | string): boolean {
    if (this.#isEnding || this.#isClosed) return true
    const bytes = typeof data === 'string' ? Buffer.from(data, 'latin1') : Buffer.from(data)
    this.#queue.push(bytes)
    this.#queuedBytes += bytes.length
    this.#schedule()
    if (this.#queuedBytes < watermarkBytes) return true
    this.#needsDrain = true
    return false
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#wakePeer()
  }

  end(): void {
    if (this.#isEnding || this.#isClosed) return
    this.#isEnding = true
    this.#schedule()
  }

  destroy(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#queue = []
    this.#queuedBytes = 0
    process.nextTick(() => {
      this.#close(undefined)
      this.#abortPeer()
    })
  }

  flush(): void {
    this.#isScheduled = false
    const peer = this.#peer
    if (this.#isClosed || peer === undefined || peer.#isClosed) return
    this.#run(() => this.#deliver(peer))
  }

  #deliver(peer: InternalWire): void {
    this.#deliverQueue(peer)
    if (this.#isClosed || peer.#isClosed) return
    if (this.#queue.length === 0 && this.#isEnding) this.#deliverEnd(peer)
    if (!this.#needsDrain || this.#queuedBytes >= watermarkBytes || this.#isClosed) return
    this.#needsDrain = false
    this.#events?.onDrain()
  }

  #deliverQueue(peer: InternalWire): void {
    while (!peer.#isPaused && peer.#events !== undefined && !this.#isClosed && !peer.#isClosed) {
      const chunk = this.#queue.shift()
      if (chunk === undefined) return
      this.#queuedBytes -= chunk.length
      peer.#run(() => peer.#events?.onData(chunk))
    }
  }

  #deliverEnd(peer: InternalWire): void {
    if (this.#isEndDelivered || peer.#events === undefined || peer.#isPaused) return
    this.#isEndDelivered = true
    peer.#run(() => peer.#events?.onEnd())
    if (!peer.#isEndDelivered || this.#isClosed || peer.#isClosed) return
    this.#isClosed = true
    peer.#isClosed = true
    process.nextTick(() => {
      this.#close(undefined)
      peer.#close(undefined)
    })
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isClosed) return
    this.#isScheduled = true
    this.#turn.schedule(this)
  }

  #wakePeer(): void {
    const peer = this.#peer
    if (peer !== undefined) peer.#schedule()
  }

  #abortPeer(): void {
    const peer = this.#peer
    if (peer !== undefined) peer.#abort()
  }

  #abort(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#close(new Error(`${this.remoteAddress || 'internal wire'}: connection reset by peer`))
  }

  #close(error: Error | undefined): void {
    const events = this.#events
    this.#events = undefined
    this.#queue = []
    this.#queuedBytes = 0
    if (events !== undefined) this.#run(() => events.onClose(error))
  }

  #run(run: () => void): void {
    this.#turn.enter()
    try {
      run()
    } catch (error) {
      this.#turn.reportBug(error)
      this.destroy()
    } finally {
      this.#turn.leave()
    }
  }
}
