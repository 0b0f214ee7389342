/** Verdicts of Istio's validation on Sidecars and PeerAuthentications. */
import { testVerdicts } from '../../../test/support/verdict-table.ts'
import type { Subject } from '../../../test/support/verdict-table.ts'

// Sidecars.

const all = 'egress: [{hosts: ["*/*"]}]'

testVerdicts('egress', { kind: 'Sidecar', around: (part) => `{${part}}` }, [
  ['nothing', 'invalid', ''],
  ['everything', 'valid', all],
  ['a selector without labels', 'warning', `${all}, workloadSelector: {}`],
  ['its own namespace', 'valid', 'egress: [{hosts: ["./*"]}]'],
  ['a host of its own namespace', 'valid', 'egress: [{hosts: ["./foo.com"]}]'],
  ['nothing at all', 'valid', 'egress: [{hosts: ["~/*"]}]'],
  ['all but a namespace', 'valid', 'egress: [{hosts: ["*/*", "~ns1/*"]}]'],
  ['all but a host anywhere', 'valid', 'egress: [{hosts: ["*/*", "~/foo.com"]}]'],
  ['all but a short name', 'invalid', 'egress: [{hosts: ["*/*", "~ns1/foo"]}]'],
  ['left out twice', 'invalid', 'egress: [{hosts: ["*/*", "~~/foo.com"]}]'],
  ['a host without a namespace', 'invalid', 'egress: [{hosts: ["*"]}]'],
  ['a slash', 'invalid', 'egress: [{hosts: ["/"]}]'],
  ['no hosts', 'invalid', 'egress: [{hosts: []}]'],
  [
    'two listeners without a port',
    'invalid',
    'egress: [{hosts: ["*/foo.com"]}, {hosts: [ns1/bar.com]}]',
  ],
  [
    'a listener without a port before another',
    'invalid',
    'egress: [{hosts: ["*/foo.com"]}, {port: {protocol: http, number: 8080, name: h8080}, hosts: [ns1/bar.com]}]',
  ],
  [
    'a port that is none',
    'invalid',
    'egress: [{port: {protocol: http1, number: 1000000, name: ""}, hosts: [ns1/bar.com]}]',
  ],
  [
    'a port without a name',
    'valid',
    'egress: [{port: {protocol: http, number: 8080}, hosts: [ns1/bar.com]}]',
  ],
  [
    'an abstract socket',
    'valid',
    'egress: [{port: {protocol: http, number: 0, name: uds}, hosts: [ns1/bar.com], bind: "unix:///@foo/bar/com"}]',
  ],
  [
    'a socket',
    'valid',
    'egress: [{port: {protocol: http, number: 0, name: uds}, hosts: [ns1/bar.com], bind: "unix:///foo/bar/com"}]',
  ],
  [
    'a socket of another scheme',
    'invalid',
    'egress: [{port: {protocol: http, number: 0, name: uds}, hosts: [ns1/bar.com], bind: "foobar:///@foo/bar/com"}]',
  ],
  [
    'a captured socket',
    'invalid',
    'egress: [{port: {protocol: http, number: 0, name: uds}, hosts: [ns1/bar.com], bind: "unix:///@foo/bar/com", captureMode: IPTABLES}]',
  ],
  [
    'a socket twice',
    'invalid',
    'egress: [{port: {protocol: http, number: 0}, hosts: [ns1/bar.com], bind: "unix:///@foo/bar/com"}, {port: {protocol: http, number: 0}, hosts: [ns1/bar.com], bind: "unix:///@foo/bar/com"}]',
  ],
  [
    'a port twice',
    'invalid',
    'egress: [{port: {protocol: http, number: 90}, hosts: [ns1/bar.com]}, {port: {protocol: tcp, number: 90}, hosts: [ns2/bar.com]}]',
  ],
  ['a policy alone', 'valid', 'outboundTrafficPolicy: {mode: ALLOW_ANY}'],
  ['a policy and hosts', 'valid', `${all}, outboundTrafficPolicy: {mode: ALLOW_ANY}`],
  [
    'a proxy by default',
    'invalid',
    `${all}, outboundTrafficPolicy: {egressProxy: {host: foo.bar, subset: shiny, port: {number: 5000}}}`,
  ],
  [
    'a proxy',
    'valid',
    `${all}, outboundTrafficPolicy: {mode: ALLOW_ANY, egressProxy: {host: foo.bar, subset: shiny, port: {number: 5000}}}`,
  ],
  [
    'a proxy of no name',
    'invalid',
    `${all}, outboundTrafficPolicy: {mode: ALLOW_ANY, egressProxy: {host: "foobar*123", port: {number: 5000}}}`,
  ],
  [
    'a proxy without a port',
    'invalid',
    `${all}, outboundTrafficPolicy: {mode: ALLOW_ANY, egressProxy: {host: foo.bar}}`,
  ],
  ['everything and a host', 'warning', 'egress: [{hosts: ["*/*", test/a.com]}]'],
  ['a host of every namespace and a host', 'valid', 'egress: [{hosts: ["*/b.com", test/a.com]}]'],
  ['all of a namespace and a host of it', 'warning', 'egress: [{hosts: [test/*, test/a.com]}]'],
  [
    'all of its own namespace and a host of it by name',
    'warning',
    'egress: [{hosts: ["./*", bar/a.com]}]',
  ],
  ['a host twice, by name', 'warning', 'egress: [{hosts: [./a.com, bar/a.com]}]'],
  ['a wildcard within a label', 'invalid', 'egress: [{hosts: ["test/*a.com"]}]'],
])

