/**
 * Header fields of one message, in order, as a flat array of names and values.
 *
 * Names are lower case (RFC 9113 §8.2.1, and Envoy's default for HTTP/1.1), values are latin1 strings with
 * the surrounding white space removed. A flat array costs one allocation for a whole head and a linear
 * search that beats a map below a few dozen fields; the codecs cap the count (100 by default).
 */
/** Another spelling of a lower-case name. */
export type Spelling = (name: string) => string

export interface ReceivedSpelling {
  /** By lower-case name. */
  readonly names: Map<string, string>
  /** Of names that did not come with the message. */
  readonly others: Spelling | undefined
}

export class HeaderList {
  /** name, value, name, value, … Codecs may read it directly; only this class writes it. */
  readonly fields: string[] = []
  /** How names were spelt; kept only where a listener or cluster passes spellings on. */
  spelling: ReceivedSpelling | undefined

  get size(): number {
    return this.fields.length >> 1
  }

  /** The first value of `name` (lower case), or undefined. */
  get(name: string): string | undefined {
    const { fields } = this
    for (let index = 0; index < fields.length; index += 2) {
      if (fields[index] === name) return fields[index + 1]
    }
    return undefined
  }

  /** All values of `name` joined by a comma, as RFC 9110 §5.3 combines them; undefined when absent. */
  getAll(name: string): string | undefined {
    const { fields } = this
    let joined: string | undefined
    for (let index = 0; index < fields.length; index += 2) {
      if (fields[index] !== name) continue
      const value = fields[index + 1] ?? ''
      joined = joined === undefined ? value : `${joined},${value}`
    }
    return joined
  }

  has(name: string): boolean {
    return this.get(name) !== undefined
  }

  append(name: string, value: string): void {
    this.fields.push(name, value)
  }

  /** Replaces the first field of that name and removes the others; appends when there was none. */
  set(name: string, value: string): void {
    const { fields } = this
    for (let index = 0; index < fields.length; index += 2) {
      if (fields[index] !== name) continue
      fields[index + 1] = value
      this.#removeFrom(index + 2, name)
      return
    }
    fields.push(name, value)
  }

  remove(name: string): void {
    this.#removeFrom(0, name)
  }

  clear(): void {
    this.fields.length = 0
  }

  #removeFrom(start: number, name: string): void {
    const { fields } = this
    let kept = start
    for (let index = start; index < fields.length; index += 2) {
      if (fields[index] === name) continue
      if (kept !== index) {
        fields[kept] = fields[index] as string // inside bounds: kept < index < length
        fields[kept + 1] = fields[index + 1] as string
      }
      kept += 2
    }
    // Writing a length is a call into the runtime even when it stays.
    if (kept !== fields.length) fields.length = kept
  }
}
