/**
 * Agents that get certificates from an authority over the network and give them by SDS: to our own proxy and to a real
 * Envoy, at both ends of a hop, while certificates are renewed and the root is exchanged.
 */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'

import { createBootstrap, writeBootstrap } from '../../src/agent/bootstrap-file.ts'
import type { IdentityEvent } from '../../src/agent/identity/workload-identity.ts'
import { openIdentity } from '../../src/agent/open-identity.ts'
import { openRelay } from '../../src/agent/open-relay.ts'
import { openSidecar } from '../../src/agent/open-sidecar.ts'
import { Reaper } from '../../src/agent/process/reaper.ts'
import type { WorkloadPlan } from '../../src/agent/workload-plan.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLog } from '../../src/lib/log.ts'
import { systemRandom } from '../../src/lib/random.ts'
import { AuthorityServer } from '../support/authority-server.ts'
import { eventually } from '../support/eventually.ts'
import { freePort } from '../support/free-port.ts'
import { findEnvoy, skipUnless } from '../support/programs.ts'
import { httpGet } from '../support/sidecar-scene.ts'

const envoy = findEnvoy()
type Kind = 'tulle' | 'envoy'

function planOf(server: AuthorityServer, name: string, kind: Kind): WorkloadPlan {
  return {
    mesh: { name: 'm', trustDomain: 'cluster.local' },
    instance: name,
    workload: name,
    namespace: 'shop',
    serviceAccount: name,
    labels: { app: name },
    group: undefined,
    service: undefined,
    ports: [],
    upstreams: [],
    locality: '',
    bindAddress: '127.0.0.1',
    controlPlane: server.address,
    identity: {
      trustDomainAliases: [],
      ttlMs: undefined,
      tokenFile: undefined,
      rootsFile: undefined,
      handOver: server.handOver,
    },
    stateFolder: join(server.identity.folder, name),
    isStateKept: true,
    portFolder: join(server.identity.folder, 'ports'),
    proxy: { kind, program: envoy, drainTimeMs: 0 },
    termination: { deadlineMs: 0, drainMs: 0, zeroConnectionsMinMs: undefined },
    application: {
      command: 'true',
      isExpanded: false,
      cwd: '/',
      env: {},
      probe: undefined,
      restart: 'never',
      stopGraceMs: 0,
      isHeldUntilProxyStarts: true,
    },
  }
}

const ns = 'type.googleapis.com/envoy.extensions'
const sds = (name: string) => ({
  name,
  sds_config: {
    api_config_source: {
      api_type: 'GRPC',
      transport_api_version: 'V3',
      grpc_services: [{ envoy_grpc: { cluster_name: 'sds-grpc' } }],
    },
    resource_api_version: 'V3',
  },
})

function socket(direction: 'Upstream' | 'Downstream', peer: string | undefined) {
  const san = { san_type: 'URI', matcher: { exact: `spiffe://cluster.local/ns/shop/sa/${peer}` } }
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': `${ns}.transport_sockets.tls.v3.${direction}TlsContext`,
      ...(direction === 'Downstream' ? { require_client_certificate: true } : { sni: 'server' }),
      common_tls_context: {
        tls_certificate_sds_secret_configs: [sds('default')],
        combined_validation_context: {
          default_validation_context:
            peer === undefined ? {} : { match_typed_subject_alt_names: [san] },
          validation_context_sds_secret_config: sds('ROOTCA'),
        },
      },
    },
  }
}

interface Side {
  readonly name: string
  readonly kind: Kind
  readonly listen: number
  readonly upstream: number
  /** The peer that must be there, when this side makes the connection. */
  readonly peer: string | undefined
}

