/** Sends literal bytes to a proxy and reads one response, or the end of the connection. */
import { connect } from 'node:net'

export interface WireResponse {
  /** 0: the connection ended without a response. */
  readonly status: number
  readonly headers: readonly (readonly [string, string])[]
  /** As they were spelt, sorted. */
  readonly names: readonly string[]
  readonly body: string
  /** Statuses of the interim responses before it. */
  readonly interim: readonly number[]
  /** Whether the proxy closed the connection. */
  readonly closed: boolean
}

export interface WireRequest {
  readonly port: number
  readonly bytes: string
  /** Of a HEAD request the body is not waited for. */
  readonly isHead?: boolean
  readonly deadlineMs?: number
}

export function sendBytes(request: WireRequest): Promise<WireResponse> {
  return new Promise((resolve) => {
    const socket = connect(request.port, '127.0.0.1')
    let text = ''
    let settled = false
    const finish = (closed: boolean): void => {
      if (settled) return
      settled = true
      clearTimeout(deadline)
      socket.destroy()
      resolve(parse(text, closed, request.isHead ?? false))
    }
    const deadline = setTimeout(() => finish(false), request.deadlineMs ?? 4_000)
    socket.setEncoding('latin1')
    socket.on('connect', () => socket.write(request.bytes, 'latin1'))
    socket.on('data', (chunk: string) => {
      text += chunk
      if (!isComplete(text, request.isHead ?? false)) return
      // A moment for the proxy to close, so that keeping and closing can be told apart; more where it said that it would.
      setTimeout(() => finish(false), saysClose(text) ? 2_000 : 80)
    })
    socket.on('end', () => finish(true))
    socket.on('error', () => finish(true))
    socket.on('close', () => finish(true))
  })
}

function saysClose(text: string): boolean {
  const fields = split(text)?.headers ?? []
  return fields.some(([name, value]) => name === 'connection' && value === 'close')
}

interface Parts {
  readonly status: number
  readonly headers: readonly (readonly [string, string])[]
  readonly names: readonly string[]
  readonly rest: string
  readonly interim: readonly number[]
}

function split(text: string, interim: readonly number[] = []): Parts | undefined {
  const end = text.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const [first = '', ...lines] = text.slice(0, end).split('\r\n')
  const status = Number(first.split(' ')[1])
  // Interim responses come before the one that counts.
  if (status >= 100 && status < 200 && status !== 101) {
    return split(text.slice(end + 4), [...interim, status])
  }
  const names = lines.map((line) => line.slice(0, line.indexOf(':'))).sort()
  const headers = lines.map((line) => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const
  })
  return { status, headers, names, rest: text.slice(end + 4), interim }
}

function isComplete(text: string, isHead: boolean): boolean {
  const parts = split(text)
  if (parts === undefined) return false
  if (isHead || parts.status === 204 || parts.status === 304 || parts.status === 101) return true
  const value = (name: string) => parts.headers.find(([key]) => key === name)?.[1]
  if (value('transfer-encoding') === 'chunked') return /0\r\n(?:[^\r]+\r\n)*\r\n$/.test(parts.rest)
  const length = value('content-length')
  return length !== undefined && parts.rest.length >= Number(length)
}

function parse(text: string, closed: boolean, isHead: boolean): WireResponse {
  const parts = split(text)
  if (parts === undefined)
    return { status: 0, headers: [], names: [], body: text, interim: [], closed }
  const isChunked = parts.headers.some(
    ([name, value]) => name === 'transfer-encoding' && value === 'chunked',
  )
  const body = isChunked && !isHead ? unchunk(parts.rest) : parts.rest
  const { status, headers, names, interim } = parts
  return { status, headers, names, body, interim, closed }
}

function unchunk(text: string): string {
  let body = ''
  let position = 0
  for (;;) {
    const end = text.indexOf('\r\n', position)
    const size = Number.parseInt(text.slice(position, end), 16)
    if (end < 0 || !(size > 0)) return body
    body += text.slice(end + 2, end + 2 + size)
    position = end + 2 + size + 2
  }
}
