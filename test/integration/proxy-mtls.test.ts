/** Mutual TLS between two sidecars, and what happens to whoever is not what he should be, in both directions. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect as connectPlain, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  type ConnectionOptions,
  type TLSSocket,
  type TlsOptions,
  connect as connectTls,
  createServer as createTlsServer,
} from 'node:tls'

import { eventually } from '../support/eventually.ts'
import { inboundBootstrap, outboundBootstrap } from '../support/mtls-bootstrap.ts'
import { type RunningProxy, runApp, runTulle } from '../support/mtls-scene.ts'
import { findProgram, skipUnless } from '../support/programs.ts'
import { exchangeBytes } from '../support/proxy-scene.ts'
import { httpGet } from '../support/sidecar-scene.ts'
import {
  type LeafWish,
  type TestAuthority,
  type TestLeaf,
  createTestAuthority,
} from '../support/test-certificate.ts'
import { downstreamJson, upstreamJson } from '../support/transport-socket.ts'

const serverId = 'spiffe://cluster.local/ns/default/sa/server'
const clientId = 'spiffe://cluster.local/ns/default/sa/client'

const authority = await createTestAuthority('mesh')
const partner = await createTestAuthority('partner')
const stranger = await createTestAuthority('stranger')
const server = await authority.issue({ uris: [serverId] })
const client = await authority.issue({ uris: [clientId], subject: 'CN=client,O=Ä b' })
const bundles = { 'cluster.local': authority.rootPem, 'partner.example': partner.rootPem }

const inboundTls = downstreamJson({
  certificate: server,
  bundles,
  requires: true,
  alpn: ['istio-http/1.1', 'http/1.1'],
  minVersion: 'TLSv1_2',
})
const outboundTls = upstreamJson({
  certificate: client,
  bundles,
  sans: [serverId],
  serverName: 'outbound_.80_._.server.default.svc.cluster.local',
  alpn: ['istio-http/1.1', 'istio', 'http/1.1'],
})

test('a request between two sidecars is mutually authenticated, and the application hears who called', async () => {
  await using app = await runApp()
  const folder = mkdtempSync(join(tmpdir(), 'mtls-'))
  const accessLog = join(folder, 'access.log')
  await using inbound = await runTulle(
    inboundBootstrap({ tls: inboundTls, appPort: app.port, accessLog }),
  )
  await using outbound = await runTulle(outboundBootstrap({ tls: outboundTls, port: inbound.port }))
  const forged = { 'x-forwarded-client-cert': 'URI=spiffe://cluster.local/ns/x/sa/forged' }
  const answer = await httpGet({ port: outbound.port, path: '/', headers: forged })
  assert.equal(answer.body, 'hello')
  const fingerprint = new X509Certificate(client.certificatePem).fingerprint256
  const hash = fingerprint.replaceAll(':', '').toLowerCase()
  assert.equal(
    app.requests[0]?.['x-forwarded-client-cert'],
    `By=${serverId};Hash=${hash};Subject="O=\\C3\\84 b,CN=client";URI=${clientId}`,
  )
  const line = await eventually(() => readFileSync(accessLog, 'utf8').trim() || undefined)
  const logged = JSON.parse(line) as Record<string, unknown>
  assert.deepEqual(
    [logged['peer'], logged['local'], logged['version'], logged['fingerprint']],
    [clientId, serverId, 'TLSv1.3', hash],
  )
  assert.equal(logged['server_name'], 'outbound_.80_._.server.default.svc.cluster.local')
  assert.equal(await inbound.stat('listener.127.0.0.1_0.ssl.handshake'), 1)
  assert.equal(await outbound.stat('cluster.out.ssl.handshake'), 1)
  assert.equal(await outbound.stat('cluster.out.ssl.versions.TLSv1.3'), 1)
  rmSync(folder, { recursive: true })
})

test('an endpoint without a sidecar is called in plaintext by the same cluster', async () => {
  await using app = await runApp()
  await using outbound = await runTulle(
    outboundBootstrap({ tls: outboundTls, port: app.port, hasSidecar: false }),
  )
  const answer = await httpGet({ port: outbound.port, path: '/' })
  assert.equal(answer.body, 'hello')
  assert.equal(app.requests[0]?.['x-forwarded-client-cert'], undefined)
})

interface BadPeer {
  readonly name: string
  readonly reason: string
  readonly wish?: LeafWish
  readonly signer?: TestAuthority
  /** Of the other side's TLS. */
  readonly options?: Pick<ConnectionOptions, 'minVersion' | 'maxVersion' | 'ciphers'>
}

