/** DestinationRule: one row for each rule. */
import { testIssues } from '../../../test/support/issue-table.ts'
import type { IssueRow } from '../../../test/support/issue-table.ts'

const envelope = { apiVersion: 'networking.istio.io/v1', kind: 'DestinationRule' }

/** A spec whose traffic policy is this one line of flow YAML. */
function policy(title: string, ...[path, text]: [string, string]): IssueRow {
  return [title, 'IST0106', `spec.trafficPolicy${path}`, `host: a\ntrafficPolicy: ${text} # HERE`]
}

function warning(title: string, ...[code, path, text]: [string, string, string]): IssueRow {
  return [title, code, `spec.trafficPolicy${path}`, `host: a\ntrafficPolicy: ${text} # HERE`]
}

testIssues(envelope, [
  ['host is required', 'IST0106', 'spec.host', '# HERE\nsubsets: []'],
  ['host is a name', 'IST0106', 'spec.host', 'host: a_b # HERE'],
  ['host is not empty', 'IST0106', 'spec.host', 'host: "" # HERE'],
  ['host has a wildcard at its start only', 'IST0106', 'spec.host', 'host: a.*.com # HERE'],
  [
    'a subset has a name',
    'IST0106',
    'spec.subsets[0].name',
    'host: a\nsubsets:\n- labels: {version: v1} # HERE',
  ],
  [
    'a subset is a DNS label',
    'IST0106',
    'spec.subsets[0].name',
    'host: a\nsubsets:\n- name: v1.0 # HERE',
  ],
  [
    'a subset is not empty',
    'IST0106',
    'spec.subsets[0].name',
    'host: a\nsubsets:\n- name: "" # HERE',
  ],
  [
    'a subset is there once',
    'IST0106',
    'spec.subsets[1].name',
    'host: a\nsubsets:\n- name: v1\n- name: v1 # HERE',
  ],
  ['a subset cannot be null', 'IST0106', 'spec.subsets[0]', 'host: a\nsubsets: [null] # HERE'],
  [
    'a label value is text',
    'IST0106',
    'spec.subsets[0].labels[version]',
    'host: a\nsubsets:\n- name: v1\n  labels: {version: 1} # HERE',
  ],
  [
    'a label key has a name',
    'IST0106',
    'spec.subsets[0].labels[a b]',
    'host: a\nsubsets:\n- name: v1\n  labels: {"a b": c} # HERE',
  ],
  [
    'a label value has no space',
    'IST0106',
    'spec.subsets[0].labels[a]',
    'host: a\nsubsets:\n- name: v1\n  labels: {a: "b c"} # HERE',
  ],
  [
    'a label value has at most 63 characters',
    'IST0106',
    'spec.subsets[0].labels[a]',
    `host: a\nsubsets:\n- name: v1\n  labels: {a: ${'b'.repeat(64)}} # HERE`,
  ],
  [
    'a policy of a subset is checked',
    'IST0106',
    'spec.subsets[0].trafficPolicy',
    'host: a\nsubsets:\n- name: v1\n  trafficPolicy: {} # HERE',
  ],
  [
    'exportTo repeats nothing',
    'IST0106',
    'spec.exportTo[1]',
    'host: a\nexportTo:\n- b\n- b # HERE',
  ],
  [
    'a selector is for this namespace',
    'IST0106',
    'spec.exportTo[0]',
    'host: a\nworkloadSelector: {matchLabels: {a: b}}\nexportTo: ["*"] # HERE',
  ],
  [
    'a selector has labels',
    'IST0133',
    'spec.workloadSelector',
    'host: a\nworkloadSelector: {} # HERE',
  ],
  [
    'a selector has no wildcard',
    'IST0106',
    'spec.workloadSelector.matchLabels[a]',
    'host: a\nworkloadSelector: {matchLabels: {a: "*"}} # HERE',
  ],
  ['unknown field', 'TUL0010', 'spec.subset', 'host: a\nsubset: [] # HERE'],
])

