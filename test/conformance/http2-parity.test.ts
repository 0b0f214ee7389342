/**
 * HTTP/2: the same bootstrap, run by a real Envoy and by Tulle, gives the same answers to the same frames: status, fields,
 * body and trailers, resets and GOAWAYs with their codes, what the upstream was asked, and the entry in the access log.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'

import { eventually } from '../support/eventually.ts'
import { runEnvoy, runTulle, type RunningProxy } from '../support/mtls-scene.ts'
import { findEnvoy, skipUnless } from '../support/programs.ts'
import { http2Bootstrap } from './parity/http2-bootstrap.ts'
import { http2Cases } from './parity/http2-cases.ts'
import { runCase, type Http2Outcome } from './parity/http2-outcome.ts'
import { openHttp2Upstreams, type Http2Upstreams } from './parity/http2-upstream.ts'

const envoy = findEnvoy()

type Outcomes = Map<string, Http2Outcome>

describe('HTTP/2 in Envoy and in Tulle', { skip: skipUnless(envoy, 'envoy') }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-http2-parity-'))
  const outcomes = { envoy: new Map() as Outcomes, tulle: new Map() as Outcomes }
  let upstreams: Http2Upstreams | undefined

  before(async () => {
    upstreams = await openHttp2Upstreams()
    await runAll(runEnvoy, outcomes.envoy, join(folder, 'envoy.log'))
    await runAll(runTulle, outcomes.tulle, join(folder, 'tulle.log'))
  })

  after(async () => {
    await upstreams?.[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true })
  })

  async function runAll(
    open: (bootstrap: string) => Promise<RunningProxy>,
    into: Outcomes,
    accessLog: string,
  ): Promise<void> {
    assert.ok(upstreams)
    const ports = { http1: upstreams.http1, http2: upstreams.http2 }
    await using proxy = await open(http2Bootstrap({ ...ports, accessLog }))
    await Promise.all(
      http2Cases.map(async (one) => {
        const port = proxy.ports.get(one.listener ?? 'main') ?? 0
        into.set(one.name, await runCase(one, port))
      }),
    )
    const entries = await eventually(
      () => {
        const found = logEntries(accessLog)
        return found.size >= http2Cases.length - unloggedCases && found
      },
      { deadlineMs: 3_000 },
    ).catch(() => logEntries(accessLog))
    for (const one of http2Cases) {
      const outcome = into.get(one.name)
      if (outcome !== undefined) outcome.log = entries.get(one.name)
    }
  }

  for (const one of http2Cases) {
    test(one.name, () => {
      assert.deepEqual(outcomes.tulle.get(one.name), outcomes.envoy.get(one.name))
    })
  }
})

interface LogEntry {
  readonly case?: string
  received?: unknown
}

/** Cases whose name is in no entry: their fields were never read. */
const unloggedCases = http2Cases.filter(({ isLogged }) => isLogged === false).length

function logEntries(file: string): Map<string, unknown> {
  const entries = new Map<string, unknown>()
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    if (line === '') continue
    const { case: name, ...rest } = JSON.parse(line) as LogEntry
    // Envoy had not counted what was wrong with the body when it reset the stream.
    if (name?.startsWith('a body that is too short') === true) rest.received = undefined
    if (name !== undefined) entries.set(name, rest)
  }
  return entries
}