const hourMs = 3_600_000
const other = 'spiffe://cluster.local/ns/default/sa/other'

/** As seen by either side: what the peer shows, and why it is refused. */
const badPeers: readonly BadPeer[] = [
  { name: 'of another CA', reason: 'unknown-ca', wish: { uris: [clientId] }, signer: stranger },
  {
    name: 'of a trusted root for another trust domain',
    reason: 'wrong-trust-domain',
    wish: { uris: [clientId] },
    signer: partner,
  },
  {
    name: 'that has expired',
    reason: 'expired',
    wish: {
      uris: [clientId],
      notBeforeMs: Date.now() - 2 * hourMs,
      notAfterMs: Date.now() - hourMs,
    },
  },
  {
    name: 'that is not yet valid',
    reason: 'not-yet-valid',
    wish: {
      uris: [clientId],
      notBeforeMs: Date.now() + hourMs,
      notAfterMs: Date.now() + 2 * hourMs,
    },
  },
  { name: 'without a SAN', reason: 'no-spiffe-san', wish: { subject: 'CN=client' } },
  { name: 'with two URI SANs', reason: 'no-spiffe-san', wish: { uris: [clientId, other] } },
  { name: 'of another workload', reason: 'san-mismatch', wish: { uris: [other] } },
]

async function leafOf({ wish, signer = authority }: BadPeer): Promise<TestLeaf | undefined> {
  return wish === undefined ? undefined : await signer.issue(wish)
}

async function refusedBy(proxy: RunningProxy, prefix: string, reason: string): Promise<void> {
  await eventually(async () => (await proxy.stat(`${prefix}.ssl.refused.${reason}`)) === 1, {
    deadlineMs: 3_000,
  })
  const line = proxy.lines.find(({ message }) => message === 'TLS refused')
  assert.equal(line?.['reason'], reason)
}

