/**
 * The corpus over sockets, to a sidecar of ours and to a real Envoy before the same origin: both answer as the corpus says,
 * and whoever reads what our sidecar forwarded reads the same messages.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { findEnvoy, skipUnless } from '../support/programs.ts'
import { requestCorpus, responseCorpus, type Peer } from './corpus.ts'
import { readerViolations } from './invariant.ts'
import { runRequests, runResponses, type CorpusRun } from './peer/run-corpus.ts'
import { openReaders } from './reader/external-reader.ts'

for (const peer of ['tulle', 'envoy'] as const) {
  const skip = peer === 'envoy' && skipUnless(findEnvoy(), 'envoy')
  describe(`the corpus in ${peer}`, { skip }, () => {
    test('requests are answered as the corpus says, and every reader agrees on what is forwarded', async () => {
      const run = present(await runRequests(peer))
      assert.deepEqual(differences(run, requestCorpus(), peer), [])
      await using readers = await openReaders()
      const exchanged = {
        forwarded: run.connections.map(({ received }) => received()),
        read: run.connections.map(({ messages }) => messages),
        strange: [],
        begun: run.connections.map(({ begun }) => begun),
      }
      assert.deepEqual(await readerViolations(exchanged, readers.present), [])
    })

    test('responses reach the client as the corpus says', async () => {
      const run = present(await runResponses(peer))
      assert.deepEqual(differences(run, responseCorpus(), peer), [])
    })
  })
}

function present(run: CorpusRun | string): CorpusRun {
  if (typeof run === 'string') throw new Error(run)
  return run
}

interface Expected {
  readonly name: string
  readonly outcome: Readonly<Partial<Record<Peer, string>>>
}

function differences(run: CorpusRun, corpus: readonly Expected[], peer: Peer): readonly string[] {
  return corpus.flatMap(({ name, outcome }) => {
    const actual = run.outcomes.get(name)
    return actual === outcome[peer] ? [] : [`${name}: expected ${outcome[peer]}, got ${actual}`]
  })
}
