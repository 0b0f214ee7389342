/** A request to a forward proxy for the proxy itself: refused at once, and not sent round until the sockets are used up. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { systemClock } from '../../src/lib/clock.ts'
import { silentLog } from '../../src/lib/log.ts'
import { systemRandom } from '../../src/lib/random.ts'
import { openSidecar, type Sidecar } from '../../src/proxy/sidecar.ts'
import { exchangeBytes, startOrigin } from '../support/proxy-scene.ts'
import { httpGet } from '../support/sidecar-scene.ts'

const cache = 'dns_cache_config: {name: names, dns_lookup_family: V4_PREFERRED}'
const filters = 'type.googleapis.com/envoy.extensions.filters.http'
const tunnel = 'upgrade_configs: [{upgrade_type: CONNECT, connect_config: {}}]'
const routes = [
  `{match: {connect_matcher: {}}, route: {cluster: any, ${tunnel}}}`,
  '{match: {prefix: /}, route: {cluster: any}}',
].join(', ')

const bootstrap = `
node: {id: node, cluster: c}
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}
static_resources:
  listeners:
  - name: proxy
    address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: proxy
          upgrade_configs: [{upgrade_type: CONNECT}]
          route_config: {name: r, virtual_hosts: [{name: all, domains: ["*"], routes: [${routes}]}]}
          http_filters:
          - {name: names, typed_config: {"@type": ${filters}.dynamic_forward_proxy.v3.FilterConfig, ${cache}}}
          - {name: router, typed_config: {"@type": ${filters}.router.v3.Router}}
  clusters:
  - name: any
    lb_policy: CLUSTER_PROVIDED
    cluster_type:
      name: envoy.clusters.dynamic_forward_proxy
      typed_config: {"@type": type.googleapis.com/envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig, ${cache}}
`

async function open(): Promise<{ readonly sidecar: Sidecar; readonly port: number }> {
  const sidecar = await openSidecar({
    bootstrap: { text: bootstrap, file: 'b.yaml' },
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
  })
  const address = (await sidecar.status()).listeners[0]?.address
  return { sidecar, port: address?.kind === 'ip' ? address.port : 0 }
}

const asks = [
  ['its address', (port: number) => `GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n`],
  ['its name', (port: number) => `GET http://localhost:${port}/ HTTP/1.1\r\nHost: x\r\n`],
  ['the address of nowhere', (port: number) => `GET / HTTP/1.1\r\nHost: 0.0.0.0:${port}\r\n`],
  ['a tunnel', (port: number) => `CONNECT 127.0.0.1:${port} HTTP/1.1\r\nHost: x:1\r\n`],
] as const

for (const [what, ask] of asks) {
  test(`a forward proxy that is asked for itself by ${what} answers 503`, async () => {
    const { sidecar, port } = await open()
    await using _closing = sidecar
    const answer = await exchangeBytes(port, `${ask(port)}Connection: close\r\n\r\n`)
    assert.match(answer, /^HTTP\/1\.1 503 /)
    const admin = Number(sidecar.adminAddress?.split(':')[1])
    const stats = await httpGet({ port: admin, path: '/stats?filter=downstream_cx_total' })
    assert.match(stats.body, /^http\.proxy\.downstream_cx_total: 1$/m)
  })
}

test('another port of the same address is served', async () => {
  await using origin = await startOrigin((_request, response) => response.end('origin'))
  const { sidecar, port } = await open()
  await using _closing = sidecar
  const host = `127.0.0.1:${origin.address.kind === 'ip' ? origin.address.port : 0}`
  const answer = await exchangeBytes(
    port,
    `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
  )
  assert.match(answer, /^HTTP\/1\.1 200 /)
})
