/** Verdicts of Istio's validation on DestinationRules, and on hosts. */
import { testVerdicts } from '../../../test/support/verdict-table.ts'
import type { Subject } from '../../../test/support/verdict-table.ts'

const long = 'x'.repeat(256)
const label = 'x'.repeat(63)

// Hosts.

testVerdicts('host', { kind: 'DestinationRule', around: (host) => `host: ${host}` }, [
  ['empty', 'invalid', '""'],
  ['too long', 'invalid', long],
  ['a label of 63', 'valid', label],
  ['everything', 'valid', '"*"'],
  ['a wildcard label', 'valid', '"*.bar.com"'],
  ['a wildcard in one label', 'valid', '"*foo"'],
  ['a wildcard before a name', 'valid', '"*foo.bar.com"'],
  ['a wildcard before a dash', 'valid', '"*-foo.bar.com"'],
  ['a wildcard in the middle', 'invalid', 'foo.*.com'],
  ['a wildcard after a name', 'invalid', 'foo*.bar.com'],
  ['an address', 'invalid', '1.1.1.1'],
  ['a name with a dot at its end', 'valid', 'istio.io.'],
  ['a full name', 'valid', 'istiod.istio-system.svc.cluster.local.'],
])

// DestinationRules.

const policyOf: Subject = {
  kind: 'DestinationRule',
  around: (policy) => `host: reviews\ntrafficPolicy: {${policy}}`,
}

testVerdicts('whole', { kind: 'DestinationRule' }, [
  [
    'subsets',
    'valid',
    'host: reviews\nsubsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]',
  ],
  ['a selector without labels', 'warning', 'host: reviews\nworkloadSelector: {}'],
  [
    'a selector with a wildcard',
    'invalid',
    'host: reviews\nworkloadSelector: {matchLabels: {app: "*"}}',
  ],
  [
    'a selector with an empty key',
    'invalid',
    'host: reviews\nworkloadSelector: {matchLabels: {"": a}}',
  ],
  [
    'a subset without a name',
    'invalid',
    'host: reviews\nsubsets: [{name: "", labels: {version: v1}}]',
  ],
  ['a subset twice', 'invalid', 'host: reviews\nsubsets: [{name: foo}, {name: foo}]'],
  [
    'a subset with a policy',
    'valid',
    'host: reviews\nsubsets: [{name: v1, trafficPolicy: {outlierDetection: {minHealthPercent: 20}}}]',
  ],
  [
    'a subset with an empty pool',
    'invalid',
    'host: reviews\nsubsets: [{name: v1, trafficPolicy: {connectionPool: {}, outlierDetection: {minHealthPercent: 20}}}]',
  ],
])

testVerdicts('policy', policyOf, [
  ['nothing', 'invalid', ''],
  [
    'everything',
    'valid',
    'loadBalancer: {simple: ROUND_ROBIN}, connectionPool: {tcp: {maxConnections: 7}, http: {http2MaxRequests: 11}}, outlierDetection: {minHealthPercent: 20}',
  ],
  [
    'a port without a number',
    'invalid',
    'portLevelSettings: [{loadBalancer: {simple: ROUND_ROBIN}}]',
  ],
  ['a port without a setting', 'invalid', 'portLevelSettings: [{port: {number: 80}}]'],
  ['an empty pool', 'invalid', 'connectionPool: {}, loadBalancer: {simple: ROUND_ROBIN}'],
  ['parts of a millisecond', 'invalid', 'connectionPool: {tcp: {maxConnectionDuration: 500ns}}'],
  ['a panic threshold below 0', 'invalid', 'outlierDetection: {minHealthPercent: -1}'],
  [
    'an upgrade and the version of the client',
    'invalid',
    'connectionPool: {http: {h2UpgradePolicy: UPGRADE, useClientProtocol: true}}',
  ],
  [
    'a tunnel and the PROXY protocol',
    'invalid',
    'tunnel: {targetHost: a.b, targetPort: 80}, proxyProtocol: {version: V2}',
  ],
  ['a tunnel by POST', 'valid', 'tunnel: {protocol: POST, targetHost: a.b, targetPort: 80}'],
  ['a tunnel to an address', 'valid', 'tunnel: {targetHost: 10.0.0.1, targetPort: 80}'],
  [
    'a tunnel by another protocol',
    'invalid',
    'tunnel: {protocol: GET, targetHost: a.b, targetPort: 80}',
  ],
  ['a tunnel without a host', 'invalid', 'tunnel: {targetPort: 80}'],
  ['a tunnel to a wildcard', 'invalid', 'tunnel: {targetHost: "*.b", targetPort: 80}'],
  ['a tunnel without a port', 'invalid', 'tunnel: {targetHost: a.b}'],
  [
    'warm-up',
    'valid',
    'loadBalancer: {warmup: {duration: 300s, minimumPercent: 5.0, aggression: 5.0}}',
  ],
  [
    'warm-up of more than everything',
    'invalid',
    'loadBalancer: {warmup: {duration: 300s, minimumPercent: 150.0}}',
  ],
  ['warm-up without a time', 'invalid', 'loadBalancer: {warmup: {minimumPercent: 5.0}}'],
  [
    'warm-up that slows down',
    'invalid',
    'loadBalancer: {warmup: {duration: 300s, aggression: 0.3}}',
  ],
  ['pings', 'valid', 'connectionPool: {http: {http2KeepAlive: {interval: 15s, timeout: 5s}}}'],
])

