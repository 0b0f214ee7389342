/**
 * Which filter chain of a mesh port a connection meets, by mode and by what the client speaks: the outcomes of Istio's
 * peer_authentication_simulation_test, as far as a listener for each port has them.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { nodeOf, registryOf, resourceFrom } from '../../test/support/translation-case.ts'
import { Listener } from '../xds/proto/generated/envoy/config/listener/v3/listener.ts'
import type { FilterChain } from '../xds/proto/generated/envoy/config/listener/v3/listener_components.ts'
import {
  HttpConnectionManager,
  HttpConnectionManager_ForwardClientCertDetails as ForwardDetails,
} from '../xds/proto/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts'
import { Any } from '../xds/proto/generated/google/protobuf/any.ts'
import { typeUrls } from '../xds/resource-set.ts'
import { translateAll } from './full.ts'
import { meshSettingsOf } from './input.ts'

type Outcome = 'mtls' | 'bytes' | 'refused'

/** `none` is plaintext. */
interface Call {
  readonly tls: 'none' | readonly string[]
}

const plaintext: Call = { tls: 'none' }
const mesh: Call = { tls: ['istio'] }
const meshHttp: Call = { tls: ['istio-http/1.1', 'istio', 'http/1.1'] }
const meshTcp: Call = { tls: ['istio-peer-exchange', 'istio'] }
const browser: Call = { tls: ['h2', 'http/1.1'] }
const bareTls: Call = { tls: [] }

const ports = { http: 8000, tcp: 9000 } as const

function listenerOf(port: keyof typeof ports, spec: object | undefined): Listener {
  const registry = registryOf([
    {
      hostname: 'a.default.svc.cluster.local',
      ports: [
        { number: ports.http, name: 'http' },
        { number: ports.tcp, name: 'tcp', protocol: 'tcp' },
      ],
      endpoints: [
        { workload: 'a', port: 30_000, servicePort: ports.http },
        { workload: 'a', port: 30_001, servicePort: ports.tcp },
      ],
    },
  ])
  const policy = resourceFrom(
    JSON.stringify({
      apiVersion: 'security.istio.io/v1',
      kind: 'PeerAuthentication',
      metadata: { name: 'default' },
      spec: { selector: { matchLabels: { app: 'foo' } }, ...spec },
    }),
  )
  const resources = new Map(spec === undefined ? [] : [['policy', policy]])
  const client = nodeOf({
    workload: 'a',
    labels: { app: 'foo' },
    metadata: {
      MESH_PORTS: [
        { name: 'http', servicePort: ports.http, appPort: ports.http, meshPort: 30_000 },
        { name: 'tcp', servicePort: ports.tcp, appPort: ports.tcp, meshPort: 30_001 },
      ],
    },
  })
  const view = translateAll({ resources, registry, mesh: meshSettingsOf() }, client)
  const bytes = view.resources(typeUrls.listener).get(`inbound|${ports[port]}||`)?.any
  assert.ok(bytes !== undefined)
  return Listener.decode(Any.decode(bytes).value)
}

/** Envoy's order: transport protocol first, then application protocols; what is named goes before what is not. */
function outcomeOf(listener: Listener, { tls }: Call): Outcome {
  const isInspected = listener.listenerFilters.some(({ name }) => name.endsWith('tls_inspector'))
  const transport = tls !== 'none' && isInspected ? 'tls' : 'raw_buffer'
  const offered = tls === 'none' || !isInspected ? [] : tls
  const byTransport = preferNamed(
    listener.filterChains,
    (chain) => chain.filterChainMatch?.transportProtocol ?? '',
    [transport],
  )
  const [chain] = preferNamedLists(byTransport, offered)
  if (chain === undefined) return 'refused'
  if (chain.transportSocket === undefined) return 'bytes'
  assert.equal(chain.transportSocket.name, 'envoy.transport_sockets.tls')
  return tls === 'none' ? 'refused' : 'mtls'
}

function preferNamed(
  chains: readonly FilterChain[],
  nameOf: (chain: FilterChain) => string,
  names: readonly string[],
): readonly FilterChain[] {
  const named = chains.filter((chain) => names.includes(nameOf(chain)))
  return named.length > 0 ? named : chains.filter((chain) => nameOf(chain) === '')
}

function preferNamedLists(
  chains: readonly FilterChain[],
  offered: readonly string[],
): readonly FilterChain[] {
  const protocolsOf = (chain: FilterChain) => chain.filterChainMatch?.applicationProtocols ?? []
  const named = chains.filter((chain) =>
    protocolsOf(chain).some((protocol) => offered.includes(protocol)),
  )
  return named.length > 0 ? named : chains.filter((chain) => protocolsOf(chain).length === 0)
}

