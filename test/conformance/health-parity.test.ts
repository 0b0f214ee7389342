/**
 * The same answers to health checks make a real Envoy and Tulle think alike of an endpoint.
 *
 * Each story has a cluster and an endpoint of its own. Compared are what the endpoint was asked, the lines of the event log
 * in their order, and the flags of the endpoint in the admin's `/clusters` when all has been said.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'

import { eventually } from '../support/eventually.ts'
import { findEnvoy, skipUnless } from '../support/programs.ts'
import { type HealthStory, healthBootstrap, healthStories } from './parity/health-stories.ts'
import { type HealthUpstream, openHealthUpstream } from './parity/health-upstream.ts'
import { type OpenProxy, openEnvoy, openTulle } from './parity/open-proxy.ts'
import { sendBytes } from './parity/wire-client.ts'

const envoy = findEnvoy()

interface Told {
  readonly asked: string
  readonly events: readonly string[]
  readonly flags: string
}

describe('health checks of Envoy and of Tulle', { skip: skipUnless(envoy, 'envoy') }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-health-'))
  const told = { envoy: new Map<string, Told>(), tulle: new Map<string, Told>() }

  before(async () => {
    const file = join(folder, 'envoy.yaml')
    const open = () => openEnvoy({ envoy: envoy ?? '', file, folder, listeners: 1 })
    await tellAll({ file, log: join(folder, 'envoy.log'), open, into: told.envoy })
    const ours = join(folder, 'tulle.yaml')
    await tellAll({
      file: ours,
      log: join(folder, 'tulle.log'),
      open: () => openTulle(ours),
      into: told.tulle,
    })
  })

  after(() => rmSync(folder, { recursive: true }))

  for (const story of healthStories) {
    test(story.name, () => {
      const expected = told.envoy.get(story.name)
      assert.ok(expected)
      assert.deepEqual(told.tulle.get(story.name), expected)
      assert.equal(expected.flags, story.flags)
      assert.equal(expected.events.length, story.events)
    })
  }
})

interface Telling {
  readonly file: string
  readonly log: string
  readonly open: () => Promise<OpenProxy>
  readonly into: Map<string, Told>
}

async function tellAll({ file, log, open, into }: Telling): Promise<void> {
  const upstreams = new Map<string, HealthUpstream>()
  await using all = new AsyncDisposableStack()
  for (const story of healthStories) {
    upstreams.set(story.cluster, all.use(await openHealthUpstream(story)))
  }
  const ports = new Map([...upstreams].map(([cluster, { port }]) => [cluster, port]))
  writeFileSync(log, '')
  writeFileSync(file, healthBootstrap(ports, log))
  const proxy = all.use(await open())
  await Promise.all(
    healthStories.map(async (story) => {
      const { events, flags } = await tell(story, proxy, log)
      const port = String(ports.get(story.cluster))
      const asked = (upstreams.get(story.cluster)?.asked() ?? '').replaceAll(port, 'PORT')
      into.set(story.name, { asked, events, flags })
    }),
  )
}

async function tell(
  story: HealthStory,
  proxy: OpenProxy,
  log: string,
): Promise<Omit<Told, 'asked'>> {
  const { cluster, requestAfter } = story
  const waitFor = (count: number) =>
    eventually(
      () => {
        const lines = eventsOf(cluster, log)
        return lines.length >= count ? { lines } : undefined
      },
      { deadlineMs: 20_000 },
    )
  if (requestAfter !== undefined) {
    await waitFor(requestAfter)
    const bytes = `GET /${cluster} HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\r\n`
    await sendBytes({ port: proxy.ports.get('all') ?? 0, bytes })
    // How many checks passed before the request is chance.
    await eventually(() => eventsOf(cluster, log).some((line) => line.includes('PASSIVE')), {
      deadlineMs: 20_000,
    })
    const from = eventsOf(cluster, log).findIndex((line) => line.includes('PASSIVE'))
    const { lines } = await waitFor(from + 4)
    const head = lines.slice(0, 2)
    return { events: [...head, ...lines.slice(from, from + 4)], flags: await end(story, proxy) }
  }
  const { lines } = await waitFor(story.events)
  return { events: lines.slice(0, story.events), flags: await end(story, proxy) }
}

/** The flags when they are what the answers lead to; or what they are instead. */
async function end(story: HealthStory, proxy: OpenProxy): Promise<string> {
  let last = ''
  const isThere = async (): Promise<boolean> => {
    last = flagsOf(story.cluster, await proxy.admin('/clusters'))
    return last === story.flags
  }
  await eventually(isThere, { deadlineMs: 10_000 }).catch(() => {})
  return last
}

function flagsOf(cluster: string, text: string): string {
  for (const line of text.split('\n')) {
    const [name, , field, value] = line.split('::')
    if (name === cluster && field === 'health_flags') return value ?? ''
  }
  return ''
}

/** Without when and where. */
function eventsOf(cluster: string, log: string): readonly string[] {
  const lines = readFileSync(log, 'utf8').split('\n')
  return lines.flatMap((line) => {
    if (!line.endsWith('}') || !line.includes(`"cluster_name":"${cluster}"`)) return []
    const { timestamp: _timestamp, ...event } = JSON.parse(line)
    return [JSON.stringify(event).replaceAll(/"port_value":\d+/g, '"port_value":0')]
  })
}
