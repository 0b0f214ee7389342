/** Responses between their fields and their head (RFC 9113 §8.3.2), in both directions. */
import type { ResponseHead } from '../http/message.ts'
import type { HpackEncoder } from './hpack/encoder.ts'
import type { Malformed, MessageFields } from './message-fields.ts'
import { encodeFields } from './request-head.ts'

export const responsePseudo: ReadonlySet<string> = new Set([':status'])

export type ReadResponse =
  | { readonly kind: 'ok'; readonly head: ResponseHead }
  | { readonly kind: 'malformed'; readonly reason: Malformed }

export interface ResponseReading {
  readonly isEnd: boolean
  /** The response has no body whatever it says of one: HEAD. */
  readonly hasNoBody: boolean
}

export function readResponse(fields: MessageFields, reading: ResponseReading): ReadResponse {
  const status = fields.pseudo(':status')
  const reason = fields.malformed ?? (status === undefined ? 'pseudo-missing' : undefined)
  if (reason !== undefined || status === undefined) return malformed(reason ?? 'pseudo-missing')
  // §8.6: HTTP/2 has no 101.
  if (!/^[1-9]\d\d$/.test(status) || status === '101') return malformed('status')
  const code = Number(status)
  if (code < 200 && reading.isEnd) return malformed('status')
  const { contentLength } = fields
  const isBodiless = reading.hasNoBody || code === 204 || code === 304
  if (reading.isEnd && contentLength > 0 && !isBodiless) return malformed('body-length')
  const open = contentLength > 0 && !isBodiless ? contentLength : 'until-end'
  const head: ResponseHead = {
    status: code,
    headers: fields.headers,
    bodyLength: reading.isEnd ? 0 : open,
    protocol: 'HTTP/2',
  }
  return { kind: 'ok', head }
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
