/**
 * How connections live and end: the same stories, told to a real Envoy and to Tulle at the same time, must end the same way for
 * the client and for the origin, in the access log, and in the statistics.
 */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'

import { eventually } from '../support/eventually.ts'
import { findEnvoy, skipUnless } from '../support/programs.ts'
import { connectionBootstrap, connectionListeners } from './parity/connection-bootstrap.ts'
import { RawOrigin } from './parity/connection-ends.ts'
import { Http2Origin } from './parity/connection-http2.ts'
import { knownDifferences } from './parity/connection-known.ts'
import { connectionStories } from './parity/connection-stories.ts'
import {
  addLogs,
  logLines,
  playStory,
  type ConnectionStory,
  type PlayedStory,
  type StoryOutcome,
  type StoryPart,
  type Theatre,
} from './parity/connection-story.ts'
import { openEnvoy, openTulle, type OpenProxy } from './parity/open-proxy.ts'

const envoy = findEnvoy()

/** Stages beside each other: most of a story is waiting. */
const stages = 4

/** More than Tulle and Envoy keep lines of their logs. */
const stillMs = 600
/** More than that is no accident. */
const unlikeMax = 8

interface Both<T> {
  readonly envoy: T
  readonly tulle: T
}

describe('connections in Envoy and in Tulle', { skip: skipUnless(envoy, 'envoy') }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-connections-'))
  const stack = new AsyncDisposableStack()
  const outcomes = new Map<ConnectionStory, Both<StoryOutcome>>()

  before(async () => {
    const rest = connectionStories.values()
    const names = Array.from({ length: stages }, (_, index) => String(index))
    await Promise.all(names.map((name) => playAll(name, rest)))
    // A difference that a story alone does not show was one of the machine's load.
    const unlike = [...outcomes].flatMap(([story, both]) => (isAlike(story, both) ? [] : story))
    if (unlike.length !== 0 && unlike.length <= unlikeMax) await playAll('again', unlike.values())
  })

  after(async () => {
    await stack.disposeAsync()
    rmSync(folder, { recursive: true })
  })

  async function playAll(name: string, rest: Iterable<ConnectionStory>): Promise<void> {
    const own = join(folder, name)
    const openIt = (file: string): Promise<OpenProxy> => {
      const listeners = connectionListeners.length
      return openEnvoy({ envoy: envoy ?? '', file, folder: dirname(file), listeners })
    }
    const theatres = {
      envoy: await build(`${own}-e`, openIt),
      tulle: await build(`${own}-t`, openTulle),
    }
    const played = new Map<ConnectionStory, Both<PlayedStory>>()
    for (const story of rest) {
      const [one, other] = await Promise.all([
        playStory(story, theatres.envoy),
        playStory(story, theatres.tulle),
      ])
      played.set(story, { envoy: one, tulle: other })
    }
    await logsOf(theatres)
    const all = [...played.values()]
    const expected = addLogs(
      all.map((one) => one.envoy),
      theatres.envoy.log,
    )
    const actual = addLogs(
      all.map((one) => one.tulle),
      theatres.tulle.log,
    )
    for (const [story, one] of played) {
      const both = { envoy: expected.get(one.envoy), tulle: actual.get(one.tulle) }
      assert.ok(both.envoy !== undefined && both.tulle !== undefined)
      outcomes.set(story, { envoy: both.envoy, tulle: both.tulle })
    }
  }

  async function build(path: string, open: (file: string) => Promise<OpenProxy>): Promise<Theatre> {
    mkdirSync(path)
    const one = stack.use(new RawOrigin())
    const two = stack.use(new Http2Origin())
    const log = join(path, 'access.log')
    const file = join(path, 'bootstrap.json')
    const ports = { http1: await one.listen(), http2: await two.listen() }
    writeFileSync(log, '')
    writeFileSync(file, connectionBootstrap({ ...ports, log }))
    return { proxy: stack.use(await open(file)), one, two, log }
  }

  for (const story of connectionStories) {
    test(story.name, () => {
      const both = outcomes.get(story)
      assert.ok(both !== undefined)
      assert.deepEqual(comparable(story, both.tulle), comparable(story, both.envoy))
    })
  }
})

function isAlike(story: ConnectionStory, both: Both<StoryOutcome>): boolean {
  return isDeepStrictEqual(comparable(story, both.tulle), comparable(story, both.envoy))
}

/** The proxies write their logs when they like. */
async function logsOf({ envoy: one, tulle }: Both<Theatre>): Promise<void> {
  let seen = 0
  let sinceMs = performance.now()
  const isStill = (): boolean => {
    const lines = logLines(one.log) + logLines(tulle.log)
    if (lines !== seen) sinceMs = performance.now()
    seen = lines
    return performance.now() - sinceMs > stillMs
  }
  await eventually(isStill, { deadlineMs: 10_000 })
}

/** Without what is known to differ. */
function comparable(story: ConnectionStory, outcome: StoryOutcome): Partial<StoryOutcome> {
  const known = knownDifferences.filter(({ stories }) => stories.test(story.name))
  const isKnown = (part: StoryPart): boolean => known.some(({ parts }) => parts.includes(part))
  const uncounted = known.flatMap(({ stats = [] }) => stats)
  const stats = outcome.stats.filter((line) => !uncounted.some((names) => names.test(line)))
  const parts = Object.entries({ ...outcome, stats }) as [StoryPart, readonly string[]][]
  return Object.fromEntries(parts.filter(([part]) => part in partsOrder && !isKnown(part)))
}

const partsOrder: Readonly<Record<StoryPart, true>> = {
  client: true,
  origin: true,
  log: true,
  stats: true,
}
