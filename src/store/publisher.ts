/**
 * Holds a source's current snapshot and tells its watchers about new ones.
 *
 * Each watcher is called in a turn of its own, with what is newest at that moment: a burst of changes costs it
 * one call, and one that throws cannot keep the news from the others. Bound: one pending call per watcher.
 */
import type { SourceSnapshot } from './source.ts'

export class SnapshotPublisher {
  #current: SourceSnapshot
  readonly #watchers = new Set<Watcher>()

  constructor(initial: SourceSnapshot) {
    this.#current = initial
  }

  get current(): SourceSnapshot {
    return this.#current
  }

  publish(snapshot: SourceSnapshot): void {
    this.#current = snapshot
    for (const watcher of this.#watchers) watcher.notify()
  }

  watch(listener: (snapshot: SourceSnapshot) => void): Disposable {
    const watcher = new Watcher(() => listener(this.#current))
    this.#watchers.add(watcher)
    return {
      [Symbol.dispose]: () => {
        watcher.close()
        this.#watchers.delete(watcher)
      },
    }
  }

  /** Nobody hears of anything after this. */
  close(): void {
    for (const watcher of this.#watchers) watcher.close()
    this.#watchers.clear()
  }
}

class Watcher {
  readonly #call: () => void
  #isPending = false
  #isClosed = false

  constructor(call: () => void) {
    this.#call = call
  }

  notify(): void {
    if (this.#isPending) return
    this.#isPending = true
    queueMicrotask(() => {
      this.#isPending = false
      if (!this.#isClosed) this.#call()
    })
  }

  close(): void {
    this.#isClosed = true
  }
}
