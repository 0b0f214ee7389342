/** What was good before a restart, and is broken after it. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import type { Log } from '../../lib/log.ts'
import { silentLog } from '../../lib/log.ts'
import { openFileSource } from './file-source.ts'
import { openLastGood } from './last-good.ts'

const entry = (name: string, host: string) =>
  `apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: { name: ${name} }\n` +
  `spec: { hosts: [${host}], ports: [{ number: 80, name: http, protocol: HTTP }], resolution: DNS }\n---\n`

class Place implements Disposable {
  readonly root = mkdtempSync(join(tmpdir(), 'tulle-last-good-'))
  readonly file = join(this.root, 'config.yaml')
  readonly folder = join(this.root, 'kept')

  write(text: string): void {
    writeFileSync(this.file, text)
  }

  /** A process that reads the files, and ends. */
  async start(log: Log = silentLog) {
    const lastGood = openLastGood(this.folder, log)
    await using source = await openFileSource({ paths: [this.file], lastGood })
    const { resources, issues, stale } = source.list()
    const hosts = [...resources.values()].map(
      ({ resource }) => (resource.spec as { readonly hosts: readonly string[] }).hosts[0],
    )
    return { hosts, issues, stale: stale.size }
  }

  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true })
  }
}

test('what is broken at a start comes into force as it was before, and what is good as it is', async () => {
  using place = new Place()
  place.write(entry('a', 'a1.example') + entry('b', 'b1.example'))
  assert.deepEqual(await place.start(), {
    hosts: ['a1.example', 'b1.example'],
    issues: [],
    stale: 0,
  })
  place.write(
    entry('a', 'a2.example') + entry('b', 'b2.example').replace('number: 80', 'number: x'),
  )
  for (const _ of [1, 2]) {
    const { hosts, issues, stale } = await place.start()
    assert.deepEqual([hosts, stale], [['a2.example', 'b1.example'], 1])
    assert.match(
      issues[0]?.message ?? '',
      /; the last good version of this ServiceEntry stays in force$/,
    )
  }
  place.write('spec: [')
  assert.deepEqual((await place.start()).hosts, ['a1.example', 'b1.example'])
  place.write(entry('b', 'b3.example'))
  assert.deepEqual(await place.start(), { hosts: ['b3.example'], issues: [], stale: 0 })
})

test('of a file that is gone nothing is kept', async () => {
  using place = new Place()
  place.write(entry('a', 'a1.example'))
  await place.start()
  const [kept = ''] = readdirSync(place.folder)
  assert.equal(statSync(join(place.folder, kept)).mode & 0o777, 0o600)
  rmSync(place.file)
  await place.start()
  assert.deepEqual(readdirSync(place.folder), [])
  place.write('spec: [')
  assert.deepEqual((await place.start()).hosts, [])
})

test('half of a write, and a folder that cannot be had, keep nothing and stop nobody', async () => {
  using place = new Place()
  place.write(entry('a', 'a1.example'))
  await place.start()
  writeFileSync(join(place.folder, 'half.new'), 'x')
  place.write('spec: [')
  assert.deepEqual((await place.start()).hosts, ['a1.example'])
  assert.equal(readdirSync(place.folder).length, 1)
  rmSync(place.folder, { recursive: true })
  writeFileSync(place.folder, 'a file is in the way')
  const warnings: string[] = []
  place.write(entry('a', 'a2.example'))
  const log: Log = { ...silentLog, warn: (_fields, text) => warnings.push(text ?? '') }
  assert.deepEqual((await place.start(log)).hosts, ['a2.example'])
  assert.deepEqual([...new Set(warnings)], ['last good configuration is not kept'])
})