testIssues(envelope, [
  policy('a policy says something', '', '{}'),
  policy('unknown load balancer', '.loadBalancer.simple', '{loadBalancer: {simple: LEAST_CONNS}}'),
  policy(
    'a load balancer is in capitals',
    '.loadBalancer.simple',
    '{loadBalancer: {simple: random}}',
  ),
  policy(
    'simple and consistentHash exclude each other',
    '.loadBalancer.consistentHash',
    '{loadBalancer: {simple: RANDOM, consistentHash: {useSourceIp: true}}}',
  ),
  policy(
    'a hash has one key',
    '.loadBalancer.consistentHash.useSourceIp',
    '{loadBalancer: {consistentHash: {httpHeaderName: x, useSourceIp: true}}}',
  ),
  policy(
    'a hash has one algorithm',
    '.loadBalancer.consistentHash.maglev',
    '{loadBalancer: {consistentHash: {httpHeaderName: x, ringHash: {}, maglev: {tableSize: 7}}}}',
  ),
  policy(
    'a hash has one ring size',
    '.loadBalancer.consistentHash.minimumRingSize',
    '{loadBalancer: {consistentHash: {httpHeaderName: x, ringHash: {}, minimumRingSize: 0}}}',
  ),
  policy(
    'maglev has a table size',
    '.loadBalancer.consistentHash.maglev.tableSize',
    '{loadBalancer: {consistentHash: {httpHeaderName: x, maglev: {}}}}',
  ),
  policy(
    'a maglev table is prime',
    '.loadBalancer.consistentHash.maglev.tableSize',
    '{loadBalancer: {consistentHash: {httpHeaderName: x, maglev: {tableSize: 65536}}}}',
  ),
  policy(
    'a maglev table is below 5000011',
    '.loadBalancer.consistentHash.maglev.tableSize',
    '{loadBalancer: {consistentHash: {httpHeaderName: x, maglev: {tableSize: 5000011}}}}',
  ),
  policy(
    'a cookie has a name',
    '.loadBalancer.consistentHash.httpCookie.name',
    '{loadBalancer: {consistentHash: {httpCookie: {ttl: 0s}}}}',
  ),
  policy(
    'a cookie ttl is not negative',
    '.loadBalancer.consistentHash.httpCookie.ttl',
    '{loadBalancer: {consistentHash: {httpCookie: {name: a, ttl: -1s}}}}',
  ),
  policy(
    'a hash header has a name',
    '.loadBalancer.consistentHash.httpHeaderName',
    '{loadBalancer: {consistentHash: {httpHeaderName: "a b"}}}',
  ),
  warning(
    'a hash without a key hashes nothing',
    'IST0133',
    '.loadBalancer.consistentHash',
    '{loadBalancer: {consistentHash: {ringHash: {minimumRingSize: 5}}}}',
  ),
  warning(
    'minimumRingSize is deprecated',
    'IST0133',
    '.loadBalancer.consistentHash.minimumRingSize',
    '{loadBalancer: {consistentHash: {useSourceIp: true, minimumRingSize: 5}}}',
  ),
  policy(
    'a warm-up has a duration',
    '.loadBalancer.warmup.duration',
    '{loadBalancer: {warmup: {minimumPercent: 5}}}',
  ),
  policy(
    'a warm-up percentage is at most 100',
    '.loadBalancer.warmup.minimumPercent',
    '{loadBalancer: {warmup: {duration: 300s, minimumPercent: 150.0}}}',
  ),
  policy(
    'aggression is at least 1',
    '.loadBalancer.warmup.aggression',
    '{loadBalancer: {warmup: {duration: 300s, aggression: 0.3}}}',
  ),
  warning(
    'warm-up needs weights',
    'IST0133',
    '.loadBalancer.warmup',
    '{loadBalancer: {simple: RANDOM, warmup: {duration: 300s}}}',
  ),
  warning(
    'warmupDurationSecs is deprecated',
    'IST0002',
    '.loadBalancer.warmupDurationSecs',
    '{loadBalancer: {warmupDurationSecs: 5s}}',
  ),
])

