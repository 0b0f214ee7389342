/**
 * The PROXY protocol, versions 1 and 2: a few bytes before all others that say whose connection this is.
 * https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt
 *
 * Reading is strict: exact spelling, one space, canonical ports, addresses of the family that was named, unicast only. A
 * LOCAL header and `PROXY UNKNOWN` say nothing about addresses, whatever bytes they carry (a forged address block must
 * not be believed). TLVs must fill what the header's length leaves for them, and are not looked into.
 *
 * Bounds: 107 octets for version 1, 16 + 65 535 for version 2, both the protocol's own.
 */
import { isIPv4, isIPv6 } from 'node:net'

export interface ProxyAddresses {
  readonly remoteAddress: string
  readonly remotePort: number
  readonly localAddress: string
  readonly localPort: number
}

export type ProxyVersion = 1 | 2

export type ProxyHeader =
  /** The bytes so far may become a header. */
  | { readonly kind: 'more' }
  /** They never will. */
  | { readonly kind: 'none' }
  | { readonly kind: 'bad'; readonly version: ProxyVersion; readonly message: string }
  | {
      readonly kind: 'header'
      readonly version: ProxyVersion
      /** Octets that it takes. */
      readonly length: number
      /** Absent: those of the connection itself hold. */
      readonly addresses: ProxyAddresses | undefined
    }

const signatureV2 = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
const signatureV1 = Buffer.from('PROXY ', 'latin1')
const headBytesV2 = 16
const lineBytesMaxV1 = 107

export function parseProxyHeader(bytes: Buffer): ProxyHeader {
  if (isPrefix(bytes, signatureV1)) return parseV1(bytes)
  if (isPrefix(bytes, signatureV2)) return parseV2(bytes)
  return { kind: 'none' }
}

/** By its signature, whatever follows; undefined as long as that is not whole. */
export function proxyHeaderVersion(bytes: Buffer): ProxyVersion | undefined {
  if (bytes.length >= signatureV1.length && isPrefix(bytes, signatureV1)) return 1
  return bytes.length >= signatureV2.length && isPrefix(bytes, signatureV2) ? 2 : undefined
}

/** Whether the two agree as far as both go. */
function isPrefix(bytes: Buffer, signature: Buffer): boolean {
  const length = Math.min(bytes.length, signature.length)
  return bytes.compare(signature, 0, length, 0, length) === 0
}

const more: ProxyHeader = { kind: 'more' }

// Version 1.

function parseV1(bytes: Buffer): ProxyHeader {
  if (bytes.length < signatureV1.length) return more
  const line = bytes.toString('latin1', 0, Math.min(bytes.length, lineBytesMaxV1))
  const end = line.indexOf('\r\n')
  if (end === -1) {
    const isTooLong = bytes.length >= lineBytesMaxV1
    // A line feed alone ends no line.
    return isTooLong || line.includes('\n') ? bad(1, 'no CRLF within 107 octets') : more
  }
  const fields = line.slice(0, end).split(' ')
  const length = end + 2
  if (fields[1] === 'UNKNOWN') return { kind: 'header', version: 1, length, addresses: undefined }
  const addresses = addressesV1(fields)
  return typeof addresses === 'string'
    ? bad(1, addresses)
    : { kind: 'header', version: 1, length, addresses }
}

type FourTexts = [string, string, string, string]

function addressesV1(fields: readonly string[]): ProxyAddresses | string {
  const [, family] = fields
  if (family !== 'TCP4' && family !== 'TCP6') return `unknown protocol ${JSON.stringify(family)}`
  if (fields.length !== 6) return `6 fields expected, got ${fields.length}`
  const [source, destination, sourcePort, destinationPort] = fields.slice(2) as FourTexts // six, as counted
  const isAddress = family === 'TCP4' ? isIPv4 : isBareIPv6
  if (!isAddress(source) || !isAddress(destination)) return `addresses are not ${family}`
  const remotePort = portOf(sourcePort)
  const localPort = portOf(destinationPort)
  if (remotePort === undefined || localPort === undefined) return 'ports are not 0 to 65535'
  return checked({ remoteAddress: source, remotePort, localAddress: destination, localPort })
}

