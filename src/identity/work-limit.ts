/** Runs so much work at once and no more; what comes meanwhile waits in order, up to a ceiling. */
import { MeshError } from '../lib/mesh-error.ts'

export interface WorkLimitOptions {
  readonly runningMax: number
  readonly waitingMax: number
}

export class WorkLimit {
  readonly #options: WorkLimitOptions
  readonly #waiting: (() => void)[] = []
  #running = 0

  constructor(options: WorkLimitOptions) {
    this.#options = options
  }

  get waiting(): number {
    return this.#waiting.length
  }

  /** Rejections: those of the work; MESH_CA_UNAVAILABLE when too much waits. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#options.runningMax) await this.#wait()
    else this.#running += 1
    try {
      return await work()
    } finally {
      // The place goes to the next in the queue, without being free in between.
      const next = this.#waiting.shift()
      if (next === undefined) this.#running -= 1
      else next()
    }
  }

  #wait(): Promise<void> {
    const { waitingMax } = this.#options
    if (this.#waiting.length >= waitingMax) {
      const message = `${waitingMax} callers wait for a certificate, which is the ceiling`
      throw new MeshError('MESH_CA_UNAVAILABLE', message, { remedy: 'try again later' })
    }
    return new Promise((resolve) => this.#waiting.push(resolve))
  }
}
