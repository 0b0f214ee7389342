/**
 * A wire on libuv's handle itself: what `net.Socket` does for it, streams, encodings, timeouts, is left out.
 *
 * All wires of a runtime read into one buffer and write with one request object; a request is replaced when a write
 * became asynchronous, because the kernel took only a part and Node holds on to the request until the rest is gone.
 * The kernel's "full" is the only back-pressure there is: `bufferedBytes` is what libuv queues.
 *
 * Life: reading starts with the first `listen`. `#isClosed` is set by whatever ends the wire, and from then on nothing
 * is told but `onClose`, which comes when libuv has closed the handle, never inside a call of ours.
 */
import type { Socket } from 'node:net'
import { getSystemErrorName } from 'node:util'

import type { FlushTurn } from './flush-turn.ts'
import { Gather } from './gather.ts'
import {
  detachHandle,
  type EndNames,
  type HandleInternals,
  type HandleReader,
  type ShutdownRequest,
  type StreamHandle,
  type WriteRequest,
} from './node-handle.ts'
import type { ReadBuffer } from './read-buffer.ts'
import type { Wire, WireEvents } from './wire.ts'

/** That of a `net.Socket`. */
const watermarkBytes = 64 * 1024
const endOfFile = 'EOF'

/** Makes wires of sockets; one per runtime. */
export class HandleWires {
  readonly #internals: HandleInternals
  readonly turn: FlushTurn
  readonly readBuffer: ReadBuffer
  #request: WriteRequest
  readonly #onRead: (this: StreamHandle) => undefined

  constructor(internals: HandleInternals, turn: FlushTurn, readBuffer: ReadBuffer) {
    this.#internals = internals
    this.turn = turn
    this.readBuffer = readBuffer
    this.#request = this.#createRequest()
    const { state, readIndex } = internals
    this.#onRead = function onRead() {
      this.wire?.onRead(state[readIndex] as number) // Node's own index
    }
  }

  /**
   * A wire on the connection of a socket that has just connected; undefined leaves the socket as it was. `local`: its end
   * on this side, where that is known; it is asked of the kernel otherwise.
   */
  take(socket: Socket, local?: ConnectionEnd): Wire | undefined {
    const near = local ?? { address: socket.localAddress ?? '', port: socket.localPort ?? 0 }
    const far = { address: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 }
    const handle = detachHandle(socket)
    return handle && this.#open(handle, near, far)
  }

  /**
   * The same on a connection of which there is no socket (`interceptConnections`); undefined, and the connection is
   * nobody's, where the kernel has no names for its ends: the peer is gone.
   */
  accept(handle: StreamHandle, local?: ConnectionEnd): Wire | undefined {
    const far = readEnd((into) => handle.getpeername?.(into))
    const near = local ?? readEnd((into) => handle.getsockname?.(into))
    if (far === undefined || near === undefined) return undefined
    handle.setNoDelay?.(true)
    return this.#open(handle, near, far)
  }

  #open(handle: StreamHandle, near: ConnectionEnd, far: ConnectionEnd): Wire {
    handle.onread = this.#onRead
    handle.useUserBuffer(this.readBuffer.whole)
    const wire = new HandleWire(handle, this, {
      localAddress: near.address,
      localPort: near.port,
      remoteAddress: far.address,
      remotePort: far.port,
    })
    handle.wire = wire
    return wire
  }

  writeText(handle: StreamHandle, text: string): number {
    return handle.writeLatin1String(this.#request, text)
  }

  writeBytes(handle: StreamHandle, bytes: Buffer): number {
    return handle.writeBuffer(this.#request, bytes)
  }

  /** The request of the write just made, if it has become asynchronous: it belongs to the caller then. */
  takePending(): WriteRequest | undefined {
    const { state, isAsyncIndex } = this.#internals
    if (state[isAsyncIndex] === 0) return undefined
    const request = this.#request
    this.#request = this.#createRequest()
    return request
  }

  createShutdown(done: () => void): ShutdownRequest {
    const request = new this.#internals.ShutdownWrap()
    request.oncomplete = done
    return request
  }

  /** After a write that failed nobody knows whose the request is. */
  replaceRequest(): void {
    this.#request = this.#createRequest()
  }

  #createRequest(): WriteRequest {
    const request = new this.#internals.WriteWrap()
    request.oncomplete = onWriteComplete
    return request
  }
}

