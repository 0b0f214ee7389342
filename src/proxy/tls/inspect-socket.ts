/**
 * Looks at the first bytes of an accepted connection and puts them back: TLS or not, for whom, and which HTTP (Envoy's
 * `tls_inspector` and `http_inspector` listener filters). PERMISSIVE mutual TLS on one port lives of this.
 * A header of the PROXY protocol comes before all that, where the listener wants one, and is used up.
 *
 * Bounded in time (`listener_filters_timeout`) and in bytes. The socket must not have been read before, and afterwards
 * belongs to whoever takes it from `done`.
 */
import type { Socket } from 'node:net'

import { unreachable } from '../../lib/assert.ts'
import type { Clock } from '../../lib/clock.ts'
import {
  parseProxyHeader,
  type ProxyAddresses,
  proxyHeaderVersion,
  type ProxyVersion,
} from '../wire/proxy-protocol.ts'
import { helloBytesMax, parseClientHello, type RefusedHello } from './client-hello.ts'

export interface Inspection {
  readonly transportProtocol: 'tls' | 'raw_buffer'
  readonly serverName: string | undefined
  readonly applicationProtocols: readonly string[]
  /** Whose connection it is by the PROXY protocol. */
  readonly proxied?: ProxyAddresses | undefined
}

export const uninspected: Inspection = {
  transportProtocol: 'raw_buffer',
  serverName: undefined,
  applicationProtocols: [],
}

export interface InspectOptions {
  readonly clock: Clock
  /** 0 = none. */
  readonly timeoutMs: number
  /** Whether it is TLS, or which HTTP, matters to some filter chain. */
  readonly needsTls: boolean
  readonly needsHttp: boolean
  readonly proxyProtocol?: ProxyProtocolSettings | undefined
}

/** Envoy `proxy_protocol` listener filter. */
export interface ProxyProtocolSettings {
  /** Connections without a header are taken as they are. */
  readonly isOptional: boolean
  readonly versions: ReadonlySet<ProxyVersion>
}

export interface BadProxyHeader {
  readonly kind: 'bad-proxy-header'
  readonly version: ProxyVersion | undefined
  readonly message: string
}

/** `header-timeout`: the PROXY header that is needed did not come. */
type Outcome = Inspection | Silence | 'header-timeout' | 'closed' | RefusedHello | BadProxyHeader

/** Whose connection it is may be known by then. */
export interface Silence extends Pick<Inspection, 'proxied'> {
  readonly kind: 'timeout'
}

export type InspectDone = (outcome: Outcome) => void

/** `done` is called once, never before this returned; the returned function gives up and calls nothing. */
export function inspectSocket(
  socket: Socket,
  options: InspectOptions,
  done: InspectDone,
): () => void {
  let held: Buffer | undefined
  let awaitsHeader = options.proxyProtocol !== undefined
  let proxied: ProxyAddresses | undefined
  const timer =
    options.timeoutMs === 0
      ? undefined
      : options.clock.setTimer(options.timeoutMs, () => onSilence())
  const stop = (): void => {
    timer?.cancel()
    socket.off('readable', onReadable)
    socket.off('end', onClose)
    socket.off('close', onClose)
  }
  const finish = (outcome: Outcome): void => {
    stop()
    if (held !== undefined && held.length > 0 && outcome !== 'closed') socket.unshift(held)
    done(outcome)
  }
  const found = (seen: Inspection | RefusedHello): void =>
    finish(proxied === undefined || typeof seen === 'string' ? seen : { ...seen, proxied })
  const onSilence = (): void => {
    if (awaitsHeader && options.proxyProtocol?.isOptional === false) finish('header-timeout')
    else finish({ kind: 'timeout', proxied })
  }
  const onClose = (): void => finish('closed')
  const onReadable = (): void => {
    const chunk = socket.read() as Buffer | null
    if (chunk === null) return
    held = held === undefined ? chunk : Buffer.concat([held, chunk])
    const header = awaitsHeader ? takeHeader(held, options.proxyProtocol) : undefined
    if (header === 'more') return
    if (header !== undefined) {
      if ('kind' in header) {
        finish(header)
        return
      }
      awaitsHeader = false
      held = held.subarray(header.length)
      proxied = header.addresses
    }
    if (!options.needsTls && !options.needsHttp) {
      found(uninspected)
      return
    }
    const seen = inspectBytes(held, options.needsHttp)
    if (seen !== 'more') found(seen)
    else if (held.length > inspectedBytesMax) found(uninspected)
  }
  socket.on('readable', onReadable)
  socket.on('end', onClose)
  socket.on('close', onClose)
  return stop
}

