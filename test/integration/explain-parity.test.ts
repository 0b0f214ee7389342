/**
 * What is explained is what a sidecar does: random VirtualServices, translated once, in a running sidecar; random
 * requests, each explained from the same resources and then sent; and the two answers side by side.
 */
import assert from 'node:assert/strict'
import { createServer, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, suite, test } from 'node:test'

import {
  array,
  constantFrom,
  nat,
  oneof,
  option,
  record,
  sample,
  tuple,
  type Arbitrary,
} from 'fast-check'

import { messagesOfView } from '../../src/proxy/explain/config-messages.ts'
import { createExplainer } from '../../src/proxy/explain/explain-request.ts'
import type { ExplainedDestination, ProxyExplanation } from '../../src/proxy/explain/explanation.ts'
import type { RequestLine } from '../../src/proxy/explain/request-target.ts'
import { translateAll } from '../../src/translate/full.ts'
import { encodedResource } from '../../src/xds/encode.ts'
import { Listener } from '../../src/xds/proto/generated/envoy/config/listener/v3/listener.ts'
import { Any } from '../../src/xds/proto/generated/google/protobuf/any.ts'
import { typeUrls, type ResourceView } from '../../src/xds/resource-set.ts'
import { eventually } from '../support/eventually.ts'
import { openSidecarScene, type SidecarScene } from '../support/sidecar-scene.ts'
import { readTranslationCase } from '../support/translation-case.ts'

const seed = 20_261_126
const services = 40
const requests = 600
const versions = ['v1', 'v2']

const word = constantFrom('a', 'b', 'ab')
const path = array(word, { minLength: 0, maxLength: 3 }).map((words) => `/${words.join('/')}`)
const text: Arbitrary<object> = oneof(
  word.map((exact) => ({ exact })),
  word.map((prefix) => ({ prefix })),
  constantFrom({ regex: 'a|b' }, { regex: '.*b' }, {}),
)
const uri: Arbitrary<object> = oneof(
  path.map((exact) => ({ exact })),
  path.map((prefix) => ({ prefix })),
  constantFrom({ regex: '/a(/.*)?' }, { regex: '/[ab]+' }),
)
const maybe = <T>(arbitrary: Arbitrary<T>, freq: number) =>
  option(arbitrary, { nil: undefined, freq })

const match = record({
  uri: maybe(uri, 2),
  ignoreUriCase: maybe(constantFrom(true), 1),
  method: maybe(constantFrom({ exact: 'POST' }, { exact: 'GET' }), 1),
  headers: maybe(
    text.map((value) => ({ 'x-user': value })),
    1,
  ),
  withoutHeaders: maybe(
    text.map((value) => ({ 'x-other': value })),
    1,
  ),
  queryParams: maybe(
    text.map((value) => ({ q: value })),
    1,
  ),
  sourceLabels: maybe(constantFrom({ app: 'client' }, { app: 'nobody' }), 1),
})

const destination = (host: string): Arbitrary<object> =>
  maybe(constantFrom(...versions, 'v9'), 2).map((subset) => ({ destination: { host, subset } }))

const headerChanges = record({
  request: record({
    set: constantFrom({ 'x-set': 'by-route' }, { 'x-user': 'changed' }),
    remove: constantFrom(['x-other'], []),
  }),
})

const action = (host: string): Arbitrary<object> =>
  oneof(
    { weight: 4, arbitrary: forwardTo(host) },
    {
      weight: 1,
      arbitrary: record({
        redirect: record({
          uri: maybe(path, 2),
          authority: maybe(constantFrom('elsewhere.test'), 1),
          redirectCode: constantFrom(301, 302, 307),
        }),
      }),
    },
    {
      weight: 1,
      arbitrary: record({
        directResponse: record({
          status: constantFrom(200, 418, 503),
          body: word.map((string) => ({ string })),
        }),
      }),
    },
  )

