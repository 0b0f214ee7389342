/** Verdicts of Istio's validation on ServiceEntries, WorkloadEntries and WorkloadGroups. */
import { testVerdicts } from '../../../test/support/verdict-table.ts'

// ServiceEntries.

const twoPorts =
  'ports: [{number: 80, protocol: http, name: http-valid1}, {number: 8080, protocol: http, name: http-valid2}]'
const onePort = 'ports: [{number: 80, protocol: http, name: http-valid1}]'
const twoEndpoints =
  'endpoints: [{address: lon.google.com, ports: {http-valid1: 8080}}, {address: in.google.com, ports: {http-valid2: 9080}}]'
const twoAddresses =
  'endpoints: [{address: 1.1.1.1, ports: {http-valid1: 8080}}, {address: 2.2.2.2, ports: {http-valid2: 9080}}]'

testVerdicts('resolution', { kind: 'ServiceEntry', around: (part) => `{${part}}` }, [
  ['DNS', 'valid', `hosts: ["*.google.com"], ${twoPorts}, ${twoEndpoints}, resolution: DNS`],
  [
    'DNS_ROUND_ROBIN',
    'valid',
    `hosts: ["*.istio.io"], ${twoPorts}, endpoints: [{address: api-v1.istio.io, ports: {http-valid1: 8080}}], resolution: DNS_ROUND_ROBIN`,
  ],
  [
    'DNS, with labels',
    'valid',
    `hosts: ["*.google.com"], ${onePort}, endpoints: [{address: lon.google.com, ports: {http-valid1: 8080}, labels: {security.istio.io/tlsMode: istio}}], resolution: DNS`,
  ],
  [
    'DNS, an address and HTTPS',
    'valid',
    'hosts: [httpbin.org], addresses: [10.10.10.10], ports: [{number: 80, protocol: http, name: http-valid1}, {number: 443, protocol: https, name: https}], resolution: DNS',
  ],
  [
    'DNS, two hosts, an address and HTTPS',
    'warning',
    'hosts: [httpbin.org, wikipedia.org], addresses: [10.10.10.10], ports: [{number: 80, protocol: http, name: http-valid1}, {number: 443, protocol: https, name: https}], resolution: DNS',
  ],
  [
    'DNS, an address',
    'valid',
    `hosts: ["*.google.com"], addresses: [10.10.10.10], ${twoPorts}, ${twoEndpoints}, resolution: DNS`,
  ],
  [
    'DNS, an address as endpoint',
    'valid',
    `hosts: ["*.google.com"], ${onePort}, endpoints: [{address: 1.1.1.1, ports: {http-valid1: 8080}}], resolution: DNS`,
  ],
  ['no hosts', 'invalid', `hosts: [], ${onePort}, resolution: DNS`],
  ['a host that is none', 'invalid', `hosts: ["-"], ${onePort}, resolution: DNS`],
  ['any host', 'invalid', `hosts: [foo.com, "*"], ${onePort}, ${twoEndpoints}, resolution: DNS`],
  [
    'a short name',
    'valid',
    `hosts: [foo, bar.com], ${onePort}, endpoints: [{address: in.google.com, ports: {http-valid1: 9080}}], resolution: DNS`,
  ],
  [
    'an endpoint with a port of nobody',
    'invalid',
    `hosts: [google.com], ${onePort}, endpoints: [{address: in.google.com, ports: {http-dne: 9080}}], resolution: DNS`,
  ],
  [
    'DNS, a wildcard as endpoint',
    'invalid',
    `hosts: ["*.google.com"], ${onePort}, endpoints: [{address: "*.lon.google.com", ports: {http-valid1: 8080}}], resolution: DNS`,
  ],
  [
    'DNS, a wildcard without endpoints',
    'invalid',
    `hosts: ["*.google.com"], ${onePort}, resolution: DNS`,
  ],
  ['DNS, without endpoints', 'valid', `hosts: [google.com], ${twoPorts}, resolution: DNS`],
  [
    'DNS, a socket',
    'invalid',
    `hosts: ["*.google.com"], ${onePort}, endpoints: [{address: "unix:///lon/google/com"}], resolution: DNS`,
  ],
  ['NONE', 'valid', `hosts: [google.com], ${twoPorts}, resolution: NONE`],
  [
    'NONE, with endpoints',
    'invalid',
    `hosts: [google.com], ${twoPorts}, endpoints: [{address: lon.google.com}], resolution: NONE`,
  ],
  [
    'NONE, a subnet',
    'valid',
    `hosts: [google.com], addresses: [172.1.2.16/16], ${twoPorts}, resolution: NONE`,
  ],
  [
    'STATIC, a subnet and endpoints',
    'valid',
    `hosts: [google.com], addresses: [172.1.2.16/16], ${twoPorts}, ${twoAddresses}, resolution: STATIC`,
  ],
  [
    'DNS, a subnet',
    'invalid',
    `hosts: [google.com], addresses: [172.1.2.16/16], ${twoPorts}, resolution: DNS`,
  ],
  [
    'a subnet that is none',
    'invalid',
    `hosts: [google.com], addresses: [1.2.3.4/99], ${twoPorts}, resolution: STATIC`,
  ],
  [
    'STATIC',
    'valid',
    `hosts: [google.com], addresses: [172.1.2.16], ${twoPorts}, ${twoAddresses}, resolution: STATIC`,
  ],
  [
    'STATIC, a name as endpoint',
    'invalid',
    `hosts: [google.com], addresses: [172.1.2.16], ${twoPorts}, ${twoEndpoints}, resolution: STATIC`,
  ],
  [
    'STATIC, without endpoints',
    'valid',
    `hosts: [google.com], addresses: [172.1.2.16], ${twoPorts}, resolution: STATIC`,
  ],
  [
    'STATIC, a port of nobody',
    'invalid',
    `hosts: [google.com], ${twoPorts}, endpoints: [{address: 2.2.2.2, ports: {http-dne: 9080}}], resolution: STATIC`,
  ],
  [
    'a port name twice',
    'invalid',
    'hosts: [google.com], ports: [{number: 80, protocol: http, name: a}, {number: 8080, protocol: http, name: a}]',
  ],
  [
    'a port number twice',
    'invalid',
    'hosts: [google.com], ports: [{number: 80, protocol: http, name: a}, {number: 80, protocol: http, name: b}]',
  ],
  [
    'a socket',
    'valid',
    'hosts: [uds.cluster.local], ports: [{number: 6553, protocol: grpc, name: grpc-a}], resolution: STATIC, endpoints: [{address: "unix:///path/to/socket"}]',
  ],
  [
    'a socket by a relative path',
    'invalid',
    'hosts: [uds.cluster.local], ports: [{number: 6553, protocol: grpc, name: grpc-a}], resolution: STATIC, endpoints: [{address: "unix://./relative/path.sock"}]',
  ],
  [
    'a socket with ports',
    'invalid',
    'hosts: [uds.cluster.local], ports: [{number: 6553, protocol: grpc, name: grpc-a}], resolution: STATIC, endpoints: [{address: "unix:///path/to/socket", ports: {grpc-a: 6553}}]',
  ],
  [
    'a socket for two ports',
    'invalid',
    `hosts: [uds.cluster.local], ${twoPorts}, resolution: STATIC, endpoints: [{address: "unix:///path/to/socket"}]`,
  ],
  [
    'a port without a protocol',
    'valid',
    'hosts: [google.com], addresses: [172.1.2.16/16], ports: [{number: 80, protocol: http, name: a}, {number: 8080, name: b}], resolution: NONE',
  ],
  [
    'a port without a protocol or addresses',
    'warning',
    'hosts: [google.com], ports: [{number: 80, protocol: http, name: a}, {number: 8080, name: b}], resolution: NONE',
  ],
  [
    'a TCP port without addresses',
    'warning',
    'hosts: [google.com], ports: [{number: 80, protocol: http, name: a}, {number: 81, protocol: TCP, name: b}], resolution: NONE',
  ],
  [
    'a protocol that is none',
    'invalid',
    'hosts: [google.com], ports: [{number: 80, protocol: kafkaesque, name: a}]',
  ],
  [
    'two hosts on a TCP port',
    'invalid',
    'hosts: [a.com, b.com], ports: [{number: 80, protocol: TCP, name: a}], resolution: STATIC',
  ],
  [
    'two hosts on a TCP port, NONE',
    'valid',
    'hosts: [a.com, b.com], addresses: [1.1.1.1], ports: [{number: 80, protocol: TCP, name: a}], resolution: NONE',
  ],
  [
    'a target port twice',
    'valid',
    'hosts: [google.com], resolution: DNS, ports: [{number: 80, protocol: http, name: a, targetPort: 80}, {number: 81, protocol: http, name: b, targetPort: 80}]',
  ],
  [
    'a target port out of range',
    'invalid',
    'hosts: [google.com], resolution: DNS, ports: [{number: 80, protocol: http, name: a, targetPort: 65536}]',
  ],
  [
    'a target port with NONE',
    'warning',
    'hosts: [google.com], workloadSelector: {labels: {key: bar}}, ports: [{number: 80, protocol: http, name: a, targetPort: 1234}]',
  ],
  [
    'a port of an endpoint',
    'valid',
    'hosts: [google.com], resolution: STATIC, ports: [{number: 80, protocol: http, name: a, targetPort: 81}], endpoints: [{address: 1.1.1.1, ports: {a: 8081}}]',
  ],
  [
    'a port of an endpoint out of range',
    'invalid',
    'hosts: [google.com], resolution: STATIC, ports: [{number: 80, protocol: http, name: a}], endpoints: [{address: 1.1.1.1, ports: {a: 65536}}]',
  ],
  [
    'DNS_ROUND_ROBIN, two endpoints',
    'invalid',
    'hosts: [google.com], resolution: DNS_ROUND_ROBIN, ports: [{number: 8081, protocol: http, name: a}], endpoints: [{address: api.istio.io}, {address: 1.1.1.2}]',
  ],
  [
    'DNS_ROUND_ROBIN, no endpoint',
    'valid',
    'hosts: [google.com], resolution: DNS_ROUND_ROBIN, ports: [{number: 8081, protocol: http, name: a}], endpoints: []',
  ],
  [
    'a wildcard within a label',
    'warning',
    'hosts: ["*.nytimes.com", "*washingtonpost.com"], ports: [{number: 443, protocol: HTTPS, name: https-a}], resolution: NONE',
  ],
  [
    'an endpoint behind the gateway of a network',
    'warning',
    'hosts: [www.example.com], ports: [{number: 443, protocol: HTTPS, name: https-a}], endpoints: [{network: cluster-1}], resolution: STATIC',
  ],
  [
    'a selector',
    'warning',
    `hosts: [google.com], workloadSelector: {labels: {foo: bar}}, ${onePort}`,
  ],
  [
    'a selector without labels',
    'warning',
    `hosts: [google.com], workloadSelector: {}, ${onePort}, resolution: STATIC`,
  ],
  [
    'a selector and endpoints',
    'invalid',
    `hosts: [google.com], workloadSelector: {labels: {foo: bar}}, ${onePort}, endpoints: [{address: 1.1.1.1}], resolution: STATIC`,
  ],
  [
    'a selector, NONE',
    'warning',
    `hosts: [google.com], workloadSelector: {labels: {foo: bar}}, ${onePort}, resolution: NONE`,
  ],
  [
    'a selector, DNS',
    'valid',
    `hosts: [google.com], workloadSelector: {labels: {foo: bar}}, ${onePort}, resolution: DNS`,
  ],
  [
    'a selector, STATIC',
    'valid',
    `hosts: [google.com], workloadSelector: {labels: {foo: bar}}, ${onePort}, resolution: STATIC`,
  ],
  [
    'a selector with an empty key',
    'invalid',
    `hosts: [google.com], workloadSelector: {labels: {"": bar}}, ${onePort}`,
  ],
  [
    'a selector with a wildcard',
    'invalid',
    `hosts: [google.com], workloadSelector: {labels: {val: "*"}}, ${onePort}`,
  ],
  [
    'everything',
    'valid',
    'hosts: [example.com], workloadSelector: {labels: {foo: bar}}, addresses: [1.2.3.4, "001:db8::"], exportTo: [foo, .], location: MESH_EXTERNAL, ports: [{name: foo, protocol: HTTP, number: 1234, targetPort: 2345}], subjectAltNames: [sa], resolution: DNS',
  ],
])

