/**
 * Sets of names that many streams have in common, held once: a thousand alike sidecars subscribe to the same
 * thousands of endpoints. A set that has been shared is never changed again.
 */

/** Smaller sets are not worth looking for. */
const sharedFromSize = 32
const candidatesMax = 1_024

export class NameSets {
  readonly #candidates = new Map<string, WeakRef<ReadonlySet<string>>>()

  /** An equal set that is held already, or this one, which the caller then gives away. */
  share(names: ReadonlySet<string>): ReadonlySet<string> {
    if (names.size < sharedFromSize) return names
    // Equal sets mostly come in equal order; where they do not, sharing is lost and nothing else.
    const [first] = names
    const key = `${names.size} ${first}`
    const candidate = this.#candidates.get(key)?.deref()
    if (candidate !== undefined && isEqual(candidate, names)) return candidate
    if (this.#candidates.size >= candidatesMax) this.#candidates.clear()
    this.#candidates.set(key, new WeakRef(names))
    return names
  }
}

function isEqual(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  if (a === b) return true
  if (a.size !== b.size) return false
  for (const name of b) if (!a.has(name)) return false
  return true
}