/** Without a zone. */
function isBareIPv6(address: string): boolean {
  return isIPv6(address) && !address.includes('%')
}

function portOf(text: string): number | undefined {
  if (!/^(?:0|[1-9]\d{0,4})$/.test(text)) return undefined
  const port = Number(text)
  return port <= 65_535 ? port : undefined
}

// Version 2.

const commandLocal = 0
const commandProxy = 1
const addressBytes: Readonly<Record<number, number>> = { 1: 12, 2: 36 }

function parseV2(bytes: Buffer): ProxyHeader {
  if (bytes.length < headBytesV2) return more
  const problem = headProblem(bytes)
  if (problem !== undefined) return bad(2, problem)
  const command = bytes.readUInt8(12) & 0xf
  const family = bytes.readUInt8(13) >> 4
  const length = headBytesV2 + bytes.readUInt16BE(14)
  if (bytes.length < length) return more
  if (command === commandLocal) return { kind: 'header', version: 2, length, addresses: undefined }
  if (!isFilledWithTlvs(bytes.subarray(headBytesV2 + (addressBytes[family] ?? 0), length))) {
    return bad(2, 'TLVs that do not fit')
  }
  const addresses = addressesV2(bytes.subarray(headBytesV2), family)
  return typeof addresses === 'string'
    ? bad(2, addresses)
    : { kind: 'header', version: 2, length, addresses }
}

function headProblem(bytes: Buffer): string | undefined {
  const version = bytes.readUInt8(12) >> 4
  const command = bytes.readUInt8(12) & 0xf
  if (version !== 2) return `version ${version}`
  if (command === commandLocal) return undefined
  if (command !== commandProxy) return `command ${command}`
  const family = bytes.readUInt8(13) >> 4
  const transport = bytes.readUInt8(13) & 0xf
  const rest = bytes.readUInt16BE(14)
  const needed = addressBytes[family]
  if (needed === undefined) return `address family ${family}`
  if (transport !== 1 && transport !== 2) return `transport ${transport}`
  return rest < needed ? `${rest} octets of addresses, ${needed} needed` : undefined
}

/** Type, length of two octets, value, and so on until the end. */
function isFilledWithTlvs(block: Buffer): boolean {
  let position = 0
  while (position + 3 <= block.length) position += 3 + block.readUInt16BE(position + 1)
  return position === block.length
}

function addressesV2(block: Buffer, family: number): ProxyAddresses | string {
  const size = family === 1 ? 4 : 16
  const read = family === 1 ? addressV4 : addressV6
  return checked({
    remoteAddress: read(block.subarray(0, size)),
    localAddress: read(block.subarray(size, 2 * size)),
    remotePort: block.readUInt16BE(2 * size),
    localPort: block.readUInt16BE(2 * size + 2),
  })
}

function addressV4(bytes: Buffer): string {
  return [...bytes].join('.')
}

const mappedPrefix = Buffer.from('00000000000000000000ffff', 'hex')

/** RFC 5952: the longest run of zeros is left out, and an IPv4 address inside is written as one. */
function addressV6(bytes: Buffer): string {
  if (isPrefix(bytes, mappedPrefix)) return `::ffff:${addressV4(bytes.subarray(12))}`
  const groups = Array.from({ length: 8 }, (_, index) =>
    bytes.readUInt16BE(index * 2).toString(16),
  ).join(':')
  return new URL(`http://[${groups}]/`).hostname.slice(1, -1)
}

/** TCP has unicast addresses only, and so does whoever speaks it. */
function checked(addresses: ProxyAddresses): ProxyAddresses | string {
  const { remoteAddress, localAddress } = addresses
  for (const address of [remoteAddress, localAddress]) {
    if (!isUnicast(address)) return `${address} is no unicast address`
  }
  return addresses
}

