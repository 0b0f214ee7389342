/**
 * Which names lead to which virtual host, and where: the rows of Istio's own tests of a sidecar's route configurations,
 * as the explicit proxy has them. Names with the port of their virtual host are left out where the name alone is there.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { readTranslationCase } from '../../test/support/translation-case.ts'
import { RouteConfiguration } from '../xds/proto/generated/envoy/config/route/v3/route.ts'
import type {
  Route,
  VirtualHost,
} from '../xds/proto/generated/envoy/config/route/v3/route_components.ts'
import { Any } from '../xds/proto/generated/google/protobuf/any.ts'
import { typeUrls } from '../xds/resource-set.ts'
import { translateAll } from './full.ts'

interface Row {
  readonly title: string
  readonly services: readonly string[]
  readonly virtualServices?: readonly string[]
  readonly client?: string
  readonly mesh?: string
  /** `HOST:PORT: NAMES > CLUSTERS`; without the virtual host for everybody else. */
  readonly expected: readonly string[]
}

const service = (hostname: string, ports = '80', more = '') =>
  `{ hostname: "${hostname}", ports: [${ports
    .split(' ')
    .map((port) => `{ number: ${port}, name: http-${port} }`)
    .join(', ')}]${more} }`

let made = 0
const virtualService = (hosts: string, to: string, more = '') => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: vs-${(made += 1)}, namespace: default${more} }
spec: { hosts: [${hosts}], http: [{ route: [{ destination: { host: "${to}" } }] }] }`

const rows: readonly Row[] = [
  {
    title: 'a service whose whole name is the short one of another goes first',
    services: [service('test.default.svc.cluster.local'), service('test')],
    expected: [
      'test.default.svc.cluster.local:80: test.default.svc.cluster.local test.default.svc.cluster.local. ' +
        'test.default.svc test.default > outbound|80||test.default.svc.cluster.local',
      'test:80: test test. > outbound|80||test',
    ],
  },
  {
    title: 'names of a service that share nothing with the client’s domain',
    services: [service('test', '80'), service('test.local', '80'), service('foo.default.svc.bar')],
    expected: [
      'foo.default.svc.bar:80: foo.default.svc.bar foo.default.svc.bar. > outbound|80||foo.default.svc.bar',
      'test.local:80: test.local test.local. > outbound|80||test.local',
      'test:80: test test. > outbound|80||test',
    ],
  },
  {
    title: 'a client of another namespace says which one it means',
    services: [service('echo.default.svc.cluster.local')],
    client: 'other',
    expected: [
      'echo.default.svc.cluster.local:80: echo.default.svc.cluster.local echo.default.svc.cluster.local. ' +
        'echo.default.svc echo.default > outbound|80||echo.default.svc.cluster.local',
    ],
  },
  {
    title: 'an address has no trailing dot, and IPv6 its brackets',
    services: [service('1.2.3.4'), service('2406:3003::1')],
    expected: [
      '1.2.3.4:80: 1.2.3.4 > outbound|80||1.2.3.4',
      '[2406:3003::1]:80: [2406:3003::1] > outbound|80||2406:3003::1',
    ],
  },
  {
    title: 'addresses of a service are names, those of nowhere and of networks are not',
    services: [
      service('a.com', '80', ', addresses: [1.2.3.4, 1.2.3.5, "2001:2::f0", 0.0.0.0, 10.0.0.0/8]'),
    ],
    expected: ['a.com:80: a.com a.com. 1.2.3.4 1.2.3.5 [2001:2::f0] > outbound|80||a.com'],
  },
  {
    title: 'each port has its virtual host, and 80 the names without a port',
    services: [service('test.local', '70 80 90')],
    expected: [
      'test.local:70: test.local:70 test.local.:70 > outbound|70||test.local',
      'test.local:80: test.local test.local. > outbound|80||test.local',
      'test.local:90: test.local:90 test.local.:90 > outbound|90||test.local',
    ],
  },
  {
    title: 'a VirtualService for a short name with a dot takes it from the service',
    services: [service('dup.default.svc.cluster.local')],
    virtualServices: [
      virtualService('dup.default.svc.cluster.local, dup.default', 'dup.default'),
      virtualService('Dup.default.svc.cluster.local', 'never'),
    ],
    expected: [
      'dup.default.svc.cluster.local:80: dup.default.svc.cluster.local dup.default.svc.cluster.local. dup ' +
        'dup.default.svc > outbound|80||dup.default',
      'dup.default:80: dup.default > outbound|80||dup.default',
    ],
  },
  {
    title: 'and the service keeps its own routes under its other names',
    services: [service('test.default.svc.cluster.local')],
    virtualServices: [virtualService('test.default', 'test.default')],
    expected: [
      'test.default.svc.cluster.local:80: test.default.svc.cluster.local test.default.svc.cluster.local. test ' +
        'test.default.svc > outbound|80||test.default.svc.cluster.local',
      'test.default:80: test.default > outbound|80||test.default',
    ],
  },
  {
    title: 'it has it on its own port, and the service keeps it on others',
    services: [service('test.default.svc.cluster.local', '80 81')],
    virtualServices: [virtualService('test.default', 'test.default')],
    expected: [
      'test.default.svc.cluster.local:80: test.default.svc.cluster.local test.default.svc.cluster.local. test ' +
        'test.default.svc > outbound|80||test.default.svc.cluster.local',
      'test.default.svc.cluster.local:81: test.default.svc.cluster.local:81 test.default.svc.cluster.local.:81 ' +
        'test:81 test.default.svc:81 test.default:81 > outbound|81||test.default.svc.cluster.local',
      'test.default:80: test.default > outbound|80||test.default',
    ],
  },
  {
    title:
      'a VirtualService for another name of a service has that name on port 80, and no form of it besides',
    services: [
      service('real.default.svc.cluster.local', '80 81', ', aliases: [alias.x.svc.cluster.local]'),
    ],
    virtualServices: [virtualService('alias.x.svc.cluster.local', 'real')],
    expected: [
      'alias.x.svc.cluster.local:80: alias.x.svc.cluster.local > outbound|80||real.default.svc.cluster.local',
      'real.default.svc.cluster.local:80: real.default.svc.cluster.local real.default.svc.cluster.local. real ' +
        'real.default.svc real.default alias.x.svc.cluster.local. alias.x.svc alias.x > ' +
        'outbound|80||real.default.svc.cluster.local',
      'real.default.svc.cluster.local:81: real.default.svc.cluster.local:81 real.default.svc.cluster.local.:81 ' +
        'real:81 real.default.svc:81 real.default:81 alias.x.svc.cluster.local:81 alias.x.svc.cluster.local.:81 ' +
        'alias.x.svc:81 alias.x:81 > outbound|81||real.default.svc.cluster.local',
    ],
  },
  {
    title: 'capitals in a VirtualService’s host mean nothing',
    services: [service('reviews.default.svc.cluster.local')],
    virtualServices: [virtualService('Reviews.default.svc.cluster.local', 'other')],
    expected: [
      'reviews.default.svc.cluster.local:80: reviews.default.svc.cluster.local reviews.default.svc.cluster.local. ' +
        'reviews reviews.default.svc reviews.default > outbound|80||other.default.svc.cluster.local',
    ],
  },
  {
    title: 'of two VirtualServices for one host the older one is heard',
    services: [service('a.com', '60')],
    virtualServices: [
      virtualService('a.com', 'young.org', ', creationTimestamp: 2026-01-02T00:00:00Z'),
      virtualService('a.com', 'old.org', ', creationTimestamp: 2026-01-01T00:00:00Z'),
    ],
    expected: ['a.com:60: a.com a.com. > outbound|60||old.org'],
  },
  {
    title: 'a host beside a service’s in a VirtualService has the service’s port',
    services: [service('a.com', '8888')],
    virtualServices: [virtualService('a.com, example.com', 'test.org')],
    expected: [
      'a.com:8888: a.com a.com. > outbound|8888||test.org',
      'example.com:8888: example.com:8888 > outbound|8888||test.org',
    ],
  },
  {
    title: 'hosts of subsets beside a service have its port',
    services: [service('a.default.svc.cluster.local', '7777')],
    virtualServices: [virtualService('a.default.svc.cluster.local, a.v2', 'a')],
    expected: [
      'a.default.svc.cluster.local:7777: a.default.svc.cluster.local a.default.svc.cluster.local. a a.default.svc ' +
        'a.default > outbound|7777||a.default.svc.cluster.local',
      'a.v2:7777: a.v2:7777 > outbound|7777||a.default.svc.cluster.local',
    ],
  },
  {
    title: 'a host that no service has is on port 80',
    services: [service('a.com', '8888')],
    virtualServices: [virtualService('b.com', 'test.org'), virtualService('short', 'nobody')],
    expected: [
      'a.com:8888: a.com a.com. > outbound|8888||a.com',
      'b.com:80: b.com > outbound|80||test.org',
      'short.default.svc.cluster.local:80: short.default.svc.cluster.local > outbound|80||nobody.default.svc.cluster.local',
    ],
  },
  {
    title:
      'of wildcards the longest that covers the service is heard, and one that covers none is on port 80',
    services: [service('*.example.org', '8080'), service('goodbye.hello.example.org', '8080')],
    virtualServices: [
      virtualService('"*.example.org"', '*.example.org'),
      virtualService('"*.hello.example.org"', '*.hello.example.org'),
      virtualService('"*.google.com"', 'internal.google'),
    ],
    expected: [
      '*.example.org:8080: *.example.org *.example.org. > outbound|8080||*.example.org',
      '*.google.com:80: *.google.com > outbound|80||internal.google',
      'goodbye.hello.example.org:8080: goodbye.hello.example.org goodbye.hello.example.org. ' +
        '> outbound|8080||*.hello.example.org',
    ],
  },
  {
    title: 'a service that is not exported is nobody',
    services: [
      service('private.com', '80', ', namespace: other, exportTo: ["."]'),
      service('public.com', '80', ', namespace: other, exportTo: ["*"]'),
      service('mine.com', '80', ', namespace: other, exportTo: [default]'),
    ],
    expected: [
      'mine.com:80: mine.com mine.com. > outbound|80||mine.com',
      'public.com:80: public.com public.com. > outbound|80||public.com',
    ],
  },
]

for (const row of rows) {
  test(row.title, () => {
    assert.deepEqual(hostsOf(row).map(factOf).sort(), row.expected)
  })
}

const visible = [
  ['rule1.com', 'test1', '[".", ns1]', '[mesh]'],
  ['rule2.com', 'test2', '[test2, ns1, test1]', '[mesh]'],
  ['rule2gw.com', 'test2', '[test2, ns1, test1]', '[default/gateway, mesh]'],
  ['rule3.com', 'test3', '[test1, test2, "*"]', '[mesh]'],
  ['rule3gw.com', 'test3', '[test1, test2, "*"]', '[default/gateway]'],
  ['rootns.com', 'istio-system', '[]', '[]'],
] as const

for (const [client, expected] of [
  ['test1', 'rootns rule1 rule2 rule2gw rule3'],
  ['test2', 'rootns rule2 rule2gw rule3'],
  ['ns1', 'rootns rule1 rule2 rule2gw rule3'],
  ['random', 'rootns rule3'],
] as const) {
  test(`VirtualServices that a client of ${client} sees: ${expected}`, () => {
    const virtualServices = visible.map(
      ([host, namespace, exportTo, gateways]) => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: ${host}, namespace: ${namespace} }
spec: { hosts: [${host}], exportTo: ${exportTo}, gateways: ${gateways}, http: [{ directResponse: { status: 299 } }] }`,
    )
    const hosts = hostsOf({ title: '', services: [], virtualServices, client, expected: [] })
    const names = hosts.map(({ name }) => name.replace('.com:80', '')).sort()
    assert.equal(names.join(' '), expected)
  })
}

