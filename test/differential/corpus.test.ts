/**
 * The corpus, sent to the proxy in one piece and split at every byte: what comes back is what the corpus says, whatever the
 * split, and what goes on is read as the same messages by Node, Go, Python and nginx. Everything is in this process but the
 * readers; test/differential/peer.test.ts sends the same over sockets, to Envoy too.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { requestCases } from '../support/http1-request-cases.ts'
import { bytesOf, http2Corpus, requestCorpus, responseCorpus } from './corpus.ts'
import { http2Bytes, http2Outcome } from './http2-bytes.ts'
import { readerViolations, upstreamViolations, violations } from './invariant.ts'
import { MemoryProxy, type Exchanged } from './memory-proxy.ts'
import { statusesOf } from './peer/run-corpus.ts'
import {
  openGoClient,
  openReaders,
  type Readers,
  type ResponseReader,
} from './reader/external-reader.ts'
import { readResponses } from './response-stream.ts'
import { everySplit } from './split.ts'
import { AnsweringProxy, responsesText } from './two-requests.ts'

describe('requests', () => {
  let proxy: MemoryProxy
  let readers: Readers

  before(async () => {
    proxy = await MemoryProxy.open()
    readers = await openReaders()
    for (const reason of readers.absent) process.stderr.write(`not compared: ${reason}\n`)
  })

  after(async () => {
    await proxy[Symbol.asyncDispose]()
    await readers[Symbol.asyncDispose]()
  })

  const verdictOf = (exchanged: Exchanged, sent: string): readonly unknown[] => [
    statusesOf(exchanged.received, sent, exchanged.isClosed),
    ...exchanged.read.flat(),
  ]

  for (const { name, sent, outcome } of requestCorpus()) {
    test(name, async () => {
      const bytes = bytesOf(sent)
      const whole = await proxy.exchange([bytes])
      assert.equal(statusesOf(whole.received, sent, whole.isClosed), outcome.tulle)
      assert.deepEqual(found(whole, sent), [])
      assert.deepEqual(await readerViolations(whole, readers.present), [])
      const verdict = verdictOf(whole, sent)
      for (const { pieces, where } of everySplit(bytes)) {
        const parted = await proxy.exchange(pieces)
        assert.deepEqual(verdictOf(parted, sent), verdict, where)
        assert.deepEqual(found(parted, sent), [], where)
      }
    })
  }

  test('the parser’s own table of requests is read by all as we read it', async () => {
    for (const { name, sent } of requestCases) {
      const exchanged = await proxy.exchange([bytesOf(sent)])
      assert.deepEqual(found(exchanged, sent), [], name)
      assert.deepEqual(await readerViolations(exchanged, readers.present), [], name)
    }
  })
})

/** What answers in HTTP/2 is read by another test. */
function found(exchanged: Exchanged, sent: string): readonly string[] {
  return sent.startsWith('PRI ') ? upstreamViolations(exchanged) : violations(exchanged)
}

test('an upstream in HTTP/2 reads the messages that we route, and no other', async () => {
  await using proxy = await MemoryProxy.open({ upstream: 'http2' })
  for (const { name, sent } of requestCorpus()) {
    const exchanged = await proxy.exchange([bytesOf(sent)])
    assert.deepEqual(found(exchanged, sent), [], name)
  }
})

describe('responses', () => {
  let proxy: AnsweringProxy
  let go: ResponseReader | string

  before(async () => {
    proxy = await AnsweringProxy.open()
    go = await openGoClient()
    if (typeof go === 'string') process.stderr.write(`not compared: ${go}\n`)
  })

  after(async () => {
    await proxy[Symbol.asyncDispose]()
    if (typeof go !== 'string') await go[Symbol.asyncDispose]()
  })

  for (const one of responseCorpus()) {
    const { name, sent, method = 'GET', outcome } = one
    test(name, async () => {
      const bytes = bytesOf(sent)
      const answer = { ...one, pieces: [bytes] }
      const exchanged = await proxy.pipelined(answer)
      assert.equal(responsesText(exchanged, method), outcome.tulle)
      if (typeof go !== 'string') {
        const { received, isClosed } = exchanged
        const ours = readResponses(received, [method, 'GET'], isClosed)
        const theirs = await go.read(received, method === 'HEAD')
        const expected = ours.responses.map(({ body: _body, ...rest }) => rest)
        assert.deepEqual(theirs, { responses: expected, rest: 0 })
      }
      for (const { pieces, where } of everySplit(bytes)) {
        const parted = await proxy.pipelined({ ...one, pieces })
        assert.equal(responsesText(parted, method), outcome.tulle, where)
      }
      const [, second] = await proxy.byNode(answer)
      assert.equal(second, outcome.tulle === 'waits' ? 'no answer' : '200 [second]')
    })
  }
})

describe('requests in HTTP/2 to an upstream in HTTP/1.1', () => {
  let proxy: MemoryProxy
  let readers: Readers

  before(async () => {
    proxy = await MemoryProxy.open()
    readers = await openReaders()
  })

  after(async () => {
    await proxy[Symbol.asyncDispose]()
    await readers[Symbol.asyncDispose]()
  })

  for (const one of http2Corpus()) {
    test(one.name, async () => {
      const exchanged = await proxy.exchange([http2Bytes([one])])
      assert.equal(http2Outcome(exchanged.received), one.outcome.tulle)
      assert.deepEqual(upstreamViolations(exchanged), [])
      assert.deepEqual(await readerViolations(exchanged, readers.present), [])
      const single = await proxy.exchange(
        Array.from(http2Bytes([one]), (octet) => Buffer.of(octet)),
      )
      assert.deepEqual(upstreamViolations(single), [], 'byte by byte')
    })
  }
})

test('every case has a name of its own, and says why it differs from Envoy wherever it does', () => {
  for (const corpus of [requestCorpus(), responseCorpus()]) {
    assert.equal(new Set(corpus.map(({ name }) => name)).size, corpus.length)
    for (const { name, outcome, why } of corpus) {
      assert.equal(why !== undefined, outcome.tulle !== outcome.envoy, name)
    }
  }
})
