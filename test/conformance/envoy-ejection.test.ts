/**
 * The same answers, bad and good, make a real Envoy and Tulle retry and eject alike.
 *
 * Each story has a cluster of its own and a list of requests, sent one after the other, first to Envoy and then to Tulle.
 * Compared are the statuses, the health of each endpoint in the admin's `/clusters` after each request, and the cluster's
 * counters in the end.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'

import { eventually } from '../support/eventually.ts'
import { freePort } from '../support/free-port.ts'
import { findEnvoy, skipUnless } from '../support/programs.ts'
import {
  type EjectionStory,
  ejectionBootstrap,
  ejectionStories,
} from './parity/ejection-stories.ts'
import { type OpenProxy, openEnvoy, openTulle } from './parity/open-proxy.ts'
import { type Upstream, openUpstream } from './parity/upstream.ts'
import { sendBytes } from './parity/wire-client.ts'

const envoy = findEnvoy()

interface Told {
  /** One entry for each request: its status, and the endpoints that are out after it. */
  readonly steps: readonly string[]
  readonly counters: Readonly<Record<string, number>>
  /** Lines of the event log, without when and where. */
  events: readonly string[]
}

describe(
  'retries and ejections in Envoy and in Tulle',
  {
    skip: skipUnless(envoy, 'envoy'),
  },
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'tulle-ejection-'))
    const told = { envoy: new Map<string, Told>(), tulle: new Map<string, Told>() }
    let upstream: Upstream

    before(async () => {
      upstream = await openUpstream('a')
      const file = join(folder, 'bootstrap.yaml')
      const refused = await freePort()
      const log = join(folder, 'events.log')
      writeFileSync(file, ejectionBootstrap({ answering: upstream.port, refused }, log))
      const names = new Map([
        [`127.0.0.1:${upstream.port}`, 'answering'],
        [`127.0.0.1:${refused}`, 'refused'],
      ])
      const open = () => openEnvoy({ envoy: envoy ?? '', file, folder, listeners: 1 })
      await tellAll(open, { names, log, into: told.envoy })
      upstream.reset()
      await tellAll(() => openTulle(file), { names, log, into: told.tulle })
    })

    after(async () => {
      await upstream[Symbol.asyncDispose]()
      rmSync(folder, { recursive: true })
    })

    for (const story of ejectionStories) {
      test(story.name, () => {
        const expected = told.envoy.get(story.name)
        const actual = told.tulle.get(story.name)
        assert.ok(expected)
        assert.ok(actual)
        assert.deepEqual(inOrder(actual, story), inOrder(expected, story))
        assert.deepEqual(expected.steps.some(isOut), story.ejects)
        if (story.ejects) assert.notEqual(expected.events.length, 0)
      })
    }
  },
)

function isOut(step: string): boolean {
  return step.includes('out:')
}

/** Which of several endpoints is first is chance; what it does to the whole is not. */
function inOrder(one: Told, story: EjectionStory): Told {
  if (story.isInAnyOrder !== true) return one
  return { ...one, steps: one.steps.toSorted(), events: one.events.toSorted() }
}

interface Listener {
  readonly log: string
  readonly names: ReadonlyMap<string, string>
  readonly into: Map<string, Told>
}

async function tellAll(
  open: () => Promise<OpenProxy>,
  { names, log, into }: Listener,
): Promise<void> {
  writeFileSync(log, '')
  {
    await using proxy = await open()
    for (const story of ejectionStories) into.set(story.name, await tell(story, proxy, names))
  }
  // Whole when the proxy has ended.
  for (const story of ejectionStories) {
    const one = into.get(story.name)
    if (one !== undefined) one.events = eventsOf(story.cluster, { log, names })
  }
}

function eventsOf(
  cluster: string,
  { log, names }: Pick<Listener, 'log' | 'names'>,
): readonly string[] {
  return readFileSync(log, 'utf8')
    .split('\n')
    .flatMap((line) => {
      if (!line.includes(`"cluster_name":"${cluster}"`)) return []
      const event = JSON.parse(line)
      const { timestamp: _, secs_since_last_action: seconds, upstream_url: url, ...rest } = event
      return [JSON.stringify({ ...rest, host: names.get(url), hasBefore: seconds !== undefined })]
    })
}

async function tell(
  story: EjectionStory,
  proxy: OpenProxy,
  names: ReadonlyMap<string, string>,
): Promise<Told> {
  const steps: string[] = []
  const port = proxy.ports.get('all') ?? 0
  for (const ask of story.requests) {
    const bytes = `GET /${story.cluster}?${ask} HTTP/1.1\r\nhost: app.test\r\nx-case: ${story.cluster}\r\n${story.headers ?? ''}connection: close\r\n\r\n`
    const { status } = await sendBytes({ port, bytes })
    const out = await ejectedOf(story.cluster, proxy, names)
    steps.push(story.isInAnyOrder === true ? String(status) : `${status}${out}`)
  }
  steps.push(`end${await ejectedOf(story.cluster, proxy, names)}`)
  if (story.comesBack === true) {
    await eventually(async () => (await ejectedOf(story.cluster, proxy, names)) === '')
    steps.push('came back')
  }
  return { steps, counters: await countersOf(story.cluster, proxy), events: [] }
}

/** ` out: NAMES` of the endpoints that outlier detection has put out, or nothing. */
async function ejectedOf(
  cluster: string,
  proxy: OpenProxy,
  names: ReadonlyMap<string, string>,
): Promise<string> {
  const text = await proxy.admin('/clusters')
  const out: string[] = []
  for (const line of text.split('\n')) {
    const [name, address, field, value] = line.split('::')
    if (name !== cluster || field !== 'health_flags') continue
    if (value?.includes('/failed_outlier_check') === true) out.push(names.get(address ?? '') ?? '?')
  }
  return out.length === 0 ? '' : ` out: ${out.sort().join(',')}`
}

const compared = [
  'upstream_rq_total',
  'upstream_rq_retry',
  'upstream_rq_retry_success',
  'upstream_rq_retry_limit_exceeded',
  'upstream_rq_retry_overflow',
  'upstream_rq_timeout',
  'upstream_rq_per_try_timeout',
  'upstream_rq_2xx',
  'upstream_rq_5xx',
  'upstream_cx_connect_fail',
  'upstream_cx_none_healthy',
  'membership_healthy',
  'outlier_detection.ejections_active',
  'outlier_detection.ejections_enforced_total',
  'outlier_detection.ejections_overflow',
  'outlier_detection.ejections_total',
  'outlier_detection.ejections_consecutive_5xx',
  'outlier_detection.ejections_success_rate',
  'outlier_detection.ejections_detected_consecutive_5xx',
  'outlier_detection.ejections_enforced_consecutive_5xx',
  'outlier_detection.ejections_detected_consecutive_gateway_failure',
  'outlier_detection.ejections_enforced_consecutive_gateway_failure',
  'outlier_detection.ejections_detected_consecutive_local_origin_failure',
  'outlier_detection.ejections_enforced_consecutive_local_origin_failure',
] as const

async function countersOf(
  cluster: string,
  proxy: OpenProxy,
): Promise<Readonly<Record<string, number>>> {
  const text = await proxy.admin(`/stats?filter=${encodeURIComponent(`^cluster\\.${cluster}\\.`)}`)
  const values = new Map(
    text.split('\n').map((line) => {
      const [name = '', value = ''] = line.split(': ')
      return [name, Number(value)] as const
    }),
  )
  return Object.fromEntries(
    compared.map((name) => [name, values.get(`cluster.${cluster}.${name}`) ?? 0]),
  )
}
