/** Findings between resources, each with its code, severity, resource and field; beside each, what is not one. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { runCli } from '../../../test/support/cli-context.ts'
import type { Issue } from '../../model/issue.ts'

async function analyze(text: string, ...words: readonly string[]) {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-finding-'))
  try {
    const file = join(folder, 'config.yaml')
    writeFileSync(file, text)
    return await runCli(['analyze', ...words, file], { cwd: folder })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** `error IST0101 VirtualService default/a spec.http[0]…`, without what only says that something has no effect. */
async function findingsOf(text: string): Promise<readonly string[]> {
  const { out } = await analyze(text, '-o', 'json')
  return (JSON.parse(out) as Issue[])
    .filter(({ code }) => !['TUL0008', 'TUL0009', 'TUL0011'].includes(code))
    .map(({ severity, code, resource, path }) => `${severity} ${code} ${resource} ${path}`)
}

const networking = 'apiVersion: networking.istio.io/v1'

function service(name: string, ports = '{ port: 80, name: http }', more = ''): string {
  return `---\napiVersion: v1\nkind: Service\nmetadata: { name: ${name}${more} }\nspec: { selector: { app: ${name} }, ports: [${ports}] }\n`
}

function pod(name: string, labels: string, namespace = 'default'): string {
  return `---\napiVersion: v1\nkind: Pod\nmetadata: { name: ${name}, namespace: ${namespace}, labels: { ${labels} } }\n`
}

function virtualService(metadata: string, spec: string): string {
  return `---\n${networking}\nkind: VirtualService\nmetadata: { ${metadata} }\nspec: { ${spec} }\n`
}

function to(destination: string): string {
  return `hosts: [shop], ${routeTo(destination)}`
}

function routeTo(destination: string): string {
  return `http: [{ route: [{ destination: { ${destination} } }] }]`
}

function externalName(name: string, of: string): string {
  return `---\napiVersion: v1\nkind: Service\nmetadata: { name: ${name} }\nspec: { type: ExternalName, externalName: ${of}.default.svc.cluster.local }\n`
}

function sidecar(name: string, selector = ''): string {
  const chosen = selector === '' ? '' : `workloadSelector: { labels: { ${selector} } }, `
  return `---\n${networking}\nkind: Sidecar\nmetadata: { name: ${name} }\nspec: { ${chosen}egress: [{ hosts: ["./*"] }] }\n`
}

function gateway(name: string, hosts: string, port = 80): string {
  return `---\n${networking}\nkind: Gateway\nmetadata: { name: ${name} }\nspec: { selector: { istio: gw }, servers: [{ port: { number: ${port}, name: http, protocol: HTTP }, hosts: [${hosts}] }] }\n`
}

