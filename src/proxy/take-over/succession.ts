/**
 * A sidecar's place in a line of processes that follow each other at one Unix socket: takes over from the one before, where
 * there is one, and offers itself to the next.
 */
import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import type { StatsView } from '../telemetry/stats-registry.ts'
import type { WireAddress } from '../wire/wire.ts'
import { type HandOver, type HandOverOptions, openHandOver } from './hand-over.ts'
import { adminKey } from './message.ts'
import { type TakeOver, takeOver } from './take-over.ts'

export interface SuccessionOptions {
  /** Unix socket at which they follow each other. */
  readonly path: string
  readonly version: string
  readonly clock: Clock
  readonly log: Log
}

export class Succession {
  readonly #path: string
  readonly #clock: Clock
  readonly #log: Log
  readonly #takeOver: TakeOver | undefined
  #isConfirmed = false
  #handOver: HandOver | undefined
  #isClosed = false

  /** Rejections: MESH_TAKE_OVER_FAILED, MESH_NOT_IMPLEMENTED. */
  static async begin(options: SuccessionOptions): Promise<Succession> {
    return new Succession(options, await takeOver(options))
  }

  private constructor({ path, clock, log }: SuccessionOptions, found: TakeOver | undefined) {
    this.#path = path
    this.#clock = clock
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

  /** `own`, with what the old one counts while it drains. */
  joinStats(own: StatsView): StatsView {
    return this.#takeOver?.stats.joinedTo(own) ?? own
  }

  /** Of those, names or lines that were too many, or could not be read. */
  get parentStatsDropped(): number {
    return this.#takeOver?.stats.dropped ?? 0
  }

  /** The old one's admin interface, where it is at the same address. */
  takeAdmin(address: WireAddress): { readonly fd: number } | undefined {
    const key = adminKey(address)
    const socket = this.sockets?.get(key)
    this.sockets?.delete(key)
    return socket
  }

  /** This sidecar serves: resolves when the old one has let go; rejects when that one goes on. */
  async confirm(): Promise<void> {
    const before = this.#takeOver
    if (before === undefined || this.#isConfirmed) return
    this.#isConfirmed = true
    const left = [...before.sockets.keys()]
    if (left.length > 0) this.#log.warn({ left }, 'take-over: sockets that no listener wants')
    try {
      await before.confirm()
    } catch (error) {
      // What is open here is the old one's, as before.
      this.#isConfirmed = false
      throw error
    }
    this.#log.info({ epoch: this.epoch, from: before.pid }, 'take-over: done')
  }

  /** The next one may come. */
  async offer(
    options: Pick<HandOverOptions, 'descriptors' | 'release' | 'onReleased' | 'stats'>,
  ): Promise<void> {
    if (this.#isClosed) return
    const { epoch } = this
    const scope = { path: this.#path, epoch, clock: this.#clock, log: this.#log }
    this.#handOver = await openHandOver({ ...scope, ...options })
  }

  close(): void {
    this.#isClosed = true
    if (this.isTakingOver) this.#takeOver?.abandon()
    this.#handOver?.close()
  }
}
