/**
 * A header block on its way in: HEADERS and the CONTINUATION frames behind it (RFC 9113 §6.10).
 *
 * Both the bytes and the frames have a ceiling that holds before the end has come (CVE-2024-27316, CVE-2024-30255).
 */
import type { Frame } from './frame-reader.ts'
import { frameFlags, payloadBytesMax, type ErrorCode, errorCodes } from './frame.ts'

/** As nghttp2: more frames than this are an attack, or a very bad packer. */
const continuationsMin = 8

export class HeaderBlock {
  readonly #bytesMax: number
  readonly #continuationsMax: number
  #parts: Buffer[] = []
  #bytes = 0
  /** Of the block that is being collected; 0: none. */
  streamId = 0
  isEnd = false

  /** `headBytesMax`: of the fields, decoded; compressed they may be no longer either. */
  constructor(headBytesMax: number) {
    this.#bytesMax = headBytesMax + payloadBytesMax
    this.#continuationsMax = continuationsMin + Math.ceil(headBytesMax / payloadBytesMax)
  }

  get isOpen(): boolean {
    return this.streamId !== 0
  }

  open(streamId: number, isEnd: boolean, fragment: Buffer): void {
    this.streamId = streamId
    this.isEnd = isEnd
    this.#parts = [Buffer.from(fragment)]
    this.#bytes = fragment.length
  }

  /** Undefined: more must come, or too much came and `isFlood` says so. */
  add(fragment: Buffer, flags: number): Buffer | undefined {
    this.#parts.push(Buffer.from(fragment))
    this.#bytes += fragment.length
    if ((flags & frameFlags.endHeaders) === 0 || this.isFlood) return undefined
    const block = Buffer.concat(this.#parts, this.#bytes)
    this.#parts = []
    this.#bytes = 0
    return block
  }

  get isFlood(): boolean {
    return this.#bytes > this.#bytesMax || this.#parts.length > this.#continuationsMax + 1
  }

  close(): void {
    this.streamId = 0
  }
}

export type Fragment =
  | { readonly ok: true; readonly bytes: Buffer; readonly dependsOn: number }
  | { readonly ok: false; readonly code: ErrorCode }

/** The block inside a HEADERS frame, without padding and priority. */
export function headersFragment({ flags }: Frame, payload: Buffer): Fragment {
  let start = 0
  let end = payload.length
  if ((flags & frameFlags.padded) !== 0) {
    if (end < 1) return { ok: false, code: errorCodes.frameSizeError }
    end -= payload[0] as number // at least one byte is there
    start = 1
  }
  let dependsOn = -1
  if ((flags & frameFlags.priority) !== 0) {
    if (payload.length < start + 5) return { ok: false, code: errorCodes.frameSizeError }
    dependsOn = payload.readUInt32BE(start) & 0x7fff_ffff
    start += 5
  }
  if (start > end) return { ok: false, code: errorCodes.protocolError }
  return { ok: true, bytes: payload.subarray(start, end), dependsOn }
}