for (const bad of [
  ...badPeers,
  { name: 'that is missing', reason: 'no-certificate' },
  {
    name: 'over TLS 1.1',
    reason: 'protocol-version',
    options: { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' },
  },
] as readonly BadPeer[]) {
  test(`inbound: a client certificate ${bad.name} is refused as ${bad.reason}`, async () => {
    await using app = await runApp()
    const tls = downstreamJson({ certificate: server, bundles, requires: true, sans: [clientId] })
    await using inbound = await runTulle(inboundBootstrap({ tls, appPort: app.port }))
    const leaf = await leafOf(bad)
    const received = await askOverTls(inbound.port, {
      ...(leaf && { cert: leaf.chainPem, key: leaf.keyPem }),
      ...bad.options,
    })
    assert.equal(received, '')
    assert.equal(app.requests.length, 0)
    await refusedBy(inbound, 'listener.127.0.0.1_0', bad.reason)
  })
}

test('inbound: plaintext to a listener that wants TLS is refused as plaintext-refused', async () => {
  await using app = await runApp()
  await using inbound = await runTulle(inboundBootstrap({ tls: inboundTls, appPort: app.port }))
  const received = await exchangeBytes(inbound.port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  assert.equal(received, '')
  assert.equal(app.requests.length, 0)
  await refusedBy(inbound, 'listener.127.0.0.1_0', 'plaintext-refused')
})

for (const bad of [
  ...badPeers,
  {
    name: 'over TLS 1.1',
    reason: 'protocol-version',
    wish: { uris: [clientId] },
    options: { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' },
  },
] as readonly BadPeer[]) {
  test(`outbound: a server certificate ${bad.name} is refused as ${bad.reason}`, async () => {
    const leaf = await leafOf(bad)
    assert.ok(leaf)
    let heard = ''
    const requests = { requestCert: true, rejectUnauthorized: false }
    await using bogus = await openTlsServer(
      { ...keysOf(leaf), ...requests, ...bad.options },
      (socket) => {
        socket.on('data', (chunk) => (heard += chunk.toString()))
      },
    )
    const { port } = bogus
    // The good name is the client's own here, so that one table serves both directions.
    const tls = upstreamJson({ certificate: client, bundles, sans: [clientId] })
    await using outbound = await runTulle(outboundBootstrap({ tls, port }))
    const answer = await httpGet({ port: outbound.port, path: '/' })
    assert.equal(answer.status, 503)
    assert.equal(heard, '')
    await refusedBy(outbound, 'cluster.out', bad.reason)
  })
}

test('outbound: a server that speaks plaintext is refused as protocol-error', async () => {
  await using app = await runApp()
  await using outbound = await runTulle(outboundBootstrap({ tls: outboundTls, port: app.port }))
  const answer = await httpGet({ port: outbound.port, path: '/' })
  assert.equal(answer.status, 503)
  assert.equal(app.requests.length, 0)
  await refusedBy(outbound, 'cluster.out', 'protocol-error')
})

test('PERMISSIVE takes TLS and plaintext on one port, and believes no header of a plaintext caller', async () => {
  await using app = await runApp()
  await using inbound = await runTulle(
    inboundBootstrap({ tls: inboundTls, appPort: app.port, mode: 'permissive' }),
  )
  const forged = { 'x-forwarded-client-cert': `URI=${clientId}` }
  const plain = await httpGet({ port: inbound.port, path: '/', headers: forged })
  assert.equal(plain.body, 'hello')
  const secure = await askOverTls(inbound.port, { cert: client.chainPem, key: client.keyPem })
  assert.match(secure, /^HTTP\/1\.1 200 /)
  assert.equal(app.requests[0]?.['x-forwarded-client-cert'], undefined)
  assert.deepEqual(
    app.requests.map((request) => request['x-forwarded-proto']),
    ['http', 'https'],
  )
  assert.match(String(app.requests[1]?.['x-forwarded-client-cert']), new RegExp(`URI=${clientId}$`))
})

test('a connection that says nothing is not waited for beyond the time of the listener filters', async () => {
  await using app = await runApp()
  const text = inboundBootstrap({ tls: inboundTls, appPort: app.port })
  const bootstrap = text.replace(
    '"listener_filters":',
    '"listener_filters_timeout":"0.1s","listener_filters":',
  )
  await using inbound = await runTulle(bootstrap)
  const socket = connectPlain(inbound.port, '127.0.0.1')
  socket.on('error', () => {})
  await new Promise((resolve) => socket.once('close', resolve))
  await refusedBy(inbound, 'listener.127.0.0.1_0', 'handshake-timeout')
  assert.equal(await inbound.stat('listener.127.0.0.1_0.downstream_pre_cx_timeout'), 1)
})

test('the next connection to a server resumes a session, and the peer is verified again', async () => {
  await using app = await runApp()
  await using inbound = await runTulle(inboundBootstrap({ tls: inboundTls, appPort: app.port }))
  await using outbound = await runTulle(outboundBootstrap({ tls: outboundTls, port: inbound.port }))
  const first = await httpGet({ port: outbound.port, path: '/' })
  assert.equal(first.body, 'hello')
  await askAtOnce(outbound, 12)
  const resumed = await outbound.stat('cluster.out.ssl.session_reused')
  assert.ok(resumed > 0, 'no session was resumed')
  assert.equal(await inbound.stat('listener.127.0.0.1_0.ssl.session_reused'), resumed)
  assert.equal(await inbound.stat('listener.127.0.0.1_0.ssl.fail_verify_error'), 0)
  for (const request of app.requests) {
    assert.match(String(request['x-forwarded-client-cert']), new RegExp(`URI=${clientId}$`))
  }
})

/** More requests at once than there are connections: new ones are made. */
async function askAtOnce(outbound: RunningProxy, count: number): Promise<void> {
  const all = Array.from({ length: count }, () => httpGet({ port: outbound.port, path: '/' }))
  const answers = await Promise.all(all)
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]))
}

