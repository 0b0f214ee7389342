/**
 * The streams of a connection by their id: a ring, because ids only go up and the live ones lie close together.
 *
 * A `Map` would do, but for garbage collection: V8 makes a new table each time that one has filled up with entries that
 * came and went, and links the old table to it. Once such a table is old, every later one, and every stream that was
 * in it, lives until the next full collection; half of all that a request allocates grew old that way, and collecting
 * cost 14 % of a server-side sidecar's CPU (Node 26, November 2026).
 *
 * The ring grows while two live streams meet in one place, up to `placesMax`; a stream that still finds its place
 * taken, behind one that outlived thousands of others, goes to a map.
 */

const placesFirst = 16
const placesMax = 4096

export class StreamTable<Stream> {
  #places: (Stream | undefined)[] = emptyPlaces(placesFirst)
  /** Whose place it is; 0: nobody's. */
  #ids = new Uint32Array(placesFirst)
  #others: Map<number, Stream> | undefined
  #size = 0

  get size(): number {
    return this.#size
  }

  has(id: number): boolean {
    return this.get(id) !== undefined
  }

  get(id: number): Stream | undefined {
    const place = this.#placeOf(id)
    return this.#ids[place] === id ? this.#places[place] : this.#others?.get(id)
  }

  /** `id` is that of no live stream. */
  add(id: number, stream: Stream): void {
    this.#size += 1
    while (this.#ids[this.#placeOf(id)] !== 0) {
      if (this.#ids.length >= placesMax) {
        this.#others ??= new Map()
        this.#others.set(id, stream)
        return
      }
      this.#grow()
    }
    const place = this.#placeOf(id)
    this.#ids[place] = id
    this.#places[place] = stream
  }

  delete(id: number): void {
    const place = this.#placeOf(id)
    if (this.#ids[place] === id) {
      this.#ids[place] = 0
      this.#places[place] = undefined
      this.#size -= 1
    } else if (this.#others?.delete(id) === true) this.#size -= 1
  }

  /** Those that are live now, in the order of their ids: what happens to one may close others. */
  list(): { readonly id: number; readonly stream: Stream }[] {
    const live: { readonly id: number; readonly stream: Stream }[] = []
    this.#ids.forEach((id, place) => {
      const stream = this.#places[place]
      if (id !== 0 && stream !== undefined) live.push({ id, stream })
    })
    for (const [id, stream] of this.#others ?? []) live.push({ id, stream })
    return live.sort((a, b) => a.id - b.id)
  }

  /** Streams of one side have every second id. */
  #placeOf(id: number): number {
    return (id >>> 1) & (this.#ids.length - 1)
  }

  #grow(): void {
    const ids = this.#ids
    const places = this.#places
    this.#ids = new Uint32Array(ids.length * 2)
    this.#places = emptyPlaces(ids.length * 2)
    ids.forEach((id, place) => {
      if (id === 0) return
      this.#ids[this.#placeOf(id)] = id
      this.#places[this.#placeOf(id)] = places[place]
    })
  }
}

function emptyPlaces<Stream>(count: number): (Stream | undefined)[] {
  return Array.from({ length: count }, () => undefined)
}
