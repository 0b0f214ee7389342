/** Protobuf JSON with @type: what is read, what is written, and what is refused with which path. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { pack, unpack } from './any.ts'
import { MessageJson } from './json.ts'
import { Bootstrap } from './proto/generated/envoy/config/bootstrap/v3/bootstrap.ts'
import { Cluster } from './proto/generated/envoy/config/cluster/v3/cluster.ts'
import { UpstreamTlsContext } from './proto/generated/envoy/extensions/transport_sockets/tls/v3/tls.ts'
import { TypedStruct } from './proto/generated/udpa/type/v1/typed_struct.ts'
import { typeUrls } from './resource-set.ts'

const json = new MessageJson()
const bootstrapUrl = 'type.googleapis.com/envoy.config.bootstrap.v3.Bootstrap'
const tlsUrl = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext'
const structUrl = 'type.googleapis.com/udpa.type.v1.TypedStruct'

describe('JSON of xDS messages', () => {
  test('names in snake_case and camelCase, durations, enums and an Any are read', () => {
    const cluster = json.parse(typeUrls.cluster, Cluster, {
      name: 'a',
      connectTimeout: '0.25s',
      lb_policy: 'LEAST_REQUEST',
      type: 'EDS',
      transport_socket: { name: 'tls', typed_config: { '@type': tlsUrl, sni: 'b' } },
    })
    assert.deepEqual(cluster.connectTimeout, { seconds: 0, nanos: 250_000_000 })
    assert.equal(cluster.lbPolicy, 1)
    assert.deepEqual(cluster.clusterDiscoveryType, { $case: 'type', value: 3 })
    const config = cluster.transportSocket?.configType
    assert.ok(config?.$case === 'typedConfig')
    assert.equal(unpack(tlsUrl, UpstreamTlsContext, config.value).sni, 'b')
  })

  test('what is written is read back as the same message, in snake_case', () => {
    const input = {
      name: 'a',
      connect_timeout: '5s',
      metadata: { filter_metadata: { istio: { someKey: [1, null, { '@type': 'kept' }] } } },
      transport_socket: { name: 'tls', typed_config: { '@type': tlsUrl, sni: 'b' } },
    }
    const cluster = json.parse(typeUrls.cluster, Cluster, input)
    const output = json.toJson(typeUrls.cluster, Cluster, cluster)
    assert.deepEqual(output, input)
  })

  test('the keys of maps and the contents of a Struct are not renamed', () => {
    const bootstrap = json.parse(bootstrapUrl, Bootstrap, {
      node: { metadata: { camelCase: { snake_case: true, '@type': 'x' } } },
    })
    assert.deepEqual(bootstrap.node?.metadata, {
      camelCase: { snake_case: true, '@type': 'x' },
    })
  })

  test('a TypedStruct keeps the type that it stands for', () => {
    const input = {
      '@type': structUrl,
      type_url: 'type.googleapis.com/stats.PluginConfig',
      value: { reporter: 'source', labels: { a_b: 'c' } },
    }
    const any = json.parseAny(input)
    const message = unpack(structUrl, TypedStruct, any)
    assert.equal(message.typeUrl, 'type.googleapis.com/stats.PluginConfig')
    assert.deepEqual(message.value, { reporter: 'source', labels: { a_b: 'c' } })
    assert.deepEqual(json.anyToJson(any), input)
  })

  test('an Any of unknown type is shown by its name and hides nothing else', () => {
    const cluster = Cluster.fromPartial({
      name: 'a',
      transportSocket: {
        name: 'x',
        configType: {
          $case: 'typedConfig',
          value: { typeUrl: 'type.googleapis.com/foo.Bar', value: Buffer.from([8, 1]) },
        },
      },
    })
    assert.deepEqual(json.toJson(typeUrls.cluster, Cluster, cluster), {
      name: 'a',
      transport_socket: { name: 'x', typed_config: { '@type': 'type.googleapis.com/foo.Bar' } },
    })
  })

  const rejected = [
    {
      name: 'an unknown field',
      json: { node: { idx: 'a' } },
      message: 'node.idx: unknown field in envoy.config.core.v3.Node',
    },
    {
      name: 'an unknown field whose value is the default',
      json: { static_resources: { clusters: [{}, { nam: '' }] } },
      message: 'static_resources.clusters[1].nam: unknown field in envoy.config.cluster.v3.Cluster',
    },
    {
      name: 'a number for a duration',
      json: { static_resources: { clusters: [{ connect_timeout: 3 }] } },
      message:
        'static_resources.clusters[0].connect_timeout: 3 is not a valid google.protobuf.Duration',
    },
    {
      name: 'an unknown enum value',
      json: { staticResources: { clusters: [{ type: 'FOO' }] } },
      message:
        'staticResources.clusters[0].type: "FOO" is not a valid envoy.config.cluster.v3.Cluster.DiscoveryType',
    },
    {
      name: 'an unknown @type',
      json: {
        static_resources: {
          clusters: [{ transport_socket: { typed_config: { '@type': 'a.io/foo.Bar' } } }],
        },
      },
      message:
        'static_resources.clusters[0].transport_socket.typed_config: unknown message type foo.Bar',
    },
    {
      name: 'an Any without @type',
      json: { static_resources: { clusters: [{ transport_socket: { typed_config: { a: 1 } } }] } },
      message:
        'static_resources.clusters[0].transport_socket.typed_config: expected "@type" beside the other fields',
    },
    {
      name: 'an unknown field inside an Any inside a map',
      json: {
        static_resources: {
          clusters: [{ typed_extension_protocol_options: { x: { '@type': tlsUrl, snix: '' } } }],
        },
      },
      message:
        'static_resources.clusters[0].typed_extension_protocol_options[x].snix: unknown field in envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
    },
    { name: 'a list for an object', json: [], message: undefined },
  ]
  for (const { name, json: input, message } of rejected) {
    test(`${name} is refused with its path`, () => {
      assert.throws(
        () => json.parse(bootstrapUrl, Bootstrap, input),
        (error: Error & { code?: string }) => {
          assert.equal(error.code, 'MESH_CONFIG_REJECTED')
          if (message !== undefined) assert.equal(error.message, message)
          return true
        },
      )
    })
  }
})

describe('Any', () => {
  test('a message of another type is refused by name', () => {
    const any = pack(typeUrls.cluster, Cluster, Cluster.fromPartial({ name: 'a' }))
    assert.throws(() => unpack(tlsUrl, UpstreamTlsContext, any), {
      code: 'MESH_XDS_PROTOCOL',
      message: /expected a message of type envoy.extensions.*UpstreamTlsContext, got .*Cluster/,
    })
  })

  test('broken bytes are refused', () => {
    const any = { typeUrl: typeUrls.cluster, value: new Uint8Array([10, 5, 1]) }
    assert.throws(() => unpack(typeUrls.cluster, Cluster, any), { code: 'MESH_XDS_PROTOCOL' })
  })
})
