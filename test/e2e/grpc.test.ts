/** HTTP/2 in a running mesh: gRPC by its port's protocol, and HTTP/1.1 as streams between sidecars. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'

import type { ServiceError } from '@grpc/grpc-js'

import { eventually } from '../support/eventually.ts'
import { EchoClient, grpcStatus } from '../support/grpc-echo.ts'
import { RunningMesh, sendRequests } from '../support/running-mesh.ts'

const skip = process.platform === 'linux' ? false : 'finds its processes in /proc of Linux'
const server = join(import.meta.dirname, '../support/grpc-echo-server.ts')

const echo = `
  - name: echo
    ports: [{ number: 50051, name: grpc-api, protocol: GRPC }]
    workloads:
    - name: echo-v1
      command: ['\${TULLE_NODE}', '${server}']
      probe: { grpc: {}, periodSeconds: 2 }
  workloads:`

const forbidden = 'connectionPool: { http: { h2UpgradePolicy: DO_NOT_UPGRADE } }'

suite('HTTP/2 in a mesh', { skip }, () => {
  let mesh: RunningMesh
  const proxyBefore = process.env['grpc_proxy']
  before(async () => {
    mesh = await RunningMesh.startChanged((folder) => {
      const file = join(folder, 'mesh-node.yaml')
      writeFileSync(file, readFileSync(file, 'utf8').replace('\n  workloads:', echo))
    })
    // How a gRPC client beside a sidecar finds it; grpc-js reads it when it makes a channel.
    process.env['grpc_proxy'] = mesh.proxyOf('load')
  })
  after(async () => {
    if (proxyBefore === undefined) delete process.env['grpc_proxy']
    else process.env['grpc_proxy'] = proxyBefore
    await mesh[Symbol.asyncDispose]()
  })

  const counter = async (workload: string, pattern: RegExp): Promise<number> => {
    const text = await mesh.read({ admin: workload }, '/stats')
    const found = text.split('\n').filter((line) => pattern.test(line))
    return found.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)
  }

  test('gRPC goes through the proxy of its variables, two sidecars and mutual TLS', async () => {
    using client = new EchoClient('echo:50051', { 'grpc.enable_http_proxy': 1 })
    assert.equal(await client.unary('mesh'), 'hello mesh (kept)')
    assert.equal((await client.download(100)).length, 100)
    assert.equal(await client.upload(['ab', 'cd']), '4')
    assert.deepEqual(await client.chat(['x']), ['you said x'])
    const code = await client
      .unary('fail 7')
      .catch((error: unknown) => (error as ServiceError).code)
    assert.equal(code, grpcStatus.PERMISSION_DENIED)
    await eventually(async () => {
      const messages = await counter('echo-v1', /istio_response_messages_total.*destination/)
      return messages === 103
    })
    const security = await counter(
      'echo-v1',
      /istio_requests_total.*request_protocol\.=\.grpc.*connection_security_policy\.=\.mutual_tls/,
    )
    assert.equal(security, 5)
  })

  test('requests between sidecars are HTTP/2 streams until a rule forbids it, and the application gets what it speaks', async () => {
    const url = 'http://my-go-service:8080/'
    const opened = () => counter('load', /^cluster.outbound.8080.+my-go-service.+cx_http2_total/)
    const send = async (): Promise<void> => {
      const { failures } = await sendRequests(mesh.proxyOf('load'), url, 20)
      assert.deepEqual(failures, [])
    }
    await send()
    assert.ok((await opened()) > 0)
    const seen = () => counter('my-go-service-v1', /http\.inbound.*downstream_rq_http2_total/)
    assert.ok((await seen()) > 0)

    const file = join(mesh.folder, 'config/my-go-service.yaml')
    const before = 'trafficPolicy:\n'
    const text = readFileSync(file, 'utf8').replace(before, `${before}    ${forbidden}\n`)
    writeFileSync(file, text)
    await eventually(
      async () => {
        const streams = await seen()
        await send()
        return (await seen()) === streams
      },
      { deadlineMs: 20_000 },
    )
  })
})
