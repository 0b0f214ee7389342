/**
 * Says whose connection this is before anything else is sent to a host (Envoy transport socket `proxy_protocol`): a header
 * of the PROXY protocol, in plaintext even where TLS follows.
 *
 * The addresses are the downstream connection's, so connections of two clients are never shared: they are part of the key.
 */
import type { Socket } from 'node:net'

import type { TransportUse } from '../upstream/cluster.ts'
import type { Host } from '../upstream/host.ts'
import {
  encodeProxyHeader,
  type ProxyAddresses,
  type ProxyVersion,
} from '../wire/proxy-protocol.ts'
import type { TransportDone, WireTransport } from '../wire/wire.ts'

/** Makes the transport of one connection; undefined: plaintext. */
export interface TransportMaker {
  transportOf(host: Host, use: TransportUse): WireTransport | undefined
}

export function createProxyTransports(
  version: ProxyVersion,
  inner: TransportMaker,
): TransportMaker {
  return {
    transportOf(host, use) {
      const { downstream } = use
      return new ProxyTransport({ version, downstream, inner: inner.transportOf(host, use) })
    },
  }
}

interface ProxyTransportOptions {
  readonly version: ProxyVersion
  readonly downstream: ProxyAddresses | undefined
  readonly inner: WireTransport | undefined
}

class ProxyTransport implements WireTransport {
  readonly key: string
  readonly #options: ProxyTransportOptions

  constructor(options: ProxyTransportOptions) {
    this.#options = options
    const { version, downstream, inner } = options
    this.key = `proxy${version} ${keyOf(downstream)} ${inner?.key ?? ''}`
  }

  secure(socket: Socket, done: TransportDone): () => void {
    const { version, downstream, inner } = this.#options
    socket.write(encodeProxyHeader(version, downstream))
    if (inner !== undefined) return inner.secure(socket, done)
    let isOver = false
    process.nextTick(() => {
      if (isOver) return
      isOver = true
      done({ ok: true, socket, security: undefined, retireAtMs: undefined })
    })
    return () => {
      isOver = true
    }
  }
}

function keyOf(downstream: ProxyAddresses | undefined): string {
  if (downstream === undefined) return ''
  const { remoteAddress, remotePort, localAddress, localPort } = downstream
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`
}