testIssues(envelope, [
  policy(
    'distribute and failover exclude each other',
    '.loadBalancer.localityLbSetting.failover',
    '{outlierDetection: {}, loadBalancer: {localityLbSetting: {distribute: [{from: a, to: {a: 100}}], failover: [{from: a, to: b}]}}}',
  ),
  policy(
    'locality and zone settings exclude each other',
    '.loadBalancer.zoneAwareLbSetting',
    '{loadBalancer: {localityLbSetting: {}, zoneAwareLbSetting: {}}}',
  ),
  policy(
    'shares sum to 100',
    '.loadBalancer.localityLbSetting.distribute[0].to',
    '{loadBalancer: {localityLbSetting: {distribute: [{from: a, to: {a: 50, b: 40}}]}}}',
  ),
  policy(
    'shares are at least 1',
    '.loadBalancer.localityLbSetting.distribute[0].to[a]',
    '{loadBalancer: {localityLbSetting: {distribute: [{from: a, to: {a: 0, b: 100}}]}}}',
  ),
  policy(
    'localities do not overlap',
    '.loadBalancer.localityLbSetting.distribute[0].to[a/b]',
    '{loadBalancer: {localityLbSetting: {distribute: [{from: a, to: {a: 50, a/b: 50}}]}}}',
  ),
  policy(
    'sources do not overlap',
    '.loadBalancer.localityLbSetting.distribute[1].from',
    '{loadBalancer: {localityLbSetting: {distribute: [{from: a/*, to: {a: 100}}, {from: a/b, to: {a: 100}}]}}}',
  ),
  policy(
    'a wildcard is the end',
    '.loadBalancer.localityLbSetting.distribute[0].from',
    '{loadBalancer: {localityLbSetting: {distribute: [{from: "*/b", to: {a: 100}}]}}}',
  ),
  policy(
    'a locality has no empty part',
    '.loadBalancer.localityLbSetting.distribute[0].from',
    '{loadBalancer: {localityLbSetting: {distribute: [{from: a//b, to: {a: 100}}]}}}',
  ),
  policy(
    'failover leads elsewhere',
    '.loadBalancer.localityLbSetting.failover[0]',
    '{outlierDetection: {}, loadBalancer: {localityLbSetting: {failover: [{from: a, to: a}]}}}',
  ),
  policy(
    'failover is between regions',
    '.loadBalancer.localityLbSetting.failover[0].from',
    '{outlierDetection: {}, loadBalancer: {localityLbSetting: {failover: [{from: a/b, to: c}]}}}',
  ),
  policy(
    'failover has no wildcard',
    '.loadBalancer.localityLbSetting.failover[0].to',
    '{outlierDetection: {}, loadBalancer: {localityLbSetting: {failover: [{from: a, to: "*"}]}}}',
  ),
  policy(
    'failover orders regions already',
    '.loadBalancer.localityLbSetting.failoverPriority[0]',
    '{outlierDetection: {}, loadBalancer: {localityLbSetting: {failover: [{from: a, to: b}], failoverPriority: [topology.kubernetes.io/region]}}}',
  ),
  policy(
    'zones are ordered already',
    '.loadBalancer.zoneAwareLbSetting.failoverPriority[0]',
    '{loadBalancer: {zoneAwareLbSetting: {failoverPriority: [topology.kubernetes.io/zone]}}}',
  ),
  policy(
    'regions are ordered already where zones count',
    '.loadBalancer.zoneAwareLbSetting.failoverPriority[1]',
    '{loadBalancer: {zoneAwareLbSetting: {failoverPriority: [app, topology.kubernetes.io/region]}}}',
  ),
  policy(
    'failover of zones leads elsewhere',
    '.loadBalancer.zoneAwareLbSetting.failover[0]',
    '{outlierDetection: {}, loadBalancer: {zoneAwareLbSetting: {failover: [{from: a, to: a}]}}}',
  ),
  policy(
    'failover of zones is between regions',
    '.loadBalancer.zoneAwareLbSetting.failover[0].to',
    '{outlierDetection: {}, loadBalancer: {zoneAwareLbSetting: {failover: [{from: a, to: b/c}]}}}',
  ),
  policy(
    'failover of zones has no wildcard',
    '.loadBalancer.zoneAwareLbSetting.failover[0].from',
    '{outlierDetection: {}, loadBalancer: {zoneAwareLbSetting: {failover: [{from: "*", to: b}]}}}',
  ),
  policy(
    'a cluster has no less than no hosts',
    '.loadBalancer.zoneAwareLbSetting.minClusterSize',
    '{loadBalancer: {zoneAwareLbSetting: {minClusterSize: -1}}}',
  ),
  policy(
    'the smallest cluster is a whole number',
    '.loadBalancer.zoneAwareLbSetting.minClusterSize',
    '{loadBalancer: {zoneAwareLbSetting: {minClusterSize: 1.5}}}',
  ),
  policy(
    'zones are on or off',
    '.loadBalancer.zoneAwareLbSetting.enabled',
    '{loadBalancer: {zoneAwareLbSetting: {enabled: maybe}}}',
  ),
  warning(
    'failover needs outlier detection',
    'IST0133',
    '.loadBalancer.localityLbSetting.failoverPriority',
    '{loadBalancer: {localityLbSetting: {failoverPriority: [a]}}}',
  ),
])

