/** The fuzzer for a moment, from fixed seeds; that it finds what is there to be found; and its command. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { Fuzzer, subjects } from './fuzz-run.ts'
import { clientViolations, readerViolations, upstreamViolations } from './invariant.ts'
import { MemoryProxy, type Exchanged } from './memory-proxy.ts'
import { openReaders } from './reader/external-reader.ts'

test('cases from fixed seeds hold', async () => {
  await using fuzzer = await Fuzzer.open()
  const cases = 300 * subjects.length
  for (let seed = 1; seed <= cases; seed += 1) assert.equal(await fuzzer.run(seed), undefined)
})

async function honest(sent: string): Promise<Exchanged> {
  await using proxy = await MemoryProxy.open()
  return await proxy.exchange([Buffer.from(sent)])
}

const post = 'POST /x HTTP/1.1\r\nHost: app.test\r\nContent-Length: 5\r\n\r\nhello'
const hidden = 'GET /hidden HTTP/1.1\r\nHost: app.test\r\n\r\n'

test('a request behind what was routed is found by every reader', async () => {
  const exchanged = await honest(post)
  const forwarded = exchanged.forwarded.map((bytes) => Buffer.concat([bytes, Buffer.from(hidden)]))
  await using readers = await openReaders()
  const found = await readerViolations({ ...exchanged, forwarded }, readers.present)
  assert.equal(found.length, readers.present.length)
  for (const problem of found) assert.match(problem, /reads one message more: GET \/hidden/)
})

test('an origin that reads another message than was routed is found', async () => {
  const exchanged = await honest(post)
  const read = exchanged.read.map((messages) =>
    messages.map((message) => ({ ...message, bodyBytes: 4 })),
  )
  assert.equal(upstreamViolations({ ...exchanged, read }).length, 1)
  assert.equal(upstreamViolations({ ...exchanged, read: [] }).length, 1)
})

test('a response that nobody asked for is found', async () => {
  const exchanged = await honest(post)
  const evil = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil')
  const received = Buffer.concat([exchanged.received, evil])
  assert.deepEqual(clientViolations({ ...exchanged, received }), [
    'the client cannot read what we send: a response to no request',
  ])
  const cut = exchanged.received.subarray(0, exchanged.received.length - 1)
  assert.deepEqual(clientViolations({ ...exchanged, received: cut }), ['a response has no end'])
})

interface Ended {
  readonly code: number
  readonly out: string
  readonly error: string
}

function fuzz(...args: string[]): Promise<Ended> {
  const file = fileURLToPath(new URL('fuzz.ts', import.meta.url))
  return new Promise((resolve) => {
    execFile(process.execPath, [file, ...args], (failed, out, error) =>
      resolve({ code: typeof failed?.code === 'number' ? failed.code : 0, out, error }),
    )
  })
}

test('the command says what it does, what is wrong with its use, and ends after its count', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-fuzz-'))
  const [help, wrong, few] = await Promise.all([
    fuzz('--help'),
    fuzz('--time', 'long'),
    fuzz('--seed', '5', '--count', '14', '--failures', folder),
  ])
  assert.equal(help.code, 0)
  assert.match(help.out, /--seed N/)
  assert.equal(wrong.code, 2)
  assert.match(wrong.error, /--time takes 30s, 5m or 1h, not long/)
  assert.equal(few.code, 0)
  assert.match(few.error, /14 cases, 0 failures/)
  assert.deepEqual(readdirSync(folder), [])
  rmSync(folder, { recursive: true })
})
