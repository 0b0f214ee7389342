/**
 * Requests that wait for a connection to one host, first come, first served. Each takes a place of its cluster's breaker
 * (`pending`, which is their ceiling) and counts as pending until it leaves.
 */
import type { Cluster } from './cluster.ts'
import type { StreamWaiter } from './host-pool.ts'

export class WaiterQueue {
  readonly #waiters: StreamWaiter[] = []

  get length(): number {
    return this.#waiters.length
  }

  /** Takes the last place; where there is none, the waiter is told. */
  join(cluster: Cluster, waiter: StreamWaiter): boolean {
    const { breaker, stats } = cluster
    if (!breaker.tryAcquire('pending')) {
      waiter.onNoStream({ failure: 'overflow', message: 'too many pending requests' })
      return false
    }
    stats.rqPendingTotal.add(1)
    stats.rqPendingActive.add(1)
    this.#waiters.push(waiter)
    return true
  }

  /** The first of them, which waits no more. */
  shift(cluster: Cluster): StreamWaiter | undefined {
    const waiter = this.#waiters.shift()
    if (waiter !== undefined) leave(cluster)
    return waiter
  }

  /** One that gives up. */
  cancel(cluster: Cluster, waiter: StreamWaiter): void {
    const index = this.#waiters.indexOf(waiter)
    if (index === -1) return
    this.#waiters.splice(index, 1)
    leave(cluster)
  }

  /** All of them at this moment, one after the other: what is said to one may bring new ones. */
  *empty(cluster: Cluster): Iterable<StreamWaiter> {
    for (const waiter of this.#waiters.splice(0)) {
      leave(cluster)
      yield waiter
    }
  }
}

function leave({ breaker, stats }: Cluster): void {
  breaker.release('pending')
  stats.rqPendingActive.add(-1)
}
