/**
 * What header fields mean for the framing and the life of a connection, in both roles: Content-Length,
 * Transfer-Encoding, Connection (RFC 9112 §6, §9.6; RFC 9110 §7.6.1).
 */
import type { HeaderList } from '../http/header-list.ts'
import type { Refusal } from './refusal.ts'

/** The length, or -1 when the value is not a plain decimal below 2^53. */
export function parseContentLength(value: string): number {
  if (value.length === 0 || value.length > 16) return -1
  let length = 0
  for (let index = 0; index < value.length; index += 1) {
    const digit = value.charCodeAt(index) - 0x30
    if (digit < 0 || digit > 9) return -1
    length = length * 10 + digit
  }
  return length <= Number.MAX_SAFE_INTEGER ? length : -1
}

/** `chunked` alone is understood. Another coding is unsupported; what is no list of codings is malformed. */
export function checkTransferEncoding(value: string): Refusal | undefined {
  if (value === 'chunked' || value.toLowerCase() === 'chunked') return undefined
  return codingList.test(value) ? 'transfer-encoding-unsupported' : 'transfer-encoding'
}

const codingList =
  /^[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:[ \t]*;[^,]*)?(?:[ \t]*,[ \t]*[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:[ \t]*;[^,]*)?)*$/

/** What a Connection header says. */
export interface ConnectionOptions {
  hasClose: boolean
  hasKeepAlive: boolean
  hasUpgrade: boolean
  /** Names what a request may not have removed, or too much (Envoy `sanitizeConnectionHeader`). */
  isInvalid: boolean
}

/** Options of one Connection field, as in Envoy. */
const optionsMax = 9

export function noOptions(): ConnectionOptions {
  return { hasClose: false, hasKeepAlive: false, hasUpgrade: false, isInvalid: false }
}

export function resetOptions(options: ConnectionOptions): void {
  options.hasClose = false
  options.hasKeepAlive = false
  options.hasUpgrade = false
  options.isInvalid = false
}

/**
 * Reads one Connection value into `options`, and removes the fields that it nominates. Fields that proxies
 * own, and those that frame or route the message, are never removed on a client's word (CVE-2024-45410).
 */
export function applyConnection(
  value: string,
  options: ConnectionOptions,
  nominated: string[],
): void {
  if (value === 'keep-alive') {
    options.hasKeepAlive = true
    return
  }
  let count = 0
  for (const part of value.toLowerCase().split(',')) {
    const option = part.trim()
    if (part !== '') count += 1
    if (unremovable.has(option) || option.startsWith(':')) options.isInvalid = true
    if (option === 'close') options.hasClose = true
    else if (option === 'keep-alive') options.hasKeepAlive = true
    else if (option === 'upgrade') options.hasUpgrade = true
    else if (option !== '' && !isProtected(option)) nominated.push(option)
  }
  if (count > optionsMax) options.isInvalid = true
}

/** Where a request came from: who asks to forget that is refused. */
const unremovable: ReadonlySet<string> = new Set([
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
])

/** `trailers` is the one option of TE that travels on (RFC 9110 §10.1.4). */
export function hasTrailers(te: string): boolean {
  if (te === 'trailers') return true
  return te
    .toLowerCase()
    .split(',')
    .some((part) => part.trim() === 'trailers')
}

/** Proxy-Connection, which no RFC knows and old clients send: only its wish to close counts (as in Envoy). */
export function applyProxyConnection(value: string, options: ConnectionOptions): void {
  const parts = value.toLowerCase().split(',')
  if (parts.some((part) => part.trim() === 'close')) options.hasClose = true
}

export function removeNominated(headers: HeaderList, nominated: readonly string[]): void {
  for (const name of nominated) headers.remove(name)
}

function isProtected(name: string): boolean {
  return protectedNames.has(name) || name.startsWith('x-forwarded-') || name.startsWith('x-envoy-')
}

const protectedNames: ReadonlySet<string> = new Set([
  'authorization',
  'baggage',
  'cache-control',
  'content-length',
  'content-type',
  'cookie',
  'date',
  'forwarded',
  'host',
  'server',
  'set-cookie',
  'te',
  'traceparent',
  'tracestate',
  'transfer-encoding',
  'via',
  'x-b3-flags',
  'x-b3-parentspanid',
  'x-b3-sampled',
  'x-b3-spanid',
  'x-b3-traceid',
  'x-real-ip',
  'x-request-id',
])
