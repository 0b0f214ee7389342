/** Requests between their fields and their head (RFC 9113 §8.3.1, §8.5; RFC 8441), in both directions. */
import { parseAuthority } from '../http/authority.ts'
import { spelledUpgrade, type RequestHead } from '../http/message.ts'
import { isAll, isTarget, isToken } from '../http1/char-class.ts'
import type { HpackEncoder } from './hpack/encoder.ts'
import type { Malformed, MessageFields, PseudoFields } from './message-fields.ts'

export const requestPseudo: ReadonlyMap<string, keyof PseudoFields> = new Map([
  [':method', 'method'],
  [':scheme', 'scheme'],
  [':authority', 'authority'],
  [':path', 'path'],
  [':protocol', 'protocol'],
])

export type ReadRequest =
  | { readonly kind: 'ok'; readonly head: RequestHead }
  | { readonly kind: 'malformed'; readonly reason: Malformed }

export interface RequestReading {
  readonly isEnd: boolean
  readonly allowsConnect: boolean
}

export function readRequest(fields: MessageFields, reading: RequestReading): ReadRequest {
  const reason = fields.malformed ?? checkPseudo(fields, reading)
  if (reason !== undefined) return { kind: 'malformed', reason }
  const head = headOf(fields)
  const framing = frame(head, fields, reading)
  if (framing !== undefined) return { kind: 'malformed', reason: framing }
  const parsed = parseAuthority(fields.pseudo.authority ?? fields.host ?? '')
  if (parsed === undefined) return { kind: 'malformed', reason: 'authority' }
  head.authority = parsed
  return { kind: 'ok', head }
}

function headOf(fields: MessageFields): RequestHead {
  const { method = '', path = '', scheme, protocol } = fields.pseudo
  return {
    // As Envoy: an extended CONNECT is the GET that asks for an upgrade, from here on.
    method: protocol === undefined ? method : 'GET',
    path,
    authority: '',
    scheme: scheme?.toLowerCase() === 'https' ? 'https' : 'http',
    protocol: 'HTTP/2',
    headers: fields.headers,
    bodyLength: 0,
    upgrade: protocol?.toLowerCase(),
    wantsClose: false,
  }
}

// Each line is a rule of §8.3.1 or §8.5; together they are the whole check.
// oxlint-disable-next-line complexity
function checkPseudo(fields: MessageFields, reading: RequestReading): Malformed | undefined {
  const { method, scheme, path, protocol, authority } = fields.pseudo
  if (method === undefined) return 'pseudo-missing'
  if (method === '' || !isAll(isToken, method)) return 'method'
  if (protocol !== undefined) {
    if (!reading.allowsConnect) return 'protocol'
    if (method !== 'CONNECT' || protocol === '' || !isAll(isToken, protocol)) return 'protocol'
  } else if (method === 'CONNECT') {
    if (scheme !== undefined || path !== undefined) return 'pseudo-unknown'
    return authority === undefined ? 'pseudo-missing' : undefined
  }
  if (scheme === undefined || path === undefined) return 'pseudo-missing'
  if (!/^[a-z][a-z0-9+.-]*$/i.test(scheme)) return 'scheme'
  if (path === '*') return method === 'OPTIONS' ? undefined : 'path'
  return path.startsWith('/') && isAll(isTarget, path) ? undefined : 'path'
}

/** How much body follows. */
function frame(
  head: RequestHead,
  { contentLength }: MessageFields,
  { isEnd }: RequestReading,
): Malformed | undefined {
  if (head.method === 'CONNECT') {
    head.bodyLength = 'until-end'
    return contentLength > 0 ? 'content-length' : undefined
  }
  if (head.upgrade !== undefined) return undefined
  if (isEnd) return contentLength > 0 ? 'body-length' : undefined
  // A length of nothing, and an end that is still to come: perhaps with trailers.
  head.bodyLength = contentLength > 0 ? contentLength : 'until-end'
  return undefined
}

/** A request to an upstream, as a header block. */
export function encodeRequest(encoder: HpackEncoder, head: RequestHead): string {
  encoder.begin()
  const isConnect = head.method === 'CONNECT'
  const isUpgrade = head.upgrade !== undefined
  encoder.field(':method', isUpgrade ? 'CONNECT' : head.method)
  if (!isConnect) {
    encoder.field(':scheme', head.scheme)
    encoder.field(':path', head.path)
  }
  encoder.field(':authority', head.authority)
  if (head.upgrade !== undefined) encoder.field(':protocol', spelledUpgrade(head))
  const keepsLength = typeof head.bodyLength === 'number' && !isUpgrade
  encodeFields(encoder, head.headers.fields, keepsLength)
  return encoder.end()
}

/** The fields of a message, without those that only HTTP/1.1 knows. */
export function encodeFields(
  encoder: HpackEncoder,
  fields: readonly string[],
  keepsLength: boolean,
): void {
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] as string // in bounds, as is the next one
    if (isForbidden(name) || (name === 'content-length' && !keepsLength)) continue
    encoder.field(name, fields[index + 1] as string)
  }
}

/** §8.2.2. Codecs drop them where they read; a route's own edits could bring them back. */
function isForbidden(name: string): boolean {
  switch (name.length) {
    case 7:
      return name === 'upgrade'
    case 10:
      return name === 'connection' || name === 'keep-alive'
    case 16:
      return name === 'proxy-connection'
    case 17:
      return name === 'transfer-encoding'
    default:
      return false
  }
}