test('no key leaves the sidecar by its admin interface', async () => {
  await using app = await runApp()
  const secrets = [
    {
      name: 'mine',
      tls_certificate: {
        certificate_chain: { inline_string: server.chainPem },
        private_key: { inline_string: server.keyPem },
      },
    },
  ]
  await using inbound = await runTulle(
    inboundBootstrap({ tls: inboundTls, appPort: app.port, secrets }),
  )
  const pages = await Promise.all(
    ['/config_dump?include_eds', '/certs', '/stats', '/clusters', '/server_info'].map((path) =>
      inbound.get(path),
    ),
  )
  const body = server.keyPem.split('\n')[1] ?? ''
  for (const page of pages) assert.ok(!page.includes(body) && !page.includes('PRIVATE KEY'))
  assert.match(pages[0] ?? '', /\[redacted\]/)
  const { certificates } = JSON.parse(pages[1] ?? '') as {
    certificates: { cert_chain: { subject_alt_names: object[] }[]; ca_cert: object[] }[]
  }
  assert.deepEqual(certificates[0]?.cert_chain[0]?.subject_alt_names, [{ uri: serverId }])
  assert.equal(certificates[0]?.ca_cert.length, 2)
})

test('with auto_sni each host has a connection of its own, and must prove its name', async () => {
  const leaf = await authority.issue({ dns: ['a.test', '*.c.test'] })
  const names: string[] = []
  await using external = await openTlsServer(keysOf(leaf), (socket) => {
    names.push(String(socket.servername))
    socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'))
  })
  const { port } = external
  const tls = upstreamJson({ certificate: undefined, roots: authority.rootPem })
  const options = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions'
  const text = JSON.parse(outboundBootstrap({ tls, port })) as {
    static_resources: { clusters: [Record<string, unknown>] }
  }
  text.static_resources.clusters[0]['typed_extension_protocol_options'] = {
    [options]: {
      '@type': `type.googleapis.com/${options}`,
      explicit_http_config: { http_protocol_options: {} },
      upstream_http_protocol_options: { auto_sni: true, auto_san_validation: true },
    },
  }
  await using outbound = await runTulle(JSON.stringify(text))
  const ask = async (host: string): Promise<number> =>
    (await httpGet({ port: outbound.port, path: '/', headers: { host } })).status
  assert.equal(await ask('a.test'), 200)
  assert.equal(await ask('a.test:8443'), 200)
  assert.equal(await ask('x.c.test'), 200)
  assert.equal(await ask('b.test'), 503)
  assert.equal(await ask('a.test'), 200)
  await refusedBy(outbound, 'cluster.out', 'san-mismatch')
  // The third was left before its server thought that it stood.
  assert.deepEqual(names.slice(0, 2), ['a.test', 'x.c.test'])
  assert.ok(names.length <= 3)
})

