/** Whose TTL an answer of the system's resolver has: of the family that it is of. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { DnsConfig } from '../config/cluster-config.ts'
import { type RecordSource, createTtlOf } from './resolver.ts'

/** A server that has such TTLs, in seconds, of each family. */
function server(v4: readonly number[], v6: readonly number[]) {
  const asked: number[] = []
  const answer = (version: number, ttls: readonly number[]): RecordSource['resolve4'] => {
    return (_name, _options, onRecords) => {
      asked.push(version)
      onRecords(
        ttls.length === 0 ? new Error('ENODATA') : null,
        ttls.map((ttl) => ({ ttl })),
      )
    }
  }
  return { asked, source: { resolve4: answer(4, v4), resolve6: answer(6, v6) } }
}

interface Row {
  readonly family: DnsConfig['family']
  readonly v4?: readonly number[]
  readonly v6?: readonly number[]
  readonly ttlMs: number | undefined
  readonly asked: readonly number[]
}

const rows: readonly Row[] = [
  { family: 'v4-only', v4: [30, 20], v6: [5], ttlMs: 20_000, asked: [4] },
  { family: 'v6-only', v4: [5], v6: [30], ttlMs: 30_000, asked: [6] },
  { family: 'v6-only', v4: [5], ttlMs: undefined, asked: [6] },
  { family: 'auto', v4: [5], v6: [30], ttlMs: 30_000, asked: [6] },
  { family: 'auto', v4: [5], ttlMs: 5_000, asked: [6, 4] },
  { family: 'v4-preferred', v4: [30], v6: [5], ttlMs: 30_000, asked: [4] },
  { family: 'v4-preferred', v6: [5], ttlMs: 5_000, asked: [4, 6] },
  { family: 'all', v4: [30], v6: [5], ttlMs: 5_000, asked: [4, 6] },
  { family: 'all', v4: [30], ttlMs: 30_000, asked: [4, 6] },
  { family: 'all', ttlMs: undefined, asked: [4, 6] },
  { family: 'auto', v4: [0], ttlMs: 0, asked: [6, 4] },
]

for (const { family, v4 = [], v6 = [], ttlMs, asked } of rows) {
  test(`${family}: of A ${v4.join(' ') || 'none'} and AAAA ${v6.join(' ') || 'none'} it is ${ttlMs}`, () => {
    const one = server(v4, v6)
    const found: (number | undefined)[] = []
    createTtlOf(() => one.source)('a.test', family, (ms) => found.push(ms))
    assert.deepEqual(found, [ttlMs])
    assert.deepEqual(one.asked, asked)
  })
}
