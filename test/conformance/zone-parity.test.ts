/**
 * Zone-aware routing in a real Envoy and in Tulle: the same hosts here and there give the same shares.
 *
 * Each share is counted over 1 500 requests, so that four standard deviations are 5.2 percent at most.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, type Server, createServer, get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'

import { findEnvoy, skipUnless } from '../support/programs.ts'
import { type OpenProxy, openEnvoy, openTulle } from './parity/open-proxy.ts'

const envoy = findEnvoy()
const requests = 1_500

/** Hosts by zone: of the cluster that the proxy is a member of, and of the one that is called; and what comes of it. */
const stories = {
  direct: { local: { a: 1, b: 1 }, upstream: { a: 2, b: 2 }, shares: { a: 100 } },
  residual: {
    local: { a: 2, b: 1, c: 1 },
    upstream: { a: 1, b: 2, c: 2 },
    shares: { a: 40, b: 30, c: 30 },
  },
  elsewhere: { local: { a: 2, b: 1, c: 1 }, upstream: { b: 2, c: 2 }, shares: { b: 50, c: 50 } },
} as const satisfies Readonly<Record<string, Story>>

interface Story {
  readonly local: Zones
  readonly upstream: Zones
  readonly shares: Zones
}

type Zones = Readonly<Record<string, number>>

describe('zones in Envoy and in Tulle', { skip: skipUnless(envoy, 'envoy') }, () => {
  for (const [name, story] of Object.entries<Story>(stories)) {
    test(`shares of zones: ${name}`, async () => {
      const folder = mkdtempSync(join(tmpdir(), 'tulle-zones-'))
      await using upstreams = await openZones(story.upstream)
      const file = join(folder, 'bootstrap.yaml')
      writeFileSync(file, bootstrap(story, upstreams.ports))
      try {
        const options = { envoy: envoy ?? '', file, folder, listeners: 1 }
        for (const open of [() => openEnvoy(options), () => openTulle(file)]) {
          await using proxy = await open()
          assertNear(await sharesOf(proxy), story.shares)
        }
      } finally {
        rmSync(folder, { recursive: true })
      }
    })
  }
})

function assertNear(actual: Zones, expected: Zones): void {
  for (const zone of new Set([...Object.keys(actual), ...Object.keys(expected)])) {
    const difference = Math.abs((actual[zone] ?? 0) - (expected[zone] ?? 0))
    assert.ok(difference <= 5.2, JSON.stringify(actual))
  }
}

async function sharesOf(proxy: OpenProxy): Promise<Zones> {
  const agent = new Agent({ keepAlive: true })
  const port = proxy.ports.get('all') ?? 0
  const shares: Record<string, number> = {}
  for (let index = 0; index < requests; index += 1) {
    const zone = await zoneOf(port, agent)
    shares[zone] = (shares[zone] ?? 0) + 100 / requests
  }
  agent.destroy()
  return shares
}

function zoneOf(port: number, agent: Agent): Promise<string> {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, agent }, (response) => {
      response.resume()
      response.on('end', () => resolve(String(response.headers['x-zone'])))
    }).on('error', reject)
  })
}

interface OpenZones extends AsyncDisposable {
  readonly ports: Readonly<Record<string, readonly number[]>>
}

/** A server for each host, which says its zone. */
async function openZones(zones: Zones): Promise<OpenZones> {
  const servers: Server[] = []
  const ports: Record<string, number[]> = {}
  for (const [zone, count] of Object.entries(zones)) {
    for (let index = 0; index < count; index += 1) {
      const server = createServer((_request, response) => {
        response.setHeader('x-zone', zone)
        response.end()
      })
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      const address = server.address()
      const port = typeof address === 'object' && address !== null ? address.port : 0
      ports[zone] = [...(ports[zone] ?? []), port]
      servers.push(server)
    }
  }
  return {
    ports,
    async [Symbol.asyncDispose]() {
      for (const server of servers) {
        server.closeAllConnections()
        await new Promise((resolve) => server.close(resolve))
      }
    },
  }
}

function bootstrap(
  { local }: Story,
  upstream: Readonly<Record<string, readonly number[]>>,
): string {
  const localPorts = Object.fromEntries(
    Object.entries(local).map(([zone, count]) => [
      zone,
      Array.from({ length: count }, (_, index) => zone.charCodeAt(0) * 10 + index),
    ]),
  )
  return `
admin: { address: { socket_address: { address: 127.0.0.1, port_value: 0 } } }
node: { id: me, cluster: my-cluster, locality: { zone: a } }
cluster_manager: { local_cluster_name: me }
static_resources:
  listeners:
  - name: all
    address: { socket_address: { address: 127.0.0.1, port_value: 0 } }
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: all
          http_filters:
          - name: router
            typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
          route_config:
            virtual_hosts:
            - { name: all, domains: ["*"], routes: [ { match: { prefix: / }, route: { cluster: app } } ] }
  clusters:
${clusterText('me', localPorts)}
${clusterText('app', upstream)}
`
}

function clusterText(name: string, ports: Readonly<Record<string, readonly number[]>>): string {
  const zones = Object.entries(ports).map(([zone, all]) => {
    const hosts = all.map(
      (port) =>
        `{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: ${port} } } } }`,
    )
    return `{ locality: { zone: ${zone} }, lb_endpoints: [ ${hosts.join(', ')} ] }`
  })
  return `  - { name: ${name}, type: STATIC, common_lb_config: { zone_aware_lb_config: { min_cluster_size: 1 } }, load_assignment: { cluster_name: ${name}, endpoints: [ ${zones.join(', ')} ] } }`
}
