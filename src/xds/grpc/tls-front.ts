/**
 * The TLS side of the gRPC server: accepts connections, lets handshakes begin a few at a time, and asks who the
 * peer is. Peers without a certificate are let in here, because a workload that has none yet comes for its first;
 * what they may call is the server's business.
 *
 * TLS 1.3 only, HTTP/2 only, no session tickets: a client holds one connection for hours, so resumption would save
 * little, and a resumed session brings no chain to check. The certificate is replaced while connections go on.
 */
import { constants } from 'node:crypto'
import { createSecureServer, type Http2SecureServer } from 'node:http2'
import { createServer, type Server } from 'node:net'
import type { TLSSocket } from 'node:tls'

import { HandshakeGate } from './handshake-gate.ts'
import type { PeerChain, TlsCertificate, TlsPeerVerdict } from './tls-peer.ts'

export interface GrpcServerTls {
  readonly certificate: TlsCertificate
  /** Called for each connection, and again by `recheckPeers`. Never throws. */
  readonly verifyPeer: (chain: PeerChain) => TlsPeerVerdict
  /** Told of each connection that comes to nothing, with the reason. */
  readonly onRefused?: (reason: TlsFrontRefusal, detail: string) => void
  readonly handshakesPerTurnMax?: number
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
  setCertificate(certificate: TlsCertificate): void
  close(): void
}

const defaults = {
  /** †8 ms of a turn (1 ms each, 2026-11, two cores): with what else a turn holds, well below 50 ms. */
  handshakesPerTurnMax: 8,
  handshakesWaitingMax: 8_192,
  handshakeTimeoutMs: 10_000,
  connectionsMax: 20_000,
}

type ServerSettings = Parameters<typeof createSecureServer>[0]

export function createTlsFront(tls: GrpcServerTls, settings: ServerSettings): TlsFront {
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
  const onRefused = tls.onRefused ?? (() => {})
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
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
