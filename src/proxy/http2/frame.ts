/** HTTP/2 frames as text for the wire, and the numbers of RFC 9113 (§6, §7). */

export const frameTypes = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const

export const frameFlags = {
  /** Of DATA and HEADERS. */
  endStream: 1,
  /** Of SETTINGS and PING. */
  ack: 1,
  endHeaders: 4,
  padded: 8,
  priority: 0x20,
} as const

export const errorCodes = {
  noError: 0,
  protocolError: 1,
  internalError: 2,
  flowControlError: 3,
  settingsTimeout: 4,
  streamClosed: 5,
  frameSizeError: 6,
  refusedStream: 7,
  cancel: 8,
  compressionError: 9,
  connectError: 10,
  enhanceYourCalm: 11,
} as const

export type ErrorCode = (typeof errorCodes)[keyof typeof errorCodes]

export const frameHeadBytes = 9
/** What every peer takes, and what we say that we take (§4.2). */
export const payloadBytesMax = 16_384
/** Ends the negotiation of HTTP/2 with prior knowledge (§3.4). */
export const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
export const defaultWindowBytes = 65_535
export const windowBytesMax = 2 ** 31 - 1
export const streamIdMax = 2 ** 31 - 1

// The four fields of a frame's head, in its order.
// oxlint-disable-next-line max-params
export function frameHead(length: number, type: number, flags: number, streamId: number): string {
  return String.fromCharCode(
    (length >> 16) & 0xff,
    (length >> 8) & 0xff,
    length & 0xff,
    type,
    flags,
    (streamId >> 24) & 0x7f,
    (streamId >> 16) & 0xff,
    (streamId >> 8) & 0xff,
    streamId & 0xff,
  )
}

/** A header block, in as many frames as it needs. */
export function headersFrames(streamId: number, block: string, isEnd: boolean): string {
  const end = isEnd ? frameFlags.endStream : 0
  if (block.length <= payloadBytesMax) {
    const head = frameHead(block.length, frameTypes.headers, end | frameFlags.endHeaders, streamId)
    return head + block
  }
  let text = frameHead(payloadBytesMax, frameTypes.headers, end, streamId)
  text += block.slice(0, payloadBytesMax)
  for (let from = payloadBytesMax; from < block.length; from += payloadBytesMax) {
    const part = block.slice(from, from + payloadBytesMax)
    const isLast = from + part.length === block.length
    const flags = isLast ? frameFlags.endHeaders : 0
    text += frameHead(part.length, frameTypes.continuation, flags, streamId) + part
  }
  return text
}

export function resetFrame(streamId: number, code: ErrorCode): string {
  return frameHead(4, frameTypes.rstStream, 0, streamId) + uint32(code)
}

export function windowUpdateFrame(streamId: number, bytes: number): string {
  return frameHead(4, frameTypes.windowUpdate, 0, streamId) + uint32(bytes)
}

export function goawayFrame(lastStreamId: number, code: ErrorCode, debug = ''): string {
  const head = frameHead(8 + debug.length, frameTypes.goaway, 0, 0)
  return head + uint32(lastStreamId) + uint32(code) + debug
}

/** `payload`: eight octets. */
export function pingFrame(payload: string, isAck: boolean): string {
  return frameHead(8, frameTypes.ping, isAck ? frameFlags.ack : 0, 0) + payload
}

export function settingsFrame(settings: readonly (readonly [id: number, value: number])[]): string {
  let text = frameHead(settings.length * 6, frameTypes.settings, 0, 0)
  for (const [id, value] of settings) {
    text += String.fromCharCode((id >> 8) & 0xff, id & 0xff) + uint32(value)
  }
  return text
}

export const settingsAckFrame = frameHead(0, frameTypes.settings, frameFlags.ack, 0)

export function uint32(value: number): string {
  return String.fromCharCode(
    (value >>> 24) & 0xff,
    (value >>> 16) & 0xff,
    (value >>> 8) & 0xff,
    value & 0xff,
  )
}
