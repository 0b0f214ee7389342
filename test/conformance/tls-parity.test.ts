/**
 * The same bootstraps with TLS, run by a real Envoy and by Tulle: the same connections are taken and refused, the same filter
 * chains chosen, and the same said of the client, whichever of the two stands at either end of a hop.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect as connectPlain } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { type ConnectionOptions, type TLSSocket, connect as connectTls } from 'node:tls'

import { eventually } from '../support/eventually.ts'
import {
  anyPort,
  bootstrapOf,
  inboundListener,
  inspector,
  outboundCluster,
  outboundListener,
  staticCluster,
} from '../support/mtls-bootstrap.ts'
import {
  type RecordingApp,
  type RunningProxy,
  runApp,
  runEnvoy,
  runTulle,
} from '../support/mtls-scene.ts'
import { findEnvoy, skipUnless } from '../support/programs.ts'
import { httpGet } from '../support/sidecar-scene.ts'
import {
  type LeafWish,
  type TestAuthority,
  type TestLeaf,
  createTestAuthority,
} from '../support/test-certificate.ts'
import { type DownstreamWish, downstreamJson, upstreamJson } from '../support/transport-socket.ts'

const serverId = 'spiffe://cluster.local/ns/default/sa/server'
const clientId = 'spiffe://cluster.local/ns/default/sa/client'
const hourMs = 3_600_000

const authority = await createTestAuthority('mesh')
const partner = await createTestAuthority('partner')
const stranger = await createTestAuthority('stranger')
const bundles = { 'cluster.local': authority.rootPem, 'partner.example': partner.rootPem }
const server = await authority.issue({ uris: [serverId], dns: ['server.test'] })
const good: LeafWish = { uris: [clientId], dns: ['client.test'], subject: 'CN=a client,O=Ä b\\, c' }
const client = await authority.issue(good)
const revokedClient = await authority.issue(good)
const revokedServer = await authority.issue({ uris: [serverId], dns: ['server.test'] })
const revokedPair = [revokedClient, revokedServer]
const lists = await authority.revoke(revokedPair)
const ownList = await authority.revoke(revokedPair, { ownOnly: true })
const oldLists = await authority.revoke(revokedPair, { nextUpdateMs: Date.now() - 60_000 })

const mutual: DownstreamWish = {
  certificate: server,
  bundles,
  requires: true,
  alpn: ['istio-http/1.1', 'http/1.1'],
}

/** TLS that asks for no certificate. */
const unasked: DownstreamWish = {
  certificate: server,
  requires: false,
  alpn: ['istio-http/1.1', 'http/1.1'],
}

/** What becomes of the header, by listener. */
const managers: Readonly<Record<string, object>> = {
  append: {
    forward_client_cert_details: 'APPEND_FORWARD',
    set_current_client_cert_details: {
      subject: true,
      cert: true,
      chain: true,
      dns: true,
      uri: true,
    },
  },
  set: {
    forward_client_cert_details: 'SANITIZE_SET',
    set_current_client_cert_details: { subject: true, uri: true },
  },
  forward: { forward_client_cert_details: 'FORWARD_ONLY' },
  always: { forward_client_cert_details: 'ALWAYS_FORWARD_ONLY' },
  remove: {},
}

const inboundTls: Readonly<Record<string, DownstreamWish>> = {
  strict: mutual,
  'tls-1.3': { ...mutual, minVersion: 'TLSv1_3' },
  'one-client': { ...mutual, sans: [clientId] },
  optional: { certificate: server, roots: authority.rootPem, requires: false },
  'optional-by-flag': { ...mutual, requires: false },
  'no-bundle': { certificate: server, roots: authority.rootPem, requires: true },
  lists: { certificate: server, roots: authority.rootPem, revoked: lists, requires: true },
  'own-list': { certificate: server, roots: authority.rootPem, revoked: ownList, requires: true },
  'old-lists': { certificate: server, roots: authority.rootPem, revoked: oldLists, requires: true },
  'revoked-server': { ...mutual, certificate: revokedServer },
}

