/**
 * gRPC's length-prefixed messages: one byte "compressed", four bytes length, the message.
 *
 * A frame is made once and may be written to any number of streams. Compression is gzip, and only towards
 * clients that announce it: xDS responses repeat themselves so much that a push shrinks tenfold and more.
 */
import { gunzipSync, gzipSync } from 'node:zlib'

import { MeshError } from '../../lib/mesh-error.ts'

const headerBytes = 5

/** Smaller messages gain nothing from gzip. */
const compressFromBytes = 1_024

/** One message, framed at most once in each form, whoever asks. The caller must not change the bytes. */
export class GrpcFrame {
  readonly #message: Uint8Array
  #plain: Buffer | undefined
  #gzip: Buffer | undefined

  constructor(message: Uint8Array) {
    this.#message = message
  }

  get messageBytes(): number {
    return this.#message.byteLength
  }

  bytes(gzip: boolean): Buffer {
    if (!gzip || this.#message.byteLength < compressFromBytes) {
      this.#plain ??= frame(this.#message, false)
      return this.#plain
    }
    // Level 1: 6 MB of routes take 20 ms less than at the default level, for a tenth more bytes.
    this.#gzip ??= frame(gzipSync(this.#message, { level: 1 }), true)
    return this.#gzip
  }
}

function frame(message: Uint8Array, compressed: boolean): Buffer {
  const framed = Buffer.allocUnsafe(headerBytes + message.byteLength)
  framed[0] = compressed ? 1 : 0
  framed.writeUInt32BE(message.byteLength, 1)
  framed.set(message, headerBytes)
  return framed
}

export interface GrpcFrameReaderOptions {
  /** Ceiling of one message, before and after decompression. */
  readonly messageBytesMax: number
}

/** Cuts a byte stream into messages. Rejections: MeshError MESH_XDS_PROTOCOL; the stream must then end. */
export class GrpcFrameReader {
  readonly #messageBytesMax: number
  #chunks: Buffer[] = []
  #buffered = 0

  constructor(options: GrpcFrameReaderOptions) {
    this.#messageBytesMax = options.messageBytesMax
  }

  /** Whether the stream stopped inside a message. */
  get isPartial(): boolean {
    return this.#buffered > 0
  }

  /** Messages that this chunk completes. Their bytes are the caller's. */
  read(chunk: Buffer, encoding: string): Buffer[] {
    this.#chunks.push(chunk)
    this.#buffered += chunk.byteLength
    const messages: Buffer[] = []
    while (this.#buffered >= headerBytes) {
      const header = this.#peek(headerBytes)
      const length = header.readUInt32BE(1)
      if (length > this.#messageBytesMax) throw tooLong(length, this.#messageBytesMax)
      if (this.#buffered < headerBytes + length) break
      const framed = this.#peek(headerBytes + length)
      this.#drop(headerBytes + length)
      messages.push(this.#decode(framed, encoding))
    }
    return messages
  }

  #decode(framed: Buffer, encoding: string): Buffer {
    const message = framed.subarray(headerBytes)
    if (framed[0] === 0) return message
    if (framed[0] !== 1 || encoding !== 'gzip') {
      throw new MeshError(
        'MESH_XDS_PROTOCOL',
        `message compressed with "${encoding}", expected "identity" or "gzip"`,
      )
    }
    try {
      return gunzipSync(message, { maxOutputLength: this.#messageBytesMax })
    } catch (cause) {
      throw new MeshError('MESH_XDS_PROTOCOL', 'decompress a gRPC message', { cause })
    }
  }

  /** The first bytes as one piece; joins chunks only when they are split. */
  #peek(length: number): Buffer {
    const first = this.#chunks[0]
    if (first !== undefined && first.byteLength >= length) return first.subarray(0, length)
    const joined = Buffer.concat(this.#chunks)
    this.#chunks = [joined]
    return joined.subarray(0, length)
  }

  #drop(length: number): void {
    this.#buffered -= length
    const first = this.#chunks[0]
    if (first === undefined) return
    if (first.byteLength > length) this.#chunks[0] = first.subarray(length)
    else this.#chunks.shift()
  }
}

function tooLong(length: number, max: number): MeshError {
  return new MeshError('MESH_XDS_PROTOCOL', `message of ${length} bytes, expected at most ${max}`)
}
