/**
 * Goldens: testdata/<case>/input.yaml is translated and compared with expected.yaml; UPDATE_GOLDEN=1 writes it
 * anew, and the diff is the review. All of them together are then given to a real Envoy.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { stringify } from 'yaml'

import { findEnvoy, skipUnless } from '../../test/support/programs.ts'
import { readTranslationCase, type TranslationCase } from '../../test/support/translation-case.ts'
import { typeNameOf } from '../xds/any.ts'
import { MessageJson, type JsonValue } from '../xds/json.ts'
import { Any } from '../xds/proto/generated/google/protobuf/any.ts'
import { typeUrls, type ResourceView } from '../xds/resource-set.ts'
import { analyze } from './analyze.ts'
import { createTranslation } from './driver.ts'
import { translateAll } from './full.ts'
import { systemClusters } from './system-cluster.ts'

const folder = join(import.meta.dirname, 'testdata')
const cases = readdirSync(folder).sort()
const json = new MessageJson()
const isUpdating = process.env['UPDATE_GOLDEN'] === '1'

type JsonObject = { [key: string]: JsonValue }

const typesShown = {
  listeners: typeUrls.listener,
  routes: typeUrls.route,
  virtualHosts: typeUrls.virtualHost,
  clusters: typeUrls.cluster,
  endpoints: typeUrls.endpoint,
} as const

for (const name of cases) {
  test(`golden ${name}`, () => {
    const scene = read(name)
    const actual = stringify(shownOf(scene), { lineWidth: 110 })
    const path = join(folder, name, 'expected.yaml')
    if (isUpdating) writeFileSync(path, actual)
    assert.equal(actual, readFileSync(path, 'utf8'))
  })
}

test('there are goldens for every part of the translation', () => {
  assert.ok(cases.length >= 30, `${cases.length} cases`)
})

const envoy = findEnvoy()

test('a real Envoy accepts every golden', { skip: skipUnless(envoy, 'envoy') }, () => {
  assert.ok(envoy !== undefined)
  const scratch = mkdtempSync(join(tmpdir(), 'tulle-goldens-'))
  try {
    const file = join(scratch, 'bootstrap.json')
    // Under a test runner standard output is a socket, which nobody can open by its path.
    const bootstrap = JSON.stringify(bootstrapOf(cases.filter(isForEnvoy)))
    writeFileSync(file, bootstrap.replaceAll('"/dev/stdout"', '"/dev/null"'))
    const options = ['--mode', 'validate', '--log-level', 'error', '-c', file]
    // Throws with Envoy's own message when it refuses something.
    const output = execFileSync(envoy, options, { encoding: 'utf8', stdio: 'pipe' })
    assert.match(output, /OK/)
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
})

function read(name: string): TranslationCase {
  return readTranslationCase(readFileSync(join(folder, name, 'input.yaml'), 'utf8'))
}

/** What is made for our own proxy only has filters that Envoy lacks. */
function isForEnvoy(name: string): boolean {
  return read(name).node.userAgentName === 'envoy'
}

function shownOf(scene: TranslationCase): Record<string, unknown> {
  const view = viewOf(scene)
  return Object.fromEntries(
    scene.show.map((shown) => [
      shown,
      shown === 'issues'
        ? analyze(scene.input)
        : resourcesOf(view, typesShown[shown]).flatMap((resource) => pick(resource, scene)),
    ]),
  )
}

function viewOf({ input, node, asked }: TranslationCase): ResourceView {
  if (asked === undefined) return translateAll(input, node)
  const none = new Set<string>()
  const demand = { hosts: new Set(asked), droppedHosts: none, clusters: none }
  return createTranslation({ input }).viewOf(node, demand)
}

/** Without what is the same in every case. */
function pick(resource: JsonObject, { showSystem }: TranslationCase): JsonObject[] {
  if (showSystem) return [resource]
  const system: readonly JsonValue[] = Object.values(systemClusters)
  if (system.includes(resource['name'] ?? null)) return []
  const hosts = resource['virtual_hosts']
  if (!Array.isArray(hosts)) return [resource]
  const own = hosts.filter(
    (host) => !['allow_any', 'block_all'].includes(textOf((host as JsonObject)['name'])),
  )
  return [{ ...resource, virtual_hosts: own }]
}

