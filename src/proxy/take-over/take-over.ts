/** The new sidecar's side of a take-over: gets the sockets that the old one listens on, and tells it when to let go. */
import { writeSync } from 'node:fs'
import { Socket } from 'node:net'
import { createInterface } from 'node:readline'

import { MeshError } from '../../lib/mesh-error.ts'
import { type FromOld, type Hello, protocolVersion, ready, released } from './message.ts'
import { ParentStats } from './parent-stats.ts'
import { type DescriptorPassing, openDescriptorPassing } from './pass-descriptor.ts'

export interface TakeOver {
  /** Descriptors that listen, by their keys; whoever takes one deletes it. */
  readonly sockets: Map<string, { readonly fd: number }>
  /** 1 for the first that takes over. */
  readonly epoch: number
  /** Of the old one. */
  readonly pid: number
  /** What it counts while it drains. */
  readonly stats: ParentStats
  /**
   * This sidecar serves: the old one lets go. Resolves when it has, or has ended; rejects with MESH_TAKE_OVER_FAILED when
   * it has given this one up and goes on.
   */
  confirm(): Promise<void>
  /** This sidecar cannot start: the old one goes on. */
  abandon(): void
}

export interface TakeOverOptions {
  /** Unix socket at which the old one offers itself. */
  readonly path: string
  readonly version: string
}

/** The old one's event loop may be busy; a start that waits longer than this is one that hangs. */
const answerTimeoutMs = 5_000

/**
 * Undefined: nobody offers anything there, so that the start is a first one. Rejects with MESH_TAKE_OVER_FAILED when the old
 * one refuses or does not answer, and with MESH_NOT_IMPLEMENTED where descriptors cannot be passed.
 */
export async function takeOver(options: TakeOverOptions): Promise<TakeOver | undefined> {
  const passing = await openDescriptorPassing()
  const connection = passing.connect(options.path, answerTimeoutMs)
  if (connection < 0) return undefined
  const sockets = new Map<string, { readonly fd: number }>()
  try {
    const hello: Hello = { protocol: protocolVersion, pid: process.pid, version: options.version }
    writeSync(connection, `${JSON.stringify(hello)}\n`)
    const { epoch, pid } = receiveAll(passing, connection, { sockets, path: options.path })
    return new RunningTakeOver({ ...options, connection, passing, sockets, epoch: epoch + 1, pid })
  } catch (error) {
    for (const { fd } of sockets.values()) passing.close(fd)
    passing.close(connection)
    throw error
  }
}

function receiveAll(
  passing: DescriptorPassing,
  connection: number,
  into: { readonly sockets: Map<string, { readonly fd: number }>; readonly path: string },
): { readonly epoch: number; readonly pid: number } {
  for (;;) {
    const record = passing.receive(connection)
    if (record === undefined) throw failed(into.path, 'it did not answer')
    // Written by our own code on the other side, whose protocol version was checked there.
    const message = JSON.parse(record.text) as FromOld
    if (message.kind === 'refused') throw failed(into.path, message.reason)
    if (message.kind === 'all') return message
    if (record.descriptor !== undefined) into.sockets.set(message.key, { fd: record.descriptor })
  }
}

function failed(path: string, reason: string): MeshError {
  return new MeshError(
    'MESH_TAKE_OVER_FAILED',
    `take over from the sidecar at ${path}: ${reason}`,
    {
      remedy: 'the old sidecar goes on; end it and start the new one, where that cannot be mended',
    },
  )
}

interface TakeOverParts {
  readonly path: string
  readonly connection: number
  readonly passing: DescriptorPassing
  readonly sockets: Map<string, { readonly fd: number }>
  readonly epoch: number
  readonly pid: number
}

class RunningTakeOver implements TakeOver {
  readonly sockets: TakeOverParts['sockets']
  readonly epoch: number
  readonly pid: number
  readonly stats = new ParentStats()
  readonly #passing: DescriptorPassing
  readonly #socket: Socket
  readonly #path: string

  constructor(parts: TakeOverParts) {
    this.#path = parts.path
    this.sockets = parts.sockets
    this.epoch = parts.epoch
    this.pid = parts.pid
    this.#passing = parts.passing
    this.#socket = new Socket({ fd: parts.connection, readable: true, writable: true })
    this.#socket.on('error', () => {
      // The old one has ended: it has let go of everything.
    })
  }

  async confirm(): Promise<void> {
    // Of listeners that the configuration of today does not have: what waits in their queues is for nobody.
    this.#closeLeft()
    if (await this.#askToLetGo()) return
    // The connection has ended without a word. Whoever listens there still is the old one.
    const connection = this.#passing.connect(this.#path, answerTimeoutMs)
    if (connection < 0) return
    this.#passing.close(connection)
    throw failed(this.#path, 'it has not waited so long')
  }

  /** False: the connection has ended first. */
  #askToLetGo(): Promise<boolean> {
    return new Promise((resolve) => {
      let hasLetGo = false
      createInterface({ input: this.#socket }).on('line', (line) => {
        if (hasLetGo) this.stats.read(line)
        else if (`${line}\n` === released) {
          hasLetGo = true
          // It says what it counts for as long as it drains.
          this.#socket.setTimeout(0)
          this.#socket.unref()
          resolve(true)
        }
      })
      this.#socket.on('close', () => {
        this.stats.end()
        resolve(false)
      })
      if (this.#socket.closed) resolve(false)
      // One that hangs holds its own descriptors, and nothing up here.
      this.#socket.setTimeout(answerTimeoutMs, () => {
        this.#socket.destroy()
        resolve(true)
      })
      this.#socket.write(ready)
    })
  }

  abandon(): void {
    this.#closeLeft()
    this.#socket.destroy()
  }

  #closeLeft(): void {
    for (const { fd } of this.sockets.values()) this.#passing.close(fd)
    this.sockets.clear()
  }
}
