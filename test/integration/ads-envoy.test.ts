/** The ADS server with a real Envoy as its client, in both variants. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'

import { systemClock } from '../../src/lib/clock.ts'
import { silentLog } from '../../src/lib/log.ts'
import { seededRandom } from '../../src/lib/random.ts'
import { openAdsRelay } from '../../src/xds/ads-relay.ts'
import { openAdsServer, type AdsServer } from '../../src/xds/ads-server.ts'
import { encodedResource } from '../../src/xds/encode.ts'
import { MessageJson } from '../../src/xds/json.ts'
import { typeUrls, type ResourceView } from '../../src/xds/resource-set.ts'
import { TestSource } from '../support/ads-source.ts'
import { eventually } from '../support/eventually.ts'
import { findEnvoy, skipUnless } from '../support/programs.ts'

const envoyPath = findEnvoy()
const skip = skipUnless(envoyPath, 'envoy')
const json = new MessageJson()
const common = { clock: systemClock, random: seededRandom(1), log: silentLog }
const ads = { ads: {}, resource_api_version: 'V3' }

function openServer(source: TestSource, port = 0): Promise<AdsServer> {
  const listen = { host: '127.0.0.1', port }
  return openAdsServer({ ...common, listen, source, debounce: { leadingMs: 1, quietMs: 5 } })
}

interface Mesh {
  readonly clusters: Readonly<Record<string, object>>
  readonly port: number
  readonly route: string
}

/** One listener with routes by RDS, and clusters with endpoints by EDS. */
function viewOf(mesh: Mesh): ResourceView {
  const resources = {
    [typeUrls.listener]: { main: listenerJson() },
    [typeUrls.route]: { routes: routeJson(mesh.route) },
    [typeUrls.cluster]: Object.fromEntries(
      Object.entries(mesh.clusters).map(([name, extra]) => [name, clusterJson(name, extra)]),
    ),
    [typeUrls.endpoint]: Object.fromEntries(
      Object.keys(mesh.clusters).map((name) => [name, endpointJson(name, mesh.port)]),
    ),
  }
  const maps = new Map(
    Object.entries(resources).map(([typeUrl, messages]) => [
      typeUrl,
      new Map(
        Object.entries(messages).map(([name, message]) => [
          name,
          encodedResource(name, typeUrl, json.parseBytes(typeUrl, message)),
        ]),
      ),
    ]),
  )
  return { revision: '', resources: (typeUrl) => maps.get(typeUrl) ?? new Map() }
}

function clusterJson(name: string, extra: object) {
  return { name, type: 'EDS', eds_cluster_config: { eds_config: ads }, ...extra }
}

function endpointJson(name: string, port: number) {
  const socketAddress = { address: '127.0.0.1', port_value: port }
  const endpoint = { address: { socket_address: socketAddress } }
  return { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint }] }] }
}

function routeJson(cluster: string) {
  const routes = [{ match: { prefix: '/' }, route: { cluster } }]
  return { name: 'routes', virtual_hosts: [{ name: 'all', domains: ['*'], routes }] }
}

function listenerJson() {
  const router = {
    '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router',
  }
  const hcm = 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'
  const filter = {
    name: 'http',
    typed_config: {
      '@type': `type.googleapis.com/${hcm}`,
      stat_prefix: 'main',
      rds: { route_config_name: 'routes', config_source: ads },
      http_filters: [{ name: 'router', typed_config: router }],
    },
  }
  const socketAddress = { address: '127.0.0.1', port_value: 0 }
  return {
    name: 'main',
    address: { socket_address: socketAddress },
    filter_chains: [{ filters: [filter] }],
  }
}