testVerdicts(
  'TLS',
  { kind: 'DestinationRule', around: (tls) => `host: reviews\ntrafficPolicy: {tls: {${tls}}}` },
  [
    ['SIMPLE with a CA', 'valid', 'mode: SIMPLE, caCertificates: test, subjectAltNames: [a.b]'],
    [
      'SIMPLE unchecked, off',
      'valid',
      'mode: SIMPLE, caCertificates: test, subjectAltNames: [a.b], insecureSkipVerify: false',
    ],
    [
      'SIMPLE unchecked, with a CA',
      'invalid',
      'mode: SIMPLE, caCertificates: test, insecureSkipVerify: true',
    ],
    [
      'SIMPLE unchecked, with a credential',
      'invalid',
      'mode: SIMPLE, credentialName: test, insecureSkipVerify: true',
    ],
    [
      'SIMPLE unchecked, with names',
      'invalid',
      'mode: SIMPLE, subjectAltNames: [a.b], insecureSkipVerify: true',
    ],
    [
      'SIMPLE with a credential and a CA',
      'invalid',
      'mode: SIMPLE, credentialName: test, caCertificates: test',
    ],
    [
      'SIMPLE with a credential and a list of revoked ones',
      'invalid',
      'mode: SIMPLE, credentialName: test, caCrl: test',
    ],
    [
      'MUTUAL',
      'valid',
      'mode: MUTUAL, caCertificates: test, privateKey: key, clientCertificate: cert, subjectAltNames: [a.b]',
    ],
    ['MUTUAL without a key', 'invalid', 'mode: MUTUAL, clientCertificate: cert'],
    ['MUTUAL without a certificate', 'invalid', 'mode: MUTUAL, privateKey: key'],
    [
      'MUTUAL with a credential and a key',
      'invalid',
      'mode: MUTUAL, credentialName: test, privateKey: key',
    ],
    [
      'MUTUAL unchecked, off',
      'valid',
      'mode: MUTUAL, privateKey: key, clientCertificate: cert, insecureSkipVerify: false',
    ],
    [
      'MUTUAL unchecked',
      'valid',
      'mode: MUTUAL, privateKey: key, clientCertificate: cert, insecureSkipVerify: true',
    ],
    [
      'MUTUAL unchecked, with a CA',
      'invalid',
      'mode: MUTUAL, caCertificates: test, privateKey: key, clientCertificate: cert, insecureSkipVerify: true',
    ],
    [
      'MUTUAL unchecked, with names',
      'invalid',
      'mode: MUTUAL, privateKey: key, clientCertificate: cert, subjectAltNames: [a.b], insecureSkipVerify: true',
    ],
    ['ISTIO_MUTUAL', 'valid', 'mode: ISTIO_MUTUAL'],
    ['DISABLE', 'valid', 'mode: DISABLE'],
  ],
)

