/**
 * What must hold whatever a client sends: the upstream reads the messages that we routed and no other, and whoever reads
 * what we forwarded reads the same messages (no request smuggling); what the client gets is one response to each request,
 * in order (no response splitting).
 */
import type { RequestRecord } from '../../src/proxy/telemetry/request-record.ts'
import type { Exchanged } from './memory-proxy.ts'
import { messageText, type ExternalReader, type Reading, type ReadMessage } from './message.ts'
import { readResponses } from './response-stream.ts'

/** Violations that can be seen without another program. */
export function violations(exchanged: Exchanged): readonly string[] {
  return [...upstreamViolations(exchanged), ...clientViolations(exchanged)]
}

export function upstreamViolations(exchanged: Exchanged): readonly string[] {
  const { records, read, begun, errors } = exchanged
  const found = errors.map((error) => `the origin cannot read what we forward: ${error}`)
  const routed = records.filter((record) => record.host !== undefined)
  const seen = begun.flat().length
  if (seen > routed.length) {
    found.push(`${routed.length} requests were routed, the origin saw ${seen}`)
  }
  const routedTexts = routed.map(recordText)
  const answered = routed.filter(isAnswered).map(recordText)
  const actual = read.flat().map(messageText)
  // What the client gave up may have been read before, or not.
  const isMatched = isPart(answered, actual) && isPart(actual, routedTexts)
  if (!isMatched && !exchanged.strange.includes(true)) {
    found.push(`routed: ${routedTexts.join(', ')}; read by the origin: ${actual.join(', ')}`)
  }
  return found
}

/** Whether each element of one list is in the other, as often. */
function isPart(part: readonly string[], whole: readonly string[]): boolean {
  const rest = [...whole]
  return part.every((element) => {
    const at = rest.indexOf(element)
    if (at === -1) return false
    rest.splice(at, 1)
    return true
  })
}

/** The origin answers what it has read to the end. */
function isAnswered(record: RequestRecord): boolean {
  return record.details === 'via_upstream'
}

function recordText({ request, bytesReceived }: RequestRecord): string {
  const target = request.method === 'CONNECT' ? request.authority : request.path
  return messageText({
    method: request.method,
    target,
    host: request.authority,
    bodyBytes: bytesReceived,
  })
}

/** For a client that speaks HTTP/1. */
export function clientViolations(exchanged: Exchanged): readonly string[] {
  const { received, records, isClosed } = exchanged
  // What was cut off when the case was over was not answered.
  const answered = records.filter(({ status }) => status !== 0)
  const stream = readResponses(
    received,
    answered.map(({ request }) => request.method),
    isClosed,
  )
  if (stream.problem !== undefined)
    return [`the client cannot read what we send: ${stream.problem}`]
  if (stream.isCut && !isClosed && answered.every(isAnswered)) return ['a response has no end']
  const expected = answered.map(({ status }) => status)
  const actual = stream.responses.map(({ status }) => status)
  const isPrefix = actual.every((status, index) => status === expected[index])
  const isWhole = actual.length === expected.length || stream.isCut
  return isPrefix && isWhole
    ? []
    : [`answered: ${expected.join(' ')}; read by the client: ${actual.join(' ')}`]
}

/** Whether an independent reader reads the same messages in what we forwarded. */
export async function readerViolations(
  exchanged: Pick<Exchanged, 'forwarded' | 'read' | 'begun' | 'strange'>,
  readers: readonly ExternalReader[],
): Promise<readonly string[]> {
  const found: string[] = []
  for (const [index, bytes] of exchanged.forwarded.entries()) {
    if (bytes.length === 0 || exchanged.strange[index] === true) continue
    const read = exchanged.read[index] ?? []
    const expected = { read, begun: exchanged.begun[index] ?? [] }
    for (const reader of readers) {
      const reading = await reader.read(bytes)
      const problem = disagreement(expected, reading, reader.name)
      if (problem !== undefined) found.push(`${reader.name}: ${problem}`)
    }
  }
  return found
}

interface Expected {
  readonly read: readonly ReadMessage[]
  readonly begun: readonly ReadMessage[]
}

/** A reader may refuse what another takes; it may not read other messages. */
function disagreement(expected: Expected, reading: Reading, reader: string): string | undefined {
  const { messages, refused } = reading
  for (const [index, message] of messages.entries()) {
    // A reader that does not wait for bodies sees a request whose body broke off.
    const other = message.bodyBytes === -1 ? expected.begun[index] : expected.read[index]
    if (other === undefined) return `reads one message more: ${messageText(message)}`
    if (!isSame(other, message, reader)) {
      return `reads ${messageText(message)}, Node reads ${messageText(other)}`
    }
  }
  if (messages.length < expected.read.length && refused === undefined) {
    return `reads ${messages.length} of ${expected.read.length} messages`
  }
  return undefined
}

function isSame(one: ReadMessage, other: ReadMessage, reader: string): boolean {
  if (one.method !== other.method || one.host !== other.host) return false
  if (other.bodyBytes !== -1 && one.bodyBytes !== other.bodyBytes) return false
  if (other.bodyHash !== undefined && one.bodyHash !== other.bodyHash) return false
  // http.server makes one slash of several at the beginning, against open redirects.
  const target = reader.endsWith('http.server') ? one.target.replace(/^\/\/+/, '/') : one.target
  return target === other.target
}
