/** Names of HTTP/2 fields, judged once each: what they are for, and whether they may occur at all (RFC 9113 §8.2). */
import { isAll, isFieldValue, isToken } from '../../http1/char-class.ts'

export type FieldKind =
  | 'other'
  | 'pseudo'
  | 'host'
  | 'content-length'
  | 'cookie'
  | 'te'
  /** Of one connection, and known to HTTP/1.1 only: makes a message malformed (§8.2.2). */
  | 'connection'
  /** Of one hop: not forwarded. */
  | 'hop'
  /** No token, or not in lower case. */
  | 'invalid'

export interface FieldName {
  readonly text: string
  readonly kind: FieldKind
  readonly hasUnderscore: boolean
}

export function fieldName(text: string): FieldName {
  const kind = kindOf(text)
  // The same text as a property key, which V8 keeps once: comparing it with a literal is comparing two addresses.
  const [kept = text] = kind === 'other' ? Object.keys({ [text]: 0 }) : [text]
  return { text: kept, kind, hasUnderscore: text.includes('_') }
}

/** Everything but controls, and no white space around (§8.2.1). */
export function isValidValue(value: string): boolean {
  if (isBlank(value.charCodeAt(0)) || isBlank(value.charCodeAt(value.length - 1))) return false
  return isAll(isFieldValue, value)
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09
}

function kindOf(text: string): FieldKind {
  if (text.charCodeAt(0) === 0x3a) return 'pseudo'
  if (text === '' || !isAll(isToken, text) || /[A-Z]/.test(text)) return 'invalid'
  return kinds.get(text) ?? 'other'
}

const kinds: ReadonlyMap<string, FieldKind> = new Map<string, FieldKind>([
  ['host', 'host'],
  ['content-length', 'content-length'],
  ['cookie', 'cookie'],
  ['te', 'te'],
  ['connection', 'connection'],
  ['keep-alive', 'connection'],
  ['proxy-connection', 'connection'],
  ['transfer-encoding', 'connection'],
  ['upgrade', 'connection'],
  ['http2-settings', 'hop'],
  ['proxy-authorization', 'hop'],
])