const ingress = (part: string): string => `{ingress: [{${part}}], ${all}}`
const http90 = 'port: {protocol: http, number: 90, name: foo}'
const tcp90 = 'port: {protocol: tcp, number: 90, name: foo}'

testVerdicts('ingress', { kind: 'Sidecar', around: ingress }, [
  [
    'a socket',
    'invalid',
    'port: {protocol: http, number: 0, name: uds}, bind: "unix:///@foo/bar/com", defaultEndpoint: "127.0.0.1:9999"',
  ],
  ['no port', 'invalid', 'defaultEndpoint: "127.0.0.1:110"'],
  ['no port, IPv6', 'invalid', 'defaultEndpoint: "[::1]:110"'],
  [
    'a port twice',
    'invalid',
    `${http90}, defaultEndpoint: "127.0.0.1:110"}, {${tcp90}, defaultEndpoint: "127.0.0.1:110"`,
  ],
  ['no endpoint', 'valid', http90],
  ['another address', 'invalid', `${http90}, defaultEndpoint: "1.1.1.1:90"`],
  ['another address, IPv6', 'invalid', `${http90}, defaultEndpoint: "[1:1:1:1:1:1:1:1]:90"`],
  ['the root as socket', 'invalid', `${http90}, defaultEndpoint: "unix:///"`],
  ['a port that is no number', 'invalid', `${http90}, defaultEndpoint: "127.0.0.1:hi"`],
  ['a port that is no number, IPv6', 'invalid', `${http90}, defaultEndpoint: "[::1]:hi"`],
  ['loopback', 'valid', `${http90}, defaultEndpoint: "127.0.0.1:9999"`],
  ['loopback, IPv6', 'valid', `${http90}, defaultEndpoint: "[::1]:9999"`],
  ['a port alone', 'valid', `${http90}, defaultEndpoint: ":9999"`],
  ['no protocol', 'valid', 'port: {number: 90, name: foo}, defaultEndpoint: "127.0.0.1:9999"'],
  [
    'the mesh certificate',
    'invalid',
    `${http90}, defaultEndpoint: "127.0.0.1:9999", tls: {mode: ISTIO_MUTUAL}`,
  ],
  [
    'passing TLS by its name',
    'invalid',
    `${http90}, defaultEndpoint: "127.0.0.1:9999", tls: {mode: AUTO_PASSTHROUGH}`,
  ],
  ['TLS without files', 'invalid', `${tcp90}, tls: {mode: SIMPLE}`],
  ['TLS with a redirect', 'invalid', `${tcp90}, tls: {mode: SIMPLE, httpsRedirect: true}`],
  ['TLS with names', 'invalid', `${tcp90}, tls: {mode: SIMPLE, subjectAltNames: [httpbin.com]}`],
  ['TLS by a credential', 'invalid', `${tcp90}, tls: {mode: SIMPLE, credentialName: secret-name}`],
  [
    'TLS by credentials',
    'invalid',
    `${tcp90}, tls: {mode: SIMPLE, credentialNames: [secret-name]}`,
  ],
  [
    'TLS by two certificates',
    'invalid',
    `${tcp90}, tls: {mode: SIMPLE, tlsCertificates: [{serverCertificate: /a.crt, privateKey: /a.key}, {serverCertificate: /b.crt, privateKey: /b.key}]}`,
  ],
  ['a pool', 'valid', `${http90}, connectionPool: {http: {maxRetries: 1024}}`],
  ['an HTTP pool for TCP', 'warning', `${tcp90}, connectionPool: {http: {maxRetries: 1024}}`],
  ['an empty pool', 'invalid', `${tcp90}, connectionPool: {}`],
  ['a target port', 'invalid', 'port: {protocol: http, number: 90, targetPort: 91}'],
])

