/** What the response parser reads in literal bytes, and that no split of them changes it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { responseCases, type ResponseCase } from '../../../test/support/http1-response-cases.ts'
import { HeaderNames } from './header-names.ts'
import type { Refusal } from './refusal.ts'
import { ResponseParser } from './response-parser.ts'

/** What was read, in the words of the table. */
function read(row: ResponseCase, pieces: readonly Buffer[]): Refusal | readonly string[] {
  const seen: string[] = []
  let refusal: Refusal | undefined
  let status = 0
  let body = ''
  let isWhole = false
  const parser = new ResponseParser(
    {
      names: new HeaderNames(),
      limits: { headBytesMax: 8192, headersCountMax: 100 },
      keepsTrailers: true,
    },
    {
      onInformational: (head) => seen.push(String(head.status)),
      onResponseHead: (head) => {
        status = head.status
      },
      onBody: (chunk) => {
        body += Buffer.from(chunk).toString('latin1')
      },
      onBodyEnd: () => {
        isWhole = true
        parser.markEnded()
      },
      onRefused: (reason) => {
        refusal = reason
      },
    },
  )
  parser.expect(row.method ?? 'GET', row.upgrade)
  let hasMore = false
  for (const piece of pieces) {
    if (refusal !== undefined) break
    if (parser.state === 'ended') hasMore = true
    else if (parser.feed(piece, 0) < piece.length) hasMore = true
  }
  if (row.ends === true && refusal === undefined) parser.endOfInput()
  return refusal ?? verdict()

  function verdict(): readonly string[] {
    if (status !== 0) seen.push(`${status} [${body}]`)
    if (!isWhole) return [...seen, 'incomplete']
    if (hasMore) return [...seen, 'more']
    return [...seen, parser.keepsAlive ? 'reuse' : 'close']
  }
}

for (const row of responseCases) {
  test(`response: ${row.name}`, () => {
    const bytes = Buffer.from(row.sent, 'latin1')
    assert.deepEqual(read(row, bytes.length === 0 ? [] : [bytes]), row.expected)
    const splits = bytes.length > 2000 ? [1, 7, bytes.length >> 1] : bytes.keys()
    for (const at of splits) {
      if (at === 0) continue
      const pieces = [bytes.subarray(0, at), bytes.subarray(at)]
      assert.deepEqual(read(row, pieces), row.expected, `split at ${at}`)
    }
    const single = Array.from(bytes, (octet) => Buffer.of(octet))
    assert.deepEqual(read(row, single), row.expected, 'byte by byte')
  })
}
