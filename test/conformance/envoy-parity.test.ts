/**
 * The same bootstrap file, run by a real Envoy and by Tulle, gives the same answers.
 *
 * Each case is sent as literal bytes, to Envoy first and then to Tulle, with the same upstreams behind. Compared are the
 * status, the body, the response's headers, what the upstream was asked, whether the connection stays, and the entry in
 * the access log with its flags and details. What is time or chance is compared by its presence. Where the two are meant
 * to differ, the case says which part and why.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'

import { eventually } from '../support/eventually.ts'
import { findEnvoy, skipUnless } from '../support/programs.ts'
import { type ComparedPart, type ParityCase, parityCases } from './parity/case-table.ts'
import { type OpenProxy, openEnvoy, openTulle, refusedPort } from './parity/open-proxy.ts'
import { type Upstream, openUpstream } from './parity/upstream.ts'
import { type WireResponse, sendBytes } from './parity/wire-client.ts'

const envoy = findEnvoy()

type Answer = Readonly<Record<ComparedPart, unknown>>

describe('the same bootstrap in Envoy and in Tulle', { skip: skipUnless(envoy, 'envoy') }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-parity-'))
  const answers = { envoy: new Map<string, Answer>(), tulle: new Map<string, Answer>() }
  let upstreams: readonly Upstream[] = []

  before(async () => {
    upstreams = [await openUpstream('a'), await openUpstream('b')]
    const bootstrap = await fillBootstrap(upstreams, folder)
    const file = join(folder, 'bootstrap.yaml')
    writeFileSync(file, bootstrap)
    await answerAll(
      () => openEnvoy({ file, folder, envoy: envoy ?? '', listeners: listenerNames.length }),
      answers.envoy,
    )
    await answerAll(() => openTulle(file), answers.tulle)
  })

  after(async () => {
    for (const upstream of upstreams) await upstream[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true })
  })

  async function answerAll(
    open: () => Promise<OpenProxy>,
    into: Map<string, Answer>,
  ): Promise<void> {
    const log = join(folder, 'access.log')
    writeFileSync(log, '')
    for (const upstream of upstreams) upstream.reset()
    const responses = new Map<string, WireResponse>()
    {
      await using proxy = await open()
      await Promise.all(
        listenerNames.map(async (listener) => {
          const port = proxy.ports.get(listener) ?? 0
          const cases = parityCases.filter((one) => (one.listener ?? 'main') === listener)
          await inParallel(cases, async (one) => {
            const bytes = one.raw ?? requestBytes(one)
            responses.set(one.name, await sendBytes({ port, bytes, isHead: one.method === 'HEAD' }))
          })
        }),
      )
      await eventually(() => logEntries(log).size >= loggedCases.length, {
        deadlineMs: 3_000,
      }).catch(() => undefined)
    }
    const entries = logEntries(log)
    for (const one of parityCases) {
      const response = responses.get(one.name)
      assert.ok(response)
      into.set(one.name, toAnswer(response, entries.get(one.name)))
    }
  }

  for (const one of parityCases) {
    test(one.name, () => {
      const expected = answers.envoy.get(one.name)
      const actual = answers.tulle.get(one.name)
      assert.ok(expected)
      assert.ok(actual)
      if (one.stricter === undefined) assert.deepEqual(differences(one, expected, actual), [])
      else assert.deepEqual([expected.status !== 400, actual.status], [true, one.stricter])
    })
  }

  test('at least two hundred requests are compared', () => {
    assert.ok(parityCases.length > 200)
    assert.equal(new Set(parityCases.map((one) => one.name)).size, parityCases.length)
  })
})

const listenerNames = [
  'main',
  'edge',
  'quiet',
  'hasty',
  'short',
  'passing',
  'tcp',
  'tcp-nowhere',
] as const

const loggedCases = parityCases.filter((one) => (one.raw ?? `x-case: `).includes('x-case: '))

const parallel = 6

async function inParallel<T>(items: readonly T[], run: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values()
  const worker = async (): Promise<void> => {
    for (const item of rest) await run(item)
  }
  await Promise.all(Array.from({ length: parallel }, worker))
}

/** One line per field that differs: easier to read than two whole answers. */
function differences(one: ParityCase, expected: Answer, actual: Answer): readonly string[] {
  const parts = Object.keys(expected) as ComparedPart[]
  return parts.flatMap((part) => {
    if (one.differs?.[part] !== undefined) return []
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

function requestBytes(one: ParityCase): string {
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

function toAnswer(response: WireResponse, log: unknown): Answer {
  const headers = response.headers.map(maskHeader)
  const echoed = echoOf(response.body)
  return {
    status: response.status,
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

function logEntries(file: string): ReadonlyMap<string, unknown> {
  const entries = new Map<string, unknown>()
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    if (!line.startsWith('{')) continue
    const entry = JSON.parse(line) as { readonly case: string | null }
    if (entry.case === null) continue
    const name = parityCases.find((one) => asLatin(one.name) === entry.case)?.name
    if (name !== undefined) entries.set(name, entry)
  }
  return entries
}

async function fillBootstrap(upstreams: readonly Upstream[], folder: string): Promise<string> {
  const template = readFileSync(new URL('parity/bootstrap.yaml', import.meta.url), 'utf8')
  const values: Readonly<Record<string, string>> = {
    A: String(upstreams[0]?.port),
    B: String(upstreams[1]?.port),
    REFUSED: String(await refusedPort()),
    LOG: join(folder, 'access.log'),
  }
  return template.replaceAll(/\$\{([A-Z]+)\}/g, (whole, name: string) => values[name] ?? whole)
}