function forwardTo(host: string): Arbitrary<object> {
  return record({
    route: oneof(
      destination(host).map((one) => [one]),
      tuple(destination(host), destination(host), nat({ max: 100 })).map(([one, other, weight]) => [
        { ...one, weight },
        { ...other, weight: 100 - weight },
      ]),
    ),
    rewrite: maybe(
      record({ uri: maybe(path, 2), authority: maybe(constantFrom('inner.test'), 1) }),
      1,
    ),
    headers: maybe(headerChanges, 1),
  })
}

function hostOf(index: number): string {
  return `svc-${index}.default.svc.cluster.local`
}

function virtualServiceOf(index: number): Arbitrary<object> {
  const rule = tuple(array(match, { maxLength: 2 }), action(hostOf(index))).map(
    ([matches, rest]) => ({ ...(matches.length > 0 && { match: matches }), ...rest }),
  )
  return array(rule, { minLength: 1, maxLength: 5 }).map((http) => ({
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { name: `vs-${index}` },
    spec: { hosts: [hostOf(index)], http },
  }))
}

const requestTo: Arbitrary<RequestLine> = record({
  method: constantFrom('GET', 'POST'),
  url: tuple(
    nat({ max: services - 1 }),
    path,
    constantFrom('', '?q=a', '?q=bb', '?x'),
    constantFrom('', '/../b', '/%61'),
  ).map(([index, where, query, odd]) => `http://svc-${index}:80${where}${odd}${query}`),
  headers: array(
    tuple(constantFrom('x-user', 'X-Other'), constantFrom('a', 'b', 'ab')).map(
      ([name, value]) => [name, value] as const,
    ),
    { maxLength: 2 },
  ),
})

interface Seen {
  readonly status: number
  readonly location: string | undefined
  readonly body: string
}

/** What an upstream says of itself and of the request. */
interface Echo {
  readonly version: string
  readonly path: string
  readonly host: string
  readonly headers: Readonly<Record<string, string>>
}

suite('explain beside a sidecar', () => {
  const upstreams: Server[] = []
  let scene: SidecarScene
  let view: ResourceView
  let port = 0

  before(async () => {
    const ports: number[] = []
    for (const version of versions) {
      const server = createServer((incoming, response) => {
        const { url: where, headers } = incoming
        response.end(JSON.stringify({ version, path: where, host: headers.host, headers }))
      })
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      upstreams.push(server)
      ports.push((server.address() as AddressInfo).port)
    }
    scene = await openSidecarScene({ resources: {} })
    view = onAnyPort(translated(ports))
    scene.source.setView(view)
    port = await eventually(
      async () => {
        const bound = await scene.portOf('http_proxy')
        return bound === 0 ? undefined : bound
      },
      { deadlineMs: 20_000 },
    )
  })
  after(async () => {
    await scene[Symbol.asyncDispose]()
    for (const server of upstreams) {
      server.closeAllConnections()
      server.close()
    }
  })

  test(`${requests} requests go where it is explained that they go`, async () => {
    const explain = createExplainer(messagesOfView(view))
    const outcomes = new Map<string, number>()
    for (const line of sample(requestTo, { numRuns: requests, seed })) {
      const explained = explain(line)
      const seen = await send(port, line)
      compare(explained, seen, line)
      const { outcome, status = 0 } = explained.verdict
      const key = outcome === 'fails' ? `${outcome} ${status}` : outcome
      outcomes.set(key, (outcomes.get(key) ?? 0) + 1)
    }
    for (const key of ['forwarded', 'answered', 'redirected', 'fails 404', 'fails 503']) {
      assert.ok((outcomes.get(key) ?? 0) >= 10, `few ${key}: ${JSON.stringify([...outcomes])}`)
    }
  })

  function translated(ports: readonly number[]): ResourceView {
    const endpoints = versions.map((version, index) => ({ port: ports[index], version }))
    const all = Array.from({ length: services }, (_, index) => index)
    const scene = {
      kind: 'Scene',
      services: all.map((index) => ({
        hostname: hostOf(index),
        ports: [{ number: 80, name: 'http' }],
        endpoints,
      })),
      client: { labels: { app: 'client' }, metadata: { HTTP_PROXY_PORT: 15_001 } },
    }
    const rules = all.map((index) => ({
      apiVersion: 'networking.istio.io/v1',
      kind: 'DestinationRule',
      metadata: { name: `dr-${index}` },
      spec: {
        host: hostOf(index),
        subsets: versions.map((version) => ({ name: version, labels: { version } })),
      },
    }))
    const routes = all.map((index) =>
      sample(virtualServiceOf(index), { numRuns: 1, seed: seed + index }),
    )
    const documents = [scene, ...rules, ...routes.flat()]
    const { input, node } = readTranslationCase(
      documents.map((document) => `---\n${JSON.stringify(document)}\n`).join(''),
    )
    return translateAll(input, { ...node, userAgentName: 'tulle' })
  }
})

