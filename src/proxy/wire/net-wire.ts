/**
 * A wire on the public `net.Socket`: TCP and Unix sockets, on every platform and version of Node.
 *
 * What is written while a turn runs is collected here and leaves in one `write` when the turn ends. Heads
 * and small bodies are joined as one latin1 string, so that one write of one piece is the common case; a large body is copied once, because the chunk that it came in belongs to
 * the reader's shared buffer.
 */
import type { Socket } from 'node:net'

import type { FlushTurn } from './flush-turn.ts'
import type { ProxyAddresses } from './proxy-protocol.ts'
import type { ReadBuffer } from './read-buffer.ts'
import { shareReads } from './shared-read.ts'
import type { Wire, WireEvents } from './wire.ts'

/** What TLS adds to a wire: it runs on the TLS socket as on any other. */
export interface WireProof extends Pick<Wire, 'security' | 'requestedServerName' | 'retireAtMs'> {
  /** Whose connection it is, where the PROXY protocol said so. */
  readonly proxied?: ProxyAddresses | undefined
}

/** Above this a body is written on its own instead of being joined to the pending text. */
const joinBytesMax = 8 * 1024
/** Pending text beyond this does not wait for the end of the turn. */
const pendingBytesMax = 16 * 1024

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
  readonly security: Wire['security']
  readonly requestedServerName: Wire['requestedServerName']
  readonly retireAtMs: Wire['retireAtMs']
  readonly #socket: Socket
  readonly #turn: FlushTurn
  #events: WireEvents = ignored
  /** Text of this turn that has not been given to the socket. */
  #pending = ''
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
    this.security = proof.security
    this.requestedServerName = proof.requestedServerName
    this.retireAtMs = proof.retireAtMs
    const addresses = proof.proxied ?? socket
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
    if (typeof data === 'string') this.#pending += data
    else if (data.length <= joinBytesMax) this.#pending += latin1(data)
    else {
      this.#writeBytes(data)
      return this.#isBelowWatermark()
    }
    if (this.#pending.length > pendingBytesMax) this.#writePending()
    else if (!this.#isScheduled) {
      this.#isScheduled = true
      this.#turn.schedule(this)
    }
    return this.#isBelowWatermark()
  }

  /** The end of the turn; called by it. */
  flush(): void {
    this.#isScheduled = false
    if (this.#pending !== '') this.#writePending()
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
    this.#pending = ''
    this.#isEnding = true
    this.#socket.destroy()
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
    const text = this.#pending
    this.#pending = ''
    if (!this.#isClosed && this.#socket.writable) this.#socket.write(text, 'latin1')
  }

  #writeBytes(data: Uint8Array): void {
    const socket = this.#socket
    if (this.#isClosed || !socket.writable) return
    const { copies } = this.#turn
    const buffer = copies.take(data.length)
    buffer.set(data)
    const copy = buffer.length === data.length ? buffer : buffer.subarray(0, data.length)
    if (this.#pending === '') socket.write(copy)
    else {
      socket.cork()
      this.#writePending()
      socket.write(copy)
      socket.uncork()
    }
    this.#lent.push(buffer)
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
    this.#pending = ''
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

function latin1(data: Uint8Array): string {
  // Chunks are Buffers wherever they come from a socket; the other case is a literal of ours.
  const bytes = Buffer.isBuffer(data)
    ? data
    : Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  return bytes.toString('latin1')
}

const ignored: WireEvents = { onData() {}, onEnd() {}, onDrain() {}, onClose() {} }
