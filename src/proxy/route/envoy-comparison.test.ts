/**
 * The same route table in a real Envoy and in ours, and the same requests to both: who answers, with which status, and
 * what an upstream would see. Envoy is the oracle; its answers are recorded, so that ours are held to them everywhere.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type Server, createServer, request as httpRequest } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'

import { messageOf } from '../../../test/support/envoy-message.ts'
import { eventually } from '../../../test/support/eventually.ts'
import { findEnvoy, skipUnless } from '../../../test/support/programs.ts'
import { unreachable } from '../../lib/assert.ts'
import { seededRandom } from '../../lib/random.ts'
import { RouteConfiguration } from '../../xds/proto/generated/envoy/config/route/v3/route.ts'
import { typeUrls } from '../../xds/resource-set.ts'
import { HeaderList } from '../http/header-list.ts'
import type { RequestHead } from '../http/message.ts'
import { compileRouteConfiguration } from './compile-route-configuration.ts'
import type { ForwardAction, PickedCluster, Route, RouteTable } from './route-table.ts'
import { comparisonRequests, comparisonRoutes } from './testdata/comparison.ts'
import type { ComparisonRequest } from './testdata/comparison.ts'

const envoy = findEnvoy()
const skip = skipUnless(envoy, 'envoy')

interface Seen {
  readonly status: number
  readonly body: string
  readonly location: string | undefined
  /** What the upstream saw, or the headers of a local reply: `x-seen-…` and `x-out-…`. */
  readonly fields: Readonly<Record<string, string>>
}

let folder = ''
let child: ChildProcess | undefined
let port = 0
let echo: Server | undefined

before(async () => {
  if (envoy === undefined) return
  folder = mkdtempSync(join(tmpdir(), 'tulle-route-'))
  echo = createEcho()
  echo.listen(join(folder, 'echo'))
  writeFileSync(join(folder, 'envoy.json'), JSON.stringify(bootstrap()))
  const args = ['-c', join(folder, 'envoy.json'), '--use-dynamic-base-id', '--log-level', 'warning']
  const adminPath = join(folder, 'admin')
  child = spawn(envoy, [...args, '--concurrency', '1', '--admin-address-path', adminPath], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  port = await eventually(() => listenerPort(adminPath), { deadlineMs: 20_000, intervalMs: 100 })
})

after(() => {
  child?.kill('SIGKILL')
  echo?.closeAllConnections()
  echo?.close()
  if (folder !== '') rmSync(folder, { recursive: true })
})

/** What Envoy answered when it was last asked; `UPDATE_GOLDEN=1` asks again. */
const golden = join(import.meta.dirname, 'testdata', 'comparison-envoy.json')

test('Envoy decides as it did when its answers were recorded', { skip }, async () => {
  const answers: Seen[] = []
  for (const request of comparisonRequests) answers.push(await askEnvoy(request))
  if (process.env['UPDATE_GOLDEN'] === '1') {
    writeFileSync(golden, `[\n${answers.map((one) => JSON.stringify(one)).join(',\n')}\n]\n`)
  }
  assert.deepEqual(answers.map(showSeen), recordedAnswers().map(showSeen))
})

test('our table decides every request as Envoy does', () => {
  const message = messageOf(typeUrls.route, RouteConfiguration, comparisonRoutes)
  const table = compileRouteConfiguration(message, { random: seededRandom(1) })
  assert.ok(table.ok, table.ok ? '' : table.reasons.join('\n'))
  const recorded = recordedAnswers()
  assert.equal(recorded.length, comparisonRequests.length)
  const differences = comparisonRequests.flatMap((request, index) => {
    const theirs = showSeen(recorded[index])
    const ours = showSeen(askTable(table.value, request))
    return theirs === ours ? [] : [`${JSON.stringify(request)}\n  envoy ${theirs}\n  ours  ${ours}`]
  })
  assert.equal(differences.length, 0, differences.join('\n'))
})

function recordedAnswers(): readonly Seen[] {
  return JSON.parse(readFileSync(golden, 'utf8')) as Seen[] // written by the test above
}

function showSeen(seen: Seen | undefined): string {
  return JSON.stringify(seen)
}

const nobody: Seen = { status: 503, body: '', location: undefined, fields: {} }

function askTable(table: RouteTable, request: ComparisonRequest): Seen {
  const head = headOf(request)
  const found = table.match(head)
  if (found === undefined) return { status: 404, body: '', location: undefined, fields: {} }
  const { action } = found.route
  switch (action.kind) {
    case 'direct':
      return reply(found.route, head, {
        status: action.status,
        body: Buffer.from(action.body).toString(),
      })
    case 'redirect':
      return reply(found.route, head, action.redirect(head))
    case 'forward':
    case 'connect':
      return forward(found.route, action.forward, head)
    default:
      return unreachable(action)
  }
}

interface LocalReply {
  readonly status: number
  readonly body?: string
  readonly location?: string
}

function reply(route: Route, head: RequestHead, local: LocalReply): Seen {
  const headers = new HeaderList()
  route.editResponse?.(headers, head)
  const { status, body = '', location } = local
  return { status, body, location, fields: pickFields(headers) }
}

/** What the exchange does with a route, as far as the upstream can see it. */
function forward(route: Route, action: ForwardAction, head: RequestHead): Seen {
  const picked = action.pickCluster(seededRandom(1), head)
  if (picked.cluster !== 'echo') return nobody
  picked.editRequest?.(head.headers, head)
  route.editRequest?.(head.headers, head)
  const headers = new HeaderList()
  headers.append('x-seen-path', action.rewritePath?.(head.path) ?? head.path)
  headers.append('x-seen-authority', rewrittenAuthority(picked, action, head))
  const seen = head.headers.getAll('x-test')
  if (seen !== undefined) headers.append('x-seen-test', seen)
  picked.editResponse?.(headers, head)
  route.editResponse?.(headers, head)
  return { status: 200, body: 'echo', location: undefined, fields: pickFields(headers) }
}

function rewrittenAuthority(
  picked: PickedCluster,
  action: ForwardAction,
  head: RequestHead,
): string {
  const ofRoute = action.rewriteAuthorityFrom?.(head) ?? action.rewriteAuthority
  return picked.rewriteAuthority ?? ofRoute ?? head.authority
}

function headOf(request: ComparisonRequest): RequestHead {
  const headers = new HeaderList()
  for (const [name, value] of request.headers ?? []) headers.append(name.toLowerCase(), value)
  return {
    method: request.method ?? 'GET',
    path: request.path,
    authority: (request.host ?? 'plain.test').toLowerCase(),
    scheme: 'http',
    protocol: 'HTTP/1.1',
    headers,
    bodyLength: 0,
    upgrade: undefined,
    wantsClose: false,
  }
}

function pickFields(headers: HeaderList): Readonly<Record<string, string>> {
  const fields: Record<string, string> = {}
  for (const name of ['x-out-a', 'x-out-b', 'x-seen-authority', 'x-seen-path', 'x-seen-test']) {
    const value = headers.getAll(name)
    if (value !== undefined) fields[name] = value
  }
  return fields
}

function askEnvoy(request: ComparisonRequest): Promise<Seen> {
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest(
      {
        port,
        host: '127.0.0.1',
        method: request.method ?? 'GET',
        path: request.path,
        setHost: false,
        headers: [
          'Host',
          request.host ?? 'plain.test',
          ...(request.headers ?? []).flatMap(([name, value]) => [name, value]),
        ],
        agent: false,
      },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () => {
          const headers = new HeaderList()
          const raw = response.rawHeaders
          for (let index = 0; index < raw.length; index += 2) {
            headers.append((raw[index] ?? '').toLowerCase(), raw[index + 1] ?? '')
          }
          const status = response.statusCode ?? 0
          resolve({
            status,
            // To a gRPC client Envoy says it in a header.
            body:
              status === 503
                ? ''
                : (headers.get('grpc-message') ?? Buffer.concat(chunks).toString()),
            location: headers.get('location'),
            fields: status === 503 ? {} : pickFields(headers),
          })
        })
      },
    )
    outgoing.on('error', reject)
    outgoing.end()
  })
}