testIssues(envelope, [
  policy('a pool says something', '.connectionPool', '{connectionPool: {}}'),
  policy(
    'maxConnections is not negative',
    '.connectionPool.tcp.maxConnections',
    '{connectionPool: {tcp: {maxConnections: -1}}}',
  ),
  policy(
    'connectTimeout is a duration',
    '.connectionPool.tcp.connectTimeout',
    '{connectionPool: {tcp: {connectTimeout: 30}}}',
  ),
  policy(
    'connectTimeout is at least 1 ms',
    '.connectionPool.tcp.connectTimeout',
    '{connectionPool: {tcp: {connectTimeout: 0s}}}',
  ),
  policy(
    'connectTimeout has no nanoseconds',
    '.connectionPool.tcp.connectTimeout',
    '{connectionPool: {tcp: {connectTimeout: 1000000001ns}}}',
  ),
  policy(
    'keep-alive time is a duration',
    '.connectionPool.tcp.tcpKeepalive.time',
    '{connectionPool: {tcp: {tcpKeepalive: {time: x}}}}',
  ),
  policy(
    'probes are a number',
    '.connectionPool.tcp.tcpKeepalive.probes',
    '{connectionPool: {tcp: {tcpKeepalive: {probes: x}}}}',
  ),
  policy(
    'maxConnectionDuration is at least 1 ms',
    '.connectionPool.tcp.maxConnectionDuration',
    '{connectionPool: {tcp: {maxConnectionDuration: 0s}}}',
  ),
  policy(
    'idleTimeout of tcp is not negative',
    '.connectionPool.tcp.idleTimeout',
    '{connectionPool: {tcp: {idleTimeout: -1s}}}',
  ),
  policy(
    'http1MaxPendingRequests is not negative',
    '.connectionPool.http.http1MaxPendingRequests',
    '{connectionPool: {http: {http1MaxPendingRequests: -1}}}',
  ),
  policy(
    'http2MaxRequests is not negative',
    '.connectionPool.http.http2MaxRequests',
    '{connectionPool: {http: {http2MaxRequests: -1}}}',
  ),
  policy(
    'maxRequestsPerConnection is not negative',
    '.connectionPool.http.maxRequestsPerConnection',
    '{connectionPool: {http: {maxRequestsPerConnection: -1}}}',
  ),
  policy(
    'maxRetries is not negative',
    '.connectionPool.http.maxRetries',
    '{connectionPool: {http: {maxRetries: -1}}}',
  ),
  policy(
    'maxConcurrentStreams is not negative',
    '.connectionPool.http.maxConcurrentStreams',
    '{connectionPool: {http: {maxConcurrentStreams: -1}}}',
  ),
  policy(
    'maxConcurrentStreams fits',
    '.connectionPool.http.maxConcurrentStreams',
    '{connectionPool: {http: {maxConcurrentStreams: 2147483648}}}',
  ),
  policy(
    'idleTimeout of http is at least 1 ms',
    '.connectionPool.http.idleTimeout',
    '{connectionPool: {http: {idleTimeout: 0s}}}',
  ),
  policy(
    'h2UpgradePolicy is a word',
    '.connectionPool.http.h2UpgradePolicy',
    '{connectionPool: {http: {h2UpgradePolicy: ALWAYS}}}',
  ),
  policy(
    'an upgrade is not the protocol of the client',
    '.connectionPool.http.useClientProtocol',
    '{connectionPool: {http: {h2UpgradePolicy: UPGRADE, useClientProtocol: true}}}',
  ),
  policy(
    'pings have an interval and a timeout',
    '.connectionPool.http.http2KeepAlive.timeout',
    '{connectionPool: {http: {http2KeepAlive: {interval: 5s}}}}',
  ),
  warning(
    'consecutiveErrors is deprecated',
    'IST0133',
    '.outlierDetection.consecutiveErrors',
    '{outlierDetection: {consecutiveErrors: 5}}',
  ),
  policy(
    'consecutiveErrors is not negative',
    '.outlierDetection.consecutiveErrors',
    '{outlierDetection: {consecutiveErrors: -5}}',
  ),
  policy(
    'consecutive5xxErrors is whole',
    '.outlierDetection.consecutive5xxErrors',
    '{outlierDetection: {consecutive5xxErrors: 1.5}}',
  ),
  policy(
    'consecutiveGatewayErrors is a number',
    '.outlierDetection.consecutiveGatewayErrors',
    '{outlierDetection: {consecutiveGatewayErrors: "5"}}',
  ),
  policy(
    'local failures are told apart',
    '.outlierDetection.consecutiveLocalOriginFailures',
    '{outlierDetection: {consecutiveLocalOriginFailures: 5}}',
  ),
  policy(
    'interval is at least 1 ms',
    '.outlierDetection.interval',
    '{outlierDetection: {interval: 0s}}',
  ),
  policy(
    'baseEjectionTime is a duration',
    '.outlierDetection.baseEjectionTime',
    '{outlierDetection: {baseEjectionTime: long}}',
  ),
  policy(
    'maxEjectionPercent is at most 100',
    '.outlierDetection.maxEjectionPercent',
    '{outlierDetection: {maxEjectionPercent: 101}}',
  ),
  policy(
    'minHealthPercent is not negative',
    '.outlierDetection.minHealthPercent',
    '{outlierDetection: {minHealthPercent: -1}}',
  ),
  policy(
    'error codes are statuses',
    '.outlierDetection.outlierDetectionHttpErrorCodes[0]',
    '{outlierDetection: {outlierDetectionHttpErrorCodes: [600]}}',
  ),
])

