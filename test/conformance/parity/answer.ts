/** What the parity tests compare: an answer, and how two of them differ. */
import { readFileSync } from 'node:fs'

import type { ComparedPart, ParityCase } from './case-table.ts'
import type { WireResponse } from './wire-client.ts'

export type Answer = Readonly<Record<ComparedPart, unknown>>

const parallel = 6

export async function inParallel<T>(
  items: readonly T[],
  run: (item: T) => Promise<void>,
): Promise<void> {
  const rest = items.values()
  const worker = async (): Promise<void> => {
    for (const item of rest) await run(item)
  }
  await Promise.all(Array.from({ length: parallel }, worker))
}

/** One line per field that differs: easier to read than two whole answers. */
export function differences(
  one: Pick<ParityCase, 'differs'>,
  expected: Answer,
  actual: Answer,
): readonly string[] {
  const parts = Object.keys(expected) as ComparedPart[]
  return parts.flatMap((part) => {
    // The names are those of the headers.
    if (one.differs?.[part === 'names' ? 'headers' : part] !== undefined) return []
    const left = fieldsOf(expected[part])
    const right = fieldsOf(actual[part])
    const missing = left.filter((field) => !right.includes(field))
    const added = right.filter((field) => !left.includes(field))
    return [
      ...missing.map((field) => `${part}: Envoy ${field}`),
      ...added.map((field) => `${part}: Tulle ${field}`),
    ]
  })
}

function fieldsOf(value: unknown): readonly string[] {
  if (Array.isArray(value)) return value.map((item) => JSON.stringify(item))
  if (typeof value !== 'object' || value === null) return [JSON.stringify(value) ?? 'nothing']
  return Object.entries(value).flatMap(([key, inner]) =>
    fieldsOf(inner).map((field) => `${key}=${field}`),
  )
}

type RequestSketch = Omit<ParityCase, 'listener' | 'stricter'>

export function requestBytes(one: RequestSketch): string {
  const { method = 'GET', path = '/', host = 'app.test', headers = {}, body } = one
  const lines = [`${method} ${path} HTTP/1.1`, `host: ${host}`, `x-case: ${asLatin(one.name)}`]
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`)
  if (body !== undefined) lines.push(`content-length: ${body.length}`)
  return `${lines.join('\r\n')}\r\n\r\n${body ?? ''}`
}

/** Case names may hold a typographic apostrophe; a header is ASCII here. */
function asLatin(name: string): string {
  return name.replaceAll('’', "'")
}

/** Values that are time, chance, or this machine's address. */
const variableHeaders = new Set([
  'date',
  'x-envoy-upstream-service-time',
  'x-request-id',
  'x-envoy-expected-rq-timeout-ms',
])

function maskHeader([name, value]: readonly [string, string]): readonly [string, string] {
  if (value === 'mine') return [name, value]
  if (variableHeaders.has(name)) return [name, '*']
  // For a loopback peer Envoy appends the address of its own machine, Tulle the peer's.
  if (name === 'x-forwarded-for') return [name, value.replace(/[^,]*$/, '*')]
  return [name, value]
}

export function toAnswer(response: WireResponse, log: unknown): Answer {
  const headers = response.headers.map(maskHeader)
  const echoed = echoOf(response.body)
  return {
    status: response.status,
    names: response.names,
    body: echoed === undefined ? response.body : 'an echo',
    headers: headers
      .filter(([name]) => name !== 'content-length' || echoed === undefined)
      .sort(byText),
    upstream: echoed,
    closed: response.closed,
    interim: response.interim,
    log,
  }
}

function byText(a: readonly (string | undefined)[], b: readonly (string | undefined)[]): number {
  return a.join(':') < b.join(':') ? -1 : 1
}

interface Echo {
  readonly headers: readonly (readonly [string, string])[]
}

function echoOf(body: string): unknown {
  if (!body.startsWith('{"upstream"')) return undefined
  const echo = JSON.parse(body) as Echo
  const headers = echo.headers.map(maskHeader)
  return { ...echo, headers: headers.sort(byText) }
}

export function logEntries(
  file: string,
  cases: readonly Pick<ParityCase, 'name'>[],
): ReadonlyMap<string, unknown> {
  const entries = new Map<string, unknown>()
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    if (!line.startsWith('{')) continue
    const entry = JSON.parse(line) as { readonly case: string | null }
    if (entry.case === null) continue
    const name = cases.find((one) => asLatin(one.name) === entry.case)?.name
    if (name !== undefined) entries.set(name, entry)
  }
  return entries
}
