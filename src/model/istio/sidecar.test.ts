/** Sidecar: what is accepted, and what is refused where, after Istio's own table of cases. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { expectIssue, testIssues, wrapSpec } from '../../../test/support/issue-table.ts'
import { parseText } from '../parse.ts'

const envelope = { apiVersion: 'networking.istio.io/v1', kind: 'Sidecar' }
const warned = 'IST0133'
const invalid = 'IST0106'
const noEffect = 'TUL0011'

const accepted: readonly [string, string][] = [
  ['hosts of every kind', 'egress:\n- hosts: ["./*", "*/foo.bar.com", "ns1/*.example.com", "~/*"]'],
  ['everything', 'egress:\n- hosts: ["*/*"]'],
  [
    'everything but some',
    'egress:\n- hosts: ["*/*", "~ns1/*", "~./foo.bar.com", "~/*.example.com", "~*/a.test"]',
  ],
  [
    'a listener with a port before one without',
    'egress:\n- port: { number: 9080, protocol: HTTP, name: foo }\n  hosts: ["*/*"]\n- hosts: ["istio-system/*"]',
  ],
  [
    'a socket',
    'egress:\n- port: { number: 0, protocol: HTTP, name: uds }\n  captureMode: NONE\n  hosts: ["./*"]\n',
  ],
  [
    'a proxy for every port',
    'egress:\n- port: { number: 15080, protocol: HTTP_PROXY, name: p }\n  hosts: ["*/*"]',
  ],
  ['a closed mesh', 'outboundTrafficPolicy: { mode: REGISTRY_ONLY }'],
  [
    'an egress proxy',
    'outboundTrafficPolicy:\n  mode: ALLOW_ANY\n  egressProxy: { host: foo.bar, subset: v1, port: { number: 80 } }',
  ],
  [
    'ingress by port, by any address of the workload, by socket, by nothing',
    'ingress:\n' +
      '- { port: { number: 90, protocol: http, name: a }, defaultEndpoint: "127.0.0.1:9999" }\n' +
      '- { port: { number: 91, protocol: http }, defaultEndpoint: "[::1]:9999" }\n' +
      '- { port: { number: 92, protocol: http }, defaultEndpoint: "0.0.0.0:9999" }\n' +
      '- { port: { number: 93, protocol: http }, defaultEndpoint: ":9999" }\n' +
      '- { port: { number: 94, protocol: tcp }, defaultEndpoint: "unix:///run/a.sock" }\n' +
      '- { port: { number: 95, protocol: grpc } }',
  ],
  ['limits of all ports', 'inboundConnectionPool: { tcp: { maxConnections: 5 } }'],
]

for (const [title, spec] of accepted) {
  test(`Sidecar: ${title} is accepted`, () => {
    const text = wrapSpec(
      envelope,
      spec.replace('captureMode: NONE\n', 'captureMode: NONE\n  bind: unix:///tmp/foo\n'),
    )
    const [document] = parseText(text, 'sidecar.yaml')
    const issues = document?.issues.filter(({ code }) => code !== 'TUL0011')
    assert.deepEqual(issues, [])
    assert.ok(document?.resource !== undefined)
  })
}