/** One agent with its sidecar, which passes bytes from `listen` to `upstream`, with TLS on its mesh side. */
async function openSide(server: AuthorityServer, side: Side) {
  const stack = new AsyncDisposableStack()
  const plan = planOf(server, side.name, side.kind)
  const events: IdentityEvent[] = []
  const common = { clock: systemClock, random: systemRandom, log: silentLog }
  const signal = new AbortController().signal
  const onEvent = (event: IdentityEvent) => events.push(event)
  const identity = await openIdentity({ ...common, plan, signal, onEvent })
  assert.ok(identity)
  stack.use(identity)
  const relay = stack.use(
    await openRelay({
      ...common,
      plan,
      identity,
      adminAddress: '127.0.0.1:1',
      isEnding: () => false,
      upgrade: () => Promise.resolve(),
    }),
  )
  const addresses = {
    admin: `127.0.0.1:${await freePort()}`,
    httpProxyPort: await freePort(),
    ports: [],
    upstreams: [],
  }
  const bootstrap = {
    ...createBootstrap({ plan, addresses, relayAddress: relay.address }),
    static_resources: staticResources(side, relay.address, { plan, addresses }),
  }
  const bootstrapFile = join(plan.stateFolder, 'bootstrap.json')
  writeBootstrap(bootstrapFile, bootstrap)
  const reaper = stack.use(new Reaper({ graceMs: 500 }))
  const failures: Error[] = []
  stack.use(
    await openSidecar({
      ...common,
      plan,
      addresses,
      bootstrapFile,
      bootstrap,
      env: process.env,
      reaper,
      onFailure: (error) => failures.push(error),
    }),
  )
  const ready = async () => {
    assert.deepEqual(failures, [])
    const port = Number(addresses.admin.split(':')[1])
    return (await httpGet({ port, path: '/ready' }).catch(() => undefined))?.status === 200
  }
  try {
    await eventually(ready, { deadlineMs: 10_000 })
  } catch (error) {
    await stack.disposeAsync()
    throw error
  }
  return { plan, events, addresses, identity, relay, stack }
}

function staticResources(
  side: Side,
  relayAddress: string,
  parts: Pick<Parameters<typeof createBootstrap>[0], 'plan' | 'addresses'>,
) {
  const made = createBootstrap({ ...parts, relayAddress })['static_resources'] as {
    clusters: object[]
  }
  const address = (port: number) => ({
    socket_address: { address: '127.0.0.1', port_value: port },
  })
  const isServer = side.peer === undefined
  return {
    clusters: [
      ...made.clusters,
      {
        name: 'next',
        type: 'STATIC',
        connect_timeout: '2s',
        load_assignment: {
          cluster_name: 'next',
          endpoints: [{ lb_endpoints: [{ endpoint: { address: address(side.upstream) } }] }],
        },
        ...(isServer ? {} : { transport_socket: socket('Upstream', side.peer) }),
      },
    ],
    listeners: [
      {
        name: 'here',
        address: address(side.listen),
        filter_chains: [
          {
            filters: [
              {
                name: 'tcp',
                typed_config: {
                  '@type': `${ns}.filters.network.tcp_proxy.v3.TcpProxy`,
                  stat_prefix: 'here',
                  cluster: 'next',
                },
              },
            ],
            ...(isServer ? { transport_socket: socket('Downstream', undefined) } : {}),
          },
        ],
      },
    ],
  }
}

