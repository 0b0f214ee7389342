/**
 * TLS of one filter chain, the accepting side: a handshake when its turn has come, and the peer's certificate judged before
 * one byte of what is inside is read.
 *
 * A client that we refuse after its handshake (TLS 1.3 clients are done before servers are) sees its connection end:
 * Node has no way to send an alert.
 */
import type { Socket } from 'node:net'
import { TLSSocket, type TLSSocketOptions } from 'node:tls'

import type { Inspection } from './inspect-socket.ts'
import { LiveTls, type TlsScope, type TlsState, peerOfConnection } from './live-tls.ts'
import { type SecureResult, type SecureSocket, verifySocket } from './secure-socket.ts'
import type { DownstreamTlsPlan } from './tls-plan.ts'
import { type TlsReason, socketErrorReason } from './tls-reason.ts'

export interface DownstreamTlsOptions {
  readonly plan: DownstreamTlsPlan
  readonly scope: TlsScope
  /** How long a handshake may take, the wait for its turn included. */
  readonly handshakeTimeoutMs: number
  /** Protocols of `alpn` that the chain behind cannot speak, and so does not offer. */
  readonly unspoken: ReadonlySet<string>
  readonly onReady: () => void
}

/** A verified connection, with what tells later whether it is still good. */
export interface AcceptedSocket extends SecureSocket {
  /** 0 when the trust of now refuses the peer, Infinity while it does not. */
  readonly retireAtMs: () => number
}

export type AcceptResult =
  | ({ readonly ok: true } & AcceptedSocket)
  | Extract<SecureResult, { ok: false }>

export class DownstreamTls {
  readonly plan: DownstreamTlsPlan
  readonly live: LiveTls
  readonly #options: DownstreamTlsOptions

  constructor(options: DownstreamTlsOptions) {
    this.plan = options.plan
    this.#options = options
    const { plan, scope, onReady } = options
    this.live = new LiveTls({ plan, side: 'server', scope, onReady })
  }

  get isReady(): boolean {
    return this.live.isReady
  }

  /** Takes over a socket that was only looked at. `done` once, never before this returned; the result gives up. */
  accept(socket: Socket, seen: Inspection, done: (result: AcceptResult) => void): () => void {
    const handshake = new ServerHandshake({
      ...this.#options,
      live: this.live,
      socket,
      seen,
      done,
    })
    handshake.start()
    return () => handshake.giveUp()
  }

  close(): void {
    this.live.close()
  }
}

interface ServerHandshakeOptions extends DownstreamTlsOptions {
  readonly live: LiveTls
  readonly socket: Socket
  readonly seen: Inspection
  readonly done: (result: AcceptResult) => void
}

class ServerHandshake {
  readonly #options: ServerHandshakeOptions
  readonly #timer
  readonly #onSocketClose = (): void => this.#fail('peer-closed', 'closed before its handshake')
  #leaveQueue: (() => void) | undefined
  #secure: TLSSocket | undefined
  #isOver = false

  constructor(options: ServerHandshakeOptions) {
    this.#options = options
    const { scope, handshakeTimeoutMs } = options
    this.#timer = scope.clock.setTimer(handshakeTimeoutMs, () =>
      this.#fail('handshake-timeout', `no handshake within ${handshakeTimeoutMs} ms`),
    )
  }

  start(): void {
    const { scope, socket } = this.#options
    socket.once('close', this.#onSocketClose)
    // A turn of its own, so that nothing is called back before `accept` returned.
    process.nextTick(() => {
      if (this.#isOver) return
      this.#leaveQueue = scope.pacer.enter(() => this.#begin())
      // It may have ended before its place was known.
      if (this.#isOver) this.#leaveQueue?.()
      else if (this.#leaveQueue === undefined) {
        this.#fail('overload', 'too many handshakes wait for their turn')
      }
    })
  }

  giveUp(): void {
    if (this.#isOver) return
    this.#end()
    this.#destroy()
  }

  #begin(): void {
    if (this.#isOver) return
    const { live, plan, socket, seen } = this.#options
    const state = live.current
    if (state === undefined) {
      this.#fail('not-ready', 'the listener has no certificate yet')
      return
    }
    if (plan.requiresServerName && seen.serverName === undefined) {
      this.#fail('no-server-name', 'the client named no server (SNI)')
      return
    }
    const secure = new TLSSocket(socket, this.#socketOptions(state))
    this.#secure = secure
    secure.on('error', (error: NodeJS.ErrnoException) => {
      this.#fail(socketErrorReason(error), error.message)
    })
    secure.once('close', this.#onSocketClose)
    secure.once('secure', () => this.#onSecure(secure, state))
  }

  /** RFC 7301 would have no overlap end the handshake; Envoy goes on without a protocol, and so do we. */
  #socketOptions(state: TlsState): TLSSocketOptions {
    const { plan, seen, unspoken } = this.#options
    const offered = plan.alpn.filter((protocol) => !unspoken.has(protocol))
    const overlaps = offered.some((protocol) => seen.applicationProtocols.includes(protocol))
    return {
      isServer: true,
      secureContext: state.shared.context,
      requestCert: plan.requiresCertificate || state.rules !== undefined,
      rejectUnauthorized: false,
      ...(overlaps && { ALPNProtocols: offered }),
    }
  }

  #onSecure(socket: TLSSocket, state: TlsState): void {
    if (this.#isOver) return
    const { plan, scope, seen, live } = this.#options
    const { peers } = state.shared
    const result = verifySocket(socket, {
      state,
      nowMs: scope.clock.nowMs(),
      // Envoy's SPIFFE validator wants a certificate whatever the flag says: an identity is its whole point.
      requiresPeer: plan.requiresCertificate || state.rules?.bundle !== undefined,
      serverName: seen.serverName,
      recall: (leaf) => leaf && { leaf, others: peers.recall(leaf) },
    })
    if (!result.ok) {
      this.#end()
      this.#destroy()
      this.#options.done(result)
      return
    }
    this.#end()
    const { chain } = result
    if (chain !== undefined) peers.remember(chain.leaf, chain.others)
    const peer = peerOfConnection(chain, [], scope.random)
    // A rotation alone is no reason: clients retire their connections themselves.
    const retireAtMs = (): number => (live.retireAtMs(state, peer) === 0 ? 0 : Infinity)
    this.#options.done({ ...result, retireAtMs })
  }

  #fail(reason: TlsReason, message: string): void {
    if (this.#isOver) return
    this.#end()
    this.#destroy()
    this.#options.done({ ok: false, refusal: { reason, message } })
  }

  #end(): void {
    this.#isOver = true
    this.#timer.cancel()
    this.#leaveQueue?.()
    this.#options.socket.off('close', this.#onSocketClose)
    this.#secure?.off('close', this.#onSocketClose)
  }

  #destroy(): void {
    this.#secure?.destroy()
    this.#options.socket.destroy()
  }
}