for (const [mode, name] of [
  ['ALLOW_ANY', 'allow_any'],
  ['REGISTRY_ONLY', 'block_all'],
] as const) {
  test(`everybody else, with ${mode}: ${name}`, () => {
    const [last] = hostsOf(
      {
        title: '',
        services: [],
        mesh: `{ outboundTrafficPolicy: { mode: ${mode} } }`,
        expected: [],
      },
      () => true,
    )
    assert.equal(last?.name, name)
    assert.deepEqual(last.domains, ['*'])
  })
}

function hostsOf(row: Row, isShown = isOwn): readonly VirtualHost[] {
  const { services, virtualServices = [], client = 'default', mesh = '{}' } = row
  const scene = `kind: Scene
client: { namespace: ${client} }
meshConfig: ${mesh}
services: [${services.join(', ')}]
`
  const { input, node } = readTranslationCase([scene, ...virtualServices].join('\n---\n'))
  const { any } = translateAll(input, node).resources(typeUrls.route).get('http_proxy') ?? {}
  assert.ok(any !== undefined)
  return RouteConfiguration.decode(Any.decode(any).value).virtualHosts.filter(isShown)
}

function isOwn({ name }: VirtualHost): boolean {
  return name !== 'allow_any' && name !== 'block_all'
}

function factOf({ name, domains, routes, includeRequestAttemptCount }: VirtualHost): string {
  assert.ok(includeRequestAttemptCount)
  const port = name.slice(name.lastIndexOf(':'))
  const names = domains.filter(
    (domain) => !(domain.endsWith(port) && domains.includes(domain.slice(0, -port.length))),
  )
  return `${name}: ${names.join(' ')} > ${routes.flatMap(clusterOf).join(' ')}`
}

function clusterOf({ match, action }: Route): readonly string[] {
  if (match?.pathSpecifier?.$case === 'connectMatcher' || action?.$case !== 'route') return []
  const { clusterSpecifier } = action.value
  return clusterSpecifier?.$case === 'cluster' ? [clusterSpecifier.value] : []
}