function onWriteComplete(this: WriteRequest, status: number): void {
  this.wire?.onWritten(this, status)
}

export interface ConnectionEnd {
  readonly address: string
  readonly port: number
}

function readEnd(read: (into: EndNames) => number | undefined): ConnectionEnd | undefined {
  const into: EndNames = {}
  if (read(into) !== 0) return undefined
  return { address: into.address ?? '', port: into.port ?? 0 }
}

interface Addresses {
  readonly localAddress: string
  readonly localPort: number
  readonly remoteAddress: string
  readonly remotePort: number
}

class HandleWire implements Wire, HandleReader {
  readonly localAddress: string
  readonly localPort: number
  readonly remoteAddress: string
  readonly remotePort: number
  readonly #handle: StreamHandle
  readonly #wires: HandleWires
  readonly #turn: FlushTurn
  #events: WireEvents = ignored
  /** What this turn has written. */
  readonly #pending: Gather
  /** Writes that the kernel has not taken to their end. */
  #unfinished = 0
  /** What of this wire the process's budget counts; changes only while the kernel is full. */
  #heldBytes = 0
  #isScheduled = false
  #isListening = false
  #isPaused = false
  #needsDrain = false
  /** `end` was called. */
  #isEnding = false
  /** `finish` was called. */
  #isFinishing = false
  /** FIN is out. */
  #isShut = false
  /** FIN is in. */
  #isEnded = false
  #isClosed = false
  /** `onClose` was called. */
  #isOver = false

  constructor(handle: StreamHandle, wires: HandleWires, addresses: Addresses) {
    this.#handle = handle
    this.#wires = wires
    this.#turn = wires.turn
    this.#pending = new Gather(wires.turn.copies)
    this.localAddress = addresses.localAddress
    this.localPort = addresses.localPort
    this.remoteAddress = addresses.remoteAddress
    this.remotePort = addresses.remotePort
  }

