/**
 * A wire on the public `net.Socket`: TCP and Unix sockets, on every platform and version of Node.
 *
 * What is written while a turn runs is gathered (gather.ts) and leaves in one `write` when the turn ends.
 */
import type { Socket } from 'node:net'

import type { FlushTurn } from './flush-turn.ts'
import { Gather } from './gather.ts'
import type { ProxyAddresses } from './proxy-protocol.ts'
import type { ReadBuffer } from './read-buffer.ts'
import { shareReads } from './shared-read.ts'
import type { Wire, WireEvents } from './wire.ts'

/** What TLS adds to a wire: it runs on the TLS socket as on any other. */
export interface WireProof extends Pick<Wire, 'security' | 'requestedServerName' | 'retireAtMs'> {
  /** Whose connection it is, where the PROXY protocol said so. */
  readonly proxied?: ProxyAddresses | undefined
}

/** A wire on a socket that a server accepted; it reads into `buffer` where Node lets it, else by `data`. */
export function acceptWire(
  socket: Socket,
  { turn, buffer }: { readonly turn: FlushTurn; readonly buffer: ReadBuffer | undefined },
  proof?: WireProof,
): NetWire {
  const wire = new NetWire(socket, turn, proof)
  const receive = (chunk: Uint8Array): void => wire.receive(chunk)
  // What the socket has read by itself before comes by its event only.
  const isFresh = socket.readableLength === 0
  if (buffer === undefined || !isFresh || !shareReads(socket, buffer, receive)) {
    socket.on('data', receive)
  }
  return wire
}

export class NetWire implements Wire {
  readonly localAddress: string
  readonly localPort: number
  readonly remoteAddress: string
  readonly remotePort: number
  readonly direct: Wire['direct']
  readonly security: Wire['security']
  readonly requestedServerName: Wire['requestedServerName']
  readonly retireAtMs: Wire['retireAtMs']
  readonly #socket: Socket
  readonly #turn: FlushTurn
  #events: WireEvents = ignored
  /** What this turn has written. */
  readonly #pending: Gather
  #isScheduled = false
  #isEnding = false
  #isClosed = false
  #isPaused = false
  /** What TLS still gave after the pause: the rest of a read that it had made before, so at most 64 KiB. */
  #held: Buffer[] = []
  #isEndHeld = false
  #needsDrain = false
  /** What of this wire the process's budget counts: all that it has while it is above the watermark. */
  #heldBytes = 0
  /** Copies whose bytes the kernel has not taken yet. */
  #lent: Buffer[] = []
  #error: Error | undefined

