/**
 * Assignments of EDS by resource name, and who waits for them. The last good one is kept while a cluster refers to it,
 * so that a cluster that changes its settings is warm at once instead of waiting for an answer that says nothing new.
 */
import type { ResolvedList } from './live-host.ts'

type Watcher = (list: ResolvedList) => void

interface Assignment {
  list: ResolvedList | undefined
  readonly watchers: Set<Watcher>
  /** Of these, those that wait for the server to say it again. */
  readonly waiting: Set<Watcher>
}

export class Assignments {
  readonly #byName = new Map<string, Assignment>()
  /** The set of names has changed: the subscription must follow. */
  readonly #onNames: () => void

  constructor(onNames: () => void) {
    this.#onNames = onNames
  }

  get names(): readonly string[] {
    return [...this.#byName.keys()]
  }

  /** The last good one, while somebody refers to it. */
  kept(name: string): ResolvedList | undefined {
    return this.#byName.get(name)?.list
  }

  /**
   * Calls `watcher` now if there is an assignment and it takes one that is kept, and on every later one, until the
   * returned function is called.
   */
  watch(
    name: string,
    watcher: Watcher,
    { takesKept }: { readonly takesKept: boolean },
  ): () => void {
    let entry = this.#byName.get(name)
    if (entry === undefined) {
      entry = { list: undefined, watchers: new Set(), waiting: new Set() }
      this.#byName.set(name, entry)
      this.#onNames()
    }
    const { watchers, waiting } = entry
    watchers.add(watcher)
    if (!takesKept) waiting.add(watcher)
    else if (entry.list !== undefined) watcher(entry.list)
    return () => {
      watchers.delete(watcher)
      waiting.delete(watcher)
      if (watchers.size > 0) return
      this.#byName.delete(name)
      this.#onNames()
    }
  }

  /** An assignment that no cluster refers to is dropped: it will be asked for again. */
  set(name: string, list: ResolvedList): void {
    const entry = this.#byName.get(name)
    if (entry === undefined) return
    entry.list = list
    entry.waiting.clear()
    for (const watcher of entry.watchers) watcher(list)
  }

  /** The server has named it again, and it is what it was: who waits for that has it. */
  confirm(name: string): void {
    const { list, waiting } = this.#byName.get(name) ?? {}
    if (list === undefined || waiting === undefined) return
    const told = [...waiting]
    waiting.clear()
    for (const watcher of told) watcher(list)
  }
}
