/** The files of control groups as the two versions write them. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'

import { readCgroupMemory } from './cgroup-memory.ts'
import { readPressure } from './read-pressure.ts'

const used1 = 'memory/memory.usage_in_bytes'
const limit1 = 'memory/memory.limit_in_bytes'

for (const [name, files, expected] of [
  [
    'version 2',
    { 'memory.current': '50\n', 'memory.max': '200\n' },
    { usedBytes: 50, limitBytes: 200 },
  ],
  [
    'version 2 without a limit',
    { 'memory.current': '50\n', 'memory.max': 'max\n' },
    { usedBytes: 50, limitBytes: undefined },
  ],
  ['version 1', { [used1]: '50\n', [limit1]: '100\n' }, { usedBytes: 50, limitBytes: 100 }],
  [
    'version 1 without a limit',
    { [used1]: '50\n', [limit1]: '-1\n' },
    { usedBytes: 50, limitBytes: undefined },
  ],
  ['no control group', {}, /no control group of memory/],
  ['no number', { 'memory.current': 'x\n', 'memory.max': '1\n' }, /memory.current: expected a/],
  ['an empty file', { 'memory.current': '1\n', 'memory.max': '' }, /memory.max: expected a/],
  ['one file of two', { [used1]: '50\n' }, /ENOENT.*limit_in_bytes/],
] as const) {
  test(name, () => {
    const folder = mkdtempSync(join(tmpdir(), 'tulle-cgroup-'))
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true })
      writeFileSync(join(folder, path), text)
    }
    const memory = readCgroupMemory(folder)
    if (expected instanceof RegExp) {
      assert.ok(typeof memory === 'string')
      assert.match(memory, expected)
    } else assert.deepEqual(memory, expected)
    rmSync(folder, { recursive: true })
  })
}

test('pressure is the share of the given limit, else of the group’s own, else none', () => {
  const pressure = (limitBytes: number | undefined, bytesMax: number | undefined) =>
    readPressure(
      { kind: 'cgroup-memory', name: 'm', bytesMax },
      {
        gauges: {
          heap: () => ({ usedBytes: 0, limitBytes: 1 }),
          residentBytes: () => 0,
          cgroupMemory: () => ({ usedBytes: 50, limitBytes }),
        },
        bufferedBytes: 0,
        bufferedBytesMax: 1,
        lateMs: 0,
      },
    )
  assert.deepEqual(
    [pressure(200, undefined), pressure(200, 100), pressure(undefined, undefined)],
    [0.25, 0.5, 0],
  )
})