async function openApplication(): Promise<{ server: Server; port: number } & AsyncDisposable> {
  const server = createServer((_request, response) => response.end('hello'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    server,
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

const pairs: readonly (readonly [Kind, Kind])[] = [
  ['tulle', 'tulle'],
  ['envoy', 'tulle'],
  ['tulle', 'envoy'],
]

for (const [clientKind, serverKind] of pairs) {
  const needsEnvoy = clientKind === 'envoy' || serverKind === 'envoy'
  const skip = needsEnvoy ? skipUnless(envoy, 'Envoy') : false
  test(
    `${clientKind} to ${serverKind}: certificates of 8 s are renewed and the root exchanged, not one connection fails`,
    { skip },
    async () => {
      await using authority = await AuthorityServer.open(8_000)
      await using application = await openApplication()
      const [entry, inbound] = [await freePort(), await freePort()]
      const server = await openSide(authority, {
        name: 'server',
        kind: serverKind,
        listen: inbound,
        upstream: application.port,
        peer: undefined,
      })
      await using _server = server.stack
      const client = await openSide(authority, {
        name: 'client',
        kind: clientKind,
        listen: entry,
        upstream: inbound,
        peer: 'server',
      })
      await using _client = client.stack
      // A plaintext call to the mesh side gets nowhere.
      await assert.rejects(httpGet({ port: inbound, path: '/' }))

      const sides = [client, server]
      const failures: string[] = []
      let requests = 0
      const ending = new AbortController()
      const traffic = async () => {
        while (!ending.signal.aborted) {
          requests++
          try {
            // A connection of its own each time, so that every certificate is used.
            const { status } = await httpGet({
              port: entry,
              path: '/',
              headers: { connection: 'close' },
            })
            if (status !== 200) failures.push(`status ${status}`)
          } catch (error) {
            failures.push(String(error))
          }
        }
      }
      const running = [traffic(), traffic()]
      const renewals = () => sides.map(({ events }) => events.length)
      /** Both have been told, and have a certificate from after that. */
      const allRenewed = async () => {
        const before = renewals()
        await eventually(() => renewals().every((count, index) => count > (before[index] ?? 0)), {
          deadlineMs: 6_000,
        })
      }
      try {
        const { ca } = authority.identity
        const [old] = ca.roots()
        const added = await ca.addRoot()
        await allRenewed()
        ca.useRoot(added.id)
        await allRenewed()
        ca.dropRoot(old?.id ?? '')
        await allRenewed()
        await eventually(() => Math.min(...renewals()) >= 5, { deadlineMs: 10_000 })
      } finally {
        ending.abort()
      }
      await Promise.all(running)
      assert.deepEqual([...new Set(failures)], [], `${failures.length} of ${requests} failed`)
      assert.ok(requests > 100, `${requests} requests`)
      assert.deepEqual(
        sides.flatMap(({ events }) => events).filter(({ event }) => event !== 'certificate'),
        [],
      )
      assert.equal(authority.calls.filter((call) => call === 'token').length, 2)
    },
  )
}

test('a sidecar is shown its secrets without the key', async () => {
  await using authority = await AuthorityServer.open(60_000)
  await using application = await openApplication()
  const [entry, inbound] = [await freePort(), application.port]
  const side = { name: 'client', kind: 'tulle', listen: entry, upstream: inbound } as const
  const opened = await openSide(authority, { ...side, peer: 'server' })
  await using _opened = opened.stack
  const port = Number(opened.addresses.admin.split(':')[1])
  const { body } = await httpGet({ port, path: '/config_dump' })
  const key = readFileSync(join(opened.plan.stateFolder, 'identity/identity.pem'), 'utf8')
  const [, base64 = ''] = /PRIVATE KEY-----\n([^-]+)/.exec(key) ?? []
  assert.ok(base64.length > 100)
  for (const secret of [base64.trim(), Buffer.from(key).toString('base64').slice(0, 100)]) {
    assert.equal(body.includes(secret.slice(0, 40)), false)
  }
  assert.match(body, /SecretsConfigDump/)
})

test('a token from a file admits once, and a restart needs it no more', async () => {
  await using authority = await AuthorityServer.open(60_000)
  const grant = { namespace: 'shop', serviceAccount: 'client', group: undefined }
  const tokenFile = join(authority.identity.folder, 'token')
  writeFileSync(tokenFile, `${await authority.createToken(grant)}\n`, { mode: 0o600 })
  const common = {
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    signal: new AbortController().signal,
    onEvent: () => {},
  }
  const identity = {
    trustDomainAliases: [],
    ttlMs: undefined,
    tokenFile,
    rootsFile: undefined,
    handOver: undefined,
  }
  const plan = { ...planOf(authority, 'client', 'tulle'), identity }
  const first = await openIdentity({ ...common, plan })
  first?.[Symbol.dispose]()
  const again = await openIdentity({ ...common, plan })
  again?.[Symbol.dispose]()
  assert.equal(again?.status().serial, first?.status().serial)
  const elsewhere = { ...plan, stateFolder: join(authority.identity.folder, 'elsewhere') }
  await assert.rejects(openIdentity({ ...common, plan: elsewhere }), /the token is used-up/)
})
