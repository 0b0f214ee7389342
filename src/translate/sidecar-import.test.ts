/** What a Sidecar brings into sight, with which ports: the rows of Istio's own tests of a sidecar's scope. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { readTranslationCase } from '../../test/support/translation-case.ts'
import { clientOf } from './client.ts'
import { scopeOf } from './scope.ts'
import { buildWorld } from './world.ts'

interface Row {
  readonly title: string
  /** `HOST NAMESPACE PORTS`, more ports with a plus; a name that says `entry` after them is a ServiceEntry. */
  readonly services: readonly string[]
  /** Listeners: `PORT PROTOCOL: HOSTS`, or hosts alone. */
  readonly egress: readonly string[]
  /** Of VirtualService foo/virtualbar for virtualbar.foo. */
  readonly routes?: string
  /** `HOST NAMESPACE PORTS` of each that requests can be sent to. */
  readonly expected: readonly string[]
}

const to = (host: string, port = '') =>
  `route: [{ destination: { host: ${host}${port === '' ? '' : `, port: { number: ${port} }`} } }]`
const toBoth = (port = '') =>
  `http: [{ ${to('baz.test', port)}, mirror: { host: foo.test${port === '' ? '' : `, port: { number: ${port} }`} } }]`

const barAndFoo = ['bar foo 8000+7000', 'barprime foo 8000', 'foo foo 8000+7000+9000']
const scattered = [
  'foo.test ns1 7443',
  'baz.test ns3 7443',
  'bar.test ns2 7442',
  'barprime.test ns3 7442',
]
const twice = ['foo.test ns1 7443', 'foo.test ns2 8000', 'baz.test ns3 7443']
const ownToo = ['foo.test ns1 7443', 'foo.test own 8000', 'baz.test ns3 7443']
const both = ['foo.test ns1 8000+7000', 'baz.test ns3 8000+7000']
const byPort = ['8031 TCP', '8032 TCP', '8033 TCP']

