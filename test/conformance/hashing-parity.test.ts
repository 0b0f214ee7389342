/**
 * Hashing, key by key: the same bootstrap file, run by a real Envoy and by Tulle, sends the same requests to the same
 * endpoints. Nobody listens at the endpoints: the access log says which one was chosen.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'

import { eventually } from '../support/eventually.ts'
import { findEnvoy, skipUnless } from '../support/programs.ts'
import { inParallel } from './parity/answer.ts'
import { type HashingRequest, hashingBootstrap, hashingStories } from './parity/hashing-stories.ts'
import { type OpenProxy, openEnvoy, openTulle } from './parity/open-proxy.ts'
import { type Upstream, openUpstream } from './parity/upstream.ts'

const envoy = findEnvoy()

interface Sent {
  readonly name: string
  readonly request: HashingRequest
}

const requests: readonly Sent[] = hashingStories.flatMap(({ requests: list }, story) =>
  list.map((one, index) => ({ name: `${story}/${index}`, request: one })),
)

interface Run {
  /** Endpoint by request. */
  readonly hosts: Map<string, string>
  readonly cookies: Map<string, readonly string[]>
}

describe('hashing in Envoy and in Tulle', { skip: skipUnless(envoy, 'envoy') }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-hashing-'))
  let upstream: Upstream
  const runs = { envoy: newRun(), tulle: newRun() }

  before(async () => {
    const file = join(folder, 'bootstrap.yaml')
    upstream = await openUpstream('a')
    writeFileSync(file, hashingBootstrap(join(folder, 'access.log'), upstream.port))
    const open = () => openEnvoy({ file, folder, envoy: envoy ?? '', listeners: 1 })
    await sendAll(open, runs.envoy)
    await sendAll(() => openTulle(file), runs.tulle)
  })

  after(async () => {
    await upstream[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true })
  })

  async function sendAll(open: () => Promise<OpenProxy>, run: Run): Promise<void> {
    const log = join(folder, 'access.log')
    writeFileSync(log, '')
    await using proxy = await open()
    const agent = new Agent({ keepAlive: true })
    const port = proxy.ports.get('main') ?? 0
    await inParallel(requests, async (sent) => {
      run.cookies.set(sent.name, await send({ port, agent, sent }))
    })
    agent.destroy()
    const lines = await eventually(
      () => {
        const found = readFileSync(log, 'utf8').trim().split('\n')
        return found.length === requests.length ? found : undefined
      },
      { deadlineMs: 5_000 },
    )
    for (const line of lines) {
      const [name = '', host = ''] = line.split(' ')
      run.hosts.set(name, host)
    }
  }

  for (const [story, one] of hashingStories.entries()) {
    const { name, requests: list, isRandom = false, isOne = false, answers = false } = one
    test(name, () => {
      const of = ({ hosts }: Run) => list.map((_, index) => hosts.get(`${story}/${index}`))
      const expected = of(runs.envoy)
      if (isOne) assert.equal(new Set(expected).size, 1)
      else if (!answers) assert.ok(new Set(expected).size > 1, 'several endpoints are used')
      if (!isRandom) assert.deepEqual(of(runs.tulle), expected)
    })
  }

  test('a cookie with a life is made where there is none, with the same attributes', () => {
    const withCookie = [...runs.envoy.cookies].filter(([, cookies]) => cookies.length > 0)
    assert.ok(withCookie.length > 0)
    for (const [name, cookies] of runs.envoy.cookies) {
      assert.deepEqual(shapes(runs.tulle.cookies.get(name)), shapes(cookies), name)
    }
  })
})

/** The value depends on the connection's port. */
function shapes(cookies: readonly string[] | undefined): readonly string[] | undefined {
  return cookies?.map((cookie) => cookie.replace(/"[0-9a-f]{16}"/, '"…"'))
}

function newRun(): Run {
  return { hosts: new Map(), cookies: new Map() }
}

interface ToSend {
  readonly port: number
  readonly agent: Agent
  readonly sent: Sent
}

/** Sends one request, and gives the cookies of its answer. */
function send({ port, agent, sent }: ToSend): Promise<readonly string[]> {
  const { path, headers = {} } = sent.request
  return new Promise((resolve, reject) => {
    const one = request({
      port,
      agent,
      path,
      host: '127.0.0.1',
      headers: { ...headers, 'x-name': sent.name },
    })
    one.on('error', reject)
    one.on('response', (response) => {
      response.resume()
      response.on('end', () => resolve(response.headers['set-cookie'] ?? []))
    })
    one.end()
  })
}
