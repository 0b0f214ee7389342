/**
 * A set of objects that come and go all the time, such as connections: each of them keeps its place in it.
 *
 * A `Set` would do, but for garbage collection: V8 makes a new table each time that one has filled up with entries that
 * came and went, and links the old table to it. Once such a table is old, every later one lives until the next full
 * collection, and with it everything that was in it at that moment. proxy/http2/stream-table.ts has figures.
 */

export interface Placed {
  /** Written by the roster alone; -1: in none. An object is in one roster at most. */
  place: number
}

export class Roster<Item extends Placed> {
  readonly #items: Item[] = []

  get size(): number {
    return this.#items.length
  }

  add(item: Item): void {
    item.place = this.#items.push(item) - 1
  }

  /** False when it was not in it. */
  delete(item: Item): boolean {
    const { place } = item
    if (place === -1) return false
    item.place = -1
    const last = this.#items.pop() as Item // not empty: `item` is in it
    if (last === item) return true
    this.#items[place] = last
    last.place = place
    return true
  }

  /** Those that are in it now: what is done to one may take others out. */
  list(): readonly Item[] {
    return [...this.#items]
  }
}