function inboundText(appPort: number, accessLog: string): string {
  const plainManager = { tls: downstreamJson(mutual), accessLog }
  return bootstrapOf({
    listeners: [
      ...Object.entries(managers).map(([name, manager]) =>
        inboundListener(name, { ...plainManager, manager }),
      ),
      ...Object.entries(inboundTls).map(([name, wish]) =>
        inboundListener(name, { tls: downstreamJson(wish) }),
      ),
      inboundListener('permissive', { tls: downstreamJson(mutual), mode: 'permissive' }),
      chainsListener(),
    ],
    clusters: [staticCluster('app', appPort)],
  })
}

/** Each chain answers with its own name. */
function chainsListener(): object {
  const ext = 'type.googleapis.com/envoy.extensions'
  const chain = (name: string, match: object | undefined, isTls = true): object => ({
    name,
    ...(match && { filter_chain_match: match }),
    ...(isTls && { transport_socket: downstreamJson(unasked) }),
    filters: [
      {
        name: 'envoy.filters.network.http_connection_manager',
        typed_config: {
          '@type': `${ext}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
          stat_prefix: 'chain',
          http_protocol_options: { accept_http_10: true },
          route_config: {
            virtual_hosts: [
              {
                name: 'all',
                domains: ['*'],
                routes: [
                  {
                    match: { prefix: '/' },
                    direct_response: { status: 200, body: { inline_string: name } },
                  },
                ],
              },
            ],
          },
          http_filters: [
            {
              name: 'envoy.filters.http.router',
              typed_config: { '@type': `${ext}.filters.http.router.v3.Router` },
            },
          ],
        },
      },
    ],
  })
  return {
    name: 'chains',
    address: anyPort,
    listener_filters: [inspector('tls'), inspector('http')],
    filter_chains: [
      chain('exact', { server_names: ['exact.test'] }),
      chain('exact-h9', { server_names: ['exact.test'], application_protocols: ['h9', 'h8'] }),
      chain('wildcard', { server_names: ['*.wild.test'] }),
      chain('longer-wildcard', { server_names: ['*.deep.wild.test'] }),
      chain('istio', { transport_protocol: 'tls', application_protocols: ['istio-http/1.1'] }),
      chain('tls', { transport_protocol: 'tls' }),
      chain(
        'raw-1.1',
        { transport_protocol: 'raw_buffer', application_protocols: ['http/1.1'] },
        false,
      ),
      chain(
        'local-raw',
        { transport_protocol: 'raw_buffer', source_type: 'SAME_IP_OR_LOOPBACK' },
        false,
      ),
    ],
    default_filter_chain: chain('default', undefined, false),
  }
}

interface Dial {
  readonly name: string
  readonly listener: string
  /** Undefined: plaintext. */
  readonly tls?: ConnectionOptions
  readonly wish?: LeafWish
  readonly signer?: TestAuthority
  /** One that is there already. */
  readonly leaf?: TestLeaf
  readonly version?: '1.0' | '1.1'
  readonly header?: string
  /** Tulle refuses on purpose what Envoy lets pass, and this is why. */
  readonly stricter?: string
}

const secure: ConnectionOptions = {}
const withAlpn = (...protocols: string[]): ConnectionOptions => ({ ALPNProtocols: protocols })
const named = (servername: string, ...protocols: string[]): ConnectionOptions => ({
  servername,
  ...(protocols.length > 0 && { ALPNProtocols: protocols }),
})
const tls12: ConnectionOptions = { maxVersion: 'TLSv1.2' }
const tls11: ConnectionOptions = {
  minVersion: 'TLSv1.1',
  maxVersion: 'TLSv1.1',
  ciphers: 'DEFAULT@SECLEVEL=0',
}
const expired = { ...good, notBeforeMs: Date.now() - 2 * hourMs, notAfterMs: Date.now() - hourMs }
const coming = { ...good, notBeforeMs: Date.now() + hourMs, notAfterMs: Date.now() + 2 * hourMs }
const other = 'spiffe://cluster.local/ns/default/sa/other'
const forged = `URI=spiffe://cluster.local/ns/x/sa/forged`

const dials: readonly Dial[] = [
  { name: 'a good client', listener: 'strict', tls: secure, wish: good },
  { name: 'a good client over TLS 1.2', listener: 'strict', tls: tls12, wish: good },
  { name: 'plaintext to STRICT', listener: 'strict' },
  { name: 'no certificate', listener: 'strict', tls: secure },
  { name: 'no certificate where it is optional', listener: 'optional', tls: secure },
  { name: 'no certificate, with a SPIFFE validator', listener: 'optional-by-flag', tls: secure },
  {
    name: 'a bad certificate where it is optional',
    listener: 'optional',
    tls: secure,
    wish: expired,
  },
  { name: 'TLS 1.1', listener: 'strict', tls: tls11, wish: good },
  { name: 'TLS 1.2 where 1.3 is the least', listener: 'tls-1.3', tls: tls12, wish: good },
  { name: 'TLS 1.3 where 1.3 is the least', listener: 'tls-1.3', tls: secure, wish: good },
  { name: 'another CA', listener: 'strict', tls: secure, wish: good, signer: stranger },
  {
    name: 'a trusted root of another domain',
    listener: 'strict',
    tls: secure,
    wish: good,
    signer: partner,
  },
  {
    name: 'the same without trust domains',
    listener: 'no-bundle',
    tls: secure,
    wish: good,
    signer: partner,
  },
  { name: 'a good client without trust domains', listener: 'no-bundle', tls: secure, wish: good },
  { name: 'one that is on no list', listener: 'lists', tls: secure, leaf: client },
  { name: 'one that is revoked', listener: 'lists', tls: secure, leaf: revokedClient },
  { name: 'one that is revoked, over TLS 1.2', listener: 'lists', tls: tls12, leaf: revokedClient },
  { name: 'no list of an authority above', listener: 'own-list', tls: secure, leaf: client },
  { name: 'lists that are too old', listener: 'old-lists', tls: secure, leaf: client },
  {
    name: 'one that is revoked where nobody asks',
    listener: 'strict',
    tls: secure,
    leaf: revokedClient,
  },
  { name: 'expired', listener: 'strict', tls: secure, wish: expired },
  { name: 'not yet valid', listener: 'strict', tls: secure, wish: coming },
  { name: 'no SAN', listener: 'strict', tls: secure, wish: { subject: 'CN=x' } },
  {
    name: 'no SAN without trust domains',
    listener: 'no-bundle',
    tls: secure,
    wish: { subject: 'CN=x' },
  },
  {
    name: 'two URI SANs',
    listener: 'strict',
    tls: secure,
    wish: { uris: [clientId, other] },
    stricter: 'an SVID has one URI (X.509-SVID §2)',
  },
  { name: 'the one client', listener: 'one-client', tls: secure, wish: good },
  { name: 'another workload', listener: 'one-client', tls: secure, wish: { uris: [other] } },
  { name: 'plaintext to PERMISSIVE', listener: 'permissive', header: forged },
  { name: 'TLS to PERMISSIVE', listener: 'permissive', tls: secure, wish: good, header: forged },
  // The header.
  ...Object.keys(managers).flatMap((listener) => [
    { name: `header ${listener}`, listener, tls: secure, wish: good },
    { name: `header ${listener}, one there`, listener, tls: secure, wish: good, header: forged },
  ]),
  // ALPN.
  {
    name: 'ALPN in the server’s order',
    listener: 'strict',
    tls: withAlpn('http/1.1', 'istio-http/1.1'),
    wish: good,
  },
  { name: 'ALPN without overlap', listener: 'strict', tls: withAlpn('foo'), wish: good },
  // Filter chains.
  { name: 'chain: exact name', listener: 'chains', tls: named('exact.test') },
  { name: 'chain: exact name in capitals', listener: 'chains', tls: named('EXACT.test') },
  { name: 'chain: exact name and protocol', listener: 'chains', tls: named('exact.test', 'h9') },
  {
    name: 'chain: exact name and second protocol',
    listener: 'chains',
    tls: named('exact.test', 'x', 'h8'),
  },
  {
    name: 'chain: exact name and Istio’s protocol',
    listener: 'chains',
    tls: named('exact.test', 'istio-http/1.1'),
  },
  { name: 'chain: wildcard', listener: 'chains', tls: named('a.wild.test') },
  { name: 'chain: wildcard over two labels', listener: 'chains', tls: named('a.b.wild.test') },
  { name: 'chain: longer wildcard', listener: 'chains', tls: named('a.deep.wild.test') },
  { name: 'chain: the wildcard’s own name', listener: 'chains', tls: named('wild.test') },
  { name: 'chain: another name', listener: 'chains', tls: named('nobody.test') },
  { name: 'chain: Istio’s protocol', listener: 'chains', tls: withAlpn('istio-http/1.1', 'istio') },
  { name: 'chain: TLS alone', listener: 'chains', tls: secure },
  { name: 'chain: HTTP/1.1', listener: 'chains' },
  { name: 'chain: HTTP/1.0', listener: 'chains', version: '1.0' },
]

interface Heard {
  readonly status: string
  readonly body: string
  readonly protocol: string | undefined
  readonly version: string | undefined
  readonly xfcc: unknown
}

describe('TLS in Envoy and in Tulle', { skip: skipUnless(findEnvoy(), 'envoy') }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'tls-parity-'))
  const logs = { envoy: join(folder, 'envoy.log'), tulle: join(folder, 'tulle.log') }
  let app: RecordingApp
  let inbound: { envoy: RunningProxy; tulle: RunningProxy }
  let outbound: { envoy: RunningProxy; tulle: RunningProxy }

  before(async () => {
    app = await runApp()
    inbound = {
      envoy: await runEnvoy(inboundText(app.port, logs.envoy)),
      tulle: await runTulle(inboundText(app.port, logs.tulle)),
    }
    const text = outboundText(inbound)
    outbound = { envoy: await runEnvoy(text), tulle: await runTulle(text) }
  })

  after(async () => {
    for (const proxies of [inbound, outbound]) {
      await proxies.envoy[Symbol.asyncDispose]()
      await proxies.tulle[Symbol.asyncDispose]()
    }
    await app[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true })
  })

  for (const dial of dials) {
    test(dial.name, async () => {
      const leaf = dial.leaf ?? (dial.wish && (await (dial.signer ?? authority).issue(dial.wish)))
      const ask = async (proxy: RunningProxy): Promise<Heard> => {
        const before = app.requests.length
        const answer = await dialOnce(proxy.ports.get(dial.listener) ?? 0, dial, {
          ...dial.tls,
          ...(leaf && { cert: leaf.chainPem, key: leaf.keyPem }),
        })
        const asked = app.requests[before]
        return { ...answer, xfcc: masked(asked?.['x-forwarded-client-cert']) }
      }
      const [tulle, envoy] = [await ask(inbound.tulle), await ask(inbound.envoy)]
      if (dial.stricter === undefined) assert.deepEqual(tulle, envoy)
      else assert.deepEqual([tulle.status, envoy.status], ['', '200'])
    })
  }

  for (const listener of Object.keys(managers)) {
    test(`a hop: the header ${listener} and the log are the same at every combination`, async () => {
      const heard: unknown[] = []
      for (const from of ['envoy', 'tulle'] as const) {
        for (const to of ['envoy', 'tulle'] as const) {
          const before = app.requests.length
          const path = `/${from}-${to}-${listener}`
          const port = outbound[from].ports.get(`to-${to}-${listener}`) ?? 0
          const { status } = await httpGet({ port, path })
          const line = await eventually(() => lineWith(logs[to], path), { deadlineMs: 3_000 })
          const { path: _path, ...logged } = JSON.parse(line) as Record<string, unknown>
          const asked = app.requests[before]
          heard.push({
            status,
            xfcc: masked(asked?.['x-forwarded-client-cert']),
            logged: Object.fromEntries(
              Object.entries(logged).map(([key, value]) => [key, masked(value)]),
            ),
          })
        }
      }
      assert.deepEqual((heard[0] as { status: number }).status, 200)
      for (const other of heard) assert.deepEqual(other, heard[0])
    })
  }

  test('a hop: a server that is on no list is called at every combination', async () => {
    for (const from of ['envoy', 'tulle'] as const) {
      for (const to of ['envoy', 'tulle'] as const) {
        const port = outbound[from].ports.get(`listed-${to}`) ?? 0
        assert.equal((await httpGet({ port, path: '/' })).status, 200, `${from} to ${to}`)
      }
    }
  })

  for (const refused of ['stranger', 'partner', 'wrong-name', 'revoked', 'unlisted'] as const) {
    test(`a hop: ${refused} is refused at every combination, with 503`, async () => {
      for (const from of ['envoy', 'tulle'] as const) {
        for (const to of ['envoy', 'tulle'] as const) {
          const port = outbound[from].ports.get(`${refused}-${to}`) ?? 0
          const { status } = await httpGet({ port, path: '/' })
          assert.equal(status, 503, `${from} to ${to}`)
        }
      }
    })
  }
})

const partnerClient = await partner.issue(good)
const strangerClient = await stranger.issue(good)

function outboundText(inbound: Readonly<Record<'envoy' | 'tulle', RunningProxy>>): string {
  const base = {
    certificate: client,
    bundles,
    sans: [serverId],
    serverName: 'outbound_.80_._.server.default.svc.cluster.local',
    alpn: ['istio-http/1.1', 'istio', 'http/1.1'],
  }
  const listeners: object[] = []
  const clusters: object[] = []
  const add = (name: string, tls: object, port: number): void => {
    listeners.push(outboundListener(name, name, { tls, port }))
    clusters.push(outboundCluster(name, { tls, port }))
  }
  for (const to of ['envoy', 'tulle'] as const) {
    for (const listener of Object.keys(managers)) {
      add(`to-${to}-${listener}`, upstreamJson(base), inbound[to].ports.get(listener) ?? 0)
    }
    const port = inbound[to].ports.get('strict') ?? 0
    add(`stranger-${to}`, upstreamJson({ ...base, certificate: strangerClient }), port)
    add(`partner-${to}`, upstreamJson({ ...base, certificate: partnerClient }), port)
    add(`wrong-name-${to}`, upstreamJson({ ...base, sans: [other] }), port)
    const { bundles: _bundles, ...listed } = { ...base, roots: authority.rootPem, revoked: lists }
    const revokedPort = inbound[to].ports.get('revoked-server') ?? 0
    add(`listed-${to}`, upstreamJson(listed), port)
    add(`revoked-${to}`, upstreamJson(listed), revokedPort)
    add(`unlisted-${to}`, upstreamJson({ ...listed, revoked: ownList }), port)
  }
  return bootstrapOf({ listeners, clusters })
}

async function dialOnce(
  port: number,
  dial: Dial,
  options: ConnectionOptions,
): Promise<Omit<Heard, 'xfcc'>> {
  const isTls = dial.tls !== undefined
  const socket = isTls
    ? connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options })
    : connectPlain(port, '127.0.0.1')
  let received = ''
  let agreed: Pick<Heard, 'protocol' | 'version'> = { protocol: undefined, version: undefined }
  await new Promise<void>((resolve) => {
    const timer = setTimeout(() => socket.destroy(), 4_000)
    socket.on('error', () => {})
    socket.on('close', () => {
      clearTimeout(timer)
      resolve()
    })
    socket.on('end', () => socket.end())
    socket.on('data', (chunk: Buffer) => (received += chunk.toString('latin1')))
    socket.once(isTls ? 'secureConnect' : 'connect', () => {
      if (isTls) agreed = agreedOn(socket as TLSSocket)
      const header = dial.header === undefined ? '' : `X-Forwarded-Client-Cert: ${dial.header}\r\n`
      const version = dial.version ?? '1.1'
      socket.write(`GET / HTTP/${version}\r\nHost: a.test\r\n${header}Connection: close\r\n\r\n`)
    })
  })
  const [head = '', body = ''] = received.split('\r\n\r\n', 2)
  const text = body.replace(/^[0-9a-f]+\r\n([^\r]*)\r\n0.*$/s, '$1')
  // A TLS 1.3 client is done before the server refuses it: what was agreed on means nothing then.
  return { status: head.split(' ')[1] ?? '', body: text, ...(head === '' ? nothing : agreed) }
}

const nothing = { protocol: undefined, version: undefined }

function agreedOn(socket: TLSSocket): Pick<Heard, 'protocol' | 'version'> {
  const { alpnProtocol } = socket
  const protocol = typeof alpnProtocol === 'string' ? alpnProtocol : undefined
  return { protocol, version: socket.getProtocol() ?? undefined }
}

/** Hashes, serials, keys and times are other ones for every certificate: their form is compared. */
function masked(value: unknown): unknown {
  if (typeof value !== 'string') return value
  return value
    .replaceAll(/\b[0-9a-f]{64}\b/g, '<sha256>')
    .replaceAll(/(?<=CERTIFICATE-----%0A).*?(?=%0A-----END)/g, '<base64>')
    .replaceAll(/\b[0-9a-f]{28,32}\b/g, '<serial>')
    .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, '<time>')
}

function lineWith(file: string, path: string): string | undefined {
  const lines = readFileSync(file, 'utf8').split('\n')
  return lines.find((line) => line.includes(`"${path}"`))
}