const rows: readonly Row[] = [
  {
    title: 'no egress: everything',
    services: ['bar foo 8000', 'barprime foo 9000'],
    egress: [],
    expected: ['bar foo 8000', 'barprime foo 9000'],
  },
  {
    title: 'a name beside everything',
    services: ['bar foo 8000', 'barprime foo 9000'],
    egress: ['foo/bar */*'],
    expected: ['bar foo 8000', 'barprime foo 9000'],
  },
  {
    title: 'a port: who does not have it is not there',
    services: ['bar foo 8000', 'barprime foo 9000'],
    egress: ['8000 HTTP: foo/*'],
    expected: ['bar foo 8000'],
  },
  {
    title: 'a port: other ports are not there',
    services: ['bar foo 8000+7000'],
    egress: ['8000 HTTP: foo/*'],
    expected: ['bar foo 8000'],
  },
  {
    title: 'two ports add up',
    services: ['bar foo 8000+7000'],
    egress: ['8000 HTTP: foo/*', '7000 HTTP: foo/*'],
    expected: ['bar foo 8000+7000'],
  },
  {
    title: 'two ports, each for who has it',
    services: barAndFoo,
    egress: ['8000 HTTP: foo/*', '7000 HTTP: foo/*'],
    expected: ['bar foo 8000+7000', 'barprime foo 8000', 'foo foo 8000+7000'],
  },
  {
    title: 'the protocol of the listener is not that of the service',
    services: ['foo.test mesh 7443'],
    egress: ['7443 GRPC: mesh/*'],
    expected: ['foo.test mesh 7443'],
  },
  {
    title: 'a port of everybody’s, and another of one namespace’s',
    services: scattered,
    egress: ['7443 GRPC: */*', '7442 HTTP: ns2/*'],
    expected: ['bar.test ns2 7442', 'baz.test ns3 7443', 'foo.test ns1 7443'],
  },
  {
    title: 'the same, for one that has both ports',
    services: [...scattered.slice(0, 2), 'bar.test ns2 7443+7442'],
    egress: ['7443 GRPC: */*', '7442 HTTP: ns2/*'],
    expected: ['bar.test ns2 7443+7442', 'baz.test ns3 7443', 'foo.test ns1 7443'],
  },
  {
    title: 'the same, and everything',
    services: [...scattered, 'random.test randomns 9999'],
    egress: ['7443 GRPC: */*', '7442 HTTP: ns2/*', '*/*'],
    expected: [
      'bar.test ns2 7442',
      'barprime.test ns3 7442',
      'baz.test ns3 7443',
      'foo.test ns1 7443',
      'random.test randomns 9999',
    ],
  },
  {
    title: 'a proxy for every port has no port of its own',
    services: barAndFoo,
    egress: ['7443 http_proxy: */*'],
    expected: barAndFoo,
  },
  {
    title: 'names that have wildcards: one',
    services: ['en.wikipedia.org ns1 80', '*.wikipedia.org ns1 80'],
    egress: ['*/en.wikipedia.org'],
    expected: ['en.wikipedia.org ns1 80'],
  },
  {
    title: 'names that have wildcards: all',
    services: ['en.wikipedia.org ns1 80', '*.wikipedia.org ns1 80'],
    egress: ['*/*.wikipedia.org'],
    expected: ['*.wikipedia.org ns1 80', 'en.wikipedia.org ns1 80'],
  },
  {
    title: 'a wildcard is no part of the name under it',
    services: ['*.test.wildcard.com b 80'],
    egress: ['b/wildcard.com'],
    expected: [],
  },
  {
    title: 'a route, and its copies, bring what they lead to',
    services: scattered,
    egress: ['7443 http_proxy: foo/virtualbar.foo'],
    routes: toBoth(),
    expected: ['baz.test ns3 7443', 'foo.test ns1 7443'],
  },
  {
    title: 'a route on a listener’s port brings who has that port',
    services: ['foo.test ns1 7443', 'baz.test ns3 7442'],
    egress: ['7443 http: */*'],
    routes: toBoth(),
    expected: ['foo.test ns1 7443'],
  },
  {
    title: 'a route brings the port that it names: HTTP',
    services: both,
    egress: ['foo/virtualbar.foo'],
    routes: toBoth('7000'),
    expected: ['baz.test ns3 7000', 'foo.test ns1 7000'],
  },
  {
    title: 'a route brings the port that it names: TCP',
    services: both,
    egress: ['foo/virtualbar.foo'],
    routes: `tcp: [{ ${to('baz.test', '7000')} }]`,
    expected: ['baz.test ns3 7000'],
  },
  {
    title: 'a route brings the port that it names: TLS',
    services: both,
    egress: ['foo/virtualbar.foo'],
    routes: `tls: [{ match: [{ sniHosts: [virtualbar.foo] }], ${to('baz.test', '7000')} }]`,
    expected: ['baz.test ns3 7000'],
  },
  {
    title: 'a route to a port that nobody has brings nothing',
    services: ['baz.test ns3 7443'],
    egress: ['foo/virtualbar.foo'],
    routes: toBoth('7000'),
    expected: [],
  },
  {
    title: 'a route to one that is not there brings the other',
    services: ['foo.test mesh 7443'],
    egress: ['7443 http_proxy: foo/virtualbar.foo'],
    routes: toBoth(),
    expected: ['foo.test mesh 7443'],
  },
  {
    title: 'what is named goes before what a route would choose',
    services: twice,
    egress: ['7443 http_proxy: foo/virtualbar.foo ns2/foo.test'],
    routes: toBoth(),
    expected: ['baz.test ns3 7443', 'foo.test ns2 8000'],
  },
  {
    title: 'a route chooses the client’s own',
    services: ownToo,
    egress: ['7443 http_proxy: foo/virtualbar.foo'],
    routes: toBoth(),
    expected: ['baz.test ns3 7443', 'foo.test own 8000'],
  },
  {
    title: 'a route chooses the first namespace by name',
    services: twice,
    egress: ['7443 http_proxy: foo/virtualbar.foo'],
    routes: toBoth(),
    expected: ['baz.test ns3 7443', 'foo.test ns1 7443'],
  },
  {
    title: 'a route chooses among those that are exported',
    services: ['foo.test ns1 7443 private', 'foo.test ns2 8000', 'baz.test ns3 7443'],
    egress: ['7443 http_proxy: foo/virtualbar.foo'],
    routes: toBoth(),
    expected: ['baz.test ns3 7443', 'foo.test ns2 8000'],
  },
  {
    title: 'routes for clients of other namespaces bring nothing',
    services: ['baz.test ns1 80', 'foo.test ns1 80', 'bar.test ns2 80'],
    egress: ['foo/virtualbar.foo'],
    routes: `http: [
      { match: [{ sourceNamespace: own }], ${to('baz.test')} },
      { match: [{ sourceNamespace: foo }], ${to('foo.test')} },
      { ${to('bar.test')} }]`,
    expected: ['bar.test ns2 80', 'baz.test ns1 80'],
  },
  {
    title: 'ports of one service, listener by listener',
    services: ['a.test ns1 8031+8032+8033', 'a.test ns2 8000', 'a.test ns3 7443'],
    egress: byPort.map((port) => `${port}: */a.test`),
    expected: ['a.test ns1 8031+8032+8033'],
  },
  {
    title: 'ports of one namespace’s service, listener by listener',
    services: ['a.test ns1 8031+8032+8033'],
    egress: byPort.map((port) => `${port}: ns1/a.test`),
    expected: ['a.test ns1 8031+8032+8033'],
  },
  {
    title: 'ports of another namespace’s ServiceEntry do not add up',
    services: ['a.test ns1 8031+8032 entry', 'a.test ns2 8033 entry'],
    egress: byPort.map((port) => `${port}: */a.test`),
    expected: ['a.test ns1 8031+8032'],
  },
  {
    title: 'a Service goes before a ServiceEntry of another namespace, port by port',
    services: ['a.test ns1 8031+8032+8033 entry', 'a.test ns2 8031+8032+8033'],
    egress: byPort.map((port) => `${port}: */a.test`),
    expected: ['a.test ns2 8031+8032+8033'],
  },
]