const rows: readonly (readonly [title: string, text: string, findings: readonly string[]])[] = [
  [
    'a host that is not there, in each kind of route and in mirrors',
    service('shop') +
      virtualService(
        'name: a',
        'hosts: [shop], http: [{ route: [{ destination: { host: shop } }], mirror: { host: nobody } }], tcp: [{ route: [{ destination: { host: nobody } }] }], tls: [{ match: [{ sniHosts: [shop] }], route: [{ destination: { host: nobody } }] }]',
      ),
    [
      'error IST0101 VirtualService default/a spec.http[0].mirror.host',
      'error IST0101 VirtualService default/a spec.tcp[0].route[0].destination.host',
      'error IST0101 VirtualService default/a spec.tls[0].route[0].destination.host',
    ],
  ],
  [
    'a host that is not exported to the namespace of the VirtualService',
    service('shop', undefined, ', annotations: { networking.istio.io/exportTo: other }') +
      virtualService('name: a', to('host: shop')),
    ['error IST0101 VirtualService default/a spec.http[0].route[0].destination.host'],
  ],
  [
    'a host is seen where the VirtualService is exported to, or it is not',
    service('shop', undefined, ', annotations: { networking.istio.io/exportTo: "one,." }') +
      virtualService('name: a', `exportTo: [one], ${to('host: shop')}`) +
      virtualService('name: b', `exportTo: [two], ${to('host: shop')}`),
    ['error IST0101 VirtualService default/b spec.http[0].route[0].destination.host'],
  ],
  [
    'an ExternalName is the service that it names: its ports, its subsets and who sees it count',
    service('shop', '{ port: 80, name: http }, { port: 81, name: http-web }') +
      service('hidden', undefined, ', annotations: { networking.istio.io/exportTo: other }') +
      externalName('other', 'shop') +
      externalName('unseen', 'hidden') +
      pod('shop-v1', 'app: shop, version: v1') +
      `---\n${networking}\nkind: DestinationRule\nmetadata: { name: shop }\nspec: { host: shop, subsets: [{ name: v1, labels: { version: v1 } }] }\n` +
      virtualService('name: a', to('host: other, port: { number: 80 }, subset: v1')) +
      virtualService(
        'name: b',
        `hosts: [b.test], ${routeTo('host: other, port: { number: 82 }')}`,
      ) +
      virtualService('name: c', `hosts: [c.test], ${routeTo('host: other')}`) +
      virtualService(
        'name: d',
        `hosts: [d.test], ${routeTo('host: other, port: { number: 80 }, subset: v2')}`,
      ) +
      virtualService('name: e', `hosts: [e.test], ${routeTo('host: unseen')}`),
    [
      'error IST0101 VirtualService default/b spec.http[0].route[0].destination.port.number',
      'error IST0112 VirtualService default/c spec.http[0].route[0].destination',
      'error IST0101 VirtualService default/d spec.http[0].route[0].destination.subset',
      'error IST0101 VirtualService default/e spec.http[0].route[0].destination.host',
    ],
  ],
  [
    'a port that the service does not have',
    service('shop') + virtualService('name: a', to('host: shop, port: { number: 999 }')),
    ['error IST0101 VirtualService default/a spec.http[0].route[0].destination.port.number'],
  ],
  [
    'no port, where the service has two',
    service('shop', '{ port: 80, name: http }, { port: 443, name: https }') +
      virtualService('name: a', to('host: shop')) +
      virtualService(
        'name: b, namespace: other',
        to('host: shop.default.svc.cluster.local, port: { number: 80 }'),
      ),
    ['error IST0112 VirtualService default/a spec.http[0].route[0].destination'],
  ],
  [
    'one host of two VirtualServices: each is told',
    service('shop') +
      virtualService('name: a', to('host: shop')) +
      virtualService(
        'name: b, namespace: other',
        'hosts: [shop.default.svc.cluster.local], http: [{ route: [{ destination: { host: shop.default.svc.cluster.local } }] }]',
      ),
    [
      'error IST0109 VirtualService default/a spec.hosts[0]',
      'error IST0109 VirtualService other/b spec.hosts[0]',
    ],
  ],
  [
    'one host of two VirtualServices that no client sees both of, or that gateways keep apart',
    service('shop') +
      virtualService('name: a', `exportTo: ["."], ${to('host: shop')}`) +
      virtualService(
        'name: b, namespace: other',
        'exportTo: ["."], hosts: [shop.default.svc.cluster.local], http: [{ route: [{ destination: { host: shop.default.svc.cluster.local } }] }]',
      ) +
      gateway('gw', '"*"') +
      virtualService('name: c', `gateways: [gw], ${to('host: shop')}`),
    [],
  ],
  [
    'hosts of which one covers the other, exported differently: noted',
    service('shop') +
      virtualService(
        'name: a',
        `exportTo: ["."], hosts: ["*.shop.d"], http: [{ route: [{ destination: { host: shop } }] }]`,
      ) +
      virtualService(
        'name: b',
        'hosts: ["*.d"], http: [{ route: [{ destination: { host: shop } }] }]',
      ),
    [
      'info IST0109 VirtualService default/a spec.hosts[0]',
      'info IST0109 VirtualService default/b spec.hosts[0]',
    ],
  ],
  [
    'gateways: unknown, of another namespace, and without the host',
    service('shop') +
      gateway('gw', 'shop.test, "./own.test"') +
      virtualService('name: unknown', `gateways: [nobody], ${to('host: shop')}`) +
      virtualService('name: mesh', `gateways: [mesh], ${to('host: shop')}`) +
      virtualService(
        'name: good',
        'gateways: [gw], hosts: [shop.test], http: [{ route: [{ destination: { host: shop } }] }]',
      ) +
      virtualService(
        'name: old, namespace: far',
        'gateways: [gw.default.svc.cluster.local], hosts: [shop.test], http: [{ route: [{ destination: { host: shop.default.svc.cluster.local } }] }]',
      ) +
      virtualService(
        'name: other',
        'gateways: [gw], hosts: [other.test], http: [{ route: [{ destination: { host: shop } }] }]',
      ) +
      virtualService(
        'name: far, namespace: far',
        'gateways: [default/gw], hosts: [own.test], http: [{ route: [{ destination: { host: shop.default.svc.cluster.local } }] }]',
      ),
    [
      'error IST0101 VirtualService default/unknown spec.gateways[0]',
      'warning IST0133 VirtualService far/old spec.gateways[0]',
      'warning IST0132 VirtualService default/other spec.gateways[0]',
      'warning IST0132 VirtualService far/far spec.gateways[0]',
    ],
  ],
  [
    'gateways that claim one host on one port',
    gateway('a', '"*.test"') +
      gateway('b', 'x.test') +
      gateway('c', 'x.test', 81) +
      gateway('d', 'y.org'),
    [
      'error IST0145 Gateway default/a spec.servers[0]',
      'error IST0145 Gateway default/b spec.servers[0]',
    ],
  ],
  [
    'Sidecars that choose nobody, the same ones, or all twice',
    pod('one', 'app: one, team: blue') +
      pod('two', 'app: two', 'other') +
      sidecar('good', 'app: none-yet') +
      sidecar('a', 'app: one') +
      sidecar('b', 'team: blue') +
      sidecar('all-1') +
      sidecar('all-2'),
    [
      'error IST0101 Sidecar default/good spec.workloadSelector.labels',
      'error IST0110 Sidecar default/a spec.workloadSelector.labels',
      'error IST0110 Sidecar default/b spec.workloadSelector.labels',
      'error IST0111 Sidecar default/all-1 metadata.name',
      'error IST0111 Sidecar default/all-2 metadata.name',
    ],
  ],
  [
    'selectors are not judged where nobody knows what runs',
    sidecar('a', 'app: one') + sidecar('b', 'team: blue'),
    [],
  ],
  [
    'DestinationRules of one host that overlap in whom they are for',
    service('shop') +
      pod('one', 'app: one, team: blue') +
      ['app: one', 'team: blue']
        .map(
          (labels, index) =>
            `---\n${networking}\nkind: DestinationRule\nmetadata: { name: r${index} }\nspec: { host: shop, workloadSelector: { matchLabels: { ${labels} } }, trafficPolicy: { loadBalancer: { simple: RANDOM } } }\n`,
        )
        .join(''),
    [
      'warning TUL0016 DestinationRule default/r0 spec.workloadSelector.matchLabels',
      'warning TUL0016 DestinationRule default/r1 spec.workloadSelector.matchLabels',
    ],
  ],
  [
    'services of one Deployment that disagree about a port',
    `---
apiVersion: apps/v1
kind: Deployment
metadata: { name: d }
spec: { template: { metadata: { labels: { app: d, tcp: t, udp: u } } } }
---
apiVersion: v1
kind: Service
metadata: { name: tcp }
spec: { selector: { tcp: t }, ports: [{ port: 53, name: tcp, targetPort: 8053 }] }
---
apiVersion: v1
kind: Service
metadata: { name: udp }
spec: { selector: { udp: u }, ports: [{ port: 53, name: udp, protocol: UDP, targetPort: 8053 }] }
---
apiVersion: v1
kind: Service
metadata: { name: other }
spec: { selector: { app: d }, ports: [{ port: 54, name: tcp, targetPort: 8053 }] }
`,
    [
      'warning IST0116 Deployment default/d metadata.name',
      'warning IST0137 Deployment default/d metadata.name',
    ],
  ],
  [
    'a protocol where a transport belongs is TCP, and still tells two services apart',
    `---
apiVersion: apps/v1
kind: Deployment
metadata: { name: d }
spec: { template: { metadata: { labels: { app: d } } } }
---
apiVersion: v1
kind: Service
metadata: { name: bytes }
spec: { selector: { app: d }, ports: [{ port: 9080, name: tcp, protocol: TCP }] }
---
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { selector: { app: d }, ports: [{ port: 9080, name: http, protocol: HTTP }] }
`,
    [
      'warning IST0116 Deployment default/d metadata.name',
      'warning IST0133 Service default/web spec.ports[0].protocol',
    ],
  ],
  [
    'annotations: unknown, misplaced, out of use',
    service(
      'a',
      undefined,
      ', annotations: { networking.istio.io/exportThree: x, networking.istio.io/exportTo: "*", example.org/x: y }',
    ) +
      service('b', undefined, ', annotations: { sidecar.istio.io/inject: "true" }') +
      service('c', undefined, ', annotations: { alpha.istio.io/canonical-serviceaccounts: x }'),
    [
      'warning IST0108 Service default/a metadata.annotations[networking.istio.io/exportThree]',
      'warning IST0107 Service default/b metadata.annotations[sidecar.istio.io/inject]',
      'info IST0135 Service default/c metadata.annotations[alpha.istio.io/canonical-serviceaccounts]',
    ],
  ],
  [
    'namespaces of policies that are not declared',
    `---
apiVersion: v1
kind: Namespace
metadata: { name: shop }
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: p }
spec:
  rules:
  - from:
    - source: { namespaces: [shop, sho*, "*op", "*", nowhere], notNamespaces: [neither] }
`,
    [
      'error IST0101 AuthorizationPolicy default/p spec.rules[0].from[0].source.namespaces[4]',
      'error IST0101 AuthorizationPolicy default/p spec.rules[0].from[0].source.notNamespaces[0]',
    ],
  ],
  [
    'policies for workloads that are not there: by labels, in the mesh, in a namespace that is empty',
    pod('one', 'app: one', 'shop') +
      [
        ['name: mesh, namespace: istio-system', ''],
        ['name: mesh-v2, namespace: istio-system', 'version: v2'],
        ['name: all, namespace: shop', ''],
        ['name: one, namespace: shop', 'app: one'],
        ['name: two, namespace: shop', 'app: two'],
        ['name: empty, namespace: nowhere', ''],
      ]
        .map(
          ([metadata, labels]) =>
            `---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { ${metadata} }\nspec: { ${labels === '' ? '' : `selector: { matchLabels: { ${labels} } }`} }\n`,
        )
        .join('') +
      `---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: gate, namespace: nowhere }\nspec: { targetRefs: [{ group: gateway.networking.k8s.io, kind: Gateway, name: g }] }\n`,
    [
      'warning IST0127 AuthorizationPolicy istio-system/mesh-v2 spec.selector.matchLabels',
      'warning IST0127 AuthorizationPolicy shop/two spec.selector.matchLabels',
      'warning IST0127 AuthorizationPolicy nowhere/empty metadata.namespace',
    ],
  ],
  [
    'TLS that is verified by nobody but the host: a credential counts with a selector only',
    ['', 'credentialName: c, ', 'caCertificates: /ca.pem, ']
      .map(
        (field, index) =>
          `${service(`s${index}`)}---\n${networking}\nkind: DestinationRule\nmetadata: { name: r${index} }\nspec: { host: s${index}, trafficPolicy: { tls: { ${field}mode: SIMPLE } } }\n`,
      )
      .join(''),
    [
      'warning IST0128 DestinationRule default/r0 spec.trafficPolicy.tls.mode',
      'warning IST0128 DestinationRule default/r1 spec.trafficPolicy.tls.mode',
    ],
  ],
  [
    'a subset that a route leads to, and that nobody has',
    service('shop') +
      pod('one', 'app: shop, version: v1') +
      `---\n${networking}\nkind: DestinationRule\nmetadata: { name: r }\nspec: { host: shop, subsets: [{ name: v1, labels: { version: v1 } }, { name: v2, labels: { version: v2 } }, { name: v3, labels: { version: v3 } }] }\n` +
      virtualService('name: a', to('host: shop, subset: v2')),
    [
      'error IST0173 DestinationRule default/r spec.subsets[1]',
      'info IST0173 DestinationRule default/r spec.subsets[2]',
    ],
  ],
  [
    'a port whose name says no protocol',
    service('shop', '{ port: 8080, name: web }'),
    ['info IST0118 Service default/shop spec.ports[0].name'],
  ],
]

