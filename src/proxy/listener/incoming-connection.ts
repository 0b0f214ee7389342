/**
 * An accepted connection on its way to its filter chain: its first bytes are looked at where the listener asks for it, the
 * chain is chosen, and TLS is spoken where the chain has it. Nothing of what is inside has been read when it arrives.
 *
 * It counts as a connection of the listener from when its chain is chosen; what goes wrong is counted by its reason and
 * ends it.
 */
import type { Socket } from 'node:net'

import type { Placed } from '../../lib/roster.ts'
import type { ProxyRuntime } from '../runtime.ts'
import { helloBytesMax, type RefusedHello } from '../tls/client-hello.ts'
import { countRefusal, countSuccess } from '../tls/count-tls.ts'
import type { AcceptResult, DownstreamTls } from '../tls/downstream-tls.ts'
import {
  type BadProxyHeader,
  type Inspection,
  inspectSocket,
  type Silence,
  uninspected,
} from '../tls/inspect-socket.ts'
import type { TlsReason } from '../tls/tls-reason.ts'
import { acceptWire } from '../wire/net-wire.ts'
import type { Wire } from '../wire/wire.ts'
import { chooseChain } from './choose-chain.ts'
import type { ConnectionInspection, FilterChain, ListenerConfig } from './listener-config.ts'

export interface IncomingOwner {
  readonly runtime: ProxyRuntime
  readonly config: ListenerConfig
  /** There is a chain, and perhaps a handshake to come. */
  onChosen(): void
  /** Called once unless `destroy` was; a wire, or nothing where the connection came to nothing. */
  onIncoming(incoming: Incoming, arrived: ArrivedConnection | undefined): void
}

/** A connection without a filter chain yet. */
export interface Incoming extends Placed {
  /** Whether there is one, and TLS has still to be spoken. */
  readonly isChosen: boolean
  destroy(): void
}

export interface ArrivedConnection {
  readonly wire: Wire
  readonly chain: FilterChain
}

export class IncomingConnection implements Incoming {
  place = -1
  isChosen = false
  readonly #socket: Socket
  readonly #owner: IncomingOwner
  #stop: () => void = () => {}
  #isOver = false

  constructor(socket: Socket, owner: IncomingOwner) {
    this.#socket = socket
    this.#owner = owner
  }

