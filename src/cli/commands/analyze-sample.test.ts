/**
 * No false alarm on what Istio's users begin with: manifests in the manner of Istio's samples, written anew. What is
 * said there at most is that a kind or a field has no effect here.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { runCli } from '../../../test/support/cli-context.ts'
import type { Issue } from '../../model/issue.ts'

/** Kinds and fields without effect, and kinds that only a cluster reads. */
const harmless = new Set(['TUL0008', 'TUL0009', 'TUL0011'])

function service(name: string, port: string, selector = name): string {
  return `
apiVersion: v1
kind: Service
metadata: { name: ${name}, labels: { app: ${name}, service: ${name} } }
spec: { ports: [${port}], selector: { app: ${selector} } }
---`
}

function deployment(name: string, version: string): string {
  return `
apiVersion: v1
kind: ServiceAccount
metadata: { name: sample-${name}-${version}, labels: { account: ${name} } }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: ${name}-${version}, labels: { app: ${name}, version: ${version} } }
spec:
  replicas: 1
  selector: { matchLabels: { app: ${name}, version: ${version} } }
  template:
    metadata: { labels: { app: ${name}, version: ${version} } }
    spec: { containers: [{ name: ${name}, image: 'x/${name}:1', ports: [{ containerPort: 9080 }] }] }
---`
}

function rule(name: string, ...versions: readonly string[]): string {
  const subsets = versions.map((version) => `{ name: ${version}, labels: { version: ${version} } }`)
  return `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: ${name} }
spec: { host: ${name}, subsets: [${subsets.join(', ')}] }
---`
}

function routeTo(name: string, version: string): string {
  return `
apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata: { name: ${name} }
spec: { hosts: [${name}], http: [{ route: [{ destination: { host: ${name}, subset: ${version} } }] }] }
---`
}

function gateway(name: string, server: string): string {
  return `
apiVersion: networking.istio.io/v1alpha3
kind: Gateway
metadata: { name: ${name} }
spec: { selector: { istio: ingressgateway }, servers: [${server}] }
---`
}

const http = '{ port: 9080, name: http }'
const shop = [
  ...['details', 'ratings', 'reviews', 'productpage'].map((name) => service(name, http)),
  deployment('details', 'v1'),
  deployment('ratings', 'v1'),
  ...['v1', 'v2', 'v3'].map((version) => deployment('reviews', version)),
  deployment('productpage', 'v1'),
].join('')

const samples: Readonly<Record<string, string>> = {
  'a shop of four services': shop,
  'its rules, with subsets that are not there yet': [
    shop,
    rule('productpage', 'v1'),
    rule('reviews', 'v1', 'v2', 'v3'),
    rule('ratings', 'v1', 'v2', 'v2-mysql', 'v2-mysql-vm'),
    rule('details', 'v1', 'v2'),
  ].join(''),
  'all routes to v1, behind a gateway': [
    shop,
    ...['productpage', 'reviews', 'ratings', 'details'].flatMap((name) => [
      rule(name, 'v1'),
      routeTo(name, 'v1'),
    ]),
    gateway('shop-gateway', "{ port: { number: 80, name: http, protocol: HTTP }, hosts: ['*'] }"),
    `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: shop }
spec:
  hosts: ['*']
  gateways: [shop-gateway]
  http:
  - match: [{ uri: { exact: /productpage } }, { uri: { prefix: /static } }, { uri: { exact: /login } }]
    route: [{ destination: { host: productpage, port: { number: 9080 } } }]
`,
  ].join(''),
  'a tester sees another version, by a header': `${shop}${rule('reviews', 'v1', 'v2')}
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews }
spec:
  hosts: [reviews]
  http:
  - match: [{ headers: { end-user: { exact: jason } } }]
    fault: { delay: { percentage: { value: 100.0 }, fixedDelay: 7s } }
    route: [{ destination: { host: reviews, subset: v2 } }]
  - route: [{ destination: { host: reviews, subset: v1 } }]
`,
  'hello from two versions': [
    service('helloworld', '{ port: 5000, name: http }'),
    deployment('helloworld', 'v1'),
    deployment('helloworld', 'v2'),
    gateway(
      'helloworld-gateway',
      "{ port: { number: 15443, name: tls, protocol: TLS }, tls: { mode: AUTO_PASSTHROUGH }, hosts: ['*'] }",
    ),
  ].join(''),
  'a service on another port than its container': [
    service('httpbin', '{ port: 8000, name: http, targetPort: 80 }'),
    deployment('httpbin', 'v1'),
  ].join(''),
  'an echo over TCP, behind a gateway': [
    service('tcp-echo', '{ port: 9000, name: tcp }, { port: 9001, name: tcp-other }'),
    deployment('tcp-echo', 'v1'),
    deployment('tcp-echo', 'v2'),
    rule('tcp-echo', 'v1', 'v2'),
    gateway(
      'tcp-echo-gateway',
      "{ port: { number: 31400, name: tcp, protocol: TCP }, hosts: ['*'] }",
    ),
    `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: tcp-echo }
spec:
  hosts: ['*']
  gateways: [tcp-echo-gateway]
  tcp:
  - match: [{ port: 31400 }]
    route: [{ destination: { host: tcp-echo, port: { number: 9000 }, subset: v1 } }]
`,
  ].join(''),
  'a host of the internet': `
apiVersion: networking.istio.io/v1alpha3
kind: ServiceEntry
metadata: { name: api }
spec:
  hosts: [www.example.com]
  ports: [{ number: 443, name: https, protocol: TLS }]
  location: MESH_EXTERNAL
  resolution: DNS
`,
  'policies of a namespace': `${shop}
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default }
spec: { mtls: { mode: STRICT } }
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: reviews }
spec: { selector: { matchLabels: { app: reviews } }, rules: [{ to: [{ operation: { methods: [GET] } }] }] }
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: default }
spec: { egress: [{ hosts: ['./*'] }] }
`,
}

for (const [title, text] of Object.entries(samples)) {
  test(`no alarm: ${title}`, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tulle-sample-'))
    try {
      writeFileSync(join(folder, 'sample.yaml'), text)
      const { exitCode, out } = await runCli(['analyze', '-o', 'json', folder])
      const alarms = (JSON.parse(out) as Issue[]).filter(
        ({ code, severity }) => severity !== 'info' && !harmless.has(code),
      )
      assert.deepEqual(alarms, [])
      assert.equal(exitCode, 0)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
}
