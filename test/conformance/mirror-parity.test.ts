/**
 * Copies of requests: what a real Envoy and Tulle send to the clusters of `request_mirror_policies`, from the same
 * bootstrap file and the same requests, and how they count it.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'

import { eventually } from '../support/eventually.ts'
import { freePort } from '../support/free-port.ts'
import { findEnvoy, skipUnless } from '../support/programs.ts'
import { type OpenProxy, openEnvoy, openTulle } from './parity/open-proxy.ts'
import { sendBytes } from './parity/wire-client.ts'

const envoy = findEnvoy()

interface Ask {
  readonly name: string
  readonly method?: string
  readonly path: string
  readonly host?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** Upstreams that are asked in the end, the main one apart. */
  readonly copies: readonly string[]
}

const big = 'x'.repeat(200_000)

const asks: readonly Ask[] = [
  { name: 'copies of the route', path: '/own/x?q=1', copies: ['h', 'r'] },
  {
    name: 'a copy of a request with a body',
    method: 'POST',
    path: '/own',
    body: 'hello',
    copies: ['h', 'r'],
  },
  { name: 'a copy of the virtual host', path: '/', copies: ['h'] },
  {
    name: 'a copy of a request to a host with a port',
    path: '/',
    host: 'host.test:8080',
    copies: ['h'],
  },
  { name: 'a copy of the table', path: '/', host: 'table.test', copies: ['t'] },
  {
    name: 'a copy after what was forwarded for',
    path: '/',
    headers: { 'x-forwarded-for': '10.0.0.1' },
    copies: ['h'],
  },
  { name: 'a copy of HEAD', method: 'HEAD', path: '/', copies: ['h'] },
  { name: 'a share of none', path: '/never', copies: [] },
  { name: 'a share of all', path: '/always', copies: ['r'] },
  {
    name: 'a cluster named by a header',
    path: '/by-header',
    headers: { 'x-mirror': 't' },
    copies: ['t'],
  },
  { name: 'no header to name the cluster', path: '/by-header', copies: [] },
  { name: 'a cluster that does not exist', path: '/unknown', copies: [] },
  { name: 'a cluster that refuses', path: '/refused', copies: [] },
  { name: 'a breaker that is open', path: '/overflow', copies: [] },
  { name: 'a cluster without hosts', path: '/empty', copies: [] },
  { name: 'no host for the request itself', path: '/no-host', copies: [] },
  { name: 'a request that is refused', path: '/main-refused', copies: ['r'] },
  { name: 'a request that is tried three times', path: '/retried?status=503', copies: ['r'] },
  { name: 'a direct response', path: '/direct', copies: [] },
  {
    name: 'a request that was delayed',
    method: 'POST',
    path: '/delayed',
    body: 'hello',
    copies: ['r'],
  },
  {
    name: 'a body beyond the buffer',
    method: 'POST',
    path: '/own',
    body: big,
    copies: ['h', 'r'],
  },
  { name: 'a copy that is answered with an error', path: '/?status=500', copies: ['h'] },
]

interface Seen {
  readonly upstream: string
  readonly method: string | undefined
  readonly url: string | undefined
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: number
}

interface Run {
  readonly statuses: Map<string, number>
  readonly seen: Map<string, readonly Seen[]>
  stats: readonly string[]
}

