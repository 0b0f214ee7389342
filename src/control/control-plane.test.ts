/** The control plane as its clients see it: what a file, a stream and a restart do to the others. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import {
  openControlPlaneScene,
  type ControlPlaneScene,
} from '../../test/support/control-plane-scene.ts'
import { eventually } from '../../test/support/eventually.ts'
import { systemClock } from '../lib/clock.ts'
import { silentLog } from '../lib/log.ts'
import { seededRandom } from '../lib/random.ts'
import { AdsClient, type AdsUpdate } from '../xds/ads-client.ts'
import { adsPaths } from '../xds/ads-server.ts'
import { openGrpcStream } from '../xds/grpc/grpc-client.ts'
import { GrpcFrame } from '../xds/grpc/grpc-frame.ts'
import { Node } from '../xds/proto/generated/envoy/config/core/v3/base.ts'
import { HealthStatus } from '../xds/proto/generated/envoy/config/core/v3/health_check.ts'
import { ClusterLoadAssignment } from '../xds/proto/generated/envoy/config/endpoint/v3/endpoint.ts'
import {
  DeltaDiscoveryRequest,
  DeltaDiscoveryResponse,
} from '../xds/proto/generated/envoy/service/discovery/v3/discovery.ts'
import { typeUrls } from '../xds/resource-set.ts'

const mesh = `apiVersion: tulle.dev/v1alpha1
kind: Mesh
metadata: { name: m, namespace: default }
spec:
  meshConfig: { workloadGracePeriod: 300ms }
  config: [./config]
  services:
  - name: reviews
    ports: [{ number: 8080, name: http, protocol: HTTP }]
    workloads:
    - { name: reviews-v1, labels: { version: v1 }, command: [./reviews] }
`

const routes = (timeout: string) => `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews }
spec:
  hosts: [reviews]
  http:
  - timeout: ${timeout}
    route: [{ destination: { host: reviews } }]
`

interface Named {
  readonly metadata: { readonly name: string }
}

const endpointName = 'outbound|8080||reviews.default.svc.cluster.local'

function nodeOf(name: string, extra: object = {}) {
  return {
    id: `sidecar~127.0.0.1~${name}.default~default.svc.cluster.local`,
    cluster: name,
    metadata: { NAMESPACE: 'default', WORKLOAD_NAME: name, HTTP_PROXY_PORT: 15_001, ...extra },
  }
}

/** A sidecar that acknowledges everything and keeps what it was given. */
function openSidecar(scene: ControlPlaneScene, node: ReturnType<typeof nodeOf>) {
  const given = new Map<string, Map<string, Buffer>>()
  const responses: string[] = []
  const { promise: closed, resolve } = Promise.withResolvers<{ code: number; message: string }>()
  const send = (request: object) => {
    const message = DeltaDiscoveryRequest.fromPartial(request)
    stream.send(new GrpcFrame(DeltaDiscoveryRequest.encode(message).finish()))
  }
  const stream = openGrpcStream({
    target: scene.controlPlane.plaintextXdsAddress,
    path: adsPaths.delta,
    clock: systemClock,
    events: {
      onMessage(bytes) {
        const { typeUrl, nonce, resources, removedResources } = DeltaDiscoveryResponse.decode(bytes)
        responses.push(typeUrl)
        const held = given.get(typeUrl) ?? new Map<string, Buffer>()
        given.set(typeUrl, held)
        for (const { name, resource } of resources) {
          if (resource !== undefined) held.set(name, resource.value)
        }
        for (const name of removedResources) held.delete(name)
        send({ typeUrl, responseNonce: nonce })
      },
      onDrain() {},
      onClose: resolve,
    },
  })
  send({ node, typeUrl: typeUrls.cluster })
  send({ typeUrl: typeUrls.listener })
  send({ typeUrl: typeUrls.endpoint, resourceNamesSubscribe: [endpointName] })
  send({ typeUrl: typeUrls.route, resourceNamesSubscribe: ['http_proxy'] })
  return {
    closed,
    responses,
    send,
    names: (typeUrl: string) => [...(given.get(typeUrl)?.keys() ?? [])],
    bytes: (typeUrl: string, name: string) => given.get(typeUrl)?.get(name),
    endpoints() {
      const bytes = given.get(typeUrls.endpoint)?.get(endpointName)
      if (bytes === undefined) return []
      return ClusterLoadAssignment.decode(bytes).endpoints.flatMap(({ lbEndpoints }) =>
        lbEndpoints.map(({ hostIdentifier, healthStatus }) => {
          const address =
            hostIdentifier?.$case === 'endpoint' ? hostIdentifier.value.address?.address : undefined
          const port =
            address?.$case === 'socketAddress' && address.value.portSpecifier?.$case === 'portValue'
              ? address.value.portSpecifier.value
              : 0
          return { port, healthStatus }
        }),
      )
    },
    [Symbol.dispose]: () => stream.end({ code: 1, message: 'closed by the test' }),
  }
}