testVerdicts('pool', { kind: 'Sidecar', around: (part) => `{${part}}` }, [
  ['inbound', 'valid', 'inboundConnectionPool: {http: {maxRetries: 1024}}'],
  ['inbound, empty', 'invalid', 'inboundConnectionPool: {}'],
  ['ingress alone', 'valid', `ingress: [{${http90}, defaultEndpoint: "127.0.0.1:9999"}]`],
])

// PeerAuthentication.

const peer: Subject = {
  kind: 'PeerAuthentication',
  group: 'security.istio.io',
  around: (part) => `{${part}}`,
}

testVerdicts('whole', peer, [
  ['nothing', 'valid', ''],
  ['a selector without labels', 'warning', 'selector: {}'],
  ['a selector', 'valid', 'selector: {matchLabels: {app: httpbin}}'],
  ['no ports', 'invalid', 'selector: {matchLabels: {app: httpbin}}, portLevelMtls: {}'],
  ['ports without a selector', 'invalid', 'portLevelMtls: {"8080": {mode: UNSET}}'],
  [
    'port 0',
    'invalid',
    'selector: {matchLabels: {app: httpbin}}, portLevelMtls: {"0": {mode: UNSET}}',
  ],
  [
    'a port out of range',
    'invalid',
    'selector: {matchLabels: {app: httpbin}}, portLevelMtls: {"42949672": {mode: STRICT}}',
  ],
  [
    'a port that is no number',
    'invalid',
    'selector: {matchLabels: {app: httpbin}}, portLevelMtls: {acd: {mode: STRICT}}',
  ],
  ['a mode that is none', 'invalid', 'mtls: {mode: BLAH}'],
  ['UNSET', 'valid', 'mtls: {mode: UNSET}'],
  [
    'a port',
    'valid',
    'selector: {matchLabels: {app: httpbin}}, portLevelMtls: {"8080": {mode: UNSET}}',
  ],
  [
    'everything',
    'valid',
    'selector: {matchLabels: {foo: bar}}, mtls: {mode: PERMISSIVE}, portLevelMtls: {"80": {mode: STRICT}}',
  ],
  ['a selector with a wildcard', 'invalid', 'selector: {matchLabels: {app: "*"}}'],
  ['a selector with an empty key', 'invalid', 'selector: {matchLabels: {app: httpbin, "": v1}}'],
])
