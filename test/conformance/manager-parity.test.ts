/**
 * Every setting of the HTTP connection manager and of a cluster's HTTP/1.1: the same bootstrap, run by a real Envoy and by
 * Tulle, gives the same answers. The parts that are compared are those of envoy-parity.test.ts.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'

import { eventually } from '../support/eventually.ts'
import { runEnvoy, runTulle, type RunningProxy } from '../support/mtls-scene.ts'
import { findEnvoy, skipUnless } from '../support/programs.ts'
import {
  type Answer,
  differences,
  inParallel,
  logEntries,
  requestBytes,
  toAnswer,
} from './parity/answer.ts'
import { managerCases } from './parity/manager-cases.ts'
import { managerBootstrap } from './parity/manager-listeners.ts'
import { refusedPort } from './parity/open-proxy.ts'
import { openUpstream, type Upstream } from './parity/upstream.ts'
import { sendBytes, type WireResponse } from './parity/wire-client.ts'

const skip = skipUnless(findEnvoy(), 'envoy')

describe('the settings of a connection manager in Envoy and in Tulle', { skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-manager-parity-'))
  const answers = { envoy: new Map<string, Answer>(), tulle: new Map<string, Answer>() }
  let upstream: Upstream | undefined
  let refused = 0

  before(async () => {
    upstream = await openUpstream('a')
    refused = await refusedPort()
    await answerAll(runEnvoy, answers.envoy)
    await answerAll(runTulle, answers.tulle)
  })

  after(async () => {
    await upstream?.[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true })
  })

  async function answerAll(
    open: (bootstrap: string) => Promise<RunningProxy>,
    into: Map<string, Answer>,
  ): Promise<void> {
    const accessLog = join(folder, 'access.log')
    writeFileSync(accessLog, '')
    const responses = new Map<string, WireResponse>()
    const text = managerBootstrap({ upstream: upstream?.port ?? 0, refused, accessLog })
    {
      await using proxy = await open(text)
      await inParallel(managerCases, async (one) => {
        const port = proxy.ports.get(one.listener) ?? 0
        const bytes = (one.raw ?? requestBytes(one)).replaceAll('PORT', String(port))
        responses.set(one.name, await sendBytes({ port, bytes, isHead: one.method === 'HEAD' }))
      })
      await eventually(() => logEntries(accessLog, managerCases).size >= managerCases.length, {
        deadlineMs: 1_500,
      }).catch(() => undefined)
    }
    const entries = logEntries(accessLog, managerCases)
    for (const { name } of managerCases) {
      const response = responses.get(name)
      assert.ok(response)
      into.set(name, toAnswer(response, entries.get(name)))
    }
  }

  for (const one of managerCases) {
    test(one.name, () => {
      const expected = answers.envoy.get(one.name)
      const actual = answers.tulle.get(one.name)
      assert.ok(expected)
      assert.ok(actual)
      assert.deepEqual(differences(one, expected, actual), [])
    })
  }
})
