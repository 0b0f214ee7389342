/**
 * TLS of one upstream transport socket, the connecting side: what is said to a host, and whether it proved to be that host
 * before a wire is handed out.
 *
 * A transport stands for one endpoint and one identity (server name, accepted names); connections of one are never used
 * for another. It keeps the last session for the next handshake, with what the server sent beside its leaf, so that a
 * resumed server is judged like any other.
 */
import type { Socket } from 'node:net'
import { type TLSSocket, connect } from 'node:tls'

import type { TlsStats } from '../telemetry/cluster-stats.ts'
import type { TransportUse } from '../upstream/cluster.ts'
import type { Host } from '../upstream/host.ts'
import type { TransportDone, WireTransport } from '../wire/wire.ts'
import { countRefusal, countSuccess } from './count-tls.ts'
import { LiveTls, type TlsScope, type TlsState, peerOfConnection } from './live-tls.ts'
import type { PeerChain } from './root-set.ts'
import { dnsMatches } from './san-match.ts'
import { verifySocket } from './secure-socket.ts'
import type { UpstreamTlsPlan } from './tls-plan.ts'
import { type TlsReason, type TlsRefusal, socketErrorReason } from './tls-reason.ts'
import type { SanMatcher } from './trust.ts'

export interface UpstreamTlsOptions {
  readonly plan: UpstreamTlsPlan
  readonly scope: TlsScope
  readonly stats: TlsStats
  /** For log lines. */
  readonly clusterName: string
  readonly onReady: () => void
}

/** Names come from clients where `auto_sni` is set: the identities of one host that are kept at most. */
const transportsPerHostMax = 64
const tooMany = 'too many handshakes wait for their turn'
/** Protocols that a connection of that version does not speak; they are not offered. */
const unspoken = {
  http1: new Set(['h2', 'istio-h2']),
  http2: new Set(['http/1.1', 'http/1.0', 'istio-http/1.1', 'istio-http/1.0']),
} as const satisfies Record<string, ReadonlySet<string>>
const detected = { http1: ['istio-http/1.1', 'istio'], http2: ['istio-h2', 'istio'] } as const
const fallbacks = { http1: ['http/1.1'], http2: ['h2'] } as const

export class UpstreamTls {
  readonly live: LiveTls
  readonly #options: UpstreamTlsOptions
  readonly #byHost = new WeakMap<Host, Map<string, TlsTransport>>()
  /** Where the request has no say, which is the mesh's own mutual TLS. */
  readonly #fixedName: PeerName
  readonly #fixedKeys: Readonly<Record<SpokenVersion, string>>

  constructor(options: UpstreamTlsOptions) {
    this.#options = options
    const { plan, scope, onReady } = options
    const name = { serverName: plan.serverName, verified: '' }
    this.#fixedName = name
    this.#fixedKeys = {
      http1: keyOf(plan, 'http1', name),
      http2: keyOf(plan, 'http2', name),
      tcp: keyOf(plan, 'tcp', name),
    }
    this.live = new LiveTls({ plan, side: 'client', scope, onReady })
  }

  /** The same object for the same host and identity, so that sessions and pools find each other. */
  transportOf(host: Host, use: TransportUse): WireTransport {
    const { plan } = this.#options
    const version = use.kind === 'http' ? use.version : 'tcp'
    const isNamed = version !== 'tcp' && (plan.autoServerName || plan.autoSanValidation)
    const name = isNamed ? this.#nameOf(use) : this.#fixedName
    const plain = isNamed ? keyOf(plan, version, name) : this.#fixedKeys[version]
    const own = use.check?.alpn
    const key = own === undefined ? plain : `${plain} ${own.join(' ')}`
    let transports = this.#byHost.get(host)
    if (transports === undefined) this.#byHost.set(host, (transports = new Map()))
    const known = transports.get(key)
    if (known !== undefined) return known
    const made = this.#create({ key, name, host, use })
    transports.set(key, made)
    const [oldest] = transports.keys()
    if (transports.size > transportsPerHostMax && oldest !== undefined) transports.delete(oldest)
    return made
  }

  #create({ key, name, host, use }: NewTransport): TlsTransport {
    const { serverName, verified } = name
    const extra = verified === '' ? [] : [hostMatcher(verified)]
    const alpn = use.check?.alpn ?? protocolsOf(this.#options.plan, use)
    const target = { serverName, extra, alpn, addressText: host.addressText }
    return new TlsTransport(key, { ...this.#options, live: this.live, target })
  }

  close(): void {
    this.live.close()
  }

  /** The request says whom it is for. */
  #nameOf(use: TransportUse): PeerName {
    const { plan } = this.#options
    const name = use.kind === 'http' ? bareHost(use.authority) : ''
    return {
      serverName: plan.autoServerName ? sniOf(name) : plan.serverName,
      verified: plan.autoSanValidation ? name : '',
    }
  }
}

function protocolsOf({ alpn }: UpstreamTlsPlan, use: TransportUse): readonly string[] {
  return use.kind === 'http' ? httpProtocols(alpn, use.version) : alpn
}

interface NewTransport {
  readonly key: string
  readonly name: PeerName
  readonly host: Host
  readonly use: TransportUse
}

interface PeerName {
  readonly serverName: string
  /** '': no name beyond the plan's. */
  readonly verified: string
}

type SpokenVersion = 'http1' | 'http2' | 'tcp'

function keyOf({ key }: UpstreamTlsPlan, version: SpokenVersion, name: PeerName): string {
  return `${key} ${version} ${name.serverName} ${name.verified}`
}

