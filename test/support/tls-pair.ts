/**
 * Two TLS wires over a real connection, made by the parts that listeners and pools use; between them a relay that may watch
 * the bytes.
 */
import { type AddressInfo, type Server, type Socket, connect, createServer } from 'node:net'

import { systemClock } from '../../src/lib/clock.ts'
import { noSecrets } from '../../src/proxy/config/compile-scope.ts'
import {
  compileDownstreamTls,
  compileUpstreamTransport,
} from '../../src/proxy/config/compile-tls.ts'
import type { FieldReport } from '../../src/proxy/config/field-rule.ts'
import { InternalListeners } from '../../src/proxy/listener/internal-listener.ts'
import { createUpstreamTlsStats } from '../../src/proxy/telemetry/create-tls-stats.ts'
import { createSlots } from '../../src/proxy/telemetry/shared-slots.ts'
import { StatsRegistry } from '../../src/proxy/telemetry/stats-registry.ts'
import { type AcceptResult, DownstreamTls } from '../../src/proxy/tls/downstream-tls.ts'
import { inspectSocket } from '../../src/proxy/tls/inspect-socket.ts'
import type { TlsScope } from '../../src/proxy/tls/live-tls.ts'
import type { DownstreamTlsPlan, UpstreamTlsPlan } from '../../src/proxy/tls/tls-plan.ts'
import { UpstreamTls } from '../../src/proxy/tls/upstream-tls.ts'
import { createConnector } from '../../src/proxy/wire/connector.ts'
import { FlushTurn } from '../../src/proxy/wire/flush-turn.ts'
import { acceptWire } from '../../src/proxy/wire/net-wire.ts'
import { ReadBuffer } from '../../src/proxy/wire/read-buffer.ts'
import type { ConnectResult, Wire } from '../../src/proxy/wire/wire.ts'
import { fakeHost, smallSlots } from './fake-host.ts'
import type { TestAuthority, TestLeaf } from './test-certificate.ts'
import { createTlsScope } from './tls-scope.ts'
import { type DownstreamWish, type UpstreamWish, transportSocket } from './transport-socket.ts'

export interface TlsPairOptions {
  readonly authority: TestAuthority
  readonly server: TestLeaf
  readonly client: TestLeaf | undefined
  /** Told of every chunk that the client sends. */
  readonly watch?: (chunk: Buffer) => void
}

export interface TlsPair extends AsyncDisposable {
  readonly near: Wire
  readonly far: Wire
  close(): Promise<void>
}

/** Fails with the reason of whoever refused. */
export async function openTlsPair(options: TlsPairOptions): Promise<TlsPair> {
  const { authority, server, client } = options
  const parts = {
    turn: new FlushTurn(() => {}),
    buffer: new ReadBuffer(),
  }
  const scope = createTlsScope(systemClock)
  const roots = { bundles: { 'cluster.local': authority.rootPem } }
  const alpn = ['istio']
  const downstream = openDownstream(
    scope,
    downstreamPlan({ certificate: server, ...roots, alpn, requires: true }),
  )
  const upstream = openUpstream(
    scope,
    upstreamPlan({ certificate: client, ...roots, alpn, serverName: 'server.test' }),
  )
  const accepted = Promise.withResolvers<Wire>()
  const acceptor = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    acceptTls(socket, { downstream, scope }, (result) => {
      if (!result.ok) {
        accepted.reject(new Error(result.refusal.reason))
        return
      }
      const requestedServerName = result.security.serverName
      accepted.resolve(acceptWire(result.socket, parts, { ...result, requestedServerName }))
    })
  })
  const relay = options.watch === undefined ? undefined : createRelay(acceptor, options.watch)
  await listen(acceptor)
  if (relay !== undefined) await listen(relay)
  const { port } = (relay ?? acceptor).address() as AddressInfo // it listens on TCP
  const connector = createConnector({
    clock: systemClock,
    turn: parts.turn,
    readBuffer: parts.buffer,
    internalListeners: new InternalListeners(parts.turn),
  })
  const host = fakeHost(smallSlots(), port)
  const connected = new Promise<ConnectResult>((resolve) => {
    const transport = upstream.transportOf(host, { kind: 'tcp', downstream: undefined })
    const address = { kind: 'ip', address: '127.0.0.1', port } as const
    connector.connect({ address, connectTimeoutMs: 5_000, transport }, resolve)
  })
  const result = await connected
  if (!result.ok) throw new Error(result.message)
  const far = await accepted.promise
  const close = async (): Promise<void> => {
    result.wire.destroy()
    far.destroy()
    await new Promise((resolve) => acceptor.close(resolve))
    if (relay !== undefined) await new Promise((resolve) => relay.close(resolve))
  }
  return { near: result.wire, far, close, [Symbol.asyncDispose]: close }
}

export function downstreamPlan(wish: DownstreamWish): DownstreamTlsPlan {
  const report: FieldReport = { path: '', reasons: [] }
  const plan = compileDownstreamTls(transportSocket.downstream(wish), noSecrets, report)
  if (plan === undefined || report.reasons.length > 0) throw new Error(report.reasons.join('; '))
  return plan
}

export function upstreamPlan(wish: UpstreamWish): UpstreamTlsPlan {
  const report: FieldReport = { path: '', reasons: [] }
  const scope = { secrets: noSecrets, http: undefined }
  const plan = compileUpstreamTransport(transportSocket.upstream(wish), scope, report)
  if (plan.kind !== 'tls' || report.reasons.length > 0) throw new Error(report.reasons.join('; '))
  return plan.tls
}

export function openDownstream(scope: TlsScope, plan: DownstreamTlsPlan): DownstreamTls {
  const unspoken = new Set<string>()
  return new DownstreamTls({ plan, scope, handshakeTimeoutMs: 5_000, unspoken, onReady() {} })
}

export function openUpstream(scope: TlsScope, plan: UpstreamTlsPlan): UpstreamTls {
  const stats = createUpstreamTlsStats(new StatsRegistry(createSlots()), 'c')
  return new UpstreamTls({ plan, scope, stats, clusterName: 'c', onReady() {} })
}

export function acceptTls(
  socket: Socket,
  { downstream, scope }: { readonly downstream: DownstreamTls; readonly scope: TlsScope },
  done: (result: AcceptResult) => void,
): void {
  socket.on('error', () => {})
  const options = { clock: scope.clock, timeoutMs: 5_000, needsTls: true, needsHttp: false }
  inspectSocket(socket, options, (seen) => {
    if (typeof seen === 'string' || 'kind' in seen) done(refused('peer-closed'))
    else if (seen.transportProtocol !== 'tls') done(refused('plaintext-refused'))
    else downstream.accept(socket, seen, done)
  })
}

function refused(reason: 'peer-closed' | 'plaintext-refused'): AcceptResult {
  return { ok: false, refusal: { reason, message: '' } }
}

function createRelay(target: Server, watch: (chunk: Buffer) => void): Server {
  return createServer((socket) => {
    const { port } = target.address() as AddressInfo // it listens on TCP
    const onward = connect(port, '127.0.0.1')
    socket.on('data', watch)
    socket.pipe(onward).pipe(socket)
    socket.on('error', () => onward.destroy())
    onward.on('error', () => socket.destroy())
  })
}

async function listen(server: Server): Promise<void> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
}