for (const { title, services, egress, routes, expected } of rows) {
  test(`a Sidecar: ${title}`, () => {
    const documents = [
      `kind: Scene
client: { namespace: own }
services: [${services.map(sceneService).join(', ')}]`,
      `apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: only, namespace: own }
spec: { egress: [${egress.map(listener).join(', ')}] }`,
      ...(routes === undefined
        ? []
        : [
            `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: virtualbar, namespace: foo }
spec: { hosts: [virtualbar.foo], ${routes} }`,
          ]),
    ]
    const { input, node } = readTranslationCase(documents.join('\n---\n'))
    const world = buildWorld(input)
    const imports = world.imports.of(scopeOf(clientOf(node), world))
    assert.ok(imports !== undefined)
    const found = [...imports.services.values()].map(
      ({ hostname, namespace, ports }) =>
        `${hostname} ${namespace} ${ports.map(({ number }) => number).join('+')}`,
    )
    assert.deepEqual(found.sort(), [...expected].sort())
  })
}

function sceneService(text: string): string {
  const [host = '', namespace = '', ports = '', kind = ''] = text.split(' ')
  const list = ports.split('+').map((port) => `{ number: ${port}, name: http-${port} }`)
  const more = { entry: ', isServiceEntry: true', private: ', exportTo: ["."]' }[kind] ?? ''
  return `{ hostname: "${host}", namespace: ${namespace}, ports: [${list.join(', ')}]${more} }`
}

function listener(text: string): string {
  const [place = '', hosts] = text.split(': ')
  const names = (hosts ?? place).split(' ').map((host) => `"${host}"`)
  const [number, protocol] = place.split(' ')
  const port =
    hosts === undefined ? '' : `port: { number: ${number}, protocol: ${protocol}, name: p }, `
  return `{ ${port}hosts: [${names.join(', ')}] }`
}