function textOf(value: JsonValue | undefined): string {
  assert.equal(typeof value, 'string')
  return value as string
}

function resourcesOf(view: ResourceView, typeUrl: string): JsonObject[] {
  return [...view.resources(typeUrl).values()]
    .sort((left, right) => (left.name < right.name ? -1 : 1))
    .map(({ any }) => {
      const { value } = Any.decode(any)
      return json.bytesToJson(typeNameOf(typeUrl), value) as JsonObject
    })
}

/** One bootstrap that holds what every case makes, under names and ports of its own. */
function bootstrapOf(names: readonly string[]): JsonObject {
  const clusters: JsonObject[] = [agentCluster('xds-grpc'), agentCluster('sds-grpc')]
  const listeners: JsonObject[] = []
  let port = 20_000
  for (const name of names) {
    const scene = read(name)
    const view = viewOf(scene)
    const routes = new Map(
      resourcesOf(view, typeUrls.route).map((route) => [textOf(route['name']), route]),
    )
    for (const cluster of resourcesOf(view, typeUrls.cluster)) {
      clusters.push({ ...cluster, name: `${name}/${textOf(cluster['name'])}` })
    }
    for (const assignment of resourcesOf(view, typeUrls.endpoint)) {
      const own = `${name}/endpoints/${textOf(assignment['cluster_name'])}`
      clusters.push({
        name: own,
        type: 'STATIC',
        load_assignment: { ...assignment, cluster_name: own },
      })
    }
    const own = resourcesOf(view, typeUrls.listener)
    for (const listener of [...own, ...[...routes.values()].map(routeListener)]) {
      const isInternal = listener['internal_listener'] !== undefined
      const address = { socket_address: { address: '127.0.0.1', port_value: port++ } }
      listeners.push({
        ...(inlineRoutes(listener, routes) as JsonObject),
        name: `${name}/${textOf(listener['name'])}/${port}`,
        ...(!isInternal && { address }),
      })
    }
  }
  return {
    node: { id: 'sidecar~127.0.0.1~goldens.default~default.svc.cluster.local', cluster: 'goldens' },
    bootstrap_extensions: [
      {
        name: 'envoy.bootstrap.internal_listener',
        typed_config: {
          '@type':
            'type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener',
        },
      },
    ],
    dynamic_resources: {
      ads_config: {
        api_type: 'DELTA_GRPC',
        transport_api_version: 'V3',
        grpc_services: [{ envoy_grpc: { cluster_name: 'xds-grpc' } }],
      },
    },
    static_resources: { clusters, listeners },
  }
}

/** A route configuration that no listener of the case names gets one, so that it is checked too. */
function routeListener(routes: JsonObject): JsonObject {
  return {
    name: `routes/${textOf(routes['name'])}`,
    filter_chains: [
      {
        filters: [
          {
            name: 'envoy.filters.network.http_connection_manager',
            typed_config: {
              '@type':
                'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
              stat_prefix: 'routes',
              route_config: routes,
              upgrade_configs: [{ upgrade_type: 'CONNECT' }],
              http_filters: [
                {
                  name: 'envoy.filters.http.router',
                  typed_config: {
                    '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router',
                  },
                },
              ],
            },
          },
        ],
      },
    ],
  }
}

/** `rds` becomes the configuration that it names. */
function inlineRoutes(value: JsonValue, routes: ReadonlyMap<string, JsonObject>): JsonValue {
  if (Array.isArray(value)) return value.map((member) => inlineRoutes(member, routes))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => {
      const name = key === 'rds' ? textOf((member as JsonObject)['route_config_name']) : undefined
      if (name === undefined) return [key, inlineRoutes(member, routes)]
      const found = routes.get(name)
      assert.ok(found !== undefined, `route configuration ${name} does not exist`)
      return ['route_config', found]
    }),
  )
}

function agentCluster(name: string): JsonObject {
  return {
    name,
    type: 'STATIC',
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
        explicit_http_config: { http2_protocol_options: {} },
      },
    },
    load_assignment: {
      cluster_name: name,
      endpoints: [
        {
          lb_endpoints: [
            {
              endpoint: {
                address: { socket_address: { address: '127.0.0.1', port_value: 1 } },
              },
            },
          ],
        },
      ],
    },
  }
}
