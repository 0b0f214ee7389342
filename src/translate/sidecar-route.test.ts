/**
 * Which VirtualService rules a host, by who wrote it, how old it is, what it names and what a Sidecar imports: the rows
 * of Istio's own simulation of sidecars, on the virtual hosts of the explicit proxy.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { readTranslationCase } from '../../test/support/translation-case.ts'
import { RouteConfiguration } from '../xds/proto/generated/envoy/config/route/v3/route.ts'
import type { Route } from '../xds/proto/generated/envoy/config/route/v3/route_components.ts'
import { Any } from '../xds/proto/generated/google/protobuf/any.ts'
import { typeUrls } from '../xds/resource-set.ts'
import { translateAll } from './full.ts'

const services = ['known.default', 'alt-known.default', 'not-default.not-default']
  .map(
    (name) =>
      `{ hostname: ${name}.svc.cluster.local, ports: [{ number: 80, name: http-80 }, { number: 8080, name: http-8080 }] }`,
  )
  .join(', ')

const known = 'known.default.svc.cluster.local'
const altKnown = 'alt-known.default.svc.cluster.local'
const notDefault = 'not-default.not-default.svc.cluster.local'
const unknown = 'foo.default.svc.cluster.local'

const onPort80 = (host: string) => `{ hostname: "${host}", ports: [{ number: 80, name: http-80 }] }`

interface Rule {
  readonly in?: string
  readonly for: string
  readonly to: string
  readonly toPort?: number
  readonly onPort?: number
  readonly since?: number
}

function virtualService(rule: Rule): string {
  const { in: namespace = 'default', for: hosts, to, toPort, onPort, since = 2020 } = rule
  const port = toPort === undefined ? '' : `, port: { number: ${toPort} }`
  const match = onPort === undefined ? '' : `, match: [{ port: ${onPort} }]`
  return `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: "${namespace}-${since}-${to}", namespace: ${namespace}, creationTimestamp: "${since}-01-01T00:00:00Z" }
spec: { hosts: [${hosts}], http: [{ route: [{ destination: { host: ${to}${port} } }]${match} }] }`
}

function sidecar(namespace: string, ...hosts: readonly string[]): string {
  return `
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: only, namespace: ${namespace} }
spec: { egress: [{ hosts: [${hosts.map((host) => `"${host}"`).join(', ')}] }] }`
}

interface Row {
  readonly title: string
  readonly client?: string
  /** Services beside the three. */
  readonly more?: readonly string[]
  readonly rules: readonly Rule[]
  readonly imports?: string
  /** Cluster by virtual host; undefined: there is none. */
  readonly expected: Readonly<Record<string, string | undefined>>
}

const wildRule = (to: string, since?: number): Rule => ({
  for: '"*.cluster.local"',
  to,
  ...(since !== undefined && { since }),
})
const three: readonly Rule[] = [
  { in: 'arbitrary', for: known, to: 'arbitrary.example.com', since: 2019 },
  { in: 'default', for: known, to: 'default.example.com', since: 2020 },
  { in: 'not-default', for: known, to: 'not-default.example.com', since: 2021 },
]
const toAlt = { [`${known}:80`]: `outbound|80||${altKnown}` }
const toAltAt8080 = { [`${known}:8080`]: `outbound|8080||${altKnown}` }

