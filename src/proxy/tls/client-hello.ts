/**
 * The few facts of a ClientHello that choose a filter chain, read from the first bytes of a connection before any of them
 * is used up: server name (SNI) and application protocols (ALPN). RFC 8446 §4.1.2, RFC 6066 §3, RFC 7301.
 *
 * Bounds: a hello of at most `helloBytesMax` octets (Envoy `max_client_hello_size`). What does not parse is no TLS: an
 * extension that comes twice, a server name that another reader could take for another one.
 */
import { lowerAscii } from '../../lib/lower-ascii.ts'

export interface ClientHello {
  readonly serverName: string | undefined
  readonly applicationProtocols: readonly string[]
}

export const helloBytesMax = 16 * 1024

const recordHandshake = 22
const messageClientHello = 1
const extensionServerName = 0
const extensionAlpn = 16

/** A hello, and one that nobody is to answer: it is neither read on nor taken for plaintext. */
export type RefusedHello = 'too-large' | 'bad-version'

/** `more`: the bytes so far may become a hello. `none`: they never will. */
export function parseClientHello(bytes: Buffer): ClientHello | RefusedHello | 'more' | 'none' {
  const message = handshakeBytes(bytes)
  if (message === 'none') return 'none'
  if (message.length > 0 && message[0] !== messageClientHello) return 'none'
  if (message.length < 4) return 'more'
  const length = message.readUIntBE(1, 3)
  if (length > helloBytesMax) return 'too-large'
  if (message.length < 4 + length) return 'more'
  return parseBody(new Reader(message.subarray(4, 4 + length)))
}

/** What the records of type handshake hold, joined; a hello may be cut into several. */
function handshakeBytes(bytes: Buffer): Buffer | 'none' {
  const parts: Buffer[] = []
  let position = 0
  while (position < bytes.length) {
    if (bytes[position] !== recordHandshake) return 'none'
    // The version of the record is at least 3.0, and its minor number means nothing (RFC 8446 §5.1).
    if (position + 1 < bytes.length && bytes[position + 1] !== 3) return 'none'
    if (position + 5 > bytes.length) break
    const length = bytes.readUInt16BE(position + 3)
    if (length === 0 || length > 16_384 + 256) return 'none'
    parts.push(bytes.subarray(position + 5, position + 5 + length))
    position += 5 + length
    if (isWhole(parts)) break
  }
  const [only] = parts
  return parts.length === 1 && only !== undefined ? only : Buffer.concat(parts)
}

/** Whether the first message is there: what follows it is not looked at. */
function isWhole(parts: readonly Buffer[]): boolean {
  const [first] = parts
  if (first === undefined || first.length < 4) return false
  const total = parts.reduce((sum, part) => sum + part.length, 0)
  return total >= 4 + first.readUIntBE(1, 3)
}

/** Of TLS 1.0 and 1.3: what came before and may come after is spoken by nobody. */
const versionMin = 0x0301
const versionMax = 0x0304

function parseBody(reader: Reader): ClientHello | 'bad-version' | 'none' {
  const version = reader.number(2)
  reader.skip(32)
  reader.skip(reader.number(1))
  reader.skip(reader.number(2))
  reader.skip(reader.number(1))
  if (reader.isBroken) return 'none'
  const hello = parseExtensions(reader.isAtEnd ? reader : reader.inner(2))
  const isKnown = version >= versionMin && version <= versionMax
  return hello === 'none' || isKnown ? hello : 'bad-version'
}

function parseExtensions(extensions: Reader): ClientHello | 'none' {
  let serverName: string | undefined
  let applicationProtocols: readonly string[] = []
  const types = new Set<number>()
  while (!extensions.isAtEnd && !extensions.isBroken) {
    const type = extensions.number(2)
    const content = extensions.inner(2)
    if (content.isBroken || types.has(type)) return 'none'
    types.add(type)
    if (type === extensionServerName) serverName = parseServerName(content) ?? ''
    else if (type === extensionAlpn) applicationProtocols = parseProtocols(content)
  }
  return extensions.isBroken || serverName === '' ? 'none' : { serverName, applicationProtocols }
}

const serverNameLengthMax = 255

/** The one host_name of the list; undefined where it is anything else, as other types of names are not defined. */
function parseServerName(content: Reader): string | undefined {
  const list = content.inner(2)
  const type = list.number(1)
  const name = list.inner(2).text()
  const isWhole = !list.isBroken && list.isAtEnd && content.isAtEnd
  if (!isWhole || type !== 0 || name === '' || name.length > serverNameLengthMax) return undefined
  // Names are compared without case.
  return name.includes('\0') ? undefined : lowerAscii(name)
}

/** None, where the list is broken: the handshake is where that is said. */
function parseProtocols(content: Reader): readonly string[] {
  const list = content.inner(2)
  const protocols: string[] = []
  while (!list.isAtEnd) {
    protocols.push(list.inner(1).text())
    if (list.isBroken) return []
  }
  return list.isBroken ? [] : protocols
}

/** Reads past nothing: beyond the end it is broken, and gives zeros. */
class Reader {
  readonly #bytes: Buffer
  #position = 0
  isBroken = false

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get isAtEnd(): boolean {
    return this.#position >= this.#bytes.length
  }

  skip(length: number): void {
    this.#take(length)
  }

  number(octets: number): number {
    const bytes = this.#take(octets)
    return bytes === undefined ? 0 : bytes.readUIntBE(0, octets)
  }

  /** A part with its length before it. */
  inner(lengthOctets: number): Reader {
    const bytes = this.#take(this.number(lengthOctets))
    const reader = new Reader(bytes ?? Buffer.alloc(0))
    reader.isBroken = bytes === undefined
    return reader
  }

  text(): string {
    return this.#bytes.subarray(this.#position).toString('latin1')
  }

  #take(length: number): Buffer | undefined {
    const end = this.#position + length
    if (this.isBroken || end > this.#bytes.length) {
      this.isBroken = true
      return undefined
    }
    const bytes = this.#bytes.subarray(this.#position, end)
    this.#position = end
    return bytes
  }
}
