/**
 * Fields to header blocks of HTTP/2 (RFC 7541), as latin1 text like every head that we write. One per connection and
 * direction; blocks must be sent in the order in which they were made.
 *
 * What comes again on a connection (names, user agents, content types) goes into the table and costs one octet from
 * then on. What differs each time is never put there, because it would push out what does come again; secrets are
 * marked never to be indexed, so that no proxy behind us exposes them to guessing by size (§7.1.3).
 */
import { entryOverhead, staticTable } from './static-table.ts'

const defaultTableBytes = 4096
/** A value longer than this would cost the table more than it saves. */
const indexedValueMax = 1024
/** Shorter cookies can be guessed octet by octet. */
const guessableCookieMax = 20

/** What an encoder knows of a name: what to do with its fields, and its entries in the dynamic table. */
interface KnownName {
  /** In the static table. */
  readonly fixed: StaticName | undefined
  readonly treatment: Treatment | undefined
  /** Values in the dynamic table, by the number of their insertion. */
  readonly values: Map<string, number>
  /** The last one with that name; 0: none that is left. */
  lastInsertion: number
  /** Its value, which is the one that comes again most often; undefined with it. */
  lastValue: string | undefined
}

/** Names come from applications: beyond this number those that are in no table are forgotten. */
const namesMax = 512

interface Inserted {
  readonly name: string
  readonly value: string
  readonly size: number
}

export class HpackEncoder {
  readonly #names = new Map<string, KnownName>()
  #namesMax = namesMax
  readonly #queue: Inserted[] = []
  /** Index in `#queue` of the oldest entry that is left. */
  #oldest = 0
  /** Insertions so far: the newest has this number. */
  #insertions = 0
  #bytes = 0
  #bytesMax: number
  readonly #bytesCeiling: number
  /** Sizes that the next block must tell, the smallest first (§4.2). */
  #smallest = -1
  #block = ''