const rows: readonly Row[] = [
  {
    title: 'of the service’s own namespace, for a client of it',
    rules: [{ for: known, to: altKnown }],
    expected: { ...toAlt, ...toAltAt8080 },
  },
  ...['default', 'not-default', 'arbitrary'].map((namespace) => ({
    title: `of namespace ${namespace}, for a client of another than the service’s`,
    client: 'not-default',
    rules: [{ in: namespace, for: known, to: altKnown }],
    expected: { ...toAlt, ...toAltAt8080 },
  })),
  {
    title: 'for a host that is no service, on port 80 alone',
    rules: [{ for: unknown, to: unknown }],
    expected: { [`${unknown}:80`]: `outbound|80||${unknown}`, [`${unknown}:8080`]: undefined },
  },
  {
    title: 'for a host that is no service, whatever the port that it matches',
    rules: [{ for: unknown, to: unknown, onPort: 8080 }],
    expected: { [`${unknown}:8080`]: undefined },
  },
  {
    title: 'for a host that is no service, whatever the port that it leads to',
    rules: [{ for: unknown, to: unknown, toPort: 8080 }],
    expected: { [`${unknown}:80`]: `outbound|8080||${unknown}`, [`${unknown}:8080`]: undefined },
  },
  {
    title: 'of several the oldest, whatever its namespace',
    client: 'not-default',
    rules: three,
    expected: {
      [`${known}:80`]: 'outbound|80||arbitrary.example.com',
      [`${known}:8080`]: 'outbound|8080||arbitrary.example.com',
    },
  },
  {
    title: 'of two of one namespace the oldest',
    rules: [
      { for: known, to: 'new.example.com', since: 2021 },
      { for: known, to: 'old.example.com', since: 2019 },
    ],
    expected: { [`${known}:80`]: 'outbound|80||old.example.com' },
  },
  {
    title: 'of two namespaces the oldest, even where the other is the client’s own',
    rules: [
      { for: known, to: 'own.example.com', since: 2021 },
      { in: 'not-default', for: known, to: 'other.example.com', since: 2019 },
    ],
    expected: { [`${known}:80`]: 'outbound|80||other.example.com' },
  },
  {
    title: 'a wildcard that covers no service has a virtual host of its own',
    rules: [{ for: '"*.unknown.example.com"', to: 'arbitrary.example.com' }],
    expected: {
      [`${altKnown}:80`]: `outbound|80||${altKnown}`,
      [`${known}:80`]: `outbound|80||${known}`,
      '*.unknown.example.com:80': 'outbound|80||arbitrary.example.com',
    },
  },
  {
    title: 'a wildcard that covers services has none',
    rules: [wildRule('arbitrary.example.com')],
    imports: '*/*.cluster.local',
    expected: {
      [`${altKnown}:80`]: 'outbound|80||arbitrary.example.com',
      [`${known}:80`]: 'outbound|80||arbitrary.example.com',
      '*.cluster.local:80': undefined,
    },
  },
  ...[2019, 2021].map((since) => ({
    title: `a name goes before a wildcard ${since === 2019 ? 'that is older' : 'that is younger'}`,
    rules: [wildRule('wild.example.com', since), { for: known, to: 'explicit.example.com' }],
    expected: {
      [`${altKnown}:80`]: 'outbound|80||wild.example.com',
      [`${known}:80`]: 'outbound|80||explicit.example.com',
      '*.cluster.local:80': undefined,
    },
  })),
  {
    title: 'a wildcard counts where only names that it covers are imported',
    rules: [wildRule('wild.example.com', 2019), { for: known, to: 'explicit.example.com' }],
    imports: `default/${known} default/${altKnown}`,
    expected: {
      [`${altKnown}:80`]: 'outbound|80||wild.example.com',
      [`${known}:80`]: 'outbound|80||explicit.example.com',
      '*.cluster.local:80': undefined,
    },
  },
  {
    title: 'a wildcard of a namespace that is not imported does not count',
    rules: [
      { ...wildRule('wild.example.com', 2019), in: 'not-default' },
      { for: known, to: 'explicit.example.com' },
    ],
    imports: `default/${known} default/${altKnown}`,
    expected: {
      [`${altKnown}:80`]: `outbound|80||${altKnown}`,
      [`${known}:80`]: 'outbound|80||explicit.example.com',
      '*.cluster.local:80': undefined,
    },
  },
  {
    title: 'a wildcard of another namespace, and a name',
    rules: [
      { ...wildRule('wild.example.com', 2019), in: 'not-default' },
      { for: known, to: 'explicit.example.com' },
    ],
    expected: {
      [`${altKnown}:80`]: 'outbound|80||wild.example.com',
      [`${known}:80`]: 'outbound|80||explicit.example.com',
      '*.cluster.local:80': undefined,
    },
  },
  {
    title: 'of wildcards the longest, and of alike ones the oldest',
    more: ['foo', 'baz', 'qux.bar', '*.bar'].map((name) => `${name}.example.com`),
    rules: [
      { for: 'foo.example.com', to: 'foo', since: 2021 },
      { for: '"*.example.com"', to: 'wild', since: 2017 },
      { for: '"*.bar.example.com"', to: 'bar-old', since: 2018 },
      { for: '"*.bar.example.com"', to: 'bar-new', since: 2019 },
    ],
    expected: {
      'foo.example.com:80': 'outbound|80||foo.default.svc.cluster.local',
      'baz.example.com:80': 'outbound|80||wild.default.svc.cluster.local',
      'qux.bar.example.com:80': 'outbound|80||bar-old.default.svc.cluster.local',
      '*.bar.example.com:80': 'outbound|80||bar-old.default.svc.cluster.local',
      '*.example.com:80': undefined,
    },
  },
  {
    title: 'a wildcard and a name that are no services',
    rules: [
      { for: '"*.tld"', to: 'wild.example.com', since: 2019 },
      { for: 'example.tld', to: 'explicit.example.com', since: 2021 },
    ],
    expected: {
      [`${known}:80`]: `outbound|80||${known}`,
      '*.tld:80': 'outbound|80||wild.example.com',
      'example.tld:80': 'outbound|80||explicit.example.com',
    },
  },
  {
    title: 'a name that is no service, by the wildcard of a Sidecar',
    rules: [{ for: 'arbitrary.svc.cluster.local', to: 'arbitrary.svc.cluster.local' }],
    imports: '*/*.cluster.local',
    expected: { 'arbitrary.svc.cluster.local:80': 'outbound|80||arbitrary.svc.cluster.local' },
  },
  {
    title: 'a wildcard by one name that it covers: for that one',
    rules: [wildRule('arbitrary.example.com')],
    imports: `*/${known}`,
    expected: {
      [`${known}:80`]: 'outbound|80||arbitrary.example.com',
      [`${altKnown}:80`]: undefined,
      '*.cluster.local:80': undefined,
    },
  },
  {
    title: 'a wildcard that covers no service, by a name that it covers',
    rules: [{ for: '"*.example.org"', to: 'arbitrary.example.com' }],
    imports: `*/explicit.example.org */${altKnown}`,
    expected: {
      [`${known}:80`]: undefined,
      [`${altKnown}:80`]: `outbound|80||${altKnown}`,
      '*.example.org:80': 'outbound|80||arbitrary.example.com',
    },
  },
  {
    title:
      'a wildcard has a virtual host of its own where the services that it covers are not imported',
    client: 'not-default',
    rules: [
      { in: 'not-default', for: '"*.default.svc.cluster.local"', to: 'arbitrary.example.com' },
      { for: 'explicit.default.svc.cluster.local', to: 'explicit.default.svc.cluster.local' },
    ],
    imports: `not-default/*.default.svc.cluster.local not-default/${notDefault}`,
    expected: {
      '*.default.svc.cluster.local:80': 'outbound|80||arbitrary.example.com',
      'explicit.default.svc.cluster.local:80': undefined,
      [`${notDefault}:80`]: `outbound|80||${notDefault}`,
    },
  },
  {
    title: 'of two hosts one is imported: it rules the other too',
    rules: [{ for: `${known}, ${altKnown}`, to: 'example.com' }],
    imports: `*/${known}`,
    expected: {
      [`${known}:80`]: 'outbound|80||example.com',
      [`${altKnown}:80`]: 'outbound|80||example.com',
    },
  },
]

