/** `tulle explain` on files: each rule with its place and its reason, and the exit code that says whether it works. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { runCli } from '../../../test/support/cli-context.ts'
import { assertGolden } from '../../../test/support/golden.ts'
import type { ExplainReport } from '../explain/explain-report.ts'

const mesh = `
apiVersion: tulle.dev/v1alpha1
kind: Mesh
metadata: { name: shop }
spec:
  meshConfig: { inferSubsets: false }
  config: [routes.yaml]
  services:
  - name: reviews
    ports: [{ number: 9080, name: http, protocol: HTTP }]
    workloads:
    - { name: reviews-v1, labels: { version: v1 }, command: [x] }
    - { name: reviews-v2, labels: { version: v2 }, command: [x] }
  workloads:
  - { name: productpage, command: [x] }
`
const routes = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews }
spec:
  hosts: [reviews]
  http:
  - name: testers
    match:
    - headers: { x-user: { exact: jason } }
    - sourceLabels: { app: web }
    route: [{ destination: { host: reviews, subset: v2 } }]
  - match: [{ uri: { prefix: /old } }]
    redirect: { uri: /new, redirectCode: 302 }
  - match: [{ uri: { exact: /health } }]
    directResponse: { status: 200, body: { string: fine } }
  - match: [{ uri: { prefix: /gone } }]
    route: [{ destination: { host: reviews, subset: v9 } }]
  - match: [{ uri: { prefix: /slow } }]
    fault: { delay: { fixedDelay: 2s, percentage: { value: 10 } }, abort: { httpStatus: 503, percentage: { value: 0.5 } } }
    corsPolicy: { allowOrigins: [{ exact: "http://a.test" }] }
    mirrors: [{ destination: { host: reviews, subset: v2 }, percentage: { value: 20 } }]
    route: [{ destination: { host: reviews, subset: v1 } }]
  - match: [{ uri: { prefix: /api/ } }]
    rewrite: { uri: /, authority: inner.test }
    timeout: 10s
    retries: { attempts: 3, perTryTimeout: 2s, retryOn: "5xx,503" }
    headers: { response: { set: { x-by: mesh } }, request: { remove: [x-secret] } }
    route:
    - { destination: { host: reviews, subset: v1 }, weight: 75 }
    - { destination: { host: reviews, subset: v2 }, weight: 25, headers: { request: { add: { x-new: "yes" } } } }
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: reviews }
spec:
  host: reviews
  trafficPolicy:
    connectionPool: { tcp: { maxConnections: 100 }, http: { http1MaxPendingRequests: 10 } }
    outlierDetection: { consecutive5xxErrors: 3, baseEjectionTime: 1m }
  subsets:
  - { name: v1, labels: { version: v1 } }
  - { name: v2, labels: { version: v2 } }
`

function scene(
  files: Readonly<Record<string, string>> = { 'mesh.yaml': mesh, 'routes.yaml': routes },
) {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-explain-'))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  const file = join(folder, Object.keys(files)[0] ?? '')
  const run = (...words: readonly string[]) =>
    runCli(['explain', ...words, '-f', file], { cwd: folder })
  return {
    folder,
    run,
    async report(...words: readonly string[]) {
      const { exitCode, out, error } = await run(...words, '-o', 'json')
      assert.equal(error, '')
      return { exitCode, report: JSON.parse(out) as ExplainReport }
    },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  }
}

const from = ['--from', 'productpage']

for (const [name, words] of [
  ['split', ['GET', 'http://reviews:9080/api/ratings?page=1', '-H', 'x-secret: 1']],
  ['header', ['GET', 'http://reviews:9080/', '-H', 'X-User: jason']],
  ['redirect', ['GET', 'http://reviews:9080/old/x']],
  ['answer', ['GET', 'http://reviews:9080/health']],
  ['no-route', ['GET', 'http://reviews:9080/other']],
  ['no-cluster', ['GET', 'http://reviews:9080/gone']],
  ['fault', ['GET', 'http://reviews:9080/slow']],
  ['tunnel', ['GET', 'https://reviews:9080/']],
] as const) {
  test(`the text of "${name}" reads from the call down to the endpoint`, async () => {
    using shop = scene()
    const { out, error } = await shop.run(...words, ...from)
    assert.equal(error, '')
    assertGolden(join(import.meta.dirname, `../testdata/explain/${name}.txt`), out)
  })
}

test('each rule has its resource, file, line, path and outcome', async () => {
  using shop = scene()
  const { exitCode, report } = await shop.report('GET', 'http://reviews:9080/api/x', ...from)
  assert.equal(exitCode, 0)
  const written = report.rules.filter(({ source }) => source !== undefined)
  const file = join(shop.folder, 'routes.yaml')
  assert.deepEqual(
    written.map(({ outcome, source }) => [outcome, source?.line, source?.path]),
    [
      ['failed', 10, 'spec.http[0].match[0]'],
      ['excluded', 11, 'spec.http[0].match[1]'],
      ['failed', 13, 'spec.http[1].match[0]'],
      ['failed', 15, 'spec.http[2].match[0]'],
      ['failed', 17, 'spec.http[3].match[0]'],
      ['failed', 19, 'spec.http[4].match[0]'],
      ['matched', 24, 'spec.http[5].match[0]'],
    ],
  )
  assert.ok(written.every(({ source }) => source?.file === file))
  assert.ok(written.every(({ source }) => source?.resource === 'VirtualService default/reviews'))
  assert.deepEqual(written[0]?.conditions.at(-1), {
    subject: 'header x-user',
    wanted: 'exact "jason"',
    isMet: false,
  })
  assert.deepEqual(written[1]?.conditions, [
    { subject: 'sourceLabels', wanted: 'app=web', got: 'app=productpage', isMet: false },
  ])
})

test('destinations have shares that add up, and what is asked of each', async () => {
  using shop = scene()
  const { report } = await shop.report('GET', 'http://reviews:9080/api/x?y', ...from)
  assert.ok(report.action?.kind === 'forward')
  const { destinations } = report.action
  assert.deepEqual(
    destinations.map(({ host, port, subset, share }) => [host, port, subset, share]),
    [
      ['reviews.default.svc.cluster.local', 9080, 'v1', 75],
      ['reviews.default.svc.cluster.local', 9080, 'v2', 25],
    ],
  )
  for (const { request, endpoints } of destinations) {
    assert.equal(request.path, '/x?y')
    assert.equal(request.authority, 'inner.test')
    assert.deepEqual(
      endpoints.map(({ health, security }) => [health, security]),
      [['healthy', 'mutual TLS']],
    )
  }
  assert.equal(destinations[0]?.request.headers.set['x-new'], undefined)
  assert.equal(destinations[1]?.request.headers.set['x-new'], 'yes')
  assert.deepEqual(report.action.retries?.statusCodes, [503])
  assert.equal(report.action.timeoutMs, 10_000)
})

for (const [title, words, exitCode, verdict] of [
  ['a request that no route takes', ['GET', 'http://reviews:9080/other'], 1, ['fails', 404, 'NR']],
  ['a subset that nobody defined', ['GET', 'http://reviews:9080/gone'], 1, ['fails', 503, 'NC']],
  ['a redirect', ['GET', 'http://reviews:9080/old'], 0, ['redirected', 302, '']],
  [
    'an answer of the route itself',
    ['GET', 'http://reviews:9080/health'],
    0,
    ['answered', 200, ''],
  ],
  ['a host that nobody knows', ['GET', 'http://example.org/'], 0, ['forwarded', undefined, '']],
] as const) {
  test(`${title} ends with exit code ${exitCode}`, async () => {
    using shop = scene()
    const run = await shop.report(...words, ...from)
    assert.equal(run.exitCode, exitCode)
    const { outcome, status, flag } = run.report.verdict
    assert.deepEqual([outcome, status, flag], verdict)
  })
}

const preflight = ['-H', 'access-control-request-method: GET']

for (const [title, { more, words, verdict, text }] of [
  [
    'a preflight from an allowed origin is answered',
    {
      words: ['OPTIONS', 'http://reviews:9080/', '-H', 'origin: http://a.test', ...preflight],
      verdict: ['answered', 200, ''],
      text: /\ncors +the sidecar answers this preflight: http:\/\/a\.test may read/,
    },
  ],
  [
    'a preflight from another origin goes on',
    {
      words: ['OPTIONS', 'http://reviews:9080/', '-H', 'origin: http://b.test', ...preflight],
      verdict: ['forwarded', undefined, ''],
      text: /\ncors +http:\/\/b\.test may not read the response/,
    },
  ],
  [
    'a preflight from another origin is answered where unmatchedPreflights is IGNORE',
    {
      more: ', unmatchedPreflights: IGNORE',
      words: ['OPTIONS', 'http://reviews:9080/', '-H', 'origin: http://b.test', ...preflight],
      verdict: ['answered', 200, ''],
      text: /\nverdict +answered 200: a preflight, .* does not allow http:\/\/b\.test/,
    },
  ],
  [
    'a preflight meets a fault first',
    {
      more: ' }, fault: { abort: { httpStatus: 503, percentage: { value: 100 } }',
      words: ['OPTIONS', 'http://reviews:9080/', '-H', 'origin: http://a.test', ...preflight],
      verdict: ['answered', 503, 'FI'],
      text: /\nverdict +answered 503 FI/,
    },
  ],
  [
    'a request that is no preflight goes on',
    {
      words: ['OPTIONS', 'http://reviews:9080/', '-H', 'origin: http://a.test'],
      verdict: ['forwarded', undefined, ''],
      text: /\ncors +http:\/\/a\.test may read the response/,
    },
  ],
] satisfies [string, { more?: string; words: string[]; verdict: unknown[]; text: RegExp }][]) {
  test(title, async () => {
    const rules = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews }
spec:
  hosts: [reviews]
  http:
  - { corsPolicy: { allowOrigins: [{ exact: "http://a.test" }]${more ?? ''} }, route: [{ destination: { host: reviews } }] }
`
    using shop = scene({ 'mesh.yaml': mesh, 'routes.yaml': rules })
    const { report } = await shop.report(...words, ...from)
    const { outcome, status, flag } = report.verdict
    assert.deepEqual([outcome, status, flag], verdict)
    assert.match((await shop.run(...words, ...from)).out, text)
  })
}

test('a VirtualService that is refused is missed aloud', async () => {
  const broken = routes.replace('timeout: 10s', 'timeout: ten')
  using shop = scene({ 'mesh.yaml': mesh, 'routes.yaml': broken })
  const { report, exitCode } = await shop.report('GET', 'http://reviews:9080/health', ...from)
  assert.equal(report.verdict.outcome, 'forwarded')
  assert.equal(exitCode, 1)
  assert.deepEqual(
    report.issues.map(({ code, resource, path }) => [code, resource, path]),
    [['IST0106', 'VirtualService default/reviews', 'spec.http[5].timeout']],
  )
})

test('a file that cannot be read as YAML is missed aloud', async () => {
  using shop = scene({ 'mesh.yaml': mesh, 'routes.yaml': `${routes}---\nspec: [` })
  const { report, exitCode } = await shop.report('GET', 'http://reviews:9080/health', ...from)
  assert.equal(exitCode, 1)
  const broken = report.issues.filter(({ resource }) => resource === '')
  assert.deepEqual(
    broken.map(({ severity, code }) => [severity, code]),
    [['error', 'TUL0001']],
  )
})

test('a route of a delegate stands in the file of the delegate', async () => {
  const delegating = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: root }
spec:
  hosts: [reviews]
  http:
  - match: [{ uri: { prefix: /other } }]
    directResponse: { status: 404 }
  - match: [{ uri: { prefix: /team } }]
    delegate: { name: team }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: team }
spec:
  http:
  - match: [{ uri: { prefix: /team/a } }]
    directResponse: { status: 201 }
  - directResponse: { status: 202 }
`
  using shop = scene({ 'mesh.yaml': mesh, 'routes.yaml': delegating })
  const { report } = await shop.report('GET', 'http://reviews:9080/team/b', ...from)
  assert.equal(report.verdict.status, 202)
  assert.deepEqual(report.passedOver, [])
  const written = report.rules.filter(({ source }) => source !== undefined)
  assert.deepEqual(
    written.map(({ outcome, source }) => [outcome, source?.resource, source?.line]),
    [
      ['failed', 'VirtualService default/root', 8],
      ['failed', 'VirtualService default/team', 18],
      ['matched', 'VirtualService default/team', 20],
    ],
  )
})

test('a VirtualService that names the host and has no say is listed with the reason', async () => {
  const one = (name: string, more: string, route = '') => `---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { ${name} }
spec: { hosts: [reviews.default.svc.cluster.local], ${more} http: [{ ${route}directResponse: { status: 200 } }] }
`
  const files = [
    one('name: a-gateway', 'gateways: [gw],'),
    one('name: b-hidden, namespace: other', 'exportTo: ["."],'),
    one('name: c-labels', '', 'match: [{ sourceLabels: { app: nobody } }], '),
    one('name: d-used', ''),
    one('name: e-younger', ''),
  ]
  using shop = scene({ 'mesh.yaml': mesh, 'routes.yaml': files.join('') })
  const { report } = await shop.report('GET', 'http://reviews:9080/', ...from)
  assert.equal(report.verdict.outcome, 'answered')
  const reasons = report.passedOver.map(
    ({ resource, line, reason }) => `${resource} ${line} ${reason}`,
  )
  assert.equal(reasons.length, 4)
  assert.match(reasons[0] ?? '', /default\/a-gateway 2 it is for the gateways gw, and not/)
  assert.match(
    reasons[1] ?? '',
    /other\/b-hidden 7 it is exported to \., and not to namespace default/,
  )
  assert.match(
    reasons[2] ?? '',
    /default\/c-labels 12 none of its rules is for this workload on port 9080/,
  )
  assert.match(
    reasons[3] ?? '',
    /default\/e-younger 22 VirtualService default\/d-used goes before it/,
  )
  const { out } = await shop.run('GET', 'http://reviews:9080/', ...from)
  assert.match(out, /\nnot by +VirtualService default\/a-gateway \(routes\.yaml:2\): it is for/)
})

test('a tunnel to a TCP port shows the TCP rule that leads it', async () => {
  const tcp = mesh.replace('name: http, protocol: HTTP', 'name: tcp, protocol: TCP')
  const rules = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews }
spec:
  hosts: [reviews]
  tcp:
  - match: [{ sourceLabels: { app: nobody } }]
    route: [{ destination: { host: nowhere } }]
  - route:
    - { destination: { host: reviews }, weight: 100 }
`
  using shop = scene({ 'mesh.yaml': tcp, 'routes.yaml': rules })
  const { report } = await shop.report('CONNECT', 'http://reviews:9080', ...from)
  assert.equal(report.action?.kind, 'tunnel')
  const matched = report.rules.find(({ outcome }) => outcome === 'matched')
  assert.deepEqual([matched?.source?.path, matched?.source?.line], ['spec.tcp[1]', 10])
  assert.deepEqual(report.passedOver, [])
})

const tlsMesh = mesh
  .replace('name: http, protocol: HTTP', 'name: tls, protocol: TLS')
  .replace(
    '{ name: productpage, command: [x] }',
    "{ name: productpage, command: [x], upstreams: ['reviews:9080'] }",
  )
const tlsRules = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews }
spec:
  hosts: [reviews, a.reviews.test]
  tls:
  - match: [{ sniHosts: [a.reviews.test] }]
    route: [{ destination: { host: reviews, subset: v2 } }]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: reviews }
spec: { host: reviews, subsets: [{ name: v1, labels: { version: v1 } }, { name: v2, labels: { version: v2 } }] }
`

test('a localhost port of a TCP client is followed by the server name', async () => {
  using shop = scene({ 'mesh.yaml': tlsMesh, 'routes.yaml': tlsRules })
  const listeners = await runCli([
    'proxy-config',
    'listeners',
    'productpage',
    '-f',
    join(shop.folder, 'mesh.yaml'),
  ])
  const port = /^127\.0\.0\.1_(\d+)/m.exec(listeners.out)?.[1] ?? ''
  const { exitCode, report } = await shop.report('GET', `https://127.0.0.1:${port}/`, ...from)
  assert.equal(exitCode, 0)
  assert.equal(report.listener?.name, `127.0.0.1_${port}`)
  assert.ok(report.action?.kind === 'bytes')
  // An address is no server name.
  assert.deepEqual(
    report.action.destinations.map(({ subset }) => subset),
    [''],
  )
})

test('a tunnel that ends in the sidecar is followed to where its bytes go', async () => {
  using shop = scene({ 'mesh.yaml': tlsMesh, 'routes.yaml': tlsRules })
  const { report } = await shop.report('GET', 'https://reviews:9080/', ...from)
  assert.ok(report.action?.kind === 'tunnel')
  const { inside } = report.action
  assert.equal(inside?.kind, 'bytes')
  assert.equal(inside.by, 'no other chain fits')
  const { out } = await shop.run('GET', 'https://reviews:9080/', ...from)
  assert.match(out, /\ninside +bytes, by no other chain fits\ngoes to +100 % +reviews\.default/)
  assert.match(out, /\n +by DestinationRule default\/reviews \(routes\.yaml:11\)/)
  using plain = scene()
  const routed = await plain.report('GET', 'https://reviews:9080/', ...from)
  assert.ok(routed.report.action?.kind === 'tunnel')
  assert.equal(routed.report.action.inside?.kind, 'requests')
})

test('a hash says what the endpoint is chosen by', async () => {
  const hashing = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: reviews }
spec: { host: reviews, trafficPolicy: { loadBalancer: { consistentHash: { httpHeaderName: x-user } } } }
`
  using shop = scene({ 'mesh.yaml': mesh, 'routes.yaml': hashing })
  const { report } = await shop.report('GET', 'http://reviews:9080/', ...from)
  assert.ok(report.action?.kind === 'forward')
  const { hashedBy, destinations } = report.action
  const isHashed = destinations[0]?.settings?.balancer === 'ring hash'
  assert.deepEqual(hashedBy, isHashed ? ['header x-user'] : [])
})

test('a route to an ExternalName ends at the service that it names', async () => {
  const named = `
apiVersion: v1
kind: Service
metadata: { name: old }
spec: { type: ExternalName, externalName: reviews.default.svc.cluster.local }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: shop }
spec:
  hosts: [shop.test]
  http:
  - route: [{ destination: { host: old, subset: v2 } }]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: reviews }
spec: { host: reviews, subsets: [{ name: v2, labels: { version: v2 } }] }
`
  using shop = scene({ 'mesh.yaml': mesh, 'routes.yaml': named })
  const { exitCode, report } = await shop.report('GET', 'http://shop.test/', ...from)
  assert.equal(exitCode, 0)
  assert.ok(report.action?.kind === 'forward')
  assert.deepEqual(
    report.action.destinations.map(({ host, port, subset }) => [host, port, subset]),
    [['reviews.default.svc.cluster.local', 9080, 'v2']],
  )
})

test('a mesh that lets nothing out fails the hosts that it does not know', async () => {
  const strict = mesh.replace(
    'inferSubsets: false',
    'outboundTrafficPolicy: { mode: REGISTRY_ONLY }',
  )
  using shop = scene({ 'mesh.yaml': strict, 'routes.yaml': routes })
  const { exitCode, report } = await shop.report('GET', 'http://example.org/', ...from)
  assert.deepEqual([exitCode, report.verdict.outcome, report.verdict.status], [1, 'fails', 502])
})

test('resources without a mesh file are enough: then nobody knows what runs', async () => {
  const service = `
apiVersion: v1
kind: Service
metadata: { name: reviews }
spec: { selector: { app: reviews }, ports: [{ port: 9080, name: http }] }
`
  using shop = scene({ 'all.yaml': `${routes}---${service}` })
  const { exitCode, report } = await shop.report('GET', 'http://reviews:9080/api/', ...from)
  assert.equal(exitCode, 0)
  assert.equal(report.verdict.outcome, 'forwarded')
})

for (const [title, words, message] of [
  ['a URL of another scheme', ['GET', 'ftp://reviews/', ...from], /is no URL of HTTP/],
  ['a URL without a host', ['GET', 'http:///x', ...from], /is no host with a port/],
  ['a method that is none', ['G T', 'http://reviews/', ...from], /is no method/],
  ['a header without a colon', ['GET', 'http://reviews/', '-H', 'x', ...from], /is no header/],
  ['a workload that is not there', ['GET', 'http://reviews/', '--from', 'x'], /no workload x/],
  ['no workload', ['GET', 'http://reviews/'], /which workload\?/],
] as const) {
  test(`${title} is misuse`, async () => {
    using shop = scene()
    const { exitCode, error } = await shop.run(...words)
    assert.equal(exitCode, 2)
    assert.match(error, message)
  })
}
