/**
 * Gauges that all threads of a process share, found by key: an open-addressed table in shared memory, under one lock.
 *
 * Whoever asks for a key that another thread holds gets the same cell, so that a limit is the process's and not each
 * thread's (Envoy's circuit breakers count so). Adding and reading take no lock. Each thread's part of every cell, and how
 * often it holds it, stand beside it: when a thread dies its part is taken back (`bury`).
 *
 * Keys are compared by 64 bits of hash only. The table is at most three quarters full.
 */
import { invariant } from '../../lib/assert.ts'

export interface GaugeBuffers {
  readonly gaugesMax: number
  readonly threads: number
  /** Two words of hash and the number of holders, for each place; the last word is the lock. */
  readonly places: SharedArrayBuffer
  readonly cells: SharedArrayBuffer
  /** By thread: its part of each cell. */
  readonly parts: SharedArrayBuffer
  /** By thread: how often it holds each place. */
  readonly holds: SharedArrayBuffer
}

const wordsPerPlace = 3
const holdersAt = 2

/** Thread 0 is the main thread. */
export function createGaugeBuffers(options: {
  readonly gaugesMax: number
  readonly threads: number
}): GaugeBuffers {
  const { gaugesMax, threads } = options
  invariant((gaugesMax & (gaugesMax - 1)) === 0, `gaugesMax is a power of two, got ${gaugesMax}`)
  const words = (count: number): SharedArrayBuffer =>
    new SharedArrayBuffer(count * Int32Array.BYTES_PER_ELEMENT)
  return {
    gaugesMax,
    threads,
    places: words(gaugesMax * wordsPerPlace + 1),
    cells: words(gaugesMax),
    parts: words(gaugesMax * threads),
    holds: words(gaugesMax * threads),
  }
}

export class GaugeTable {
  used = 0
  readonly #size: number
  readonly #thread: number
  readonly #places: Int32Array
  readonly #cells: Int32Array
  /** All threads' after each other. */
  readonly #parts: Int32Array
  readonly #holds: Int32Array
  readonly #ownStart: number
  /** Nobody else counts: what is atomic costs five times as much. */
  readonly #isAlone: boolean
  #anonymous = 0

  constructor(buffers: GaugeBuffers, thread: number) {
    this.#size = buffers.gaugesMax
    this.#thread = thread
    this.#places = new Int32Array(buffers.places)
    this.#cells = new Int32Array(buffers.cells)
    this.#parts = new Int32Array(buffers.parts)
    this.#holds = new Int32Array(buffers.holds)
    this.#ownStart = thread * this.#size
    this.#isAlone = buffers.threads === 1
    invariant(thread < buffers.threads, `thread ${thread} is one of ${buffers.threads}`)
  }