  /** Whoever owns the socket passes its chunks to `receive`, unless `acceptWire` made the wire. */
  constructor(socket: Socket, turn: FlushTurn, proof: WireProof = {}) {
    this.#socket = socket
    this.#turn = turn
    this.#pending = new Gather(turn.copies)
    this.security = proof.security
    this.requestedServerName = proof.requestedServerName
    this.retireAtMs = proof.retireAtMs
    const addresses = proof.proxied ?? socket
    this.direct = proof.proxied && endsOf(socket)
    this.localAddress = addresses.localAddress ?? ''
    this.localPort = addresses.localPort ?? 0
    this.remoteAddress = addresses.remoteAddress ?? ''
    this.remotePort = addresses.remotePort ?? 0
    socket.on('error', (error) => {
      this.#error = error
    })
    socket.on('end', () => this.#onEnd())
    socket.on('drain', () => this.#onDrain())
    socket.on('close', () => this.#onClose())
  }

  get bufferedBytes(): number {
    return this.#pending.length + this.#socket.writableLength
  }

  listen(events: WireEvents): void {
    this.#events = events
  }

  write(data: Uint8Array | string): boolean {
    if (this.#isEnding || this.#isClosed) return true
    this.#pending.add(data)
    if (this.#pending.isFull) this.#writePending()
    else if (!this.#isScheduled) {
      this.#isScheduled = true
      this.#turn.schedule(this)
    }
    return this.#isBelowWatermark()
  }

  /** The end of the turn; called by it. */
  flush(): void {
    this.#isScheduled = false
    this.#writePending()
    if (this.#isEnding && !this.#isClosed) this.#socket.end()
    if (this.#needsDrain && !this.#socket.writableNeedDrain) this.#onDrain()
  }

  pause(): void {
    this.#isPaused = true
    this.#socket.pause()
  }

  resume(): void {
    this.#isPaused = false
    if (this.#held.length > 0) this.#release()
    if (!this.#isClosed && !this.#isPaused) this.#socket.resume()
  }

  end(): void {
    if (this.#isEnding || this.#isClosed) return
    this.#isEnding = true
    if (this.#isScheduled) return
    this.#isScheduled = true
    this.#turn.schedule(this)
  }

  destroy(): void {
    if (this.#isClosed) return
    this.#pending.clear()
    this.#isEnding = true
    this.#socket.destroy()
  }

  reset(): void {
    if (this.#isClosed) return
    this.#pending.clear()
    this.#isEnding = true
    try {
      this.#socket.resetAndDestroy()
    } catch {
      // TLS and Unix sockets know no reset.
      this.#socket.destroy()
    }
  }

  /** A chunk from the kernel; valid during the call only. */
  receive(chunk: Uint8Array): void {
    if (this.#isClosed) return
    if (this.#isPaused) {
      this.#held.push(Buffer.from(chunk))
      return
    }
    const turn = this.#turn
    turn.enter()
    try {
      this.#events.onData(chunk)
    } catch (error) {
      this.#breakDown(error)
    } finally {
      turn.leave()
    }
  }

  /** Whoever is told may pause again. */
  #release(): void {
    const held = this.#held
    this.#held = []
    while (held.length > 0 && !this.#isPaused && !this.#isClosed) {
      const chunk = held.shift()
      if (chunk !== undefined) this.receive(chunk)
    }
    this.#held = [...held, ...this.#held]
    if (this.#isEndHeld && this.#held.length === 0 && !this.#isPaused) {
      this.#isEndHeld = false
      this.#onEnd()
    }
  }

  #isBelowWatermark(): boolean {
    const bytes = this.bufferedBytes
    if (bytes < this.#socket.writableHighWaterMark) return true
    this.#needsDrain = true
    this.#hold(bytes)
    return false
  }

  #hold(bytes: number): void {
    this.#turn.held.bufferedBytes += bytes - this.#heldBytes
    this.#heldBytes = bytes
  }

  #writePending(): void {
    const { length } = this.#pending
    if (length === 0) return
    const socket = this.#socket
    if (this.#isClosed || !socket.writable) {
      this.#pending.clear()
      return
    }
    const block = this.#pending.takeBlock()
    if (block === undefined) {
      socket.write(this.#pending.takeText(), 'latin1')
      return
    }
    socket.write(block.subarray(0, length))
    this.#lent.push(block)
    this.#reclaim()
  }

  /** Copies come back when the kernel has taken everything; of a socket that failed they never do. */
  #reclaim(): void {
    if (this.#lent.length === 0 || this.#socket.writableLength !== 0 || !this.#socket.writable)
      return
    for (const buffer of this.#lent) this.#turn.copies.give(buffer)
    this.#lent = []
  }

  #onEnd(): void {
    if (this.#isClosed) return
    if (this.#held.length > 0) {
      this.#isEndHeld = true
      return
    }
    this.#inTurn(() => this.#events.onEnd())
  }

  #onDrain(): void {
    this.#reclaim()
    if (!this.#needsDrain || this.#isClosed) return
    this.#needsDrain = false
    this.#hold(0)
    this.#inTurn(() => this.#events.onDrain())
  }

  #onClose(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    if (this.#heldBytes !== 0) this.#hold(0)
    this.#pending.clear()
    this.#held = []
    const events = this.#events
    this.#events = ignored
    this.#inTurn(() => events.onClose(this.#error))
  }

  #inTurn(run: () => void): void {
    this.#turn.enter()
    try {
      run()
    } catch (error) {
      this.#breakDown(error)
    } finally {
      this.#turn.leave()
    }
  }

  /** A bug of ours must cost one connection, not the process. */
  #breakDown(error: unknown): void {
    this.#turn.reportBug(error)
    this.#error ??= error instanceof Error ? error : new Error(String(error))
    this.destroy()
  }
}

const ignored: WireEvents = { onData() {}, onEnd() {}, onDrain() {}, onClose() {} }

function endsOf(socket: Socket): ProxyAddresses {
  return {
    localAddress: socket.localAddress ?? '',
    localPort: socket.localPort ?? 0,
    remoteAddress: socket.remoteAddress ?? '',
    remotePort: socket.remotePort ?? 0,
  }
}