/** An Envoy whose only configuration is where its ADS server is. */
async function startEnvoy(address: string, variant: 'sotw' | 'delta') {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-envoy-'))
  const [host = '', port = ''] = address.split(':')
  const socketAddress = { address: host, port_value: Number(port) }
  const config = {
    node: { id: 'sidecar~127.0.0.1~envoy.default~default.svc.cluster.local', cluster: 'envoy' },
    admin: { address: { socket_address: { address: '127.0.0.1', port_value: 0 } } },
    dynamic_resources: {
      ads_config: {
        api_type: variant === 'sotw' ? 'GRPC' : 'DELTA_GRPC',
        transport_api_version: 'V3',
        grpc_services: [{ envoy_grpc: { cluster_name: 'xds' } }],
      },
      lds_config: ads,
      cds_config: ads,
    },
    static_resources: {
      clusters: [
        {
          name: 'xds',
          type: 'STATIC',
          typed_extension_protocol_options: {
            'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
              '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
              explicit_http_config: { http2_protocol_options: {} },
            },
          },
          load_assignment: {
            cluster_name: 'xds',
            endpoints: [
              { lb_endpoints: [{ endpoint: { address: { socket_address: socketAddress } } }] },
            ],
          },
        },
      ],
    },
  }
  const configPath = join(folder, 'envoy.json')
  const adminPath = join(folder, 'admin')
  writeFileSync(configPath, JSON.stringify(config))
  const flags = ['-c', configPath, '--admin-address-path', adminPath, '--concurrency', '1']
  const child = spawn(envoyPath ?? '', [...flags, '--disable-hot-restart', '-l', 'error'], {
    stdio: 'ignore',
  })
  const admin = await eventually(
    () => (existsSync(adminPath) ? readFileSync(adminPath, 'utf8') || undefined : undefined),
    { deadlineMs: 15_000 },
  )
  return {
    async get(path: string): Promise<string> {
      return (await fetch(`http://${admin}${path}`)).text()
    },
    async [Symbol.asyncDispose]() {
      const gone = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGKILL')
      await gone
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function statusesOf(server: AdsServer) {
  const types = server.statuses()[0]?.types ?? []
  return Object.fromEntries(types.map((type) => [type.typeUrl, type]))
}

async function untilSynced(server: AdsServer): Promise<void> {
  const wanted = [typeUrls.listener, typeUrls.route, typeUrls.cluster, typeUrls.endpoint]
  await eventually(() => {
    const statuses = statusesOf(server)
    return wanted.every((typeUrl) => statuses[typeUrl]?.status === 'SYNCED')
  })
}

for (const variant of ['sotw', 'delta'] as const) {
  describe(`Envoy as a client (${variant})`, { skip }, () => {
    test('it takes everything, refuses visibly, follows changes, and comes back to nothing new', async () => {
      const source = new TestSource()
      source.setView(viewOf({ clusters: { a: {} }, port: 9, route: 'a' }))
      await using first = await openServer(source)
      await using envoy = await startEnvoy(first.address, variant)
      await untilSynced(first)
      await eventually(async () => (await envoy.get('/ready')).includes('LIVE'))

      // A change of the cluster alone: it is warm only once its endpoints have come again.
      const changed = { a: { connect_timeout: '3s' }, b: {} }
      source.setView(viewOf({ clusters: changed, port: 9, route: 'b' }))
      await eventually(async () => {
        const clusters = await envoy.get('/clusters')
        return clusters.includes('b::127.0.0.1:9') && clusters.includes('a::127.0.0.1:9')
      })
      await eventually(async () => {
        const dump = await envoy.get('/config_dump?resource=dynamic_active_clusters')
        return dump.includes('"connect_timeout": "3s"')
      })
      assert.equal((await envoy.get('/config_dump')).includes('dynamic_warming_clusters'), false)
      await untilSynced(first)

      // Ring sizes that contradict each other: Envoy refuses, and keeps what it had.
      const ring = { minimum_ring_size: 2_000, maximum_ring_size: 1_024 }
      const bad = { a: { lb_policy: 'RING_HASH', ring_hash_lb_config: ring }, b: {} }
      source.setView(viewOf({ clusters: bad, port: 9, route: 'b' }))
      const rejected = await eventually(() => statusesOf(first)[typeUrls.cluster]?.rejection)
      assert.match(rejected.reason, /minimum_ring_size/)
      source.setView(viewOf({ clusters: { a: {}, b: {} }, port: 10, route: 'a' }))
      await untilSynced(first)
      await eventually(async () => (await envoy.get('/clusters')).includes('b::127.0.0.1:10'))

      const port = Number(first.address.split(':')[1])
      await first.close()
      await using second = await openServer(source, port)
      await eventually(() => Object.keys(statusesOf(second)).length === 4, { deadlineMs: 15_000 })
      await untilSynced(second)
      const sent = Object.values(statusesOf(second)).filter(({ sentAtMs }) => sentAtMs > 0)
      // In delta a wildcard gets an answer that holds nothing: it says that the server is there.
      const answered = variant === 'delta' ? [typeUrls.cluster, typeUrls.listener] : []
      assert.deepEqual(
        sent.map(({ typeUrl }) => typeUrl),
        answered,
      )
    })

    test('behind the relay it starts from kept resources when there is no control plane', async () => {
      const folder = mkdtempSync(join(tmpdir(), 'tulle-envoy-cache-'))
      try {
        const source = new TestSource()
        source.setView(viewOf({ clusters: { a: {} }, port: 9, route: 'a' }))
        await using server = await openServer(source)
        const options = { ...common, upstream: server.address, cache: { folder } }
        {
          await using relay = await openAdsRelay({ ...options, listen: '127.0.0.1:0' })
          await using _envoy = await startEnvoy(relay.address, variant)
          await untilSynced(server)
          await eventually(() => relay.status().types.length === 4)
        }
        await server.close()
        await using relay = await openAdsRelay({ ...options, listen: '127.0.0.1:0' })
        await using envoy = await startEnvoy(relay.address, variant)
        await eventually(async () => (await envoy.get('/ready')).includes('LIVE'), {
          deadlineMs: 15_000,
        })
        await eventually(async () => (await envoy.get('/clusters')).includes('a::127.0.0.1:9'))
        assert.equal(relay.status().state, 'cached')
      } finally {
        rmSync(folder, { recursive: true, force: true })
      }
    })
  })
}