testIssues(envelope, [
  [
    'a host without a namespace',
    invalid,
    'spec.egress[0].hosts[0]',
    'egress:\n- hosts:\n  - foo.bar # HERE',
  ],
  ['an illegal host', invalid, 'spec.egress[0].hosts[0]', 'egress:\n- hosts:\n  - "*/^" # HERE'],
  ['a short name', invalid, 'spec.egress[0].hosts[0]', 'egress:\n- hosts:\n  - ns1/reviews # HERE'],
  [
    'an illegal namespace',
    invalid,
    'spec.egress[0].hosts[0]',
    'egress:\n- hosts:\n  - "a_b/*" # HERE',
  ],
  ['no hosts', invalid, 'spec.egress[0].hosts', 'egress:\n- hosts: [] # HERE'],
  [
    'a host that is there twice',
    warned,
    'spec.egress[0].hosts[1]',
    'egress:\n- hosts:\n  - "./*"\n  - ./a.b # HERE',
  ],
  [
    'more than everything',
    warned,
    'spec.egress[0].hosts',
    'egress:\n- hosts: # HERE\n  - "*/*"\n  - "ns1/*"',
  ],
  [
    'two listeners for one port',
    invalid,
    'spec.egress[1].port',
    'egress:\n- { port: { number: 80, protocol: HTTP }, hosts: ["*/*"] }\n- { port: { number: 80, protocol: HTTP }, hosts: ["*/*"] } # HERE',
  ],
  [
    'a listener without a port that is not the last',
    invalid,
    'spec.egress[0]',
    'egress:\n- { hosts: ["*/*"] } # HERE\n- { port: { number: 80, protocol: HTTP }, hosts: ["*/*"] }',
  ],
  [
    'port 0 without a socket',
    invalid,
    'spec.egress[0].bind',
    'egress:\n- port: { number: 0, protocol: HTTP }\n  bind: 127.0.0.1 # HERE\n  hosts: ["*/*"]',
  ],
  [
    'a port with a socket',
    invalid,
    'spec.egress[0].bind',
    'egress:\n- port: { number: 80, protocol: HTTP }\n  bind: unix:///a # HERE\n  hosts: ["*/*"]',
  ],
  [
    'a socket that is captured',
    invalid,
    'spec.egress[0].captureMode',
    'egress:\n- port: { number: 0, protocol: HTTP }\n  bind: unix:///a\n  captureMode: IPTABLES # HERE\n  hosts: ["*/*"]',
  ],
  [
    'a bind that is no address',
    invalid,
    'spec.egress[0].bind',
    'egress:\n- port: { number: 80, protocol: HTTP }\n  bind: nowhere # HERE\n  hosts: ["*/*"]',
  ],
  [
    'a protocol that does not exist',
    invalid,
    'spec.egress[0].port.protocol',
    'egress:\n- port: { number: 80, protocol: FOO } # HERE\n  hosts: ["*/*"]',
  ],
  [
    'no port of ingress',
    invalid,
    'spec.ingress[0].port',
    'ingress:\n- defaultEndpoint: 127.0.0.1:80 # HERE',
  ],
  [
    'two ingress listeners for one port',
    invalid,
    'spec.ingress[1].port',
    'ingress:\n- { port: { number: 90, protocol: http } }\n- { port: { number: 90, protocol: http } } # HERE',
  ],
  [
    'an endpoint elsewhere',
    invalid,
    'spec.ingress[0].defaultEndpoint',
    'ingress:\n- { port: { number: 90, protocol: http }, defaultEndpoint: "1.1.1.1:90" } # HERE',
  ],
  [
    'an endpoint without a port',
    invalid,
    'spec.ingress[0].defaultEndpoint',
    'ingress:\n- { port: { number: 90, protocol: http }, defaultEndpoint: "127.0.0.1" } # HERE',
  ],
  [
    'an endpoint with a port that is none',
    invalid,
    'spec.ingress[0].defaultEndpoint',
    'ingress:\n- { port: { number: 90, protocol: http }, defaultEndpoint: "127.0.0.1:hi" } # HERE',
  ],
  [
    'a target port',
    invalid,
    'spec.ingress[0].port.targetPort',
    'ingress:\n- { port: { number: 90, protocol: http, targetPort: 9 } } # HERE',
  ],
  [
    'TLS on a port without TLS',
    invalid,
    'spec.ingress[0].tls',
    'ingress:\n- port: { number: 90, protocol: http }\n  tls: { mode: SIMPLE, serverCertificate: a, privateKey: b } # HERE',
  ],
  [
    'mutual TLS of Istio’s',
    invalid,
    'spec.ingress[0].tls.mode',
    'ingress:\n- port: { number: 90, protocol: https }\n  tls: { mode: ISTIO_MUTUAL } # HERE',
  ],
  [
    'a redirect to https',
    invalid,
    'spec.ingress[0].tls.httpsRedirect',
    'ingress:\n- port: { number: 90, protocol: https }\n  tls: { httpsRedirect: true } # HERE',
  ],
  [
    'a credential',
    invalid,
    'spec.ingress[0].tls.credentialName',
    'ingress:\n- port: { number: 90, protocol: https }\n  tls: { credentialName: a } # HERE',
  ],
  [
    'TLS without a certificate',
    invalid,
    'spec.ingress[0].tls.serverCertificate',
    'ingress:\n- port: { number: 90, protocol: https }\n  tls: { mode: SIMPLE, privateKey: b } # HERE',
  ],
  [
    'an address for an ingress listener',
    noEffect,
    'spec.ingress[0].bind',
    'ingress:\n- port: { number: 90, protocol: http }\n  bind: 10.0.0.1 # HERE',
  ],
  [
    'an ingress listener that is not captured',
    noEffect,
    'spec.ingress[0].captureMode',
    'ingress:\n- port: { number: 90, protocol: http }\n  captureMode: NONE # HERE',
  ],
  [
    'an egress listener that is captured',
    noEffect,
    'spec.egress[0].captureMode',
    'egress:\n- port: { number: 90, protocol: HTTP }\n  captureMode: IPTABLES # HERE\n  hosts: ["*/*"]',
  ],
  [
    'TLS that has nothing to serve',
    noEffect,
    'spec.ingress[0].tls',
    'ingress:\n- port: { number: 90, protocol: https }\n  tls: { mode: PASSTHROUGH } # HERE',
  ],
  [
    'HTTP limits of a TCP port',
    warned,
    'spec.ingress[0].connectionPool.http',
    'ingress:\n- port: { number: 90, protocol: tcp }\n  connectionPool: { http: { maxRetries: 1 } } # HERE',
  ],
  [
    'a selector without labels',
    warned,
    'spec.workloadSelector',
    'egress: [ { hosts: ["*/*"] } ]\nworkloadSelector: {} # HERE',
  ],
  [
    'an egress proxy of a closed mesh',
    invalid,
    'spec.outboundTrafficPolicy.egressProxy',
    'outboundTrafficPolicy:\n  mode: REGISTRY_ONLY\n  egressProxy: { host: foo.bar, port: { number: 80 } } # HERE',
  ],
  [
    'an egress proxy without a port',
    invalid,
    'spec.outboundTrafficPolicy.egressProxy.port',
    'outboundTrafficPolicy:\n  mode: ALLOW_ANY\n  egressProxy: { host: foo.bar } # HERE',
  ],
  [
    'an egress proxy with a wildcard',
    invalid,
    'spec.outboundTrafficPolicy.egressProxy.host',
    'outboundTrafficPolicy:\n  mode: ALLOW_ANY\n  egressProxy: { host: "*.foo.bar", port: { number: 80 } } # HERE',
  ],
])

test('Sidecar: nothing at all is refused', () => {
  const text = wrapSpec(envelope, '# HERE\nworkloadSelector: { labels: { a: b } }')
  expectIssue(text, invalid, 'spec')
})