// WorkloadEntries and WorkloadGroups.

testVerdicts('address', { kind: 'WorkloadEntry', around: (part) => `{${part}}` }, [
  ['an address', 'valid', 'address: 1.2.3.4'],
  ['none', 'invalid', ''],
  ['none, with a network', 'warning', 'network: network-2'],
  ['a socket', 'valid', 'address: "unix:///lon/google/com"'],
  ['an abstract socket', 'valid', 'address: "unix://@foo"'],
  ['a folder as socket', 'invalid', 'address: "unix:///dir/"'],
  ['a relative socket', 'invalid', 'address: "unix://relative"'],
  ['a socket with ports', 'invalid', 'address: "unix:///lon/google/com", ports: {"7777": 7777}'],
  ['a name', 'valid', 'address: validdns.com, ports: {"7777": 7777}'],
  ['a name with a port', 'invalid', 'address: "invaliddns.com:9443", ports: {"7777": 7777}'],
  ['an address with ports', 'valid', 'address: 172.16.1.1, ports: {"7777": 7777}'],
  ['a port out of range', 'invalid', 'address: 1.1.1.1, ports: {http: 99999}'],
  ['a port name that is none', 'invalid', 'address: 1.1.1.1, ports: {"@": 80}'],
  [
    'everything',
    'valid',
    'address: 1.2.3.4, serviceAccount: sa, network: net, labels: {app: app}, ports: {http: 1}, weight: 2, locality: foo/bar/baz',
  ],
])

