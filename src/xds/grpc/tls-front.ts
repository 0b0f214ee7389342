/**
 * The TLS side of the gRPC server: accepts connections, lets handshakes begin a few at a time, and asks who the
 * peer is. Peers without a certificate are let in here, because a workload that has none yet comes for its first;
 * what they may call is the server's business.
 *
 * TLS 1.3 only, HTTP/2 only, no session tickets: a client holds one connection for hours, so resumption would save
 * little, and a resumed session brings no chain to check. The certificate is replaced while connections go on.
 */
import { constants } from 'node:crypto'
import { createSecureServer, type Http2SecureServer, type Http2Session } from 'node:http2'
import { createServer, type Server } from 'node:net'
import type { TLSSocket } from 'node:tls'

import type { Clock } from '../../lib/clock.ts'
import { HandshakeGate } from './handshake-gate.ts'
import type { PeerChain, TlsCertificate, TlsPeerVerdict } from './tls-peer.ts'

export interface GrpcServerTls {
  readonly certificate: TlsCertificate
  /** Called for each connection, and again by `recheckPeers`. Never throws. */
  readonly verifyPeer: (chain: PeerChain) => TlsPeerVerdict
  /** Told of each connection that comes to nothing, with the reason. */
  readonly onRefused?: (reason: TlsFrontRefusal, detail: string) => void
  readonly handshakesPerTurnMax?: number
  readonly handshakesUnderWayMax?: number
  readonly handshakesWaitingMax?: number
  readonly handshakeTimeoutMs?: number
  readonly connectionsMax?: number
}

export type TlsFrontRefusal =
  | 'plaintext-refused'
  | 'protocol-error'
  | 'handshake-timeout'
  | 'overload'

export interface TlsFront {
  readonly server: Http2SecureServer
  readonly listener: Server
  /** Under a session; undefined when it is closed. */
  socketOf(session: Http2Session): TLSSocket | undefined
  setCertificate(certificate: TlsCertificate): void
  close(): void
}

const defaults = {
  handshakesPerTurnMax: 4,
  /** †1 ms each and as much again for the first request (2026-11, two cores): all in one turn stay below 50 ms. */
  handshakesUnderWayMax: 16,
  handshakesWaitingMax: 8_192,
  handshakeTimeoutMs: 10_000,
  connectionsMax: 20_000,
}

type ServerSettings = Parameters<typeof createSecureServer>[0]

export interface TlsFrontOptions {
  readonly tls: GrpcServerTls
  readonly settings: ServerSettings
  readonly clock: Clock
}

export function createTlsFront({ tls, settings, clock }: TlsFrontOptions): TlsFront {
  const limits = { ...defaults, ...tls }
  const server = createSecureServer({
    ...settings,
    ...contextOf(tls.certificate),
    allowHTTP1: false,
    // Who may come without a certificate, and with which, is decided by `verifyPeer` and by method.
    requestCert: true,
    rejectUnauthorized: false,
    handshakeTimeout: limits.handshakeTimeoutMs,
  })
  // Node hides the socket of a session, and creates the session while it tells of the socket.
  const sockets = new WeakMap<Http2Session, TLSSocket>()
  let secured: TLSSocket | undefined
  server.prependListener('secureConnection', (socket) => {
    secured = socket
    gate.finished()
  })
  server.on('session', (session) => {
    if (secured !== undefined) sockets.set(session, secured)
  })
  const onRefused = tls.onRefused ?? (() => {})
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
    gate.finished()
    onRefused(refusalOf(error.code ?? ''), error.message)
    socket.destroy()
  })
  // A client of another protocol than HTTP/2.
  server.on('unknownProtocol', (socket: TLSSocket) => {
    onRefused('protocol-error', 'the client did not ask for HTTP/2 (ALPN h2)')
    socket.destroy()
  })
  const gate = new HandshakeGate({
    startsPerTurnMax: limits.handshakesPerTurnMax,
    underWayMax: limits.handshakesUnderWayMax,
    clock,
    waitingMax: limits.handshakesWaitingMax,
    start: (socket) => {
      socket.setNoDelay(true)
      server.emit('connection', socket)
    },
    onOverflow: () => onRefused('overload', `${limits.handshakesWaitingMax} connections wait`),
  })
  const listener = createServer({ pauseOnConnect: true }, (socket) => gate.offer(socket))
  listener.maxConnections = limits.connectionsMax
  listener.on('drop', () => onRefused('overload', `${limits.connectionsMax} connections are open`))
  return {
    server,
    listener,
    socketOf: (session) => sockets.get(session),
    setCertificate: (certificate) => server.setSecureContext(contextOf(certificate)),
    close: () => gate.close(),
  }
}

function contextOf({ keyPem, chainPem }: TlsCertificate) {
  return {
    key: keyPem,
    cert: chainPem,
    minVersion: 'TLSv1.3' as const,
    secureOptions: constants.SSL_OP_NO_TICKET,
  }
}

/** What OpenSSL calls a client that speaks something else. */
const plaintextCodes = new Set(['ERR_SSL_HTTP_REQUEST', 'ERR_SSL_WRONG_VERSION_NUMBER'])

function refusalOf(code: string): TlsFrontRefusal {
  if (code === 'ERR_TLS_HANDSHAKE_TIMEOUT') return 'handshake-timeout'
  return plaintextCodes.has(code) ? 'plaintext-refused' : 'protocol-error'
}
