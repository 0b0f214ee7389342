/**
 * The old sidecar's side of a take-over: offers what it listens on to one process at a time, on a Unix socket that only its
 * owner may enter, and lets go once that process serves.
 *
 * The descriptors are those of the sockets themselves, not others of the same address: what waits in their queues waits
 * for whoever accepts next, and nothing is lost when this process closes its own (closing a socket of `reusePort` would
 * lose its queue).
 */
import { renameSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'

import type { Clock, Timer } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import { MeshError, describeError } from '../../lib/mesh-error.ts'
import type { StatsView } from '../telemetry/stats-registry.ts'
import { descriptorOf, openDuplicate } from '../worker/duplicate-descriptor.ts'
import { type FromOld, type Hello, protocolVersion, ready, released } from './message.ts'
import { StatsTeller } from './parent-stats.ts'
import {
  type DescriptorPassing,
  type PassedRecord,
  openDescriptorPassing,
  recordOf,
} from './pass-descriptor.ts'

export interface HandOverOptions {
  /** Where it is offered. */
  readonly path: string
  readonly epoch: number
  readonly clock: Clock
  readonly log: Log
  /** What this process listens on, by key. */
  readonly descriptors: () => Promise<ReadonlyMap<string, number>>
  /** Another process serves: close them, each without touching the socket that it stands for. */
  readonly release: () => Promise<void>
  /** It has been released, and the other process knows. */
  readonly onReleased: () => void
  /** Of this process: what they count from then on, the other process shows. */
  readonly stats: StatsView
}

export interface HandOver {
  close(): void
}

/** Rejections: MESH_LISTEN_FAILED. Whether descriptors can be passed is found out when somebody asks: few ever do. */
export async function openHandOver(options: HandOverOptions): Promise<HandOver> {
  const offer = new Offer(options)
  await offer.listen()
  return offer
}

/** A socket takes some 270 records, and as many descriptors, before somebody has to read. */
const retryMs = 2
/** One that reads nothing for so long hangs. */
const patienceMs = 5_000

/**
 * From the sockets to the word that the other side serves: its first configuration may take Envoy's 15 s for clusters and
 * for listeners each. One that needs longer hangs, and would keep others from taking over.
 */
const startMsMax = 60_000

/** From one line of statistics to the next. */
const tellMs = 1_000
/** So that no line is long. */
const statsOfLineMax = 500
/** A taker that reads nothing is told later. */
const unreadBytesMax = 4 << 20

/** A first line longer than this is no greeting. */
const helloBytesMax = 4_096

class Offer implements HandOver {
  readonly #options: HandOverOptions
  readonly #server: Server
  #taker: Socket | undefined
  #deadline: Timer | undefined
  #teller: StatsTeller | undefined
  #telling: Timer | undefined
  #isReleased = false

  constructor(options: HandOverOptions) {
    this.#options = options
    this.#server = createServer((socket) => this.#onTaker(socket))
  }

  /** In one step: whoever looks for the path finds the one before or this one. */
  async listen(): Promise<void> {
    const { path, log } = this.#options
    const draft = `${path}.${process.pid}`
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (cause) => {
        reject(new MeshError('MESH_LISTEN_FAILED', `offer a take-over at ${path}`, { cause }))
      })
      // Bound before `listen` returns: nobody else may come in, not even before a chmod.
      const mask = process.umask(0o177)
      this.#server.listen(draft, resolve)
      process.umask(mask)
    })
    renameSync(draft, path)
    this.#server.on('error', (error) =>
      log.warn({ error: error.message }, 'take-over: accept failed'),
    )
  }

  close(): void {
    this.#deadline?.cancel()
    this.#telling?.cancel()
    if (this.#isReleased) {
      this.#tell()
      this.#taker?.end()
    } else this.#taker?.destroy()
    this.#server.close()
    // Closing unlinks the name that it was bound by, which it no longer has.
    if (!this.#isReleased) rmSync(this.#options.path, { force: true })
  }

  #onTaker(socket: Socket): void {
    let text = ''
    let hasGreeted = false
    socket.on('error', () => {
      // Its end says the same.
    })
    socket.on('close', () => {
      if (this.#taker !== socket) return
      this.#taker = undefined
      this.#deadline?.cancel()
      this.#telling?.cancel()
      if (!this.#isReleased) this.#options.log.warn({}, 'take-over: given up by the other side')
    })
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString()
      const end = text.indexOf('\n')
      if (end < 0) {
        if (text.length > helloBytesMax) socket.destroy()
        return
      }
      const line = text.slice(0, end + 1)
      text = text.slice(end + 1)
      if (!hasGreeted) {
        hasGreeted = true
        void this.#handOver(socket, line)
      } else if (line === ready && this.#taker === socket) void this.#release(socket)
    })
  }

  async #handOver(socket: Socket, line: string): Promise<void> {
    const { log, epoch } = this.#options
    const refuse = (reason: string): void => {
      const refusal: FromOld = { kind: 'refused', reason }
      socket.end(recordOf(JSON.stringify(refusal)))
    }
    try {
      const reason = this.#refusal(line)
      if (reason !== undefined) {
        refuse(reason)
        return
      }
      this.#taker = socket
      const passing = await openDescriptorPassing()
      const sockets = await this.#sendAll(passing, socket)
      this.#awaitReady(socket)
      log.info({ sockets, epoch }, 'take-over: sockets handed over')
    } catch (error) {
      log.warn({ error: describeError(error) }, 'take-over: not handed over')
      refuse(describeError(error))
    }
  }

  #awaitReady(socket: Socket): void {
    const { clock, log } = this.#options
    // It may have given up while it was read to.
    if (this.#taker !== socket) return
    this.#deadline = clock.setTimer(startMsMax, () => {
      log.warn({ waitedMs: startMsMax }, 'take-over: the other side does not come to serve')
      socket.destroy()
    })
  }

  /** Sends copies: a listener may be closed while the other side reads, and its number be that of something else. */
  async #sendAll(passing: DescriptorPassing, socket: Socket): Promise<number> {
    const { descriptors, epoch } = this.#options
    const copies: { readonly key: string; readonly descriptor: number }[] = []
    const say = (message: FromOld, descriptor?: number): Promise<void> =>
      this.#send(passing, socket, { text: JSON.stringify(message), descriptor })
    const duplicate = await openDuplicate()
    try {
      for (const [key, original] of await descriptors()) {
        const descriptor = duplicate(original)
        if (descriptor < 0) throw new Error('the process has no descriptor left')
        copies.push({ key, descriptor })
      }
      for (const { key, descriptor } of copies) await say({ kind: 'socket', key }, descriptor)
      await say({ kind: 'all', pid: process.pid, epoch })
    } finally {
      for (const { descriptor } of copies) passing.close(descriptor)
    }
    return copies.length
  }

  /** Rejects when the other side is gone, or reads nothing. */
  async #send(passing: DescriptorPassing, socket: Socket, record: PassedRecord): Promise<void> {
    const { clock } = this.#options
    const endMs = clock.monotonicMs() + patienceMs
    for (;;) {
      const target = descriptorOf(socket)
      if (target === undefined) throw new Error('the other side is gone')
      if (passing.send(target, record)) return
      if (clock.monotonicMs() > endMs) throw new Error('the other side reads nothing')
      await new Promise<void>((resolve) => clock.setTimer(retryMs, resolve))
    }
  }

  #refusal(line: string): string | undefined {
    if (this.#isReleased || this.#taker !== undefined) return 'another process is taking over'
    const hello = parseHello(line)
    if (hello === undefined) return 'the greeting cannot be read'
    if (hello.protocol === protocolVersion) return undefined
    return `it speaks version ${protocolVersion} of the hand-over, and the new one ${hello.protocol}`
  }

  async #release(socket: Socket): Promise<void> {
    if (this.#isReleased) return
    this.#isReleased = true
    this.#deadline?.cancel()
    try {
      await this.#options.release()
    } catch (error) {
      // The new one serves: what could not be closed here is closed with this process.
      this.#options.log.warn({ error: describeError(error) }, 'take-over: not everything let go')
    }
    // The new one puts its own in the place.
    this.#server.close()
    this.#teller = new StatsTeller(this.#options.stats)
    socket.write(released)
    this.#options.onReleased()
    this.#tellLater()
  }

  #tellLater(): void {
    if (this.#taker === undefined) return
    this.#telling = this.#options.clock.setTimer(tellMs, () => {
      this.#tell()
      this.#tellLater()
    })
  }

  #tell(): void {
    const socket = this.#taker
    if (socket === undefined || socket.writableLength > unreadBytesMax) return
    const stats = this.#teller?.next() ?? []
    for (let start = 0; start < stats.length; start += statsOfLineMax) {
      socket.write(`${JSON.stringify(stats.slice(start, start + statsOfLineMax))}\n`)
    }
  }
}

function parseHello(line: string): Hello | undefined {
  try {
    const hello: unknown = JSON.parse(line)
    const isHello = typeof hello === 'object' && hello !== null && 'protocol' in hello
    return isHello ? (hello as Hello) : undefined
  } catch {
    return undefined
  }
}