describe('copies of requests in Envoy and in Tulle', { skip: skipUnless(envoy, 'envoy') }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-mirror-parity-'))
  const runs: Record<'envoy' | 'tulle', Run> = { envoy: newRun(), tulle: newRun() }
  const servers: Server[] = []
  const seen = new Map<string, Seen[]>()

  before(async () => {
    const ports: Record<string, number> = { REFUSED: await freePort() }
    for (const name of ['a', 'r', 'h', 't']) ports[name.toUpperCase()] = await openRecorder(name)
    const template = readFileSync(new URL('parity/mirrors.yaml', import.meta.url), 'utf8')
    const file = join(folder, 'bootstrap.yaml')
    writeFileSync(
      file,
      template.replaceAll(/\$\{([A-Z]+)\}/g, (whole, name: string) => String(ports[name] ?? whole)),
    )
    await askAll(() => openEnvoy({ file, folder, envoy: envoy ?? '', listeners: 1 }), runs.envoy)
    await askAll(() => openTulle(file), runs.tulle)
  })

  after(() => {
    for (const server of servers) server.close()
    rmSync(folder, { recursive: true })
  })

  async function openRecorder(upstream: string): Promise<number> {
    const server = createServer((request, response) => {
      let body = 0
      request.on('data', (chunk: Buffer) => {
        body += chunk.length
      })
      request.on('end', () => {
        const { method, url, headers } = request
        const name = String(headers['x-case'])
        const all = seen.get(name) ?? []
        seen.set(name, [...all, { upstream, method, url, headers, body }])
        response.statusCode = Number(/status=(\d+)/.exec(url ?? '')?.[1] ?? 200)
        response.end('ok')
      })
    })
    servers.push(server)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  }

  async function askAll(open: () => Promise<OpenProxy>, run: Run): Promise<void> {
    seen.clear()
    await using proxy = await open()
    const port = proxy.ports.get('main') ?? 0
    for (const ask of asks) {
      const isHead = ask.method === 'HEAD'
      const response = await sendBytes({ port, bytes: bytesOf(ask), isHead })
      run.statuses.set(ask.name, response.status)
      await eventually(() => copiesOf(ask.name).length >= ask.copies.length, {
        deadlineMs: 3_000,
      })
      run.seen.set(ask.name, (seen.get(ask.name) ?? []).map(masked).sort(byUpstream))
    }
    run.stats = await settledStats(proxy)
    for (const server of servers) server.closeAllConnections()
  }

  function copiesOf(name: string): readonly Seen[] {
    return (seen.get(name) ?? []).filter(({ upstream }) => upstream !== 'a')
  }

  for (const ask of asks) {
    test(ask.name, () => {
      const { envoy: expected, tulle: actual } = runs
      assert.equal(actual.statuses.get(ask.name), expected.statuses.get(ask.name))
      assert.deepEqual(actual.seen.get(ask.name), expected.seen.get(ask.name))
      const upstreams = (actual.seen.get(ask.name) ?? []).map(({ upstream }) => upstream)
      assert.deepEqual(
        upstreams.filter((name) => name !== 'a'),
        ask.copies,
      )
    })
  }

  test('the clusters count the same', () => {
    assert.deepEqual(runs.tulle.stats, runs.envoy.stats)
    assert.ok(runs.tulle.stats.length > 20)
  })
})

function newRun(): Run {
  return { statuses: new Map(), seen: new Map(), stats: [] }
}

function bytesOf(ask: Ask): string {
  const { method = 'GET', path, host = 'host.test', headers = {}, body } = ask
  const lines = [`${method} ${path} HTTP/1.1`, `host: ${host}`, `x-case: ${ask.name}`]
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`)
  if (body !== undefined) lines.push(`content-length: ${body.length}`)
  return `${lines.join('\r\n')}\r\n\r\n${body ?? ''}`
}

const variable = new Set(['x-request-id', 'x-envoy-expected-rq-timeout-ms', 'connection'])

/** Envoy names the address of its machine where Tulle names that of its listener. */
function masked(seen: Seen): Seen {
  const headers = Object.entries(seen.headers).map(([name, value]): [string, unknown] => {
    if (variable.has(name)) return [name, '*']
    if (name !== 'x-forwarded-for') return [name, value]
    return [name, String(value).replace(/[^,]*$/, '*')]
  })
  return { ...seen, headers: Object.fromEntries(headers.sort(byName)) }
}

function byUpstream(left: Seen, right: Seen): number {
  const attempts = ({ headers }: Seen): string => String(headers['x-envoy-attempt-count'])
  return left.upstream + attempts(left) < right.upstream + attempts(right) ? -1 : 1
}

/** Which counter an open breaker adds to depends on the version of Envoy. */
const counted =
  /^cluster\.(?:r|h|t|empty|refused|overflow)\.(?:upstream_rq_(?:total|completed|\d\d\d|[2-5]xx|rx_reset|tx_reset|timeout|retry)|upstream_cx_none_healthy|upstream_cx_connect_fail): [1-9]/

/** When nothing is under way any more. */
async function settledStats(proxy: OpenProxy): Promise<readonly string[]> {
  await eventually(
    async () => {
      const active = await proxy.admin('/stats?filter=upstream_rq_active$')
      return active.split('\n').every((line) => line === '' || line.endsWith(': 0'))
    },
    { deadlineMs: 3_000 },
  )
  const text = await proxy.admin('/stats?filter=^cluster')
  return text.split('\n').filter((line) => counted.test(line))
}

function byName([left]: readonly [string, unknown], [right]: readonly [string, unknown]): number {
  return left < right ? -1 : 1
}