testVerdicts(
  'pool',
  {
    kind: 'DestinationRule',
    around: (pool) => `host: reviews\ntrafficPolicy: {connectionPool: {${pool}}}`,
  },
  [
    [
      'both',
      'valid',
      'tcp: {maxConnections: 7, connectTimeout: 2s}, http: {http1MaxPendingRequests: 2, http2MaxRequests: 11, maxRequestsPerConnection: 5, maxRetries: 4, idleTimeout: 30s, maxConcurrentStreams: 5}',
    ],
    ['nothing', 'invalid', ''],
    ['connections below 0', 'invalid', 'tcp: {maxConnections: -1}'],
    ['parts of a millisecond to connect', 'invalid', 'tcp: {connectTimeout: 2.000000005s}'],
    ['pending requests below 0', 'invalid', 'http: {http1MaxPendingRequests: -1}'],
    ['requests below 0', 'invalid', 'http: {http2MaxRequests: -1}'],
    ['requests of a connection below 0', 'invalid', 'http: {maxRequestsPerConnection: -1}'],
    ['retries below 0', 'invalid', 'http: {maxRetries: -1}'],
    ['parts of a millisecond idle', 'invalid', 'http: {idleTimeout: 30.000000005s}'],
    ['idle for ever, TCP', 'valid', 'tcp: {idleTimeout: 0s}'],
    ['streams below 0', 'invalid', 'http: {maxConcurrentStreams: -1}'],
    ['keep-alive, parts of a millisecond', 'invalid', 'tcp: {tcpKeepalive: {time: 1ns}}'],
  ],
)

testVerdicts(
  'balancer',
  {
    kind: 'DestinationRule',
    around: (lb) => `host: reviews\ntrafficPolicy: {loadBalancer: {${lb}}}`,
  },
  [
    ['simple', 'valid', 'simple: ROUND_ROBIN'],
    [
      'hash by cookie, deprecated ring',
      'warning',
      'consistentHash: {minimumRingSize: 1024, httpCookie: {name: test, ttl: 3600s}}',
    ],
    ['a cookie without a name', 'invalid', 'consistentHash: {httpCookie: {ttl: 3600s}}'],
    [
      'a table that is no prime',
      'invalid',
      'consistentHash: {useSourceIp: true, maglev: {tableSize: 1000}}',
    ],
    [
      'a table of a prime',
      'valid',
      'consistentHash: {useSourceIp: true, maglev: {tableSize: 65537}}',
    ],
    [
      'a table that is too large',
      'invalid',
      'consistentHash: {useSourceIp: true, maglev: {tableSize: 5000011}}',
    ],
    ['a table of 0', 'invalid', 'consistentHash: {useSourceIp: true, maglev: {}}'],
    [
      'two rings',
      'invalid',
      'consistentHash: {useSourceIp: true, minimumRingSize: 1024, ringHash: {minimumRingSize: 1024}}',
    ],
  ],
)

testVerdicts(
  'outliers',
  {
    kind: 'DestinationRule',
    around: (part) => `host: reviews\ntrafficPolicy: {outlierDetection: {${part}}}`,
  },
  [
    ['all good', 'valid', 'interval: 2s, baseEjectionTime: 2s, maxEjectionPercent: 50'],
    ['nothing', 'valid', ''],
    ['an interval with parts of a millisecond', 'invalid', 'interval: 2.000000005s'],
    ['a time with parts of a millisecond', 'invalid', 'baseEjectionTime: 2.000000005s'],
    ['more than all', 'invalid', 'maxEjectionPercent: 105'],
    ['a threshold below 0', 'invalid', 'minHealthPercent: -1'],
    ['a threshold over 100', 'invalid', 'minHealthPercent: 101'],
    ['the deprecated count', 'warning', 'consecutiveErrors: 101'],
    ['local failures that are not split', 'invalid', 'consecutiveLocalOriginFailures: 10'],
    [
      'local failures that are split',
      'valid',
      'consecutiveLocalOriginFailures: 10, splitExternalLocalOriginErrors: true',
    ],
  ],
)

