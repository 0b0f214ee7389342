/** Verdicts of Istio's validation on whole VirtualServices, and on exportTo of every kind. */
import { testVerdicts } from '../../../test/support/verdict-table.ts'
import type { Verdict } from '../../../test/support/verdict-table.ts'

const to = 'route: [{destination: {host: foo.baz}}]'

// Whole VirtualServices.

const http = `http:\n- ${to}`

testVerdicts('whole', { kind: 'VirtualService' }, [
  ['one host', 'valid', `hosts: [foo.bar]\n${http}`],
  [
    'names of other networks at a gateway',
    'valid',
    'hosts: [outbound_.15010_._.istiod.istio-system.svc.cluster.local]\ngateways: [ns1/gateway]\ntls:\n- match: [{sniHosts: [outbound_.15010_._.istiod.istio-system.svc.cluster.local]}]\n  route: [{destination: {host: istio.istio-system.svc.cluster.local}}]',
  ],
  ['a host within another', 'invalid', `hosts: ["*.foo.bar", "*.bar"]\n${http}`],
  ['a host twice', 'invalid', `hosts: [foo.bar, foo.bar]\n${http}`],
  ['a delegate', 'valid', http],
  ['a delegate with a gateway', 'invalid', `hosts: []\ngateways: [test]\n${http}`],
  ['a delegate with TCP', 'invalid', `hosts: []\ntcp:\n- ${to}`],
  ['a delegate with TLS', 'invalid', `tls:\n- match: [{sniHosts: [a.b]}]\n  ${to}`],
  ['a delegate that delegates', 'invalid', 'hosts: []\nhttp:\n- delegate: {name: test}'],
  ['a delegate without a destination', 'invalid', 'hosts: []\nhttp:\n- {}'],
  [
    'a delegate for a namespace',
    'valid',
    `hosts: []\nhttp:\n- match: [{sourceNamespace: test}]\n  ${to}`,
  ],
  ['a host that is none', 'invalid', `hosts: [foo.ba!r]\n${http}`],
  ['no routes', 'invalid', 'hosts: [foo.bar]'],
  ['a gateway that is none', 'invalid', `hosts: [foo.bar]\ngateways: [b@dgateway]\n${http}`],
  [
    'a gateway by its full name',
    'warning',
    `hosts: [foo.bar]\ngateways: [gateway.example.com]\n${http}`,
  ],
  ['a gateway of a namespace', 'valid', `hosts: [foo.bar]\ngateways: [ns1/gateway]\n${http}`],
  ['any gateway of a namespace', 'invalid', `hosts: [foo.bar]\ngateways: [ns1/*]\n${http}`],
  ['a gateway of any namespace', 'invalid', `hosts: [foo.bar]\ngateways: ["*/gateway"]\n${http}`],
  ['any host, for the mesh', 'invalid', `hosts: ["*"]\n${http}`],
  ['any host, for a gateway', 'valid', `hosts: ["*"]\ngateways: [somegateway]\n${http}`],
  ['TCP without a destination', 'invalid', 'hosts: [foo.bar]\ntcp:\n- match: [{port: 999}]'],
  [
    'TLS without a destination',
    'invalid',
    'hosts: [foo.bar]\ntls:\n- match: [{port: 999, sniHosts: [foo.bar]}]',
  ],
  [
    'the authority by a header',
    'valid',
    `hosts: [foo.bar]\n${http}\n  headers: {request: {set: {":authority": foo}}}`,
  ],
  [
    'the authority twice',
    'invalid',
    `hosts: [foo.bar]\n${http}\n  headers: {request: {set: {":authority": foo}}}\n  rewrite: {authority: bar}`,
  ],
  [
    'a longer prefix with a method after a shorter one',
    'warning',
    `hosts: [foo.bar]\nhttp:\n- match: [{uri: {prefix: /api/v1/product}}, {uri: {prefix: /api/v1/products}, method: {exact: GET}}]\n  ${to}`,
  ],
  [
    'an exact path after a prefix',
    'valid',
    `hosts: [foo.bar]\nhttp:\n- match: [{uri: {prefix: /}}, {uri: {exact: /}, method: {exact: GET}}]\n  ${to}`,
  ],
  [
    'claims of a token, for the mesh',
    'invalid',
    `hosts: [foo.bar]\ngateways: [mesh]\nhttp:\n- match: [{uri: {prefix: /}, headers: {"@request.auth.claims.foo": {exact: bar}}}]\n  ${to}`,
  ],
  [
    'a server name that is an address',
    'warning',
    `hosts: [foo.bar]\ntls:\n- match: [{port: 999, sniHosts: [1.1.1.1]}]\n  ${to}`,
  ],
  [
    'a server name with a wildcard inside',
    'invalid',
    `hosts: [foo.bar]\ntls:\n- match: [{port: 999, sniHosts: [foo.*.com]}]\n  ${to}`,
  ],
  [
    'a server name of another host',
    'invalid',
    `hosts: [foo.bar]\ntls:\n- match: [{sniHosts: [foo.baz]}]\n  ${to}`,
  ],
  [
    'a server name within a wildcard',
    'valid',
    `hosts: ["*.bar"]\ntls:\n- match: [{sniHosts: [foo.bar]}]\n  ${to}`,
  ],
])

