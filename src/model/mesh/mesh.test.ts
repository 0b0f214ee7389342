/** Our Mesh: one row for each rule, and a whole mesh file as it is read. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { testIssues } from '../../../test/support/issue-table.ts'
import { parseText } from '../parse.ts'
import type { MeshSpec } from './mesh.ts'

const service = (lines: string): string =>
  `services:\n- name: a\n  ports: [{number: 80}]\n  workloads:\n  - ${lines}`

testIssues({ apiVersion: 'tulle.dev/v1alpha1', kind: 'Mesh' }, [
  ['a trust domain is a name', 'IST0106', 'spec.trustDomain', 'trustDomain: a b # HERE'],
  [
    'a trust domain is in lower case',
    'IST0106',
    'spec.trustDomain',
    'trustDomain: Example.org # HERE',
  ],
  [
    'there is one trust domain',
    'IST0106',
    'spec.meshConfig.trustDomain',
    'trustDomain: a.example\nmeshConfig: {trustDomain: b.example} # HERE',
  ],
  [
    'zones of the mesh are checked as those of a rule',
    'IST0106',
    'spec.meshConfig.zoneAwareLbSetting.failoverPriority[0]',
    'meshConfig: {zoneAwareLbSetting: {failoverPriority: [topology.istio.io/subzone]}} # HERE',
  ],
  [
    'a failover of zones of the mesh leads elsewhere',
    'IST0106',
    'spec.meshConfig.zoneAwareLbSetting.failover[0]',
    'meshConfig: {zoneAwareLbSetting: {failover: [{from: a, to: a}]}} # HERE',
  ],
  [
    'the smallest cluster of zones is a number',
    'IST0106',
    'spec.meshConfig.zoneAwareLbSetting.minClusterSize',
    'meshConfig: {zoneAwareLbSetting: {minClusterSize: few}} # HERE',
  ],
  [
    'a mode of mTLS is a word',
    'IST0106',
    'spec.meshConfig.mtlsMode',
    'meshConfig: {mtlsMode: UNSET} # HERE',
  ],
  [
    'a version of TLS is a word',
    'IST0106',
    'spec.meshConfig.meshMTLS.minProtocolVersion',
    'meshConfig: {meshMTLS: {minProtocolVersion: "1.2"}} # HERE',
  ],
  [
    'curves cannot be chosen between sidecars',
    'IST0106',
    'spec.meshConfig.meshMTLS.ecdhCurves',
    'meshConfig: {meshMTLS: {ecdhCurves: [X25519]}} # HERE',
  ],
  [
    'suites are those of TLS 1.2, which sidecars speak when they are told to',
    'IST0133',
    'spec.meshConfig.meshMTLS.cipherSuites',
    'meshConfig: {meshMTLS: {cipherSuites: [ECDHE-RSA-AES128-GCM-SHA256]}} # HERE',
  ],
  [
    'suites say nothing where 1.3 is the least',
    'IST0133',
    'spec.meshConfig.tlsDefaults.cipherSuites',
    'meshConfig: {tlsDefaults: {minProtocolVersion: TLSV1_3, cipherSuites: [AES128-SHA]}} # HERE',
  ],
  [
    'a suite is one that is known',
    'IST0106',
    'spec.meshConfig.tlsDefaults.cipherSuites[0]',
    'meshConfig: {tlsDefaults: {cipherSuites: [TLS_AES_128_GCM_SHA256]}} # HERE',
  ],
  [
    'a suite stands once',
    'IST0133',
    'spec.meshConfig.tlsDefaults.cipherSuites[1]',
    'meshConfig: {tlsDefaults: {cipherSuites: [AES128-SHA, AES128-SHA]}} # HERE',
  ],
  [
    'a curve that is not known counts for nothing',
    'IST0133',
    'spec.meshConfig.tlsDefaults.ecdhCurves[1]',
    'meshConfig: {tlsDefaults: {ecdhCurves: [X25519, secp256k1]}} # HERE',
  ],
  [
    'a curve stands once',
    'IST0133',
    'spec.meshConfig.tlsDefaults.ecdhCurves[1]',
    'meshConfig: {tlsDefaults: {ecdhCurves: [P-256, P-256]}} # HERE',
  ],
  [
    'a version of others’ TLS is a word',
    'IST0106',
    'spec.meshConfig.tlsDefaults.minProtocolVersion',
    'meshConfig: {tlsDefaults: {minProtocolVersion: TLSV1_1}} # HERE',
  ],
  [
    'a pattern that stands for nothing stays in a name',
    'IST0133',
    'spec.meshConfig.outboundClusterStatName',
    'meshConfig: {outboundClusterStatName: "%SERVICE_NAME%"} # HERE',
  ],
  [
    'an outbound name knows no target port',
    'IST0133',
    'spec.meshConfig.outboundClusterStatName',
    'meshConfig: {outboundClusterStatName: "%SERVICE%_%TARGET_PORT%"} # HERE',
  ],
  [
    'an inbound name knows no subset',
    'IST0133',
    'spec.meshConfig.inboundClusterStatName',
    'meshConfig: {inboundClusterStatName: "%SERVICE%_%SUBSET_NAME%"} # HERE',
  ],
  [
    'a name is a text',
    'IST0106',
    'spec.meshConfig.inboundClusterStatName',
    'meshConfig: {inboundClusterStatName: [a]} # HERE',
  ],
  [
    'probes of keepalive are counted',
    'IST0106',
    'spec.meshConfig.tcpKeepalive.probes',
    'meshConfig: {tcpKeepalive: {probes: -1}} # HERE',
  ],
  [
    'a time of keepalive is a duration',
    'IST0106',
    'spec.meshConfig.tcpKeepalive.time',
    'meshConfig: {tcpKeepalive: {time: 10}} # HERE',
  ],
  [
    'a condition of inbound retries is known',
    'IST0106',
    'spec.meshConfig.defaultInboundHttpRetryPolicy.retryOn',
    'meshConfig: {defaultInboundHttpRetryPolicy: {attempts: 1, retryOn: always}} # HERE',
  ],
  [
    'inbound retries know one host',
    'TUL0011',
    'spec.meshConfig.defaultInboundHttpRetryPolicy.perTryTimeout',
    'meshConfig: {defaultInboundHttpRetryPolicy: {attempts: 1, perTryTimeout: 1s}} # HERE',
  ],
  [
    'an inbound mode is a word',
    'IST0106',
    'spec.meshConfig.inboundTrafficPolicy.mode',
    'meshConfig: {inboundTrafficPolicy: {mode: ANY}} # HERE',
  ],
  [
    'an application is called where it listens',
    'TUL0011',
    'spec.meshConfig.inboundTrafficPolicy.mode',
    'meshConfig: {inboundTrafficPolicy: {mode: PASSTHROUGH}} # HERE',
  ],
  [
    'a service setting is for hosts',
    'IST0106',
    'spec.meshConfig.serviceSettings[0].hosts[0]',
    'meshConfig: {serviceSettings: [{settings: {clusterLocal: true}, hosts: ["a.*"]}]} # HERE',
  ],
  [
    'a host has settings once',
    'IST0133',
    'spec.meshConfig.serviceSettings[1].hosts[0]',
    'meshConfig: {serviceSettings: [{hosts: [a.b]}, {hosts: [a.b]}]} # HERE',
  ],
  [
    'a root is a certificate',
    'IST0106',
    'spec.meshConfig.caCertificates[0].pem',
    'meshConfig: {caCertificates: [{pem: x}]} # HERE',
  ],
  [
    'a root is somewhere',
    'IST0106',
    'spec.meshConfig.caCertificates[0]',
    'meshConfig: {caCertificates: [{trustDomains: [a.example]}]} # HERE',
  ],
  [
    'bundles are not fetched yet',
    'TUL0011',
    'spec.meshConfig.caCertificates[0].spiffeBundleUrl',
    'meshConfig: {caCertificates: [{spiffeBundleUrl: "https://a"}]} # HERE',
  ],
  [
    'servers are verified',
    'TUL0011',
    'spec.meshConfig.verifyCertificateAtClient',
    'meshConfig: {verifyCertificateAtClient: false} # HERE',
  ],
  [
    'visibility is for sidecars',
    'TUL0011',
    'spec.meshConfig.serviceEntryVisibility',
    'meshConfig: {serviceEntryVisibility: {defaultVisibility: NONE}} # HERE',
  ],
  [
    'a visibility is a word',
    'IST0106',
    'spec.meshConfig.serviceEntryVisibility.defaultVisibility',
    'meshConfig: {serviceEntryVisibility: {applyToSidecars: true, defaultVisibility: MINE}} # HERE',
  ],
  [
    'a rule selects namespaces',
    'IST0106',
    'spec.meshConfig.serviceEntryVisibility.policies[0].matchingRules[0].namespaceSelector',
    'meshConfig: {serviceEntryVisibility: {applyToSidecars: true, policies: [{matchingRules: [{}]}]}} # HERE',
  ],
  [
    'namespaces have only their names for labels',
    'IST0133',
    'spec.meshConfig.serviceEntryVisibility.policies[0].matchingRules[0].namespaceSelector',
    'meshConfig: {serviceEntryVisibility: {applyToSidecars: true, policies: [{matchingRules: [{namespaceSelector: {matchLabels: {team: a}}}]}]}} # HERE',
  ],
  [
    'In has values',
    'IST0106',
    'spec.meshConfig.serviceEntryVisibility.policies[0].matchingRules[0].namespaceSelector.matchExpressions[0].values',
    'meshConfig: {serviceEntryVisibility: {applyToSidecars: true, policies: [{matchingRules: [{namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: In}]}}]}]}} # HERE',
  ],
  [
    'Exists has none',
    'IST0106',
    'spec.meshConfig.serviceEntryVisibility.policies[0].matchingRules[0].namespaceSelector.matchExpressions[0].values',
    'meshConfig: {serviceEntryVisibility: {applyToSidecars: true, policies: [{matchingRules: [{namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: Exists, values: [a]}]}}]}]}} # HERE',
  ],
  [
    'namespaces have no labels',
    'TUL0011',
    'spec.meshConfig.discoverySelectors',
    'meshConfig: {discoverySelectors: [{matchLabels: {mesh: yes}}]} # HERE',
  ],
  [
    'nothing is captured',
    'TUL0011',
    'spec.meshConfig.proxyListenPort',
    'meshConfig: {proxyListenPort: 15001} # HERE',
  ],
  ['config is a list', 'IST0106', 'spec.config', 'config: ./config # HERE'],
  [
    'a mode is a word',
    'IST0106',
    'spec.meshConfig.outboundTrafficPolicy.mode',
    'meshConfig: {outboundTrafficPolicy: {mode: DENY_ALL}} # HERE',
  ],
  [
    'an encoding is a word',
    'IST0106',
    'spec.meshConfig.accessLogEncoding',
    'meshConfig: {accessLogEncoding: json} # HERE',
  ],
  [
    'a grace period is a duration',
    'IST0106',
    'spec.meshConfig.workloadGracePeriod',
    'meshConfig: {workloadGracePeriod: 10} # HERE',
  ],
  [
    'the drain of a termination is a duration',
    'IST0106',
    'spec.meshConfig.defaultConfig.terminationDrainDuration',
    'meshConfig: {defaultConfig: {terminationDrainDuration: 5}} # HERE',
  ],
  [
    'a drain of nothing is none',
    'IST0106',
    'spec.meshConfig.defaultConfig.drainDuration',
    'meshConfig: {defaultConfig: {drainDuration: 0s}} # HERE',
  ],
  [
    'a switch of Istio’s agent is a text',
    'IST0106',
    'spec.meshConfig.defaultConfig.proxyMetadata[EXIT_ON_ZERO_ACTIVE_CONNECTIONS]',
    'meshConfig: {defaultConfig: {proxyMetadata: {EXIT_ON_ZERO_ACTIVE_CONNECTIONS: true}}} # HERE',
  ],
  [
    'another variable of Istio’s agent is read by nobody',
    'IST0133',
    'spec.meshConfig.defaultConfig.proxyMetadata[ISTIO_META_DNS_CAPTURE]',
    'meshConfig: {defaultConfig: {proxyMetadata: {ISTIO_META_DNS_CAPTURE: "true"}}} # HERE',
  ],
  [
    'the default retry policy has no perTryTimeout',
    'IST0106',
    'spec.meshConfig.defaultHttpRetryPolicy.perTryTimeout',
    'meshConfig: {defaultHttpRetryPolicy: {attempts: 1, perTryTimeout: 1s}} # HERE',
  ],
  [
    'an unknown setting',
    'TUL0010',
    'spec.meshConfig.accesLogFile',
    'meshConfig: {accesLogFile: /dev/stdout} # HERE',
  ],
  [
    'a setting of Istio that has no effect yet',
    'TUL0011',
    'spec.meshConfig.extensionProviders',
    'meshConfig: {extensionProviders: []} # HERE',
  ],
  [
    'a service has a name',
    'IST0106',
    'spec.services[0].name',
    'services:\n- ports: [{number: 80}] # HERE',
  ],
  [
    'a service has a name that begins with a letter',
    'IST0106',
    'spec.services[0].name',
    'services:\n- {name: 1a, ports: [{number: 80}]} # HERE',
  ],
  ['a service has ports', 'IST0106', 'spec.services[0].ports', 'services:\n- name: a # HERE'],
  [
    'a port has a number',
    'IST0106',
    'spec.services[0].ports[0].number',
    'services:\n- {name: a, ports: [{name: http}]} # HERE',
  ],
  [
    'a port is there once',
    'IST0106',
    'spec.services[0].ports[1].number',
    'services:\n- {name: a, ports: [{number: 80}, {number: 80}]} # HERE',
  ],
  [
    'a protocol is known',
    'IST0106',
    'spec.services[0].ports[0].protocol',
    'services:\n- {name: a, ports: [{number: 80, protocol: GOPHER}]} # HERE',
  ],
  [
    'a service is there once',
    'IST0106',
    'spec.services[1].name',
    'services:\n- {name: a, ports: [{number: 80}]}\n- {name: a, ports: [{number: 80}]} # HERE',
  ],
  [
    'a workload has a command',
    'IST0106',
    'spec.services[0].workloads[0].command',
    service('name: a-v1 # HERE'),
  ],
  [
    'a command is not empty',
    'IST0106',
    'spec.services[0].workloads[0].command',
    service('{name: a-v1, command: []} # HERE'),
  ],
  [
    'a command is text or a list',
    'IST0106',
    'spec.services[0].workloads[0].command',
    service('{name: a-v1, command: {a: b}} # HERE'),
  ],
  [
    'a workload is there once',
    'IST0106',
    'spec.workloads[0].name',
    `${service('{name: b, command: x}')}\nworkloads:\n- {name: b, command: x} # HERE`,
  ],
  [
    'replicas are not negative',
    'IST0106',
    'spec.services[0].workloads[0].replicas',
    service('{name: a-v1, command: x, replicas: -1} # HERE'),
  ],
  [
    'replicas do not share a port',
    'IST0106',
    'spec.services[0].workloads[0].port',
    service('{name: a-v1, command: x, replicas: 2, port: 8080} # HERE'),
  ],
  [
    'a label app is the service',
    'IST0133',
    'spec.services[0].workloads[0].labels[app]',
    service('{name: a-v1, command: x, labels: {app: b}} # HERE'),
  ],
  [
    'an upstream is host:port',
    'IST0106',
    'spec.workloads[0].upstreams[0]',
    'workloads:\n- {name: b, command: x, upstreams: [postgres]} # HERE',
  ],
  [
    'an upstream has a port in range',
    'IST0106',
    'spec.workloads[0].upstreams[0]',
    'workloads:\n- {name: b, command: x, upstreams: ["postgres:99999"]} # HERE',
  ],
  [
    'a variable has a name',
    'IST0106',
    'spec.workloads[0].env[A-B]',
    'workloads:\n- {name: b, command: x, env: {A-B: c}} # HERE',
  ],
  [
    'a variable is not a list',
    'IST0106',
    'spec.workloads[0].env[A]',
    'workloads:\n- {name: b, command: x, env: {A: [c]}} # HERE',
  ],
  [
    'a probe asks one thing',
    'IST0106',
    'spec.workloads[0].probe',
    'workloads:\n- {name: b, command: x, probe: {periodSeconds: 1}} # HERE',
  ],
  [
    'unknown field',
    'TUL0010',
    'spec.workloads[0].environment',
    'workloads:\n- {name: b, command: x, environment: {}} # HERE',
  ],
])

test('a mesh file is read as it is written, numbers in env as text', () => {
  const [document] = parseText(
    `
apiVersion: tulle.dev/v1alpha1
kind: Mesh
metadata: { name: shop }
spec:
  trustDomain: cluster.local
  meshConfig:
    outboundTrafficPolicy: { mode: REGISTRY_ONLY }
    accessLogFile: ""
    inferSubsets: false
    workloadGracePeriod: 0s
  config: [ ./config ]
  services:
  - name: cart
    ports: [ { number: 8080, name: http, protocol: http } ]
    workloads:
    - name: cart-v1
      labels: { version: v1 }
      replicas: 2
      command: ./cart --port \${PORT}
      build: [go, build, -o, cart, .]
      env: { VERSION: v1, RATE: 5, VERBOSE: true }
      upstreams: [ postgres:5432 ]
      probe: { httpGet: { path: /healthz } }
  workloads:
  - name: load
    command: [node, load.js, 7]
`,
    'mesh.yaml',
  )
  assert.ok(document?.resource)
  assert.deepEqual(document.issues, [])
  assert.equal(document.resource.metadata.namespace, 'default')
  const spec = document.resource.spec as MeshSpec
  const workload = spec.services?.[0]?.workloads?.[0]
  assert.deepEqual(workload?.env, { VERSION: 'v1', RATE: '5', VERBOSE: 'true' })
  assert.equal(workload?.command, './cart --port ${PORT}')
  assert.deepEqual(spec.workloads?.[0]?.command, ['node', 'load.js', '7'])
  assert.equal(spec.meshConfig?.inferSubsets, false)
})
