/** Responses between their fields and their head (RFC 9113 §8.3.2), in both directions. */
import type { BodyLength, ResponseHead } from '../http/message.ts'
import type { HpackEncoder } from './hpack/encoder.ts'
import type { Malformed, MessageFields, PseudoFields } from './message-fields.ts'
import { encodeFields } from './request-head.ts'

export const responsePseudo: ReadonlyMap<string, keyof PseudoFields> = new Map([
  [':status', 'status'],
])

export type ReadResponse =
  | {
      readonly kind: 'ok'
      readonly head: ResponseHead
      /** Bytes of body that must come; -1: any number. */
      readonly promisedBytes: number
    }
  | { readonly kind: 'malformed'; readonly reason: Malformed }

export interface ResponseReading {
  readonly isEnd: boolean
  /** The response has no body whatever it says of one: HEAD. */
  readonly hasNoBody: boolean
}

export function readResponse(fields: MessageFields, reading: ResponseReading): ReadResponse {
  const status = statusOf(fields.pseudo.status)
  if (fields.malformed !== undefined) return malformed(fields.malformed)
  if (status === undefined) return malformed('status')
  // An interim response ends nothing.
  if (status < 200 && reading.isEnd) return malformed('status')
  const { contentLength } = fields
  const isBodiless = reading.hasNoBody || status === 204 || status === 304
  const promised = isBodiless ? -1 : contentLength
  if (reading.isEnd && promised > 0) return malformed('body-length')
  const head: ResponseHead = {
    status,
    headers: fields.headers,
    bodyLength: bodyLength(reading.isEnd, promised),
    protocol: 'HTTP/2',
  }
  return { kind: 'ok', head, promisedBytes: promised }
}

/** §8.6: HTTP/2 has no 101. */
function statusOf(text: string | undefined): number | undefined {
  if (text === undefined || !/^[1-9]\d\d$/.test(text) || text === '101') return undefined
  return Number(text)
}

/** A length of nothing whose end is still to come may have trailers. */
function bodyLength(isEnd: boolean, promised: number): BodyLength {
  if (isEnd) return 0
  return promised > 0 ? promised : 'until-end'
}

function malformed(reason: Malformed): ReadResponse {
  return { kind: 'malformed', reason }
}

export interface ResponseWriting {
  readonly status: number
  /** Whether its `content-length` says how much follows, or would follow. */
  readonly keepsLength: boolean
}

export function encodeResponse(
  encoder: HpackEncoder,
  head: ResponseHead,
  { status, keepsLength }: ResponseWriting,
): string {
  encoder.begin()
  encoder.field(':status', String(status))
  encodeFields(encoder, head.headers.fields, keepsLength)
  return encoder.end()
}