for (const [title, text, findings] of rows) {
  test(title, async () => {
    assert.deepEqual(await findingsOf(text), findings)
  })
}

const suppressible = (codes: string) =>
  virtualService(
    `name: a, annotations: { galley.istio.io/analyze-suppress: "${codes}" }`,
    to('host: nobody'),
  )

test('an annotation suppresses the codes that it names, or all', async () => {
  assert.deepEqual(await findingsOf(suppressible('IST0101')), [])
  assert.deepEqual(await findingsOf(suppressible('IST0118, IST0101')), [])
  assert.deepEqual(await findingsOf(suppressible('*')), [])
  assert.equal((await findingsOf(suppressible('IST0118'))).length, 1)
})

const wrong =
  virtualService('name: a', to('host: nobody')) + service('shop', '{ port: 8080, name: web }')

for (const [flag, codes] of [
  ['IST0101', ['IST0118']],
  ['IST0101=VirtualService a.default', ['IST0118']],
  ['IST0101=VirtualService default/a', ['IST0118']],
  ['IST0101=VirtualService *.default', ['IST0118']],
  ['IST0101=VirtualService b.default', ['IST0101', 'IST0118']],
  ['IST0101=VirtualService a.other', ['IST0101', 'IST0118']],
  ['*=Service shop.default', ['IST0101']],
] as const) {
  test(`-S '${flag}' leaves ${codes.join(' and ')}`, async () => {
    const { out } = await analyze(wrong, '-o', 'json', '-S', flag)
    assert.deepEqual(
      (JSON.parse(out) as Issue[]).map(({ code }) => code),
      codes,
    )
  })
}