const strict = { mtls: { mode: 'STRICT' } }
const permissive = { mtls: { mode: 'PERMISSIVE' } }
const disable = { mtls: { mode: 'DISABLE' } }
const portMode = (spec: object, mode: string) => ({ ...spec, portLevelMtls: { 9000: { mode } } })

/** Policy, port, call, outcome. Bytes to an HTTP port that are TLS are then a protocol error of HTTP's. */
const table: readonly [string, object | undefined, keyof typeof ports, Call, Outcome][] = [
  ['nothing said: plaintext', undefined, 'http', plaintext, 'refused'],
  ['nothing said: mTLS', undefined, 'http', meshHttp, 'mtls'],
  ['nothing said: plaintext TCP', undefined, 'tcp', plaintext, 'refused'],
  ['nothing said: mTLS TCP', undefined, 'tcp', meshTcp, 'mtls'],

  ['disable: mtls', disable, 'http', mesh, 'bytes'],
  ['disable: plaintext', disable, 'http', plaintext, 'bytes'],
  ['disable: mtls TCP', disable, 'tcp', mesh, 'bytes'],
  ['disable: plaintext TCP', disable, 'tcp', plaintext, 'bytes'],

  ['strict: plaintext', strict, 'http', plaintext, 'refused'],
  ['strict: mtls', strict, 'http', mesh, 'mtls'],
  ['strict: a client that knows no mesh, with a certificate', strict, 'http', browser, 'mtls'],
  ['strict: TLS without ALPN', strict, 'http', bareTls, 'mtls'],
  ['strict: plaintext TCP', strict, 'tcp', plaintext, 'refused'],
  ['strict: mtls TCP', strict, 'tcp', mesh, 'mtls'],

  ['permissive: plaintext', permissive, 'http', plaintext, 'bytes'],
  ['permissive: mtls', permissive, 'http', mesh, 'mtls'],
  ['permissive: mtls of HTTP', permissive, 'http', meshHttp, 'mtls'],
  ["permissive: TLS that is not the mesh's", permissive, 'http', browser, 'refused'],
  ['permissive: plaintext TCP', permissive, 'tcp', plaintext, 'bytes'],
  ['permissive: mtls TCP', permissive, 'tcp', meshTcp, 'mtls'],
  ["permissive: the application's own TLS", permissive, 'tcp', browser, 'bytes'],
  ["permissive: the application's own TLS without ALPN", permissive, 'tcp', bareTls, 'bytes'],

  ['disable, port strict: plaintext', portMode(disable, 'STRICT'), 'http', plaintext, 'bytes'],
  ['disable, port strict: mtls', portMode(disable, 'STRICT'), 'http', mesh, 'bytes'],
  [
    'disable, port strict: plaintext there',
    portMode(disable, 'STRICT'),
    'tcp',
    plaintext,
    'refused',
  ],
  ['disable, port strict: mtls there', portMode(disable, 'STRICT'), 'tcp', mesh, 'mtls'],

  ['strict, port disable: plaintext', portMode(strict, 'DISABLE'), 'http', plaintext, 'refused'],
  ['strict, port disable: mtls', portMode(strict, 'DISABLE'), 'http', mesh, 'mtls'],
  ['strict, port disable: plaintext there', portMode(strict, 'DISABLE'), 'tcp', plaintext, 'bytes'],
  ['strict, port disable: mtls there', portMode(strict, 'DISABLE'), 'tcp', mesh, 'bytes'],

  [
    'disable, port permissive: plaintext',
    portMode(disable, 'PERMISSIVE'),
    'http',
    plaintext,
    'bytes',
  ],
  ['disable, port permissive: mtls', portMode(disable, 'PERMISSIVE'), 'http', mesh, 'bytes'],
  [
    'disable, port permissive: plaintext there',
    portMode(disable, 'PERMISSIVE'),
    'tcp',
    plaintext,
    'bytes',
  ],
  ['disable, port permissive: mtls there', portMode(disable, 'PERMISSIVE'), 'tcp', mesh, 'mtls'],

  ['strict, port unset: plaintext there', portMode(strict, 'UNSET'), 'tcp', plaintext, 'refused'],
]

for (const [title, spec, port, call, expected] of table) {
  test(title, () => {
    assert.equal(outcomeOf(listenerOf(port, spec), call), expected)
  })
}

test('the application is told who calls behind mTLS, and behind nothing else', () => {
  const { filterChains } = listenerOf('http', permissive)
  const told = filterChains.map(({ transportSocket, filters }) => {
    const config = filters.at(-1)?.configType
    assert.ok(config?.$case === 'typedConfig')
    const { forwardClientCertDetails } = HttpConnectionManager.decode(config.value.value)
    return [transportSocket !== undefined, forwardClientCertDetails]
  })
  assert.deepEqual(told, [
    [true, ForwardDetails.APPEND_FORWARD],
    [false, ForwardDetails.SANITIZE],
  ])
})