/** The upstream: says what reached it. */
function createEcho(): Server {
  return createServer((request, response) => {
    response.setHeader('x-seen-path', request.url ?? '')
    response.setHeader('x-seen-authority', request.headers.host ?? '')
    const { rawHeaders } = request
    const values = rawHeaders.filter(
      (_value, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === 'x-test',
    )
    if (values.length > 0) response.setHeader('x-seen-test', values.join(','))
    response.end('echo')
  })
}

async function listenerPort(adminPath: string): Promise<number | undefined> {
  const address = readFileSync(adminPath, 'utf8')
  const response = await fetch(`http://${address}/listeners?format=json`)
  const text = await response.text()
  const listed = JSON.parse(text) as {
    listener_statuses?: readonly {
      readonly name: string
      readonly local_address: { readonly socket_address: { readonly port_value: number } }
    }[]
  }
  const found = listed.listener_statuses?.find((status) => status.name === 'front')
  return found?.local_address.socket_address.port_value
}

function bootstrap(): object {
  const loopback = { socket_address: { address: '127.0.0.1', port_value: 0 } }
  const pipe = { pipe: { path: join(folder, 'echo') } }
  return {
    admin: { address: loopback },
    static_resources: {
      listeners: [listener('front', loopback, { ...comparisonRoutes, validate_clusters: false })],
      clusters: [
        {
          name: 'echo',
          load_assignment: {
            cluster_name: 'echo',
            endpoints: [{ lb_endpoints: [{ endpoint: { address: pipe } }] }],
          },
        },
      ],
    },
  }
}

function listener(name: string, address: object, routes: object): object {
  const filters = 'type.googleapis.com/envoy.extensions.filters'
  return {
    name,
    address,
    filter_chains: [
      {
        filters: [
          {
            name: 'hcm',
            typed_config: {
              '@type': `${filters}.network.http_connection_manager.v3.HttpConnectionManager`,
              stat_prefix: name,
              http_filters: [
                {
                  name: 'router',
                  typed_config: { '@type': `${filters}.http.router.v3.Router` },
                },
              ],
              route_config: routes,
            },
          },
        ],
      },
    ],
  }
}