test('-S without a code is misuse', async () => {
  const { exitCode, error } = await analyze(wrong, '-S', 'VirtualService a.default')
  assert.equal(exitCode, 2)
  assert.match(error, /names no code/)
})

test('-o log prints a line as istioctl does', async () => {
  const { out } = await analyze(wrong, '-o', 'log')
  const lines = out.trimEnd().split('\n')
  assert.match(
    lines[0] ?? '',
    /^Error \[IST0101\] \(VirtualService default\/a \S+config\.yaml:5\) referenced host not found: /,
  )
  assert.match(lines[1] ?? '', /^Info \[IST0118\] \(Service default\/shop \S+config\.yaml:\d+\) /)
})

test('thresholds are words in either case: what is shown, and what counts', async () => {
  const shown = await analyze(wrong, '-o', 'json', '--output-threshold', 'Warning')
  assert.deepEqual(
    (JSON.parse(shown.out) as Issue[]).map(({ code }) => code),
    ['IST0101'],
  )
  const ports = service('shop', '{ port: 8080, name: web }')
  assert.equal((await analyze(ports)).exitCode, 0)
  assert.equal((await analyze(ports, '--failure-threshold', 'Info')).exitCode, 1)
})

test('-L lists what is looked for', async () => {
  const { exitCode, out } = await runCli(['analyze', '-L'])
  assert.equal(exitCode, 0)
  assert.match(out, /^CODE +TITLE +MEANING\n[^]*IST0101 +ReferencedResourceNotFound/)
})