function isUnicast(address: string): boolean {
  if (isIPv4(address)) {
    const first = Number(address.split('.')[0])
    return address !== '0.0.0.0' && address !== '255.255.255.255' && (first < 224 || first > 239)
  }
  const lower = address.toLowerCase()
  return !lower.startsWith('ff') && !/^[0:]+$/.test(lower)
}

function bad(version: ProxyVersion, message: string): ProxyHeader {
  return { kind: 'bad', version, message }
}

// Writing.

/** Absent addresses, or two of different families: the connection is the proxy's own. */
export function encodeProxyHeader(
  version: ProxyVersion,
  addresses: ProxyAddresses | undefined,
): Buffer {
  const family = addresses === undefined ? undefined : familyOf(addresses)
  return version === 1 ? encodeV1(addresses, family) : encodeV2(addresses, family)
}

function encodeV1(addresses: ProxyAddresses | undefined, family: 4 | 6 | undefined): Buffer {
  if (addresses === undefined || family === undefined) return Buffer.from('PROXY UNKNOWN\r\n')
  const { remoteAddress, localAddress, remotePort, localPort } = addresses
  const [source, destination] = [bare(remoteAddress, family), bare(localAddress, family)]
  return Buffer.from(`PROXY TCP${family} ${source} ${destination} ${remotePort} ${localPort}\r\n`)
}

function encodeV2(addresses: ProxyAddresses | undefined, family: 4 | 6 | undefined): Buffer {
  const isLocal = addresses === undefined || family === undefined
  const block = isLocal ? Buffer.alloc(0) : addressBlock(addresses, family)
  const head = Buffer.alloc(headBytesV2)
  signatureV2.copy(head)
  head.writeUInt8(0x20 | (isLocal ? commandLocal : commandProxy), 12)
  head.writeUInt8(isLocal ? 0 : ((family === 4 ? 1 : 2) << 4) | 1, 13)
  head.writeUInt16BE(block.length, 14)
  return Buffer.concat([head, block])
}

function addressBlock(addresses: ProxyAddresses, family: 4 | 6): Buffer {
  const { remoteAddress, localAddress, remotePort, localPort } = addresses
  const ports = Buffer.alloc(4)
  ports.writeUInt16BE(remotePort, 0)
  ports.writeUInt16BE(localPort, 2)
  const bytes = family === 4 ? bytesV4 : bytesV6
  return Buffer.concat([
    bytes(bare(remoteAddress, family)),
    bytes(bare(localAddress, family)),
    ports,
  ])
}

function familyOf({ remoteAddress, localAddress }: ProxyAddresses): 4 | 6 | undefined {
  const isV4 = (address: string): boolean => isIPv4(unmapped(address))
  if (isV4(remoteAddress) && isV4(localAddress)) return 4
  return isIPv6(remoteAddress) && isIPv6(localAddress) ? 6 : undefined
}

function bare(address: string, family: 4 | 6): string {
  return family === 4 ? unmapped(address) : address.replace(/%.*$/, '')
}

/** A socket on `::` shows IPv4 clients as `::ffff:10.0.0.1`. */
export function unmapped(address: string): string {
  return address.startsWith('::ffff:') ? address.slice(7) : address
}

function bytesV4(address: string): Buffer {
  return Buffer.from(address.split('.').map(Number))
}

function bytesV6(address: string): Buffer {
  const [head = '', tail] = new URL(`http://[${address}]/`).hostname.slice(1, -1).split('::')
  const groupsOf = (text: string): string[] => (text === '' ? [] : text.split(':'))
  const left = groupsOf(head)
  const right = groupsOf(tail ?? '')
  const middle = Array.from({ length: 8 - left.length - right.length }, () => '0')
  const bytes = Buffer.alloc(16)
  for (const [index, group] of [...left, ...middle, ...right].entries()) {
    bytes.writeUInt16BE(Number.parseInt(group, 16), index * 2)
  }
  return bytes
}