  get bufferedBytes(): number {
    if (this.#unfinished === 0 || this.#isClosed) return this.#pending.length
    return this.#pending.length + this.#handle.writeQueueSize
  }

  listen(events: WireEvents): void {
    if (this.#isOver) return
    this.#events = events
    if (this.#isListening || this.#isClosed) return
    this.#isListening = true
    if (!this.#isPaused) this.#handle.readStart()
  }

  write(data: Uint8Array | string): boolean {
    if (this.#isEnding || this.#isClosed) return true
    this.#pending.add(data)
    if (this.#pending.isFull) this.#writePending()
    else if (!this.#isScheduled) {
      this.#isScheduled = true
      this.#turn.schedule(this)
    }
    return this.#unfinished === 0 || this.#isBelowWatermark()
  }

  /** The end of the turn; called by it. */
  flush(): void {
    this.#isScheduled = false
    this.#writePending()
    if (!this.#isEnding || this.#isClosed) return
    // What the kernel has not taken yet is lost with the handle.
    if (this.#isFinishing && this.#unfinished === 0) this.#close(undefined)
    else this.#shutdown()
  }

  pause(): void {
    if (this.#isPaused) return
    this.#isPaused = true
    if (this.#isListening && !this.#isClosed && !this.#isEnded) this.#handle.readStop()
  }

  resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    if (this.#isListening && !this.#isClosed && !this.#isEnded) this.#handle.readStart()
  }

  end(): void {
    if (this.#isEnding || this.#isClosed) return
    this.#isEnding = true
    if (this.#isScheduled) return
    this.#isScheduled = true
    this.#turn.schedule(this)
  }

  /** One system call less than FIN first, and no wake-up for the peer's. */
  finish(): void {
    this.#isFinishing = true
    this.end()
  }

  destroy(): void {
    this.#close(undefined)
  }

  reset(): void {
    this.#close(undefined, true)
  }

  // What libuv says.

  onRead(lengthOrError: number): void {
    if (this.#isClosed || lengthOrError === 0) return
    if (lengthOrError < 0) {
      this.#onReadError(lengthOrError)
      return
    }
    const turn = this.#turn
    turn.enter()
    try {
      this.#events.onData(this.#wires.readBuffer.view(lengthOrError))
    } catch (error) {
      this.#breakDown(error)
    } finally {
      turn.leave()
    }
  }

  onWritten(request: WriteRequest, status: number): void {
    this.#unfinished -= 1
    if (request.lent !== undefined) this.#turn.copies.give(request.lent)
    if (this.#isClosed) return
    this.#hold(this.#unfinished === 0 ? 0 : this.#handle.writeQueueSize)
    if (status < 0) this.#close(systemError('write', status))
    else if (this.#unfinished === 0 && this.#needsDrain) {
      this.#needsDrain = false
      this.#inTurn(() => this.#events.onDrain())
    }
  }

  #onReadError(code: number): void {
    if (getSystemErrorName(code) !== endOfFile) {
      this.#close(systemError('read', code))
      return
    }
    this.#isEnded = true
    this.#inTurn(() => this.#events.onEnd())
    if (this.#isShut) this.#close(undefined)
  }

  // Writing.

  #isBelowWatermark(): boolean {
    if (this.bufferedBytes < watermarkBytes || this.#isClosed) return true
    this.#needsDrain = true
    return false
  }

  #writePending(): void {
    const { length } = this.#pending
    if (length === 0 || this.#isClosed) return
    const block = this.#pending.takeBlock()
    const code =
      block === undefined
        ? this.#wires.writeText(this.#handle, this.#pending.takeText())
        : this.#wires.writeBytes(this.#handle, block.subarray(0, length))
    this.#afterWrite(code, block)
  }

  #afterWrite(code: number, lent: Buffer | undefined): void {
    if (code !== 0) {
      this.#wires.replaceRequest()
      this.#close(systemError('write', code))
      return
    }
    const request = this.#wires.takePending()
    if (request !== undefined) {
      request.wire = this
      request.lent = lent
      this.#unfinished += 1
      this.#hold(this.#handle.writeQueueSize)
    } else if (lent !== undefined) this.#turn.copies.give(lent)
  }

  #hold(bytes: number): void {
    this.#turn.held.bufferedBytes += bytes - this.#heldBytes
    this.#heldBytes = bytes
  }

  /** FIN, behind whatever libuv still has to send. */
  #shutdown(): void {
    const request = this.#wires.createShutdown(() => this.#onShut())
    // A connection that the peer has reset cannot be shut; its next read says so.
    if (this.#handle.shutdown(request) !== 0) this.#onShut()
  }

  #onShut(): void {
    this.#isShut = true
    if (this.#isEnded) this.#close(undefined)
  }

  // The end.

  #close(error: Error | undefined, isReset = false): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#isEnding = true
    this.#pending.clear()
    if (this.#heldBytes !== 0) this.#hold(0)
    const done = (): void => {
      const events = this.#events
      this.#events = ignored
      this.#isOver = true
      this.#inTurn(() => events.onClose(error))
    }
    // What is being shut down already cannot be reset.
    if (isReset && this.#handle.reset?.(done) === 0) return
    this.#handle.close(done)
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
    this.#close(error instanceof Error ? error : new Error(String(error)))
  }
}

function systemError(call: string, code: number): Error {
  const name = getSystemErrorName(code)
  return Object.assign(new Error(`${call} ${name}`), { code: name, errno: code, syscall: call })
}

const ignored: WireEvents = { onData() {}, onEnd() {}, onDrain() {}, onClose() {} }