interface TakenHeader {
  readonly length: number
  readonly addresses: ProxyAddresses | undefined
}

/**
 * What of the bytes is a PROXY header. A version that is not allowed is no header where none is needed, and is not read
 * beyond its signature.
 */
function takeHeader(
  bytes: Buffer,
  settings: ProxyProtocolSettings | undefined,
): TakenHeader | 'more' | BadProxyHeader {
  const without: TakenHeader = { length: 0, addresses: undefined }
  const isOptional = settings?.isOptional === true
  const version = proxyHeaderVersion(bytes)
  if (version !== undefined && settings?.versions.has(version) === false) {
    return isOptional ? without : badHeader(version, `version ${version} is not allowed`)
  }
  const header = parseProxyHeader(bytes)
  switch (header.kind) {
    case 'more':
      return 'more'
    case 'none':
      return isOptional ? without : badHeader(undefined, 'no PROXY header')
    case 'bad':
      return badHeader(header.version, header.message)
    case 'header':
      return { length: header.length, addresses: header.addresses }
    default:
      return unreachable(header)
  }
}

function badHeader(version: ProxyVersion | undefined, message: string): BadProxyHeader {
  return { kind: 'bad-proxy-header', version, message }
}

export const inspectedBytesMax = helloBytesMax + 1024

export function inspectBytes(
  bytes: Buffer,
  needsHttp: boolean,
): Inspection | RefusedHello | 'more' {
  const hello = parseClientHello(bytes)
  if (hello === 'more' || hello === 'too-large' || hello === 'bad-version') return hello
  if (hello !== 'none') return { transportProtocol: 'tls', ...hello }
  if (!needsHttp) return uninspected
  const protocol = httpProtocol(bytes)
  if (protocol === 'more') return 'more'
  return protocol === undefined ? uninspected : { ...uninspected, applicationProtocols: [protocol] }
}

const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
// More lenient than the codec, as Envoy's is: the codec of the chain answers a bad line with 400, where a chain of plain
// TCP would pass it on.
const requestLine =
  /^([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]+([^ \t\r\u0080-\u00ff]+)(?:[ \t]+HTTP\/(\d\.\d))?[ \t]*\r?$/
const mayBeRequest = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:[ \t]|$)/
const mayBeTarget = /^(?:[/*]|[A-Za-z]+:\/\/)/

/** Of a request line, as Envoy's http_inspector names it: whatever is HTTP and not 1.1 is 1.0. */
function httpProtocol(bytes: Buffer): 'h2c' | 'http/1.0' | 'http/1.1' | 'more' | undefined {
  const text = bytes.toString('latin1')
  if (text.startsWith(preface)) return 'h2c'
  if (preface.startsWith(text)) return 'more'
  const end = text.indexOf('\n')
  if (end === -1) return mayBeRequest.test(text) ? 'more' : undefined
  const [, method, target = '', version] = requestLine.exec(text.slice(0, end)) ?? []
  if (method === undefined) return undefined
  if (method !== 'CONNECT' && !mayBeTarget.test(target)) return undefined
  return version === '1.1' ? 'http/1.1' : 'http/1.0'
}