const unreached = (part: string): string => `hosts: [foo.bar]\nhttp:\n${part}`

testVerdicts('unused routes', { kind: 'VirtualService', around: unreached }, [
  ['two without a match', 'warning', `- ${to}\n- ${to}`],
  ['one without a match first', 'valid', `- ${to}\n- match: [{uri: {prefix: /a}}]\n  ${to}`],
  [
    'the same match twice',
    'warning',
    `- match: [{uri: {prefix: /a}}]\n  ${to}\n- match: [{uri: {prefix: /a}}]\n  ${to}`,
  ],
  [
    'the same match under two names',
    'warning',
    `- match: [{name: x, uri: {prefix: /a}}]\n  ${to}\n- match: [{name: y, uri: {prefix: /a}}]\n  ${to}`,
  ],
  [
    'the same prefix on two ports',
    'valid',
    `- match: [{uri: {prefix: /a}, port: 80}]\n  ${to}\n- match: [{uri: {prefix: /ab}, port: 81}]\n  ${to}`,
  ],
  [
    'a longer prefix first',
    'valid',
    `- match: [{uri: {prefix: /ab}}]\n  ${to}\n- match: [{uri: {prefix: /a}}]\n  ${to}`,
  ],
  [
    'a longer prefix with another header',
    'valid',
    `- match: [{uri: {prefix: /a}, headers: {x: {exact: a}}}]\n  ${to}\n- match: [{uri: {prefix: /ab}}]\n  ${to}`,
  ],
])

// exportTo.

const exportCases: readonly (readonly [string, Verdict, string])[] = [
  ['nothing', 'valid', '[]'],
  ['everybody', 'valid', '["*"]'],
  ['its own and another', 'valid', '[".", ns1]'],
  ['several', 'valid', '[ns1, ns2, ns5]'],
  ['nobody', 'invalid', '["~"]'],
  ['its own and everybody', 'invalid', '[".", "*"]'],
  ['everybody and another', 'invalid', '["*", ns1]'],
  ['its own, twice', 'invalid', '[".", ns5]'],
  ['another, twice', 'invalid', '[ns1, ns2, ns1]'],
  ['a name that is none', 'invalid', '[ns1_]'],
]
testVerdicts(
  'exportTo',
  {
    kind: 'VirtualService',
    namespace: 'ns5',
    around: (part) => `hosts: [foo.bar]\n${http}\nexportTo: ${part}`,
  },
  exportCases,
)
testVerdicts(
  'exportTo',
  {
    kind: 'DestinationRule',
    namespace: 'ns5',
    around: (part) => `host: foo.bar\nexportTo: ${part}`,
  },
  exportCases,
)
testVerdicts(
  'exportTo',
  {
    kind: 'ServiceEntry',
    namespace: 'ns5',
    around: (part) => `hosts: [foo.bar]\nexportTo: ${part}`,
  },
  [
    ...exportCases.filter(([title]) => title !== 'nobody'),
    ['nobody', 'valid', '["~"]'],
    ['nobody, twice', 'invalid', '["~", "~", ns1]'],
    ['nobody and another', 'invalid', '["~", ns1]'],
  ],
)
testVerdicts(
  'exportTo with a selector',
  {
    kind: 'DestinationRule',
    namespace: 'ns5',
    around: (part) => `host: foo.bar\nworkloadSelector: {matchLabels: {app: a}}\nexportTo: ${part}`,
  },
  [
    ['everybody', 'invalid', '["*"]'],
    ['its own', 'valid', '["."]'],
    ['its own by name', 'valid', '[ns5]'],
    ['another', 'invalid', '[somens]'],
    ['its own and another', 'invalid', '[".", somens]'],
  ],
)
