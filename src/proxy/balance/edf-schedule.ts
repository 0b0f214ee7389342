/**
 * Earliest deadline first: weighted round robin whose picks are spread evenly.
 *
 * Each entry has a deadline, 1/weight after its last pick; the earliest is next, and equal ones take turns. A heap, so
 * a pick costs log n. Envoy's edf_scheduler.h, with weights that may change from pick to pick.
 */
interface Entry<T> {
  deadline: number
  /** Breaks ties in the order of insertion. */
  order: number
  readonly item: T
}

/** Beyond that the deadlines would lose precision. */
const picksMax = 429_496_729
/** Envoy’s: of entries whose weights are multiples of each other, the lighter one is first. */
const tieBreak = 1e-13

export class EdfSchedule<T> {
  readonly #weightOf: (item: T) => number
  readonly #heap: Entry<T>[] = []
  #now = 0
  #order = 0

  /** Stands as if `picks` had been made; that costs no more than a pick of each. */
  constructor(items: readonly T[], weightOf: (item: T) => number, picks = 0) {
    this.#weightOf = weightOf
    const entries = items
      .map((item) => ({ item, weight: weightOf(item) }))
      .filter(({ weight }) => weight > 0)
      .map(({ item, weight }) => ({ item, weight: weight + tieBreak }))
    const weightSum = entries.reduce((sum, { weight }) => sum + weight, 0)
    let left = entries.length === 0 ? 0 : picks % picksMax
    const time = left / weightSum
    for (const { item, weight } of entries) {
      // Its share of the picks at that time, rounded down; what is left is picked one by one.
      const share = Math.floor(time * weight)
      const made = share > 0 && share / weight >= time ? share - 1 : share
      left -= made
      this.#now = Math.max(this.#now, made / weight)
      this.#add({ deadline: (made + 1) / weight, order: this.#order++, item })
    }
    for (; left > 0; left -= 1) this.pick()
  }

  /** The next item, or undefined when none has weight. */
  pick(): T | undefined {
    const top = this.#heap[0]
    if (top === undefined) return undefined
    this.#now = top.deadline
    // The entry goes back with the weight it has now; a weight of 0 would never come up again.
    const weight = Math.max(this.#weightOf(top.item), Number.MIN_VALUE)
    top.deadline = this.#now + 1 / weight
    top.order = this.#order++
    this.#sink(0)
    return top.item
  }

  #add(entry: Entry<T>): void {
    const heap = this.#heap
    heap.push(entry)
    let index = heap.length - 1
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!isBefore(entry, heap[parent] as Entry<T>)) break
      heap[index] = heap[parent] as Entry<T> // in bounds: parent < index
      index = parent
    }
    heap[index] = entry
  }

  #sink(start: number): void {
    const heap = this.#heap
    const entry = heap[start] as Entry<T> // in bounds: the caller saw it
    let index = start
    for (;;) {
      let child = 2 * index + 1
      if (child >= heap.length) break
      const right = heap[child + 1]
      if (right !== undefined && isBefore(right, heap[child] as Entry<T>)) child += 1
      if (!isBefore(heap[child] as Entry<T>, entry)) break
      heap[index] = heap[child] as Entry<T> // in bounds: child < length
      index = child
    }
    heap[index] = entry
  }
}

function isBefore<T>(a: Entry<T>, b: Entry<T>): boolean {
  return a.deadline < b.deadline || (a.deadline === b.deadline && a.order < b.order)
}
