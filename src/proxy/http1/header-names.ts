/**
 * Header names in lower case, each checked once: a name that was seen before is compared where it stands, or looked up
 * in a map, instead of a validation, a new string and a chain of comparisons. Bounded, because clients choose names;
 * past the ceiling they are checked every time. A `Map`, so that `__proto__` is a name like any other.
 */
import { isAll, isToken } from './char-class.ts'

const namesMax = 1024
const nameLengthMax = 64

/** Names that the codec itself reads or removes; everything else is `other`. */
export type HeaderKind =
  | 'other'
  | 'host'
  | 'content-length'
  | 'transfer-encoding'
  | 'connection'
  | 'proxy-connection'
  | 'upgrade'
  | 'expect'
  | 'te'
  | 'hop'

export interface HeaderName {
  readonly lower: string
  /** As it came. */
  readonly raw: string
  readonly kind: HeaderKind
  readonly hasUnderscore: boolean
}

/** Direct-mapped: heads hold few names, and the same ones again and again. */
const recentMax = 256

interface Recent {
  readonly raw: string
  readonly name: HeaderName
}

export class HeaderNames {
  readonly #known = new Map<string, HeaderName>()
  readonly #recent: Recent[] = Array.from({ length: recentMax }, () => nobody)

  /** The name at `text[start…end]`, without a copy of it in the common case. */
  findIn(text: string, start: number, end: number): HeaderName | undefined {
    const length = end - start
    const mark = text.charCodeAt(start) * 7 + text.charCodeAt(end - 1) * 31
    const slot = (length + mark) & (recentMax - 1)
    const recent = this.#recent[slot] as Recent // masked
    if (recent.raw.length === length && standsAt(recent.raw, text, start)) return recent.name
    const raw = text.slice(start, end)
    const name = this.find(raw)
    if (name !== undefined && this.#known.has(raw)) this.#recent[slot] = { raw: unique(raw), name }
    return name
  }

  /** Undefined when the name is not a token (RFC 9110 §5.1). */
  find(raw: string): HeaderName | undefined {
    const known = this.#known.get(raw)
    if (known !== undefined) return known
    if (raw === '' || !isAll(isToken, raw)) return undefined
    const lower = unique(raw.toLowerCase())
    const name = {
      lower,
      raw: unique(raw),
      kind: kinds.get(lower) ?? 'other',
      hasUnderscore: lower.includes('_'),
    }
    if (this.#known.size < namesMax && raw.length <= nameLengthMax)
      this.#known.set(unique(raw), name)
    return name
  }
}

/** No byte of a head is that character. */
const nobody: Recent = {
  raw: '\u0100',
  name: { lower: '', raw: '', kind: 'other', hasUnderscore: false },
}

function standsAt(name: string, text: string, start: number): boolean {
  for (let index = 0; index < name.length; index += 1) {
    if (name.charCodeAt(index) !== text.charCodeAt(start + index)) return false
  }
  return true
}

const kinds: ReadonlyMap<string, HeaderKind> = new Map<string, HeaderKind>([
  ['host', 'host'],
  ['content-length', 'content-length'],
  ['transfer-encoding', 'transfer-encoding'],
  ['connection', 'connection'],
  ['upgrade', 'upgrade'],
  ['expect', 'expect'],
  ['te', 'te'],
  ['keep-alive', 'hop'],
  ['proxy-connection', 'proxy-connection'],
  ['proxy-authorization', 'hop'],
  ['http2-settings', 'hop'],
])

/**
 * The same text as a property key, which V8 keeps once: comparing it with a literal is comparing two addresses.
 * A slice would also keep its whole head alive.
 */
function unique(text: string): string {
  return Object.keys({ [text]: 0 })[0] ?? text
}
