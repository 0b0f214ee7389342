/**
 * DER (X.690 §10), as much as certificates need: reading nested values out of bytes, and writing them.
 *
 * The reader is strict about lengths (definite, minimal, inside the parent) and knows nothing of meaning. Rejections:
 * MESH_IDENTITY_INVALID. Not a library's, because every sidecar reads peers' certificates and writes its own request,
 * and the library for it costs 15 MB.
 */
import { MeshError } from '../lib/mesh-error.ts'

export interface DerValue {
  readonly tag: number
  /** The value without tag and length. */
  readonly content: Buffer
  /** With tag and length. */
  readonly whole: Buffer
}

export const derTags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  sequence: 0x30,
  set: 0x31,
} as const

/** The values that stand one after the other in these bytes. */
export function readDer(bytes: Buffer): DerValue[] {
  const values: DerValue[] = []
  let at = 0
  while (at < bytes.byteLength) {
    const value = readOne(bytes, at)
    values.push(value)
    at += value.whole.byteLength
  }
  return values
}

/** The values inside one that must be of this tag. */
export function readInside(value: DerValue | undefined, tag: number): DerValue[] {
  if (value?.tag !== tag) throw malformed(`expected tag ${tag}, got ${value?.tag ?? 'nothing'}`)
  return readDer(value.content)
}

function readOne(bytes: Buffer, start: number): DerValue {
  const tag = bytes[start] ?? 0
  // Tags of more than one byte do not occur in certificates.
  if ((tag & 0x1f) === 0x1f) throw malformed(`tag ${tag}`)
  const first = bytes[start + 1]
  if (first === undefined) throw malformed('it ends within a length')
  if (first < 0x80) return slice(bytes, start, { tag, headerBytes: 2, length: first })
  const lengthBytes = first & 0x7f
  if (lengthBytes === 0 || lengthBytes > 4) throw malformed('a length of another form')
  if (start + 2 + lengthBytes > bytes.byteLength) throw malformed('it ends within a length')
  const length = bytes.readUIntBE(start + 2, lengthBytes)
  const isMinimal = length >= 0x80 && length >= 2 ** (8 * (lengthBytes - 1))
  if (!isMinimal) throw malformed('a length that is not minimal')
  return slice(bytes, start, { tag, headerBytes: 2 + lengthBytes, length })
}

interface Head {
  readonly tag: number
  readonly headerBytes: number
  readonly length: number
}

function slice(bytes: Buffer, start: number, { tag, headerBytes, length }: Head): DerValue {
  const end = start + headerBytes + length
  if (end > bytes.byteLength) throw malformed('a length beyond the end')
  const whole = bytes.subarray(start, end)
  return { tag, content: whole.subarray(headerBytes), whole }
}

function malformed(what: string): MeshError {
  return new MeshError('MESH_IDENTITY_INVALID', `malformed DER: ${what}`)
}

/** `2.5.29.17` from the content of an object identifier. */
export function oidText(content: Buffer): string {
  const arcs: bigint[] = []
  let arc = 0n
  for (const byte of content) {
    arc = (arc << 7n) | BigInt(byte & 0x7f)
    if (byte >= 0x80) continue
    arcs.push(arc)
    arc = 0n
  }
  const [first = 0n, ...rest] = arcs
  const top = first < 80n ? first / 40n : 2n
  return [top, first - top * 40n, ...rest].join('.')
}

export function writeDer(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(contents)
  return Buffer.concat([Buffer.from([tag]), lengthOf(content.byteLength), content])
}

export function writeOid(text: string): Buffer {
  const [top = 0n, second = 0n, ...rest] = text.split('.').map(BigInt)
  const bytes = [top * 40n + second, ...rest].flatMap(base128)
  return writeDer(derTags.oid, Buffer.from(bytes))
}

function lengthOf(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length])
  const bytes: number[] = []
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256)
  return Buffer.from([0x80 | bytes.length, ...bytes])
}

function base128(arc: bigint): number[] {
  const bytes = [Number(arc & 0x7fn)]
  for (let rest = arc >> 7n; rest > 0n; rest >>= 7n) bytes.unshift(Number(rest & 0x7fn) | 0x80)
  return bytes
}