/** The listener of the HTTP proxy, on a port that is free. */
function onAnyPort(view: ResourceView): ResourceView {
  const listeners = new Map(view.resources(typeUrls.listener))
  const proxy = listeners.get('http_proxy')
  assert.ok(proxy)
  const message = Listener.decode(Any.decode(proxy.any).value)
  const address = message.address?.address
  assert.ok(address?.$case === 'socketAddress')
  address.value.portSpecifier = { $case: 'portValue', value: 0 }
  const bytes = Listener.encode(message).finish()
  listeners.set('http_proxy', encodedResource('http_proxy', typeUrls.listener, bytes))
  return {
    revision: view.revision,
    resources: (type) => (type === typeUrls.listener ? listeners : view.resources(type)),
  }
}

function send(port: number, { method, url, headers }: RequestLine): Promise<Seen> {
  return new Promise((resolve, reject) => {
    const flat = headers.flatMap(([name, value]) => [name, value])
    const fields = ['host', new URL(url).host, 'content-length', '0', ...flat]
    const options = { host: '127.0.0.1', port, method, path: url, headers: fields }
    const sent = request(options, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => (body += chunk))
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, location: response.headers.location, body }),
      )
    })
    sent.on('error', reject)
    sent.end()
  })
}

function compare(explained: ProxyExplanation, seen: Seen, line: RequestLine): void {
  const { action, verdict } = explained
  const context = `${JSON.stringify(line)}\n${JSON.stringify(explained, undefined, 1)}\n${JSON.stringify(seen)}`
  if (action?.kind === 'forward') {
    compareForward(action.destinations, seen, context)
    return
  }
  assert.equal(seen.status, verdict.status, context)
  if (action?.kind === 'redirect') assert.equal(seen.location, action.location, context)
  if (action?.kind === 'answer') assert.equal(seen.body, action.body, context)
}

function compareForward(
  destinations: readonly ExplainedDestination[],
  seen: Seen,
  context: string,
): void {
  assert.equal(Math.round(destinations.reduce((sum, { share }) => sum + share, 0)), 100, context)
  if (seen.status === 503) {
    assert.ok(
      destinations.some(({ failure }) => failure === 'no-cluster'),
      context,
    )
    return
  }
  assert.equal(seen.status, 200, context)
  const echo = JSON.parse(seen.body) as Echo
  const possible = destinations.filter(
    ({ failure, subset, request: asked }) =>
      failure === undefined &&
      (subset === '' || subset === echo.version) &&
      asked.path === echo.path &&
      asked.authority === echo.host &&
      Object.entries(asked.headers.set).every(([name, value]) => hasValue(echo, name, value)) &&
      asked.headers.removed.every((name) => !(name in echo.headers)),
  )
  assert.ok(possible.length > 0, context)
}

/** Node joins repeated fields with a comma and a blank; the attempt's own headers come later. */
function hasValue({ headers }: Echo, name: string, value: string): boolean {
  return (headers[name] ?? '').replaceAll(', ', ',') === value
}