testVerdicts(
  'locality',
  {
    kind: 'DestinationRule',
    around: (part) =>
      `host: reviews\ntrafficPolicy: {outlierDetection: {}, loadBalancer: {localityLbSetting: {${part}}}}`,
  },
  [
    ['shares over 100', 'invalid', 'distribute: [{from: a/b/c, to: {a/b/c: 80, a/b1: 25}}]'],
    ['shares under 100', 'invalid', 'distribute: [{from: a/b/c, to: {a/b/c: 80, a/b1: 15}}]'],
    ['a share of 0', 'invalid', 'distribute: [{from: a/b/c, to: {a/b/c: 0, a/b1: 100}}]'],
    ['shares', 'valid', 'distribute: [{from: a/b/c, to: {a/b/c: 80, a/b1: 20}}]'],
    [
      'shares and failover',
      'invalid',
      'distribute: [{from: a/b/c, to: {a/b/c: 80, a/b1: 20}}], failover: [{from: region1, to: region2}]',
    ],
    ['failover to itself', 'invalid', 'failover: [{from: region1, to: region1}]'],
    ['failover from anywhere', 'invalid', 'failover: [{from: "*", to: region2}]'],
    ['failover to anywhere', 'invalid', 'failover: [{from: region1, to: "*"}]'],
    ['failover from a zone', 'invalid', 'failover: [{from: region1/zone1, to: region2}]'],
    ['failover to a zone', 'invalid', 'failover: [{from: region1, to: region2/zone1}]'],
    [
      'failover and regions by priority',
      'invalid',
      'failover: [{from: region1, to: region2}], failoverPriority: [topology.kubernetes.io/region]',
    ],
    [
      'priorities',
      'valid',
      'failoverPriority: [topology.istio.io/network, topology.kubernetes.io/region, topology.kubernetes.io/zone, topology.istio.io/subzone]',
    ],
    ['two wildcards', 'invalid', 'distribute: [{from: "*/zone/*", to: {a: 100}}]'],
    ['a wildcard before a zone', 'invalid', 'distribute: [{from: "*/zone", to: {a: 100}}]'],
    [
      'everything and a locality',
      'invalid',
      'distribute: [{from: "*", to: {a: 100}}, {from: a/b/c, to: {a: 100}}]',
    ],
    [
      'a region and a locality of it',
      'invalid',
      'distribute: [{from: a, to: {a: 100}}, {from: a/b/c, to: {a: 100}}]',
    ],
    [
      'all of a region and a locality of it',
      'invalid',
      'distribute: [{from: a/*, to: {a: 100}}, {from: a/b/c, to: {a: 100}}]',
    ],
    [
      'a zone and a locality of it',
      'invalid',
      'distribute: [{from: a/b, to: {a: 100}}, {from: a/b/c, to: {a: 100}}]',
    ],
    [
      'all of a zone and a locality of it',
      'invalid',
      'distribute: [{from: a/b/*, to: {a: 100}}, {from: a/b/c, to: {a: 100}}]',
    ],
    [
      'localities apart',
      'valid',
      'distribute: [{from: a1/*, to: {a: 100}}, {from: a2/*, to: {a: 100}}, {from: a3/b3/c3, to: {a: 100}}, {from: a4/b4, to: {a: 100}}, {from: a5/b5/*, to: {a: 100}}]',
    ],
  ],
)

testVerdicts(
  'failover without outliers',
  {
    kind: 'DestinationRule',
    around: (part) => `host: reviews\ntrafficPolicy: {loadBalancer: {${part}}}`,
  },
  [
    ['failover', 'warning', 'localityLbSetting: {failover: [{from: us-east, to: eu-west}]}'],
    ['priorities', 'warning', 'localityLbSetting: {failoverPriority: [topology.istio.io/network]}'],
    ['shares', 'valid', 'localityLbSetting: {distribute: [{from: a/b, to: {a/b: 100}}]}'],
    [
      'zones, failover',
      'warning',
      'zoneAwareLbSetting: {failover: [{from: us-east, to: eu-west}]}',
    ],
    ['zones, priorities', 'warning', 'zoneAwareLbSetting: {failoverPriority: [version]}'],
  ],
)

testVerdicts(
  'zones',
  {
    kind: 'DestinationRule',
    around: (part) =>
      `host: reviews\ntrafficPolicy: {outlierDetection: {}, loadBalancer: {zoneAwareLbSetting: {${part}}}}`,
  },
  [
    ['on', 'valid', 'enabled: true'],
    ['failover', 'valid', 'failover: [{from: us-east, to: eu-west}]'],
    ['failover to itself', 'invalid', 'failover: [{from: region1, to: region1}]'],
    ['failover from a zone', 'invalid', 'failover: [{from: region1/zone1, to: region2}]'],
    ['failover to a zone', 'invalid', 'failover: [{from: region1, to: region2/zone1}]'],
    ['failover from anywhere', 'invalid', 'failover: [{from: "*", to: region2}]'],
    ['failover to anywhere', 'invalid', 'failover: [{from: region1, to: "*"}]'],
    [
      'failover and regions by priority',
      'invalid',
      'failover: [{from: region1, to: region2}], failoverPriority: [topology.kubernetes.io/region]',
    ],
    ['zones by priority', 'invalid', 'failoverPriority: [topology.kubernetes.io/zone]'],
    ['subzones by priority', 'invalid', 'failoverPriority: [topology.istio.io/subzone]'],
    ['labels by priority', 'valid', 'failoverPriority: [version, "app=ratings"]'],
  ],
)