testVerdicts('probe', { kind: 'WorkloadGroup', around: (part) => `{template: {}, ${part}}` }, [
  ['none', 'valid', ''],
  ['labels that are none', 'invalid', 'metadata: {labels: {".": "~"}}'],
  ['a probe without a check', 'invalid', 'probe: {}'],
  ['HTTP without a port', 'invalid', 'probe: {httpGet: {}}'],
  ['HTTP', 'valid', 'probe: {httpGet: {port: 5}}'],
  ['HTTP by another scheme', 'invalid', 'probe: {httpGet: {port: 5, scheme: ftp}}'],
  [
    'HTTP with a header that is none',
    'invalid',
    'probe: {httpGet: {port: 80, httpHeaders: [{name: "**"}]}}',
  ],
  ['TCP without a port', 'invalid', 'probe: {tcpSocket: {}}'],
  ['TCP', 'valid', 'probe: {tcpSocket: {port: 5}}'],
  ['TCP out of range', 'invalid', 'probe: {tcpSocket: {port: 65536}}'],
  ['exec without a command', 'invalid', 'probe: {exec: {}}'],
  ['exec', 'valid', 'probe: {exec: {command: [foo, bar]}}'],
  ['gRPC', 'valid', 'probe: {grpc: {port: 5}}'],
  ['a time below 0', 'invalid', 'probe: {periodSeconds: -1, tcpSocket: {port: 5}}'],
  [
    'everything',
    'valid',
    'metadata: {labels: {foo: bar}, annotations: {foo: bar}}, probe: {failureThreshold: 2, initialDelaySeconds: 1, periodSeconds: 1, successThreshold: 1, timeoutSeconds: 1, httpGet: {port: 8080, host: bar, scheme: HTTPS, path: /bar, httpHeaders: [{name: foo, value: bar}]}}',
  ],
])

testVerdicts('template', { kind: 'WorkloadGroup' }, [
  ['none', 'invalid', 'metadata: {labels: {foo: bar}}'],
  ['one', 'valid', 'template: {serviceAccount: sa, network: net}'],
])