/** As configured, without what the connection will not speak; as Envoy's own where nothing is. */
function httpProtocols(alpn: readonly string[], version: 'http1' | 'http2'): readonly string[] {
  if (alpn.length === 0) return fallbacks[version]
  // A port whose protocol is detected: the far sidecar cannot look inside TLS, so it is told.
  if (alpn.length === 1 && alpn[0] === 'istio') return detected[version]
  return alpn.filter((protocol) => !unspoken[version].has(protocol))
}

function bareHost(authority: string): string {
  const bare = authority.startsWith('[')
    ? authority.slice(1, authority.indexOf(']'))
    : authority.replace(/:\d*$/, '')
  return bare.toLowerCase()
}

/** An address is no server name (RFC 6066 §3). */
function sniOf(host: string): string {
  return /^[\d.]+$|:/.test(host) ? '' : host
}

function hostMatcher(host: string): SanMatcher {
  return { type: 'any', matches: (name) => dnsMatches(name, host), text: host }
}

interface TransportOptions extends UpstreamTlsOptions {
  readonly live: LiveTls
  readonly target: {
    readonly serverName: string
    readonly extra: readonly SanMatcher[]
    readonly alpn: readonly string[]
    readonly addressText: string
  }
}

interface KeptSession {
  readonly session: Buffer
  readonly state: TlsState
  /** Verified when the session began. */
  readonly chain: PeerChain
}

class TlsTransport implements WireTransport {
  readonly key: string
  readonly #options: TransportOptions
  #kept: KeptSession | undefined

  constructor(key: string, options: TransportOptions) {
    this.key = key
    this.#options = options
  }

  secure(socket: Socket, done: TransportDone): () => void {
    const { pacer } = this.#options.scope
    let isOver = false
    let secure: TLSSocket | undefined
    let leaveQueue: (() => void) | undefined
    const finish: TransportDone = (outcome) => {
      if (isOver) return
      isOver = true
      leaveQueue?.()
      if (!outcome.ok) socket.destroy()
      done(outcome)
    }
    process.nextTick(() => {
      if (isOver) return
      leaveQueue = pacer.enter(() => {
        if (!isOver) secure = this.#begin(socket, finish)
      })
      // It may have ended before its place was known.
      if (isOver) leaveQueue?.()
      else if (leaveQueue === undefined) finish(this.#refuse('overload', tooMany))
    })
    return () => {
      isOver = true
      leaveQueue?.()
      secure?.destroy()
      socket.destroy()
    }
  }

  #begin(socket: Socket, done: TransportDone): TLSSocket | undefined {
    const { live, target } = this.#options
    const state = live.current
    if (state === undefined) {
      done(this.#refuse('not-ready', 'the cluster has no certificate or trust bundle yet'))
      return undefined
    }
    const kept = this.#kept?.state === state ? this.#kept : undefined
    const secure = connect({
      socket,
      secureContext: state.shared.context,
      rejectUnauthorized: false,
      // Judged below, by the names that the cluster accepts.
      checkServerIdentity: () => undefined,
      ...(target.serverName !== '' && { servername: target.serverName }),
      ...(target.alpn.length > 0 && { ALPNProtocols: [...target.alpn] }),
      ...(kept !== undefined && { session: kept.session }),
    })
    let isDone = false
    const onError = (error: NodeJS.ErrnoException): void => {
      const reason = socketErrorReason(error)
      if (isDone) {
        // A TLS 1.3 server refuses a client's certificate after the client is done.
        if (reason === 'refused-by-peer') this.#report({ reason, message: error.message })
        return
      }
      isDone = true
      if (this.#kept === kept) this.#kept = undefined
      done(this.#refuse(reason, error.message))
    }
    secure.on('error', onError)
    secure.once('close', () => {
      if (isDone) return
      isDone = true
      done(this.#refuse('peer-closed', 'closed in the middle of the handshake'))
    })
    secure.once('secureConnect', () => {
      if (isDone) return
      isDone = true
      this.#onSecure(secure, { state, kept }, done)
    })
    return secure
  }

  #onSecure(
    socket: TLSSocket,
    { state, kept }: { readonly state: TlsState; readonly kept: KeptSession | undefined },
    done: TransportDone,
  ): void {
    const { scope, stats, live, target, plan } = this.#options
    const { serverName, extra } = target
    const result = verifySocket(socket, {
      state,
      nowMs: scope.clock.nowMs(),
      requiresPeer: true,
      serverName: serverName === '' ? undefined : serverName,
      extra,
      recall: () => kept?.chain,
    })
    if (!result.ok) {
      this.#kept = undefined
      socket.destroy()
      done(this.#refuse(result.refusal.reason, result.refusal.message))
      return
    }
    const { security, chain } = result
    countSuccess(stats, security)
    if (chain !== undefined && plan.resumes) this.#keepSessions(socket, state, chain)
    const peer = peerOfConnection(chain, extra, scope.random)
    const retireAtMs = (): number => live.retireAtMs(state, peer)
    done({ ok: true, socket, security, retireAtMs })
  }

  /** The last one counts. TLS 1.3 servers send tickets after the handshake, and more than one. */
  #keepSessions(socket: TLSSocket, state: TlsState, chain: PeerChain): void {
    socket.on('session', (session) => {
      this.#kept = { session, state, chain }
    })
    const session = socket.getProtocol() === 'TLSv1.2' ? socket.getSession() : undefined
    if (session !== undefined) this.#kept = { session, state, chain }
  }

  #refuse(reason: TlsReason, message: string) {
    this.#report({ reason, message })
    return { ok: false, reason, message: `TLS: ${reason}: ${message}` } as const
  }

  #report(refusal: TlsRefusal): void {
    const { stats, scope, clusterName, target } = this.#options
    countRefusal(stats, refusal.reason)
    const { addressText: host, serverName } = target
    scope.refusals.write(refusal, { cluster: clusterName, host, serverName, side: 'client' })
  }
}
