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
import { freePort } from '../support/free-port.ts'
import { findEnvoy, skipUnless } from '../support/programs.ts'
import {
  type Answer,
  differences,
  inParallel,
  logEntries,
  requestBytes,
  toAnswer,
} from './parity/answer.ts'
import { parityCases } from './parity/case-table.ts'
import { type OpenProxy, openEnvoy, openTulle } from './parity/open-proxy.ts'
import { type Upstream, openUpstream } from './parity/upstream.ts'
import { type WireResponse, sendBytes } from './parity/wire-client.ts'

const envoy = findEnvoy()

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
      await eventually(() => logEntries(log, parityCases).size >= loggedCases.length, {
        deadlineMs: 3_000,
      }).catch(() => undefined)
    }
    const entries = logEntries(log, parityCases)
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

async function fillBootstrap(upstreams: readonly Upstream[], folder: string): Promise<string> {
  const template = readFileSync(new URL('parity/bootstrap.yaml', import.meta.url), 'utf8')
  const values: Readonly<Record<string, string>> = {
    A: String(upstreams[0]?.port),
    B: String(upstreams[1]?.port),
    REFUSED: String(await freePort()),
    LOG: join(folder, 'access.log'),
  }
  return template.replaceAll(/\$\{([A-Z]+)\}/g, (whole, name: string) => values[name] ?? whole)
}
