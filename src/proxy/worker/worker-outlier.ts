/** A worker's place among those who look for outliers together: the first worker decides, messages go by the main thread. */
import { SharedTally } from '../resilience/host-tally.ts'
import type { OutlierMessage, OutlierShare } from '../resilience/outlier-share.ts'
import type { Slots } from '../telemetry/slots.ts'

export interface WorkerOutlierOptions {
  /** From 1. */
  readonly thread: number
  readonly slots: Slots
  readonly send: (message: OutlierMessage) => void
}

type Listener = (message: OutlierMessage) => void

export class WorkerOutlierShare implements OutlierShare {
  readonly isLeader: boolean
  readonly send: (message: OutlierMessage) => void
  readonly #slots: Slots
  /** Of a cluster that is being replaced there are two for a while. */
  readonly #listeners = new Map<string, Set<Listener>>()

  constructor({ thread, slots, send }: WorkerOutlierOptions) {
    this.isLeader = thread === 1
    this.send = send
    this.#slots = slots
  }

  tallyOf(cluster: string, host: string): SharedTally {
    return new SharedTally(this.#slots, `${cluster} ${host}`)
  }

  listen(cluster: string, onMessage: Listener): () => void {
    const listeners = this.#listeners.get(cluster) ?? new Set()
    this.#listeners.set(cluster, listeners)
    listeners.add(onMessage)
    return () => {
      listeners.delete(onMessage)
      if (listeners.size === 0 && this.#listeners.get(cluster) === listeners) {
        this.#listeners.delete(cluster)
      }
    }
  }

  receive(message: OutlierMessage): void {
    const chosen =
      message.kind === 'reset'
        ? [...this.#listeners.values()].flatMap((listeners) => [...listeners])
        : [...(this.#listeners.get(message.cluster) ?? [])]
    for (const listener of chosen) listener(message)
  }
}
