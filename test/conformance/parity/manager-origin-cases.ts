/** Where requests came from, by every setting that believes them more or less, and what is told of the proxy itself. */
import type { ManagerCase, ManagerName } from './manager-listeners.ts'

const believing = [
  'plain',
  'remote',
  'remote-hops',
  'hops',
  'private',
  'private-remote',
  'private-hop',
  'private-hops',
] as const
const telling = ['server-append', 'server-pass', 'server-own', 'via', 'plain'] as const
const schemed = [
  'plain',
  'remote',
  'private-hop',
  'private-hops',
  'remote-hops',
  'scheme-https',
] as const

/** What an edge takes out, and what only somebody inside may say. */
const claims = {
  'x-envoy-max-retries': '5',
  'x-envoy-original-path': '/o',
  'x-envoy-external-address': '9.9.9.9',
  'x-request-id': 'mine',
  'x-envoy-decorator-operation': 'op',
  'x-envoy-downstream-service-cluster': 'c',
  'x-envoy-downstream-service-node': 'n',
}

const forwardedFor = [
  '10.0.0.1',
  '10.0.0.1,10.0.0.2',
  '1.2.3.4,10.0.0.1',
  '10.0.0.1,1.2.3.4',
  '10.0.0.1, 10.0.0.2, 10.0.0.3',
  'fd00::1',
  '::ffff:10.0.0.1',
  '192.168.1.1',
  '172.16.0.1',
  '100.64.0.1',
  '10.0.0.1,,10.0.0.2',
  '10.0.0.256',
  '10.0.0.1:1234',
  '127.0.0.1',
  '1.2.3.4,127.0.0.1',
  ' ',
  ',',
  '"10.0.0.1"',
]

type Request = Omit<ManagerCase, 'name' | 'listener'>

function each(
  listeners: readonly ManagerName[],
  what: string,
  request: Request,
): readonly ManagerCase[] {
  return listeners.map((listener) => ({ ...request, name: `${listener}: ${what}`, listener }))
}

export const originCases: readonly ManagerCase[] = [
  ...forwardedFor.flatMap((list) =>
    each(believing, `claims from ${list}`, {
      path: '/x',
      headers: { ...claims, 'x-forwarded-for': list },
    }),
  ),
  ...each(believing, 'claims from nowhere', { path: '/x', headers: claims }),
  ...['https', 'http', 'HTTPS', 'wss', 'http,https', ''].flatMap((scheme) =>
    each(schemed, `a redirect from inside by ${scheme}`, {
      path: '/redirect',
      headers: { 'x-forwarded-proto': scheme, 'x-forwarded-for': '10.0.0.1' },
    }),
  ),
  ...each(['forwarded-port', 'port-hop', 'remote'], 'a port that is told', {
    path: '/x',
    headers: { 'x-forwarded-port': '99' },
  }),
  ...each(['forwarded-port', 'port-hop'], 'two ports', {
    path: '/x',
    headers: { 'x-forwarded-port': '99, 100' },
  }),
  ...each(['port-hop'], 'no port', { path: '/x' }),
  ...each(telling, 'an answer that names its server', { path: '/x?do=server' }),
  ...each(telling, 'an answer that names no server', { path: '/x' }),
  ...each(telling, 'a reply of the proxy’s own', { path: '/none' }),
  ...each(telling, 'a redirect of the proxy’s own', { path: '/redirect' }),
  ...each(telling, 'nobody there', { path: '/refused' }),
  ...each(telling, 'a request that came by somebody', {
    path: '/x',
    headers: { via: '1.0 them', server: 'mine', date: 'now' },
  }),
  ...['WebSocket', 'WEBSOCKET', 'websocket, h2c', 'h2c, websocket', '', 'websocket/13'].flatMap(
    (protocol) =>
      each(['plain', 'no-websocket'], `an upgrade to ${protocol}`, {
        path: '/x?do=status&n=404',
        headers: { connection: 'upgrade', upgrade: protocol },
      }),
  ),
  ...['close', 'keep-alive', 'x-hop'].map((connection): ManagerCase => ({
    name: `plain: an upgrade that Connection: ${connection} does not name`,
    listener: 'plain',
    path: '/x?do=status&n=404',
    headers: { connection, upgrade: 'websocket' },
  })),
]