  /** `tableBytesMax` is our own ceiling; the peer's SETTINGS may lower it. */
  constructor(tableBytesMax = defaultTableBytes) {
    this.#bytesCeiling = tableBytesMax
    this.#bytesMax = Math.min(tableBytesMax, defaultTableBytes)
    if (this.#bytesMax < defaultTableBytes) this.#smallest = this.#bytesMax
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. */
  limitTable(bytes: number): void {
    const bytesMax = Math.min(bytes, this.#bytesCeiling)
    if (bytesMax === this.#bytesMax) return
    this.#bytesMax = bytesMax
    this.#smallest = this.#smallest === -1 ? bytesMax : Math.min(this.#smallest, bytesMax)
    this.#shrinkTo(bytesMax)
  }

  /** Starts a block. */
  begin(): void {
    this.#block = ''
    if (this.#smallest === -1) return
    if (this.#smallest < this.#bytesMax) this.#block = integer(0x20, 5, this.#smallest)
    this.#block += integer(0x20, 5, this.#bytesMax)
    this.#smallest = -1
  }

  field(name: string, value: string): void {
    const known = this.#names.get(name) ?? this.#learn(name)
    const index = this.#find(known, value)
    if (index !== 0) {
      this.#block += integer(0x80, 7, index)
      return
    }
    const nameIndex = known.fixed?.index ?? this.#nameIndex(known)
    const text = literal(nameIndex, name, value)
    const treatment = known.treatment ?? treatmentOf(name, value)
    if (treatment === 'kept') {
      this.#block += integer(0x40, 6, nameIndex) + text
      this.#insert(known, name, value)
    } else if (treatment === 'never') this.#block += integer(0x10, 4, nameIndex) + text
    else this.#block += integer(0, 4, nameIndex) + text
  }

  /** The index of name and value in either table; 0: in none. A value is not looked up where there is none. */
  #find({ fixed, values, lastInsertion, lastValue }: KnownName, value: string): number {
    if (lastValue === value) return this.#indexOf(lastInsertion)
    const fixedIndex = fixed?.values.get(value)
    if (fixedIndex !== undefined) return fixedIndex
    const insertion = values.size === 0 ? undefined : values.get(value)
    return insertion === undefined ? 0 : this.#indexOf(insertion)
  }

  #learn(name: string): KnownName {
    if (this.#names.size >= this.#namesMax) this.#forgetNames()
    const known = {
      fixed: staticNames.get(name),
      treatment: treatments.get(name),
      values: new Map<string, number>(),
      lastInsertion: 0,
      lastValue: undefined,
    }
    this.#names.set(name, known)
    return known
  }

  /** Those that are not in the table; a large table may hold more than `namesMax`. */
  #forgetNames(): void {
    for (const [name, { values }] of this.#names) if (values.size === 0) this.#names.delete(name)
    this.#namesMax = Math.max(namesMax, this.#names.size * 2)
  }

  /** The block. */
  end(): string {
    const block = this.#block
    this.#block = ''
    return block
  }

  #nameIndex({ lastInsertion }: KnownName): number {
    return lastInsertion === 0 ? 0 : this.#indexOf(lastInsertion)
  }

  /** §2.3.3: the newest stands first behind the static table. */
  #indexOf(insertion: number): number {
    return staticTable.length + 1 + this.#insertions - insertion
  }

  #insert(known: KnownName, name: string, value: string): void {
    const size = name.length + value.length + entryOverhead
    this.#shrinkTo(this.#bytesMax - size)
    if (size > this.#bytesMax) return
    this.#insertions += 1
    this.#bytes += size
    this.#queue.push({ name, value, size })
    known.values.set(value, this.#insertions)
    known.lastInsertion = this.#insertions
    known.lastValue = value
  }

  #shrinkTo(bytes: number): void {
    while (this.#bytes > bytes && this.#oldest < this.#queue.length) {
      const entry = this.#queue[this.#oldest] as Inserted // in bounds
      const insertion = this.#insertions - (this.#queue.length - 1 - this.#oldest)
      this.#forget(entry, insertion)
      this.#bytes -= entry.size
      this.#oldest += 1
    }
    if (this.#oldest < 64 || this.#oldest * 2 < this.#queue.length) return
    this.#queue.splice(0, this.#oldest)
    this.#oldest = 0
  }

  #forget({ name, value }: Inserted, insertion: number): void {
    const known = this.#names.get(name)
    if (known === undefined) return
    if (known.values.get(value) === insertion) known.values.delete(value)
    if (known.lastInsertion !== insertion) return
    known.lastInsertion = 0
    known.lastValue = undefined
  }
}

interface StaticName {
  readonly index: number
  readonly values: Map<string, number>
}

const staticNames: ReadonlyMap<string, StaticName> = indexStatic()

function indexStatic(): Map<string, StaticName> {
  const names = new Map<string, StaticName>()
  for (const [index, { name, value }] of staticTable.entries()) {
    const known = names.get(name.text)
    if (known === undefined) {
      names.set(name.text, { index: index + 1, values: new Map([[value, index + 1]]) })
    } else known.values.set(value, index + 1)
  }
  return names
}

type Treatment = 'kept' | 'passing' | 'never'

/** Of a name that has no treatment of its own. */
function treatmentOf(name: string, value: string): Treatment {
  if (name === 'cookie') return value.length < guessableCookieMax ? 'never' : 'kept'
  return value.length > indexedValueMax ? 'passing' : 'kept'
}

const treatments: ReadonlyMap<string, Treatment> = new Map<string, Treatment>([
  ['authorization', 'never'],
  ['proxy-authorization', 'never'],
  [':path', 'passing'],
  ['age', 'passing'],
  ['content-length', 'passing'],
  ['content-range', 'passing'],
  ['etag', 'passing'],
  ['grpc-message', 'passing'],
  ['grpc-timeout', 'passing'],
  ['if-modified-since', 'passing'],
  ['if-none-match', 'passing'],
  ['last-modified', 'passing'],
  ['location', 'passing'],
  ['set-cookie', 'never'],
  ['traceparent', 'passing'],
  ['tracestate', 'passing'],
  ['x-b3-parentspanid', 'passing'],
  ['x-b3-spanid', 'passing'],
  ['x-b3-traceid', 'passing'],
  ['x-envoy-upstream-service-time', 'passing'],
  ['x-request-id', 'passing'],
])

function literal(nameIndex: number, name: string, value: string): string {
  const text = integer(0, 7, value.length) + value
  return nameIndex === 0 ? integer(0, 7, name.length) + name + text : text
}

/** §5.1, with the bits above the prefix. */
function integer(high: number, prefixBits: number, value: number): string {
  const mask = (1 << prefixBits) - 1
  if (value < mask) return octets[high | value] as string // below 256
  let text = octets[high | mask] as string
  let rest = value - mask
  while (rest >= 128) {
    text += octets[(rest % 128) | 128] as string
    rest = Math.floor(rest / 128)
  }
  return text + (octets[rest] as string)
}

const octets: readonly string[] = Array.from({ length: 256 }, (_, code) =>
  String.fromCharCode(code),
)
