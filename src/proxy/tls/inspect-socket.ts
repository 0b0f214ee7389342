/**
 * Looks at the first bytes of an accepted connection and puts them back: TLS or not, for whom, and which HTTP (Envoy's
 * `tls_inspector` and `http_inspector` listener filters). PERMISSIVE mutual TLS on one port lives of this.
 *
 * Bounded in time (`listener_filters_timeout`) and in bytes. The socket must not have been read before, and afterwards
 * belongs to whoever takes it from `done`.
 */
import type { Socket } from 'node:net'

import type { Clock } from '../../lib/clock.ts'
import { helloBytesMax, parseClientHello } from './client-hello.ts'

export interface Inspection {
  readonly transportProtocol: 'tls' | 'raw_buffer'
  readonly serverName: string | undefined
  readonly applicationProtocols: readonly string[]
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
  /** Which HTTP it is matters to some filter chain. */
  readonly needsHttp: boolean
}

export type InspectDone = (outcome: Inspection | 'timeout' | 'closed') => void

/** `done` is called once, never before this returned; the returned function gives up and calls nothing. */
export function inspectSocket(
  socket: Socket,
  options: InspectOptions,
  done: InspectDone,
): () => void {
  let held: Buffer | undefined
  const timer =
    options.timeoutMs === 0
      ? undefined
      : options.clock.setTimer(options.timeoutMs, () => finish('timeout'))
  const stop = (): void => {
    timer?.cancel()
    socket.off('readable', onReadable)
    socket.off('end', onClose)
    socket.off('close', onClose)
  }
  const finish = (outcome: Inspection | 'timeout' | 'closed'): void => {
    stop()
    if (held !== undefined && outcome !== 'closed') socket.unshift(held)
    done(outcome)
  }
  const onClose = (): void => finish('closed')
  const onReadable = (): void => {
    const chunk = socket.read() as Buffer | null
    if (chunk === null) return
    held = held === undefined ? chunk : Buffer.concat([held, chunk])
    const found = inspectBytes(held, options.needsHttp)
    if (found !== 'more') finish(found)
    else if (held.length > inspectedBytesMax) finish(uninspected)
  }
  socket.on('readable', onReadable)
  socket.on('end', onClose)
  socket.on('close', onClose)
  return stop
}

const inspectedBytesMax = helloBytesMax + 1024

export function inspectBytes(bytes: Buffer, needsHttp: boolean): Inspection | 'more' {
  const hello = parseClientHello(bytes)
  if (hello === 'more') return 'more'
  if (hello !== 'none') return { transportProtocol: 'tls', ...hello }
  if (!needsHttp) return uninspected
  const protocol = httpProtocol(bytes)
  if (protocol === 'more') return 'more'
  return protocol === undefined ? uninspected : { ...uninspected, applicationProtocols: [protocol] }
}

const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
const requestLine = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32} [!-~]+ HTTP\/1\.([01])\r?$/
const mayBeRequest = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}(?: |$)/

/** Of a request line, as Envoy's http_inspector names it. */
function httpProtocol(bytes: Buffer): 'h2c' | 'http/1.0' | 'http/1.1' | 'more' | undefined {
  const text = bytes.toString('latin1')
  if (text.startsWith(preface)) return 'h2c'
  if (preface.startsWith(text)) return 'more'
  const end = text.indexOf('\n')
  if (end === -1) return mayBeRequest.test(text) ? 'more' : undefined
  const minor = requestLine.exec(text.slice(0, end))?.[1]
  if (minor === undefined) return undefined
  return minor === '0' ? 'http/1.0' : 'http/1.1'
}
