/**
 * A sidecar's place in a line of processes that follow each other at one Unix socket: takes over from the one before, where
 * there is one, and offers itself to the next.
 */
import type { Log } from '../../lib/log.ts'
import { type HandOver, type HandOverOptions, openHandOver } from './hand-over.ts'
import { adminKey } from './message.ts'
import { type TakeOver, takeOver } from './take-over.ts'

export class Succession {
  readonly #path: string
  readonly #log: Log
  readonly #takeOver: TakeOver | undefined
  #isConfirmed = false
  #handOver: HandOver | undefined
  #isClosed = false

  /** Rejections: MESH_TAKE_OVER_FAILED, MESH_NOT_IMPLEMENTED. */
  static async begin(path: string, version: string, log: Log): Promise<Succession> {
    return new Succession(path, log, await takeOver({ path, version }))
  }

  private constructor(path: string, log: Log, found: TakeOver | undefined) {
    this.#path = path
    this.#log = log
    this.#takeOver = found
  }

  /** How many processes there were before. */
  get epoch(): number {
    return this.#takeOver?.epoch ?? 0
  }

  /** The old one still serves. */
  get isTakingOver(): boolean {
    return this.#takeOver !== undefined && !this.#isConfirmed
  }

  /** What the old one listens on; undefined where there is none. Whoever takes a socket deletes it. */
  get sockets(): TakeOver['sockets'] | undefined {
    return this.#takeOver?.sockets
  }

  takeAdmin(): { readonly fd: number } | undefined {
    const socket = this.sockets?.get(adminKey)
    this.sockets?.delete(adminKey)
    return socket
  }

  /** This sidecar serves: resolves when the old one has let go. */
  async confirm(): Promise<void> {
    const before = this.#takeOver
    if (before === undefined || this.#isConfirmed) return
    this.#isConfirmed = true
    const left = [...before.sockets.keys()]
    if (left.length > 0) this.#log.warn({ left }, 'take-over: sockets that no listener wants')
    await before.confirm()
    this.#log.info({ epoch: this.epoch, from: before.pid }, 'take-over: done')
  }

  /** The next one may come. */
  async offer(
    options: Pick<HandOverOptions, 'descriptors' | 'release' | 'onReleased'>,
  ): Promise<void> {
    if (this.#isClosed) return
    const { epoch } = this
    this.#handOver = await openHandOver({ path: this.#path, epoch, log: this.#log, ...options })
  }

  close(): void {
    this.#isClosed = true
    if (this.isTakingOver) this.#takeOver?.abandon()
    this.#handOver?.close()
  }
}
