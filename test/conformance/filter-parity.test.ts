/**
 * Faults and CORS: the same bootstrap file, run by a real Envoy and by Tulle, gives the same answers, entries in the
 * access log, and statistics of the filters.
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
import { filterCases } from './parity/filter-cases.ts'
import { type OpenProxy, openEnvoy, openTulle } from './parity/open-proxy.ts'
import { type Upstream, openUpstream } from './parity/upstream.ts'
import { type WireResponse, sendBytes } from './parity/wire-client.ts'

const envoy = findEnvoy()
const listenerCount = 3

interface Run {
  readonly answers: Map<string, Answer>
  stats: string
}

describe('faults and CORS in Envoy and in Tulle', { skip: skipUnless(envoy, 'envoy') }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-filter-parity-'))
  const runs = { envoy: newRun(), tulle: newRun() }
  let upstreams: readonly Upstream[] = []

  before(async () => {
    upstreams = [await openUpstream('a'), await openUpstream('b')]
    const file = join(folder, 'bootstrap.yaml')
    writeFileSync(file, await fillBootstrap(upstreams, folder))
    const options = { file, folder, envoy: envoy ?? '', listeners: listenerCount }
    await answerAll(() => openEnvoy(options), runs.envoy)
    await answerAll(() => openTulle(file), runs.tulle)
  })

  after(async () => {
    for (const upstream of upstreams) await upstream[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true })
  })

  async function answerAll(open: () => Promise<OpenProxy>, run: Run): Promise<void> {
    const log = join(folder, 'access.log')
    writeFileSync(log, '')
    for (const upstream of upstreams) upstream.reset()
    const responses = new Map<string, WireResponse>()
    {
      await using proxy = await open()
      await inParallel(filterCases, async (one) => {
        const port = proxy.ports.get(one.listener ?? 'main') ?? 0
        const bytes = requestBytes(one)
        const response = await sendBytes({ port, bytes, isHead: one.method === 'HEAD' })
        responses.set(one.name, response)
      })
      await eventually(() => logEntries(log, filterCases).size === filterCases.length, {
        deadlineMs: 3_000,
      })
      run.stats = await proxy.admin('/stats?filter=%5C.(fault|cors)%5C.')
    }
    const entries = logEntries(log, filterCases)
    for (const one of filterCases) {
      const response = responses.get(one.name)
      assert.ok(response)
      run.answers.set(one.name, toAnswer(response, entries.get(one.name)))
    }
  }

  for (const one of filterCases) {
    test(one.name, () => {
      const expected = runs.envoy.answers.get(one.name)
      const actual = runs.tulle.answers.get(one.name)
      assert.ok(expected)
      assert.ok(actual)
      assert.deepEqual(differences(one, expected, actual), [])
    })
  }

  test('the filters count the same', () => {
    const counted = filterStats(runs.tulle.stats)
    assert.deepEqual(counted, filterStats(runs.envoy.stats))
    assert.ok((counted.get('http.main.fault.aborts_injected') ?? 0) > 10)
    assert.equal(counted.get('http.main.fault.active_faults'), 0)
  })
})

function newRun(): Run {
  return { answers: new Map(), stats: '' }
}

function filterStats(text: string): ReadonlyMap<string, number> {
  const stats = new Map<string, number>()
  for (const line of text.split('\n')) {
    const match = /^(http\.\S+): (\d+)$/.exec(line)
    if (match?.[1] === undefined) continue
    stats.set(match[1], Number(match[2]))
  }
  return new Map([...stats].sort(([left], [right]) => (left < right ? -1 : 1)))
}

async function fillBootstrap(upstreams: readonly Upstream[], folder: string): Promise<string> {
  const template = readFileSync(new URL('parity/filters.yaml', import.meta.url), 'utf8')
  const values: Readonly<Record<string, string>> = {
    A: String(upstreams[0]?.port),
    B: String(upstreams[1]?.port),
    REFUSED: String(await freePort()),
    LOG: join(folder, 'access.log'),
  }
  return template.replaceAll(/\$\{([A-Z]+)\}/g, (whole, name: string) => values[name] ?? whole)
}
