/** ProxyConfig in its three places: one row for each rule, and what lies over what. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { testIssues, type IssueRow } from '../../../test/support/issue-table.ts'
import { proxyConfigLevels, type ProxyConfigSpec } from '../istio/proxy-config.ts'
import { parseText } from '../parse.ts'
import type { Resource } from '../resource.ts'
import { proxyConfigOfAnnotations } from './proxy-config-annotation.ts'
import { mergeProxyConfigs } from './proxy-config.ts'

const at = 'spec.meshConfig.defaultConfig'

function row(...[title, code, path, config]: [string, string, string, string]): IssueRow {
  return [title, code, `${at}.${path}`, `meshConfig: {defaultConfig: ${config}} # HERE`]
}

testIssues({ apiVersion: 'tulle.dev/v1alpha1', kind: 'Mesh' }, [
  row('threads are counted', 'IST0106', 'concurrency', '{concurrency: -1}'),
  row('threads have a ceiling', 'IST0106', 'concurrency', '{concurrency: 5000}'),
  row('threads are a number', 'IST0106', 'concurrency', '{concurrency: all}'),
  row('a drain has a unit', 'IST0106', 'drainDuration', '{drainDuration: 45}'),
  row('a variable has a name', 'IST0106', 'proxyMetadata[a b]', '{proxyMetadata: {"a b": x}}'),
  row(
    'a variable that nobody reads is told',
    'IST0133',
    'proxyMetadata[BOOTSTRAP_XDS_AGENT]',
    '{proxyMetadata: {BOOTSTRAP_XDS_AGENT: "true"}}',
  ),
  row(
    'what the agent says itself is not said by others',
    'IST0106',
    'proxyMetadata[ISTIO_META_NAMESPACE]',
    '{proxyMetadata: {ISTIO_META_NAMESPACE: x}}',
  ),
  row(
    'an idle time-out is a duration',
    'IST0106',
    'proxyMetadata[ISTIO_META_IDLE_TIMEOUT]',
    '{proxyMetadata: {ISTIO_META_IDLE_TIMEOUT: soon}}',
  ),
  row(
    'HTTP/1.0 is on or off',
    'IST0106',
    'proxyMetadata[ISTIO_META_HTTP10]',
    '{proxyMetadata: {ISTIO_META_HTTP10: "yes"}}',
  ),
  row(
    'a way to forward certificates is a word',
    'IST0106',
    'proxyHeaders.forwardedClientCert',
    '{proxyHeaders: {forwardedClientCert: ALWAYS}}',
  ),
  row(
    'details are on or off',
    'IST0106',
    'proxyHeaders.setCurrentClientCertDetails.dns',
    '{proxyHeaders: {setCurrentClientCertDetails: {dns: 1}}}',
  ),
  row(
    'a switch has one position',
    'TUL0010',
    'proxyHeaders.requestId.enabled',
    '{proxyHeaders: {requestId: {enabled: true}}}',
  ),
  row(
    'a server’s name is a header’s value',
    'IST0106',
    'proxyHeaders.server.value',
    '{proxyHeaders: {server: {value: "a\\r\\nb: c"}}}',
  ),
  row(
    'a server that is not named needs no name',
    'IST0133',
    'proxyHeaders.server.value',
    '{proxyHeaders: {server: {disabled: true, value: x}}}',
  ),
  row(
    'sidecars exchange nothing in headers',
    'TUL0011',
    'proxyHeaders.metadataExchangeHeaders',
    '{proxyHeaders: {metadataExchangeHeaders: {mode: IN_MESH}}}',
  ),
  row(
    'a sidecar is not the first proxy',
    'TUL0011',
    'proxyHeaders.xForwardedPort',
    '{proxyHeaders: {xForwardedPort: {enabled: true}}}',
  ),
  row(
    'a prefix is not empty',
    'IST0106',
    'proxyStatsMatcher.inclusionPrefixes[0]',
    '{proxyStatsMatcher: {inclusionPrefixes: [""]}}',
  ),
  row(
    'an expression is one of RE2',
    'IST0106',
    'proxyStatsMatcher.inclusionRegexps[0]',
    '{proxyStatsMatcher: {inclusionRegexps: ["("]}}',
  ),
  row('a tag is a name', 'IST0106', 'extraStatTags[0]', '{extraStatTags: ["a=b"]}'),
  row(
    'to wait for a sidecar is yes or no',
    'IST0106',
    'holdApplicationUntilProxyStarts',
    '{holdApplicationUntilProxyStarts: always}',
  ),
  row(
    'a probe asks something',
    'IST0106',
    'readinessProbe',
    '{readinessProbe: {periodSeconds: 1}}',
  ),
  row('a status port is a port', 'IST0106', 'statusPort', '{statusPort: 70000}'),
  row('an admin port is a port', 'IST0106', 'proxyAdminPort', '{proxyAdminPort: 0}'),
  row(
    'a key of the runtime has no spaces',
    'IST0106',
    'runtimeValues[a b]',
    '{runtimeValues: {"a b": x}}',
  ),
  row('roots are certificates', 'IST0106', 'caCertificatesPem[0]', '{caCertificatesPem: [x]}'),
  row(
    'a cluster is named once',
    'IST0106',
    'tracingServiceName',
    '{serviceCluster: a, tracingServiceName: CANONICAL_NAME_ONLY}',
  ),
  row('tracing is still to come', 'TUL0011', 'tracing', '{tracing: {sampling: 1}}'),
  row('gateways are still to come', 'TUL0011', 'gatewayTopology', '{gatewayTopology: {}}'),
  row('nothing is captured', 'TUL0011', 'interceptionMode', '{interceptionMode: TPROXY}'),
  [
    'a port of the host is for one workload',
    'IST0106',
    `${at}.statusPort`,
    'meshConfig: {defaultConfig: {statusPort: 15020}} # HERE\nworkloads: [{name: a, command: x}, {name: b, command: x}]',
  ],
  [
    'a port of the host is for one replica',
    'IST0106',
    'spec.workloads[0].annotations[proxy.istio.io/config]',
    'workloads:\n- name: a\n  command: x\n  replicas: 2\n  annotations: {proxy.istio.io/config: "proxyAdminPort: 15000"} # HERE',
  ],
  [
    'an annotation is a ProxyConfig',
    'IST0106',
    'spec.workloads[0].annotations[proxy.istio.io/config]',
    'workloads:\n- name: a\n  command: x\n  annotations: {proxy.istio.io/config: "concurrency: many"} # HERE',
  ],
  [
    'an annotation is YAML',
    'TUL0001',
    'spec.workloads[0].annotations[proxy.istio.io/config]',
    'workloads:\n- name: a\n  command: x\n  annotations: {proxy.istio.io/config: "a: [1"} # HERE',
  ],
  [
    'a field of an annotation that has no effect is told',
    'TUL0011',
    'spec.services[0].workloads[0].annotations[proxy.istio.io/config]',
    'services:\n- name: s\n  ports: [{number: 80}]\n  workloads:\n  - name: a\n    command: x\n    annotations: {proxy.istio.io/config: "image: {imageType: debug}"} # HERE',
  ],
])

testIssues({ apiVersion: 'networking.istio.io/v1beta1', kind: 'ProxyConfig' }, [
  ['threads are counted', 'IST0106', 'spec.concurrency', 'concurrency: -1 # HERE'],
  [
    'a variable has a name',
    'IST0106',
    'spec.environmentVariables[a b]',
    'environmentVariables: {"a b": x} # HERE',
  ],
  ['there is no image', 'TUL0011', 'spec.image', 'image: {imageType: distroless} # HERE'],
  ['other fields are not its own', 'TUL0010', 'spec.drainDuration', 'drainDuration: 1s # HERE'],
])

test('an annotation says inside of it which field is wrong', () => {
  const text = `
apiVersion: tulle.dev/v1alpha1
kind: Mesh
metadata: { name: m }
spec:
  workloads:
  - name: a
    command: x
    annotations:
      proxy.istio.io/config: |
        proxyHeaders: { server: { disabled: maybe } }
`
  const [document] = parseText(text, 'mesh.yaml')
  assert.deepEqual(
    document?.issues.map(({ message, line }) => [message.split(',')[0], line]),
    [['proxyHeaders.server.disabled: must be true or false', 10]],
  )
})

test('later levels replace fields, and entries of headers and of variables', () => {
  const merged = mergeProxyConfigs([
    {
      concurrency: 2,
      extraStatTags: ['a'],
      proxyMetadata: { A: '1', B: '1' },
      proxyHeaders: { requestId: { disabled: true }, server: { value: 'x' } },
    },
    undefined,
    {
      concurrency: 0,
      extraStatTags: ['b'],
      proxyMetadata: { B: '2' },
      proxyHeaders: { server: { disabled: true } },
    },
  ])
  assert.deepEqual(merged, {
    concurrency: 0,
    extraStatTags: ['b'],
    proxyMetadata: { A: '1', B: '2' },
    proxyHeaders: { requestId: { disabled: true }, server: { disabled: true } },
  })
  assert.deepEqual(mergeProxyConfigs([undefined]), {})
})

test('annotations of their own go before the fields of the one that holds them all', () => {
  assert.deepEqual(
    proxyConfigOfAnnotations({
      'proxy.istio.io/config':
        '{concurrency: 3, extraStatTags: [a], proxyStatsMatcher: {inclusionPrefixes: [x], inclusionSuffixes: [y]}}',
      'sidecar.istio.io/statsInclusionPrefixes': 'p1,p2',
      'sidecar.istio.io/extraStatTags': 'a,b',
    }),
    {
      concurrency: 3,
      extraStatTags: ['a', 'b'],
      proxyStatsMatcher: { inclusionPrefixes: ['p1', 'p2'], inclusionSuffixes: ['y'] },
    },
  )
  assert.equal(proxyConfigOfAnnotations(undefined), undefined)
})

test('of resources of one level the first counts, and a selector selects in its own namespace', () => {
  const resource = (namespace: string, spec: ProxyConfigSpec) =>
    ({ metadata: { namespace }, spec }) as Resource<ProxyConfigSpec>
  const matchLabels = { app: 'a' }
  const levels = proxyConfigLevels(
    [
      resource('root', { concurrency: 1, environmentVariables: { A: '1' } }),
      resource('other', { concurrency: 9 }),
      resource('shop', { concurrency: 2 }),
      resource('shop', { concurrency: 3 }),
      resource('root', { selector: { matchLabels }, concurrency: 4 }),
      resource('shop', { selector: { matchLabels: { app: 'b' } }, concurrency: 5 }),
      resource('shop', { selector: { matchLabels }, concurrency: 6 }),
    ],
    { namespace: 'shop', rootNamespace: 'root', labels: { app: 'a', version: 'v1' } },
  )
  assert.deepEqual(levels, {
    root: { concurrency: 1, proxyMetadata: { A: '1' } },
    namespace: { concurrency: 2 },
    workload: { concurrency: 6 },
  })
})
