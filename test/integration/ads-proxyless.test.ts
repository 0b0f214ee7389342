/** gRPC applications without a proxy: grpc-js as a plain peer of our streams, and grpc-js-xds as a client of ADS. */
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'

import * as grpc from '@grpc/grpc-js'

import { systemClock } from '../../src/lib/clock.ts'
import { silentLog } from '../../src/lib/log.ts'
import { seededRandom } from '../../src/lib/random.ts'
import { adsPaths, openAdsServer } from '../../src/xds/ads-server.ts'
import { encodedResource } from '../../src/xds/encode.ts'
import { openGrpcStream } from '../../src/xds/grpc/grpc-client.ts'
import { GrpcFrame } from '../../src/xds/grpc/grpc-frame.ts'
import type { GrpcStatus } from '../../src/xds/grpc/grpc-status.ts'
import { MessageJson } from '../../src/xds/json.ts'
import {
  DeltaDiscoveryRequest,
  DeltaDiscoveryResponse,
} from '../../src/xds/proto/generated/envoy/service/discovery/v3/discovery.ts'
import { typeUrls, type ResourceView } from '../../src/xds/resource-set.ts'
import { TestSource } from '../support/ads-source.ts'
import { eventually } from '../support/eventually.ts'

const json = new MessageJson()
const ads = { ads: {}, resource_api_version: 'V3' }
const common = { clock: systemClock, random: seededRandom(1), log: silentLog }

function openServer(source: TestSource) {
  const listen = { host: '127.0.0.1', port: 0 }
  return openAdsServer({ ...common, listen, source, debounce: { leadingMs: 1, quietMs: 5 } })
}

const rawMethod = {
  path: adsPaths.delta,
  requestStream: true,
  responseStream: true,
  requestSerialize: (value: Buffer) => value,
  requestDeserialize: (value: Buffer) => value,
  responseSerialize: (value: Buffer) => value,
  responseDeserialize: (value: Buffer) => value,
} as const

test('a grpc-js client reads our compressed messages, and our status', async () => {
  const source = new TestSource({ cluster: { a: 'x'.repeat(100), b: 'y'.repeat(100) } })
  const many = Object.fromEntries(
    Array.from({ length: 200 }, (_, at) => [`cluster-${at}`, 'z'.repeat(100)]),
  )
  source.set({ cluster: many })
  await using server = await openServer(source)
  const Client = grpc.makeGenericClientConstructor({ ads: rawMethod }, 'Ads')
  const client = new Client(server.address, grpc.credentials.createInsecure())
  // The constructor makes a method of the definition's name.
  const call = (client as unknown as { ads(): grpc.ClientDuplexStream<Buffer, Buffer> }).ads()
  const received: Buffer[] = []
  const ended = new Promise<grpc.ServiceError>((resolve) => call.on('error', resolve))
  call.on('data', (message: Buffer) => received.push(message))
  const node = { id: 'sidecar~127.0.0.1~a.default~default.svc.cluster.local' }
  const request = DeltaDiscoveryRequest.fromPartial({ typeUrl: typeUrls.cluster, node })
  call.write(Buffer.from(DeltaDiscoveryRequest.encode(request).finish()))
  const message = await eventually(() => received[0])
  assert.equal(DeltaDiscoveryResponse.decode(message).resources.length, 200)
  await server.close()
  const error = await ended
  assert.deepEqual([error.code, error.details], [14, 'the server is stopping'])
  client.close()
})

test('our client takes the messages and the status of a grpc-js server', async () => {
  const server = new grpc.Server()
  server.addService(
    { ads: rawMethod },
    {
      ads(call: grpc.ServerDuplexStream<Buffer, Buffer>) {
        call.on('data', (message: Buffer) => {
          call.write(message)
          call.emit('error', { code: grpc.status.NOT_FOUND, details: 'no such thing: ä' })
        })
      },
    },
  )
  const port = await new Promise<number>((resolve, reject) => {
    const bound = (error: Error | null, got: number) =>
      error === null ? resolve(got) : reject(error)
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), bound)
  })
  try {
    const messages: string[] = []
    const status = await new Promise<GrpcStatus>((resolve) => {
      const stream = openGrpcStream({
        target: `127.0.0.1:${port}`,
        path: adsPaths.delta,
        clock: systemClock,
        events: {
          onMessage: (message) => messages.push(Buffer.from(message).toString()),
          onDrain() {},
          onClose: resolve,
        },
      })
      stream.send(new GrpcFrame(Buffer.from('hello')))
    })
    assert.deepEqual(messages, ['hello'])
    assert.deepEqual(status, { code: 5, message: 'no such thing: ä' })
  } finally {
    server.forceShutdown()
  }
})

