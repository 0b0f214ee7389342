/**
 * One client's connection to the gRPC server: who it is, and for how long.
 *
 * Pings notice a peer that vanished. A connection ends with its peer's certificate: the client comes back with the
 * next one. A peer that has proved nothing gets time for one call.
 */
import type { ServerHttp2Session } from 'node:http2'
import type { TLSSocket } from 'node:tls'

import type { Clock, Timer } from '../../lib/clock.ts'
import type { GrpcServerTls } from './tls-front.ts'
import { peerChainOf, type PeerChain, type TlsPeerVerdict } from './tls-peer.ts'

export interface ServerSessionOptions {
  readonly session: ServerHttp2Session
  readonly tls: GrpcServerTls | undefined
  /** Undefined on a plaintext connection. */
  readonly socket: TLSSocket | undefined
  readonly clock: Clock
  readonly keepaliveMs: number
  readonly keepaliveTimeoutMs: number
  /** The connection must end: tell its streams why. */
  readonly onEnd: (why: string) => void
}

/** Long enough to fetch a certificate from a busy authority. */
const strangerMs = 30_000
/** A client that has renewed in time is gone by then; the others learn why. */
const expiryGraceMs = 5_000
/** Long enough for the last frames; `tulle up` ends everything within seconds. */
const closeMs = 300

export class ServerSession {
  /** Undefined on a plaintext connection. */
  verdict: TlsPeerVerdict | undefined
  readonly #options: ServerSessionOptions
  readonly #chain: PeerChain
  #ping: Timer
  #end: Timer | undefined

  constructor(options: ServerSessionOptions) {
    this.#options = options
    const { socket, tls, clock, keepaliveMs } = options
    this.#chain = socket === undefined ? [] : peerChainOf(socket)
    this.verdict = tls?.verifyPeer(this.#chain)
    this.#ping = clock.setTimer(keepaliveMs, () => this.#sendPing())
    this.#watchEnd()
  }

  stop(): void {
    this.#ping.cancel()
    this.#end?.cancel()
  }

  /** Asks again who the peer is; a connection whose peer is no longer believed ends. */
  recheck(): void {
    if (this.verdict?.ok !== true) return
    this.verdict = this.#options.tls?.verifyPeer(this.#chain)
    if (this.verdict?.ok === false) this.#options.onEnd(this.verdict.detail)
  }

  /** Lets the last frames leave and then ends the connection; what still hangs after that is cut. */
  close(): void {
    const { session, clock } = this.#options
    session.close()
    const cut = clock.setTimer(closeMs, () => this.#destroy())
    session.once('close', () => cut.cancel())
  }

  /** Both: a session over TLS whose client has just gone may wait for a write for ever (Node 26.10). */
  #destroy(): void {
    this.#options.session.destroy()
    this.#options.socket?.destroy()
  }

  #watchEnd(): void {
    const { verdict } = this
    if (verdict === undefined) return
    const { clock } = this.#options
    if (!verdict.ok) {
      this.#end = clock.setTimer(strangerMs, () => this.#options.onEnd('no certificate'))
      return
    }
    const leftMs = verdict.notAfterMs + expiryGraceMs - clock.nowMs()
    this.#end = clock.setTimer(Math.max(0, leftMs), () => {
      // A timer has a ceiling of 24 days.
      if (verdict.notAfterMs + expiryGraceMs > clock.nowMs()) this.#watchEnd()
      else this.#options.onEnd('the certificate of this connection has expired, connect again')
    })
  }

  #sendPing(): void {
    const { session, clock, keepaliveMs, keepaliveTimeoutMs } = this.#options
    if (session.destroyed || session.closed) return
    this.#ping = clock.setTimer(keepaliveTimeoutMs, () => this.#destroy())
    session.ping((error) => {
      this.#ping.cancel()
      if (error === null) this.#ping = clock.setTimer(keepaliveMs, () => this.#sendPing())
    })
  }
}
