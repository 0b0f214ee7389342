/**
 * h2spec, the conformance suite of HTTP/2 and HPACK, against a sidecar, in plaintext and over TLS. It is a Go program:
 * `go install github.com/summerwind/h2spec/cmd/h2spec@latest`.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { anyPort, staticCluster } from '../support/mtls-bootstrap.ts'
import { runTulle } from '../support/mtls-scene.ts'
import { findProgram, skipUnless } from '../support/programs.ts'
import { createTestAuthority } from '../support/test-certificate.ts'
import { downstreamJson } from '../support/transport-socket.ts'

const ext = 'type.googleapis.com/envoy.extensions'
const h2spec = process.env['H2SPEC'] ?? findProgram('h2spec') ?? fromGo()
const skip = skipUnless(h2spec, 'h2spec')

function fromGo(): string | undefined {
  const path = join(process.env['GOPATH'] ?? join(homedir(), 'go'), 'bin/h2spec')
  try {
    accessSync(path, constants.X_OK)
    return path
  } catch {
    return undefined
  }
}

function run(args: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    execFile(
      h2spec ?? '',
      [...args, '--strict', '--timeout', '5'],
      { timeout: 60_000 },
      (_error, out) => resolve(out),
    )
  })
}

async function startOrigin() {
  const server = createServer((request, response) => {
    request.resume()
    // Answers when the request is whole, so that what is wrong with its end is seen first.
    request.on('end', () => response.end('hello'))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function bootstrap(appPort: number, codec: string, tls?: object): string {
  const manager = {
    '@type': `${ext}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: 'h2spec',
    codec_type: codec,
    http2_protocol_options: { max_concurrent_streams: 100 },
    route_config: {
      virtual_hosts: [
        {
          name: 'all',
          domains: ['*'],
          routes: [{ match: { prefix: '/' }, route: { cluster: 'app' } }],
        },
      ],
    },
    http_filters: [
      {
        name: 'envoy.filters.http.router',
        typed_config: { '@type': `${ext}.filters.http.router.v3.Router` },
      },
    ],
  }
  const filters = [{ name: 'envoy.filters.network.http_connection_manager', typed_config: manager }]
  return JSON.stringify({
    node: { id: 'h2spec', cluster: 'h2spec' },
    admin: { address: anyPort },
    static_resources: {
      listeners: [
        {
          name: 'main',
          address: anyPort,
          filter_chains: [{ filters, ...(tls !== undefined && { transport_socket: tls }) }],
        },
      ],
      clusters: [staticCluster('app', appPort)],
    },
  })
}

test('h2spec passes whole, with prior knowledge', { skip }, async () => {
  await using origin = await startOrigin()
  await using proxy = await runTulle(bootstrap(origin.port, 'HTTP2'))
  const out = await run(['-h', '127.0.0.1', '-p', String(proxy.port)])
  assert.match(out, /\b14[56] tests, 14[56] passed, [01] skipped, 0 failed/, out)
})

test('h2spec passes whole over TLS, where ALPN says h2', { skip }, async () => {
  const authority = await createTestAuthority('mesh')
  const certificate = await authority.issue({ uris: ['spiffe://cluster.local/ns/a/sa/b'] })
  const tls = downstreamJson({
    certificate,
    requires: false,
    alpn: ['h2', 'http/1.1'],
  })
  await using origin = await startOrigin()
  await using proxy = await runTulle(bootstrap(origin.port, 'AUTO', tls))
  const out = await run(['-h', '127.0.0.1', '-p', String(proxy.port), '-t', '-k'])
  assert.match(out, /\b14[56] tests, 14[56] passed, [01] skipped, 0 failed/, out)
})
