/**
 * Route tables of RDS by name, and the listeners that wait for them. Listeners read `current()` for every request, so a
 * new table is in force with one assignment.
 */
import type { RouteTable } from '../route/route-table.ts'

interface Entry {
  table: RouteTable | undefined
  readonly waiting: Set<() => void>
  users: number
}

export interface RouteUse {
  /** The table now, or undefined before the first has come. */
  current(): RouteTable | undefined
  /** The listener is gone or reads another name. */
  release(): void
}

export class RouteStore {
  readonly #entries = new Map<string, Entry>()
  readonly #onNames: () => void

  constructor(onNames: () => void) {
    this.#onNames = onNames
  }

  get names(): readonly string[] {
    return [...this.#entries.keys()]
  }

  /** `onFirst` is called once when the first table has come; not when there is one already. */
  use(name: string, onFirst: () => void): RouteUse {
    let entry = this.#entries.get(name)
    if (entry === undefined) {
      entry = { table: undefined, waiting: new Set(), users: 0 }
      this.#entries.set(name, entry)
      this.#onNames()
    }
    const used = entry
    used.users += 1
    if (used.table === undefined) used.waiting.add(onFirst)
    return {
      current: () => used.table,
      release: () => {
        used.waiting.delete(onFirst)
        used.users -= 1
        if (used.users > 0) return
        this.#entries.delete(name)
        this.#onNames()
      },
    }
  }

  /** Of a table that nobody uses nothing is kept. */
  set(table: RouteTable): void {
    const entry = this.#entries.get(table.name)
    if (entry === undefined) return
    entry.table = table
    const waiting = [...entry.waiting]
    entry.waiting.clear()
    for (const onFirst of waiting) onFirst()
  }
}