for (const { title, client = 'default', more = [], rules, imports, expected } of rows) {
  test(`VirtualServices: ${title}`, () => {
    const scene = `kind: Scene
client: { namespace: ${client} }
services: [${[services, ...more.map(onPort80)].join(', ')}]
`
    const own = imports === undefined ? [] : [sidecar(client, ...imports.split(' '))]
    const found = clustersIn([scene, ...rules.map(virtualService), ...own].join('\n---\n'))
    for (const [name, cluster] of Object.entries(expected)) {
      assert.equal(found.get(name), cluster, name)
    }
  })
}

function clustersIn(text: string): ReadonlyMap<string, string> {
  const { input, node } = readTranslationCase(text)
  const { any } = translateAll(input, node).resources(typeUrls.route).get('http_proxy') ?? {}
  assert.ok(any !== undefined)
  const { virtualHosts } = RouteConfiguration.decode(Any.decode(any).value)
  return new Map(virtualHosts.map(({ name, routes }) => [name, routes.flatMap(clusterOf).join()]))
}

function clusterOf({ match, action }: Route): readonly string[] {
  if (match?.pathSpecifier?.$case === 'connectMatcher' || action?.$case !== 'route') return []
  const { clusterSpecifier } = action.value
  return clusterSpecifier?.$case === 'cluster' ? [clusterSpecifier.value] : []
}