  /** Without a key: one that nobody else can ask for. */
  acquire(key = `${this.#thread}\0${(this.#anonymous += 1)}`): number {
    return this.#locked(() => {
      const place = this.#find(hashOf(key))
      this.#addHolders(place, this.#thread, 1)
      this.used += 1
      return place
    })
  }

  release(place: number): void {
    this.#locked(() => this.#addHolders(place, this.#thread, -1))
    this.used -= 1
  }

  isHeld(place: number): boolean {
    return (this.#holds[this.#ownStart + place] ?? 0) > 0
  }

  add(place: number, amount: number): number {
    if (this.#isAlone) return this.#addAlone(place, amount)
    const own = this.#ownStart + place
    this.#parts[own] = (this.#parts[own] as number) + amount // in bounds: places come from `acquire`
    return Atomics.add(this.#cells, place, amount) + amount
  }

  /** For what is known, not counted: every thread that sets it sets the same. */
  set(place: number, value: number): void {
    Atomics.store(this.#cells, place, value)
  }

  /** A count: whoever dies has counted all the same. */
  tally(place: number, amount: number): number {
    if (this.#isAlone) return this.#addAlone(place, amount)
    return Atomics.add(this.#cells, place, amount) + amount
  }

  #addAlone(place: number, amount: number): number {
    const value = (this.#cells[place] as number) + amount // in bounds, as above
    this.#cells[place] = value
    return value
  }

  take(place: number): number {
    return Atomics.exchange(this.#cells, place, 0)
  }

  read(place: number): number {
    return Atomics.load(this.#cells, place)
  }

  /** Takes back what a thread that has ended added, and holds; the main thread calls it. */
  bury(thread: number): void {
    const start = thread * this.#size
    const lock = this.#places.length - 1
    // It may have died inside.
    Atomics.compareExchange(this.#places, lock, thread + 1, 0)
    this.#locked(() => {
      for (let place = 0; place < this.#size; place += 1) {
        const part = this.#parts[start + place] as number // in bounds
        if (part !== 0) Atomics.sub(this.#cells, place, part)
        this.#parts[start + place] = 0
        const holds = this.#holds[start + place] as number // in bounds
        if (holds !== 0) this.#addHolders(place, thread, -holds)
      }
    })
  }

  /** The place of that hash, made if need be. */
  #find([low, high]: readonly [low: number, high: number]): number {
    const places = this.#places
    const mask = this.#size - 1
    let free = -1
    for (let step = 0; step < this.#size; step += 1) {
      const place = (low + step) & mask
      const at = place * wordsPerPlace
      const isUsed = (places[at + holdersAt] as number) > 0 // in bounds, as the next two
      if (!isUsed && free < 0) free = place
      const isNew = places[at] === 0 && places[at + 1] === 0
      if (isNew) break
      if (isUsed && places[at] === low && places[at + 1] === high) return place
    }
    const limit = Math.ceil(this.#size * 0.75)
    invariant(free >= 0 && this.used < limit, `at most ${limit} gauge slots (gaugesMax)`)
    places[free * wordsPerPlace] = low
    places[free * wordsPerPlace + 1] = high
    Atomics.store(this.#cells, free, 0)
    return free
  }

  #addHolders(place: number, thread: number, amount: number): void {
    const own = thread * this.#size + place
    this.#holds[own] = (this.#holds[own] as number) + amount // in bounds: places come from `acquire`
    const at = place * wordsPerPlace + holdersAt
    const holders = (this.#places[at] as number) + amount
    this.#places[at] = holders
    if (holders > 0) return
    Atomics.store(this.#cells, place, 0)
    this.#forget(place)
  }

  /** What nobody holds would lengthen every search behind it: it is new again where nothing follows. */
  #forget(place: number): void {
    const mask = this.#size - 1
    for (let thread = 0; thread * this.#size < this.#parts.length; thread += 1) {
      this.#parts[thread * this.#size + place] = 0
    }
    const isNew = (at: number): boolean =>
      this.#places[at * wordsPerPlace] === 0 && this.#places[at * wordsPerPlace + 1] === 0
    let at = place
    while (isNew((at + 1) & mask)) {
      const start = at * wordsPerPlace
      if ((this.#places[start + holdersAt] as number) > 0 || isNew(at)) return
      this.#places[start] = 0
      this.#places[start + 1] = 0
      at = (at - 1) & mask
    }
  }

  #locked<T>(run: () => T): T {
    const lock = this.#places.length - 1
    while (Atomics.compareExchange(this.#places, lock, 0, this.#thread + 1) !== 0) {
      // Held for microseconds, while configuration changes.
      Atomics.wait(this.#places, lock, Atomics.load(this.#places, lock), 1)
    }
    try {
      return run()
    } finally {
      Atomics.store(this.#places, lock, 0)
      Atomics.notify(this.#places, lock, 1)
    }
  }
}

/** Two 32-bit words, never both zero (FNV-1a from two starts, mixed at the end). */
function hashOf(key: string): readonly [low: number, high: number] {
  let low = 0x811c9dc5
  let high = 0x01000193
  for (let index = 0; index < key.length; index += 1) {
    const code = key.charCodeAt(index)
    low = Math.imul(low ^ code, 0x01000193)
    high = Math.imul(high ^ code, 0x85ebca6b)
  }
  low = Math.imul(low ^ (low >>> 16), 0x85ebca6b)
  high = Math.imul(high ^ (high >>> 15) ^ key.length, 0xc2b2ae35)
  return [low ^ (low >>> 13), (high ^ (high >>> 16)) | 1]
}