testIssues(envelope, [
  policy('a TLS mode is a word', '.tls.mode', '{tls: {mode: STRICT}}'),
  policy(
    'MUTUAL needs a certificate',
    '.tls.clientCertificate',
    '{tls: {mode: MUTUAL, privateKey: k}}',
  ),
  policy('MUTUAL needs a key', '.tls.privateKey', '{tls: {mode: MUTUAL, clientCertificate: c}}'),
  warning(
    'ISTIO_MUTUAL uses no certificates of its own',
    'IST0133',
    '.tls.clientCertificate',
    '{tls: {mode: ISTIO_MUTUAL, clientCertificate: c}}',
  ),
  policy(
    'a credential stands alone',
    '.tls.caCertificates',
    '{tls: {mode: SIMPLE, credentialName: c, caCertificates: d}}',
  ),
  policy(
    'nothing to verify with when nothing is verified',
    '.tls.subjectAltNames',
    '{tls: {mode: SIMPLE, insecureSkipVerify: true, subjectAltNames: [a]}}',
  ),
  policy(
    'settings of a port have a port',
    '.portLevelSettings[0].port',
    '{portLevelSettings: [{tls: {mode: DISABLE}}]}',
  ),
  policy(
    'settings of a port have a number',
    '.portLevelSettings[0].port.number',
    '{portLevelSettings: [{port: {}, tls: {mode: DISABLE}}]}',
  ),
  policy(
    'settings of a port say something',
    '.portLevelSettings[0]',
    '{portLevelSettings: [{port: {number: 80}}]}',
  ),
  warning(
    'settings of a port have no tunnel',
    'TUL0010',
    '.portLevelSettings[0].tunnel',
    '{portLevelSettings: [{port: {number: 80}, tls: {mode: DISABLE}, tunnel: {}}]}',
  ),
  warning(
    'settings of a port are there once',
    'IST0133',
    '.portLevelSettings[1].port.number',
    '{portLevelSettings: [{port: {number: 80}, tls: {mode: DISABLE}}, {port: {number: 80}, tls: {mode: DISABLE}}]}',
  ),
  policy(
    'tunnel and proxyProtocol exclude each other',
    '.proxyProtocol',
    '{tunnel: {targetHost: a, targetPort: 80}, proxyProtocol: {version: V1}}',
  ),
  policy('a tunnel has a host', '.tunnel.targetHost', '{tunnel: {targetPort: 80}}'),
  policy(
    'a tunnel has a host that is a name',
    '.tunnel.targetHost',
    '{tunnel: {targetHost: a_b, targetPort: 80}}',
  ),
  policy('a tunnel has a port', '.tunnel.targetPort', '{tunnel: {targetHost: a, targetPort: 0}}'),
  policy(
    'a tunnel is CONNECT or POST',
    '.tunnel.protocol',
    '{tunnel: {protocol: GET, targetHost: a, targetPort: 80}}',
  ),
  policy('a PROXY version is V1 or V2', '.proxyProtocol.version', '{proxyProtocol: {version: V3}}'),
  policy(
    'a retry budget is at most 100 per cent',
    '.retryBudget.percent',
    '{retryBudget: {percent: 101}}',
  ),
  policy(
    'minRetryConcurrency is not negative',
    '.retryBudget.minRetryConcurrency',
    '{retryBudget: {minRetryConcurrency: -1}}',
  ),
  warning(
    'PASSTHROUGH has nothing to warm up',
    'IST0133',
    '.loadBalancer.warmup',
    '{loadBalancer: {simple: PASSTHROUGH, warmup: {duration: 1s}}}',
  ),
])