function server(name: string, meshPort: number) {
  return nodeOf(name, {
    AUTO_REGISTER_GROUP: 'reviews-v1',
    LABELS: { app: 'reviews', version: 'v1' },
    WORKLOAD_NAME: 'reviews-v1',
    MESH_PORTS: [{ name: 'http', servicePort: 8080, appPort: 9080, meshPort }],
  })
}

const files = { 'mesh.yaml': mesh, 'config/routes.yaml': routes('5s') }

describe('control plane', () => {
  test('a sidecar that joins is an endpoint to others, follows its health, and is gone after the grace period', async () => {
    await using scene = await openControlPlaneScene(files)
    using client = openSidecar(scene, nodeOf('client'))
    await eventually(() => client.names(typeUrls.cluster).includes(endpointName))
    assert.deepEqual(client.endpoints(), [])
    const first = openSidecar(scene, server('one', 20_001))
    await eventually(() => client.endpoints().length === 1)
    assert.deepEqual(client.endpoints(), [{ port: 20_001, healthStatus: HealthStatus.UNKNOWN }])

    const unhealthy = { code: 500, message: 'probe failed', details: [] }
    first.send({ typeUrl: typeUrls.healthInformation, errorDetail: unhealthy })
    await eventually(() => client.endpoints().length === 0)
    first.send({ typeUrl: typeUrls.healthInformation })
    await eventually(() => client.endpoints().length === 1)

    const workloads = (await scene.get('/apis/tulle.dev/v1alpha1/workloads')).body.items
    const own = workloads.find((item: Named) => item.metadata.name === 'one')
    assert.deepEqual([own.status.presence, own.status.health], ['connected', 'healthy'])
    first[Symbol.dispose]()
    const presence = async () => {
      const { items } = (await scene.get('/apis/tulle.dev/v1alpha1/workloads')).body
      return items.find((item: Named) => item.metadata.name === 'one')?.status.presence
    }
    await eventually(async () => (await presence()) === 'gone')
    assert.equal(client.endpoints().length, 1)
    await eventually(() => client.endpoints().length === 0)
    assert.equal(await presence(), undefined)
  })

  test('an edited file reaches the sidecars, and a broken one leaves the last good state in force', async () => {
    await using scene = await openControlPlaneScene(files)
    using client = openSidecar(scene, nodeOf('client'))
    const bytes = () => client.bytes(typeUrls.route, 'http_proxy')
    const before = await eventually(bytes)
    scene.write('config/routes.yaml', routes('7s'))
    await eventually(() => bytes()?.equals(before) === false)
    const good = bytes()

    scene.write('config/routes.yaml', routes('soon'))
    const issue = await eventually(async () => {
      const { items } = (await scene.get('/apis/tulle.dev/v1alpha1/issues')).body
      return items
        .map((item: { issue: object }) => item.issue)
        .find((found: { severity: string }) => found.severity === 'error')
    })
    assert.equal(issue.file, `${scene.folder}/config/routes.yaml`)
    assert.deepEqual([issue.line, issue.path], [7, 'spec.http[0].timeout'])
    assert.equal(bytes(), good)
    scene.write('config/routes.yaml', routes('9s'))
    await eventually(() => bytes() !== good)
  })

  test('a mesh file that names other folders is followed', async () => {
    await using scene = await openControlPlaneScene({
      ...files,
      'more/service.yaml': service('extra'),
    })
    using client = openSidecar(scene, nodeOf('client'))
    await eventually(() => client.names(typeUrls.cluster).includes(endpointName))
    scene.write('mesh.yaml', mesh.replace('[./config]', '[./config, ./more]'))
    const wanted = 'outbound|8080||extra.default.svc.cluster.local'
    await eventually(() => client.names(typeUrls.cluster).includes(wanted))
  })

  test('after a restart no endpoint is lost, and who comes back is sent nothing again', async () => {
    await using scene = await openControlPlaneScene(files)
    const one = openSidecar(scene, server('one', 20_001))
    await eventually(() => one.names(typeUrls.listener).length > 0)
    const updates: AdsUpdate[] = []
    using client = new AdsClient({
      target: scene.controlPlane.plaintextXdsAddress,
      variant: 'delta',
      node: Node.fromPartial(nodeOf('client')),
      events: {
        onUpdate(update) {
          updates.push(update)
          return []
        },
      },
      clock: systemClock,
      random: seededRandom(4),
      log: silentLog,
      backoffBaseMs: 10,
    })
    client.subscribe(typeUrls.cluster, '*')
    client.subscribe(typeUrls.endpoint, [endpointName])
    client.subscribe(typeUrls.route, ['http_proxy'])
    await eventually(() => updates.length >= 3)
    const statuses = async () => {
      const { items } = (await scene.get('/apis/tulle.dev/v1alpha1/proxies')).body
      const own = items.find((item: Named) => item.metadata.name === 'client')
      return own?.status.types.map((type: { status: string }) => type.status).join()
    }
    await eventually(async () => (await statuses()) === 'SYNCED,SYNCED,SYNCED')
    updates.length = 0
    one[Symbol.dispose]()
    await scene.restart()
    await eventually(async () => (await statuses()) === 'SYNCED,SYNCED,SYNCED')
    // An answer that holds nothing says that the server is there.
    const news = updates.filter(({ resources, removed }) => resources.length + removed.length > 0)
    assert.deepEqual(news, [])
    // Whoever starts anew gets the endpoint too, although its sidecar has not come back yet.
    using anew = openSidecar(scene, nodeOf('anew'))
    await eventually(() => anew.endpoints().length === 1)
  })

  test('what a proxy refuses is seen in the API and in the metrics, with its reason', async () => {
    await using scene = await openControlPlaneScene(files)
    const peer = scene.connect('delta')
    peer.send({ node: nodeOf('client'), typeUrl: typeUrls.cluster })
    const { nonce } = await peer.next()
    const errorDetail = { code: 3, message: 'a cluster is bad', details: [] }
    peer.send({ typeUrl: typeUrls.cluster, responseNonce: nonce, errorDetail })
    const type = await eventually(async () => {
      const { items } = (await scene.get('/apis/tulle.dev/v1alpha1/namespaces/default/proxies'))
        .body
      return items[0]?.status.types.find((found: { rejection?: object }) => found.rejection)
    })
    assert.deepEqual([type.name, type.status], ['CDS', 'REJECTED'])
    assert.equal(type.rejection.reason, 'a cluster is bad')
    assert.match((await scene.get('/metrics')).body, /^pilot_total_xds_rejects\{type="cds"\} 1$/m)
  })

  test('a sidecar that says nonsense of itself is refused, and told why', async () => {
    await using scene = await openControlPlaneScene(files)
    using sidecar = openSidecar(scene, nodeOf('client', { AUTO_REGISTER_GROUP: 'nothing' }))
    const status = await sidecar.closed
    assert.equal(status.code, 7)
    assert.match(status.message, /may not join: .*there is no WorkloadGroup default\/nothing/)
  })

  test('a port that is taken is an error that names it', async () => {
    await using scene = await openControlPlaneScene(files)
    const port = Number(scene.controlPlane.plaintextXdsAddress.split(':').at(-1))
    await assert.rejects(
      openControlPlaneScene(files, { plaintextXds: { host: '127.0.0.1', port } }),
      {
        code: 'MESH_LISTEN_FAILED',
        message: `listen for xDS on 127.0.0.1:${port}`,
      },
    )
  })
})

function service(name: string): string {
  return `apiVersion: v1
kind: Service
metadata: { name: ${name} }
spec:
  selector: { app: ${name} }
  ports: [{ name: http, port: 8080 }]
`
}

test('a process that takes over from its predecessor is not taken for a second workload of its name', async () => {
  const warnings: string[] = []
  const log = {
    ...silentLog,
    warn: (_fields: object, message: string) => void warnings.push(message),
  }
  const shown = { ...log, child: () => log }
  await using scene = await openControlPlaneScene({ 'routes.yaml': '' }, { log: shown })
  const join = async (extra: object): Promise<void> => {
    const peer = scene.connect('delta')
    peer.send({ node: nodeOf('client', extra), typeUrl: typeUrls.cluster })
    await peer.next()
  }
  await join({})
  await join({ TAKE_OVER_EPOCH: 1 })
  assert.deepEqual(warnings, [])
  await join({})
  assert.deepEqual(warnings, ['a second stream of this id takes over'])
})