test('a method that we do not have is UNIMPLEMENTED', async () => {
  await using server = await openServer(new TestSource())
  const status = await new Promise<GrpcStatus>((resolve) => {
    openGrpcStream({
      target: server.address,
      path: '/envoy.service.status.v3.ClientStatusDiscoveryService/StreamClientStatus',
      clock: systemClock,
      events: { onMessage() {}, onDrain() {}, onClose: resolve },
    })
  })
  assert.equal(status.code, grpc.status.UNIMPLEMENTED)
})

/** What a proxyless client of `echo.test:80` asks for, by name. */
function proxylessView(port: number): ResourceView {
  const hcm =
    'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'
  const router = {
    '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router',
  }
  const apiListener = {
    '@type': hcm,
    rds: { route_config_name: 'echo-routes', config_source: ads },
    http_filters: [{ name: 'router', typed_config: router }],
  }
  const routes = [{ match: { prefix: '' }, route: { cluster: 'echo' } }]
  const address = { socket_address: { address: '127.0.0.1', port_value: port } }
  const resources: Readonly<Record<string, Readonly<Record<string, object>>>> = {
    [typeUrls.listener]: {
      'echo.test:80': { name: 'echo.test:80', api_listener: { api_listener: apiListener } },
    },
    [typeUrls.route]: {
      'echo-routes': {
        name: 'echo-routes',
        virtual_hosts: [{ name: 'echo', domains: ['echo.test:80', '*'], routes }],
      },
    },
    [typeUrls.cluster]: {
      echo: { name: 'echo', type: 'EDS', eds_cluster_config: { eds_config: ads } },
    },
    [typeUrls.endpoint]: {
      echo: {
        cluster_name: 'echo',
        endpoints: [
          {
            locality: { region: 'r' },
            load_balancing_weight: 1,
            lb_endpoints: [{ endpoint: { address }, load_balancing_weight: 1 }],
          },
        ],
      },
    },
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

async function startBackend(name: string) {
  const server = new grpc.Server()
  const unary = { ...rawMethod, path: '/Echo/Say', requestStream: false, responseStream: false }
  const say: grpc.handleUnaryCall<Buffer, Buffer> = (_call, answer) => {
    answer(null, Buffer.from(name))
  }
  server.addService({ say: unary }, { say })
  const port = await new Promise<number>((resolve, reject) => {
    const bound = (error: Error | null, got: number) =>
      error === null ? resolve(got) : reject(error)
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), bound)
  })
  return { port, [Symbol.dispose]: () => server.forceShutdown() }
}

test('a grpc-js-xds application is led to its backend, and to another one when endpoints change', async () => {
  using one = await startBackend('one')
  using two = await startBackend('two')
  const source = new TestSource()
  source.setView(proxylessView(one.port))
  await using server = await openServer(source)
  const bootstrap = {
    xds_servers: [
      {
        server_uri: server.address,
        channel_creds: [{ type: 'insecure' }],
        server_features: ['xds_v3'],
      },
    ],
    node: { id: 'grpc-application', locality: { region: '', zone: '', sub_zone: '' } },
  }
  const require = createRequire(import.meta.url)
  const xds = require('@grpc/grpc-js-xds') as { register(): void }
  xds.register()
  const unary = { ...rawMethod, path: '/Echo/Say', requestStream: false, responseStream: false }
  const Client = grpc.makeGenericClientConstructor({ say: unary }, 'Echo')
  const client = new Client('xds:///echo.test:80', grpc.credentials.createInsecure(), {
    'grpc.TEST_ONLY_DO_NOT_USE_IN_PROD.xds_bootstrap_config': JSON.stringify(bootstrap),
  })
  const say = () =>
    new Promise<string>((resolve, reject) => {
      const deadline = Date.now() + 3_000
      const echo = client as unknown as {
        say(
          request: Buffer,
          options: grpc.CallOptions,
          done: (error: Error | null, reply?: Buffer) => void,
        ): void
      }
      echo.say(Buffer.from(''), { deadline }, (error, reply) => {
        if (error === null) resolve(reply?.toString() ?? '')
        else reject(error)
      })
    })
  try {
    assert.equal(await say(), 'one')
    source.setView(proxylessView(two.port))
    await eventually(async () => (await say()) === 'two')
    const status = server.statuses()[0]
    assert.equal(status?.variant, 'sotw')
    assert.deepEqual(
      status?.types.map((type) => type.status),
      ['SYNCED', 'SYNCED', 'SYNCED', 'SYNCED'],
    )
  } finally {
    client.close()
  }
})