test('TCP crosses over mutual TLS, each direction ending on its own', async () => {
  const echo = createServer({ allowHalfOpen: true }, (socket) => {
    let received = ''
    socket.on('data', (chunk) => (received += chunk.toString()))
    socket.on('end', () => socket.end(`heard ${received}`))
  })
  await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve))
  const appPort = (echo.address() as AddressInfo).port
  await using inbound = await runTulle(inboundBootstrap({ tls: inboundTls, appPort, tcp: true }))
  await using outbound = await runTulle(
    outboundBootstrap({ tls: outboundTls, port: inbound.port, tcp: true }),
  )
  const socket = connectPlain({ port: outbound.port, host: '127.0.0.1', allowHalfOpen: true })
  socket.end('question')
  let answer = ''
  for await (const chunk of socket) answer += String(chunk)
  assert.equal(answer, 'heard question')
  assert.equal(await inbound.stat('listener.127.0.0.1_0.ssl.handshake'), 1)
  await new Promise((resolve) => echo.close(resolve))
})

const openssl = findProgram('openssl')

test(
  'openssl s_client speaks to an inbound listener, and so does curl',
  { skip: skipUnless(openssl, 'openssl') },
  async () => {
    await using app = await runApp()
    await using inbound = await runTulle(inboundBootstrap({ tls: inboundTls, appPort: app.port }))
    const folder = mkdtempSync(join(tmpdir(), 'mtls-'))
    const file = (name: string, text: string): string => {
      writeFileSync(join(folder, name), text, { mode: 0o600 })
      return join(folder, name)
    }
    const cert = file('cert.pem', client.chainPem)
    const key = file('key.pem', client.keyPem)
    const ca = file('ca.pem', authority.rootPem)
    const shown = await run(
      'openssl',
      [
        `s_client -connect 127.0.0.1:${inbound.port} -servername a.test`,
        `-cert ${cert} -key ${key} -cert_chain ${cert} -CAfile ${ca}`,
        '-alpn istio-http/1.1,http/1.1 -verify_return_error -quiet -ign_eof',
      ].flatMap((line) => line.split(' ')),
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    )
    assert.match(shown, /HTTP\/1\.1 200 OK/)
    assert.match(shown, /hello$/)
    const url = `https://server.test:${inbound.port}/`
    const resolve = `server.test:${inbound.port}:127.0.0.1`
    const certificates = ['--cert', cert, '--key', key, '--cacert', ca]
    // curl checks the host's name, which a SPIFFE certificate does not have.
    const got = await run('curl', ['-sk', '--resolve', resolve, ...certificates, url], '')
    assert.equal(got, 'hello')
    const without = await run('curl', ['-sk', '--resolve', resolve, url], '')
    assert.equal(without, '')
    rmSync(folder, { recursive: true })
  },
)

async function run(program: string, args: readonly string[], input: string): Promise<string> {
  const child = spawn(program, args)
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  child.stderr.on('data', () => {})
  child.stdin.on('error', () => {})
  child.stdin.write(input)
  await new Promise((resolve) => child.once('close', resolve))
  return output
}

function keysOf(leaf: TestLeaf): { readonly cert: string; readonly key: string } {
  return { cert: leaf.chainPem, key: leaf.keyPem }
}

async function openTlsServer(
  options: TlsOptions,
  onSocket: (socket: TLSSocket) => void,
): Promise<AsyncDisposable & { readonly port: number }> {
  const open = new Set<TLSSocket>()
  const tlsServer = createTlsServer(options, (socket) => {
    open.add(socket)
    socket.on('error', () => {})
    onSocket(socket)
  })
  tlsServer.on('tlsClientError', () => {})
  await new Promise<void>((resolve) => tlsServer.listen(0, '127.0.0.1', resolve))
  return {
    port: (tlsServer.address() as AddressInfo).port, // it listens on TCP
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy()
      await new Promise((resolve) => tlsServer.close(resolve))
    },
  }
}

async function askOverTls(port: number, options: ConnectionOptions): Promise<string> {
  const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options })
  let received = ''
  return await new Promise((resolve) => {
    socket.on('error', () => resolve(received))
    socket.on('close', () => resolve(received))
    socket.on('data', (chunk) => (received += chunk.toString()))
    socket.on('end', () => socket.end())
    socket.on('secureConnect', () => {
      socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    })
  })
}