  start(inspection: ConnectionInspection): void {
    const { clock } = this.#owner.runtime
    const { timeoutMs, tls: needsTls, http: needsHttp, proxyProtocol } = inspection
    const options = { clock, timeoutMs, needsTls, needsHttp, proxyProtocol }
    this.#stop = inspectSocket(this.#socket, options, (outcome) => {
      if (outcome === 'closed') this.#onLeft()
      else if (outcome === 'header-timeout') this.#onHeaderSilence()
      else if (typeof outcome === 'string') this.#refuse(...refusedHellos[outcome])
      else if (!('kind' in outcome)) this.#onInspected(outcome)
      else if (outcome.kind === 'timeout') this.#onSilence(inspection, outcome)
      else this.#onBadHeader(outcome)
    })
  }

  destroy(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#stop()
    this.#socket.destroy()
  }

  #onSilence(inspection: ConnectionInspection, { proxied }: Silence): void {
    const { stats } = this.#owner.config
    stats?.preCxTimeout.add(1)
    if (inspection.continuesOnTimeout) {
      this.#onInspected({ ...uninspected, proxied })
      return
    }
    this.#refuse('handshake-timeout', `nothing was said within ${inspection.timeoutMs} ms`)
  }

  #onLeft(): void {
    this.#owner.config.stats?.listenerFilterRemoteClose.add(1)
    this.#end(undefined)
  }

  /** Who must say whose connection it is does not get in by saying nothing. */
  #onHeaderSilence(): void {
    this.#owner.config.stats?.preCxTimeout.add(1)
    this.#end(undefined)
  }

  #onBadHeader({ message }: BadProxyHeader): void {
    const { config, runtime } = this.#owner
    config.stats?.proxyHeaderError.add(1)
    const { remoteAddress = '', remotePort = 0 } = this.#socket
    const peer = `${remoteAddress}:${remotePort}`
    runtime.log.debug({ listener: config.name, peer, message }, 'PROXY header refused')
    this.#end(undefined)
  }

  #onInspected(seen: Inspection): void {
    const { config } = this.#owner
    const chain = this.#choose(seen)
    if (chain === undefined) {
      config.stats?.noFilterChainMatch.add(1)
      this.#refuse(...missingChain(seen, config))
      return
    }
    this.isChosen = true
    this.#owner.onChosen()
    if (chain.tls === undefined) this.#arrive(chain, seen)
    else if (seen.transportProtocol === 'tls') this.#handshake(chain, { tls: chain.tls, seen })
    else this.#refuse('plaintext-refused', 'plaintext where TLS is spoken')
  }

  #choose(seen: Inspection): FilterChain | undefined {
    const { chains, defaultChain } = this.#owner.config
    const socket = this.#socket
    const facts = {
      ...seen,
      localAddress: socket.localAddress ?? '',
      localPort: socket.localPort ?? 0,
      remoteAddress: socket.remoteAddress ?? '',
      remotePort: socket.remotePort ?? 0,
      directRemoteAddress: socket.remoteAddress ?? '',
      ...seen.proxied,
    }
    return chooseChain(chains, facts) ?? defaultChain
  }

  #arrive(chain: FilterChain, { serverName, proxied }: Inspection): void {
    const { turn, acceptBuffer: buffer } = this.#owner.runtime
    const proof = { requestedServerName: serverName, proxied }
    this.#end({ wire: acceptWire(this.#socket, { turn, buffer }, proof), chain })
  }

  #handshake(
    chain: FilterChain,
    { tls, seen }: { readonly tls: DownstreamTls; readonly seen: Inspection },
  ): void {
    const { proxied } = seen
    this.#stop = tls.accept(this.#socket, seen, (result) =>
      this.#onHandshake({ chain, proxied }, result),
    )
  }

  #onHandshake({ chain, proxied }: ChosenChain, result: AcceptResult): void {
    if (!result.ok) {
      this.#refuse(result.refusal.reason, result.refusal.message)
      return
    }
    const { runtime, config } = this.#owner
    const { security, retireAtMs } = result
    if (config.stats !== undefined) countSuccess(config.stats.tls, security)
    const parts = { turn: runtime.turn, buffer: runtime.acceptBuffer }
    const proof = { security, retireAtMs, requestedServerName: security.serverName, proxied }
    this.#end({ wire: acceptWire(result.socket, parts, proof), chain })
  }

  #refuse(reason: TlsReason, message: string): void {
    if (this.#isOver) return
    const { config, runtime } = this.#owner
    if (config.stats !== undefined) countRefusal(config.stats.tls, reason)
    const { remoteAddress, remotePort } = this.#socket
    const peer = remoteAddress === undefined ? '' : `${remoteAddress}:${remotePort ?? 0}`
    runtime.refusals.write({ reason, message }, { listener: config.name, peer, side: 'server' })
    this.#socket.destroy()
    this.#end(undefined)
  }

  #end(arrived: ArrivedConnection | undefined): void {
    if (this.#isOver) return
    this.#isOver = true
    if (arrived === undefined) this.#socket.destroy()
    this.#owner.onIncoming(this, arrived)
  }
}

interface ChosenChain extends Pick<Inspection, 'proxied'> {
  readonly chain: FilterChain
}

const refusedHellos: Readonly<Record<RefusedHello, [TlsReason, string]>> = {
  'too-large': ['protocol-error', `a hello of more than ${helloBytesMax} octets`],
  'bad-version': ['protocol-version', 'a hello of no version of TLS from 1.0 to 1.3'],
}

function missingChain(seen: Inspection, config: ListenerConfig): [TlsReason, string] {
  const wantsTls = config.chains.some(({ match }) => match?.transportProtocol === 'tls')
  if (seen.transportProtocol !== 'tls' && wantsTls) {
    return ['plaintext-refused', 'plaintext where only TLS is accepted']
  }
  const { serverName = 'none', applicationProtocols } = seen
  const protocols = applicationProtocols.join(',') || 'none'
  const what = `${seen.transportProtocol}, server name ${serverName}, protocols ${protocols}`
  return ['no-filter-chain', `no filter chain for ${what}`]
}
