/**
 * Decides, once at start, what carries the bytes of a sidecar: libuv's handles where they are wanted, known and seen to
 * work, `net.Socket` everywhere else. The log says which, and why.
 *
 * The check opens one loopback connection and sends bytes over it in both directions, in one piece and in more than the
 * kernel takes at once, ends it, and sees it close. What fails that is not used.
 */
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'

import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import { describeError } from '../../lib/mesh-error.ts'
import { FlushTurn } from './flush-turn.ts'
import { HandleWires } from './handle-wire.ts'
import { findHandleInternals, type HandleInternals } from './node-handle.ts'
import { ReadBuffer } from './read-buffer.ts'
import type { Wire, WireEvents } from './wire.ts'

export type WireKind = 'net' | 'handles'

export interface ChooseWireOptions {
  readonly wanted: WireKind
  readonly clock: Clock
  readonly log: Log
  /** Whether the internals are there; Node's own unless a test says otherwise. */
  readonly find?: () => HandleInternals | string
}

/** Undefined stands for `net`. */
export async function chooseWire(options: ChooseWireOptions): Promise<HandleInternals | undefined> {
  const { wanted, log, clock, find = findHandleInternals } = options
  if (wanted === 'net') return undefined
  const found = find()
  const reason = typeof found === 'string' ? found : await checkHandles(found, clock)
  if (reason === undefined && typeof found !== 'string') {
    log.debug({ wire: 'handles' }, 'wire')
    return found
  }
  log.warn({ wire: 'net', reason }, 'wires on handles are not used; requests cost more CPU')
  return undefined
}

const checkMsMax = 2_000
const greeting = 'GET / HTTP/1.1\r\n\r\n'
const chunk = Buffer.alloc(64 * 1024, 'x')
/** A kernel that takes this much from a peer that does not read is none that we know. */
const writtenMax = 1024 * chunk.length

/** Why handles do not work here; undefined when they do. */
async function checkHandles(internals: HandleInternals, clock: Clock): Promise<string | undefined> {
  const bugs: unknown[] = []
  const turn = new FlushTurn((error) => bugs.push(error))
  const server = createServer({ allowHalfOpen: true })
  const pair = new LoopbackPair(server)
  const isLate = Promise.withResolvers<string>()
  const timer = clock.setTimer(checkMsMax, () => isLate.resolve('its check took too long'))
  try {
    const wires = new HandleWires(internals, turn, new ReadBuffer())
    const failure = await Promise.race([isLate.promise, pair.exchange(wires)])
    return failure ?? (bugs.length === 0 ? undefined : describeError(bugs[0]))
  } catch (error) {
    return `its check failed: ${describeError(error)}`
  } finally {
    timer.cancel()
    pair.destroy()
    server.close()
  }
}

/** One connection to ourselves, with a wire at each end. */
class LoopbackPair {
  readonly #server: Server
  readonly #open: { destroy(): unknown }[] = []

  constructor(server: Server) {
    this.#server = server
  }

  async exchange(wires: HandleWires): Promise<string | undefined> {
    const accepted = Promise.withResolvers<Wire | undefined>()
    this.#server.once('connection', (socket) => accepted.resolve(this.#take(wires, socket)))
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(0, '127.0.0.1', resolve)
    })
    const { port } = this.#server.address() as AddressInfo // of a server on an IP address
    const connected = Promise.withResolvers<Wire | undefined>()
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true })
    this.#open.push(socket)
    socket.once('error', connected.reject)
    socket.once('connect', () => connected.resolve(this.#take(wires, socket)))
    const [near, far] = await Promise.all([connected.promise, accepted.promise])
    if (near === undefined || far === undefined) return 'sockets have no handle to take'
    return await talk(near, far)
  }

  destroy(): void {
    for (const end of this.#open) end.destroy()
  }

  #take(wires: HandleWires, socket: Socket): Wire | undefined {
    const wire = wires.take(socket)
    this.#open.push(wire ?? socket)
    return wire
  }
}

/** Each end speaks, one of them more than the kernel takes at once; both end, and both must hear all of it. */
async function talk(near: Wire, far: Wire): Promise<string | undefined> {
  const nearEnd = new Listener()
  const farEnd = new Listener()
  near.listen(nearEnd)
  far.listen(farEnd)
  far.write(greeting)
  far.pause()
  near.write(greeting)
  let written = greeting.length
  let isFull = false
  while (!isFull && written < writtenMax) {
    isFull = !near.write(chunk)
    written += chunk.length
  }
  if (!isFull || near.bufferedBytes === 0) return 'a peer that does not read is not noticed'
  far.resume()
  await nearEnd.drained.promise
  near.end()
  await farEnd.ended.promise
  far.end()
  const errors = await Promise.all([nearEnd.closed.promise, farEnd.closed.promise])
  if (errors.some((error) => error !== undefined)) return 'an orderly end is taken for an error'
  if (nearEnd.text !== greeting || !farEnd.text.startsWith(greeting)) return 'bytes arrive changed'
  return farEnd.bytes === written ? undefined : 'bytes are lost'
}

class Listener implements WireEvents {
  readonly drained = Promise.withResolvers<void>()
  readonly ended = Promise.withResolvers<void>()
  readonly closed = Promise.withResolvers<Error | undefined>()
  bytes = 0
  text = ''

  onData(data: Uint8Array): void {
    this.bytes += data.length
    if (this.text.length < greeting.length) {
      this.text += Buffer.from(data.subarray(0, greeting.length)).toString('latin1')
    }
  }

  onEnd(): void {
    this.ended.resolve()
  }

  onDrain(): void {
    this.drained.resolve()
  }

  onClose(error: Error | undefined): void {
    this.closed.resolve(error)
  }
}
