/**
 * A listener: one bound address, the connections that it accepted, and how they end.
 *
 * The config of a listener may change at any time; connections that live go on with the manager that they
 * started with until their next request, which takes the new one. Nothing is cut.
 */
import { createServer, Server, type Socket } from 'node:net'

import { Roster } from '../../lib/roster.ts'
import { RequestIds } from '../exchange-request-id.ts'
import { DateHeader } from '../http/date-header.ts'
import { HeaderNames } from '../http1/header-names.ts'
import type { ProxyRuntime } from '../runtime.ts'
import { openTcpConnection } from '../tcp/tcp-proxy.ts'
import type { ConnectionEnd } from '../wire/handle-wire.ts'
import { acceptWire } from '../wire/net-wire.ts'
import { interceptConnections, type StreamHandle } from '../wire/node-handle.ts'
import type { Wire, WireAddress } from '../wire/wire.ts'
import { descriptorOf } from '../worker/duplicate-descriptor.ts'
import { CertificateWatch } from './certificate-watch.ts'
import { type ConnectionGate, refuseAt } from './connection-gate.ts'
import type { ConnectionHost, OpenConnection } from './connection.ts'
import { Drain, type DrainOptions } from './drain.ts'
import { openHttpConnection } from './http-connection.ts'
import { type ArrivedConnection, type Incoming, IncomingConnection } from './incoming-connection.ts'
import { IncomingInternal } from './incoming-internal.ts'
import { boundAddress, closeHandedOver, closeServer, listen } from './listen.ts'
import type { FilterChain, HttpConnectionManager, ListenerConfig } from './listener-config.ts'

export type { DrainOptions } from './drain.ts'

export interface OpenListenerOptions {
  readonly config: ListenerConfig
  readonly runtime: ProxyRuntime
  /**
   * A server that listens already (bound before the first config came, or kept over a restart), or the file
   * descriptor of a listening socket. The listener owns it from now on.
   */
  readonly adopt?: AdoptedSocket
}

/** The part of `net.Server` that a listener uses: a worker's connections come from another thread. */
export interface AcceptingServer extends Pick<Server, 'listening' | 'address'> {
  on(event: 'connection', run: (socket: Socket) => void): unknown
  on(event: 'error', run: (error: Error) => void): unknown
  once(event: 'close', run: () => void): unknown
  close(): unknown
}
export type AdoptedSocket = AcceptingServer | { readonly fd: number }

export interface Listener {
  readonly name: string
  readonly config: ListenerConfig
  /** Where it listens in fact: port 0 of the config has become a real port. */
  readonly address: WireAddress
  readonly connectionsActive: number
  /** Accepted and not read while overload says so. */
  readonly connectionsWaiting: number
  /** Connections refused because of a ceiling. */
  readonly overflowTotal: number
  /** Takes a new config for what comes next; the address must be the same. Cuts no connection. */
  update(config: ListenerConfig): void
  /** Of the socket that it listens on; undefined where there is none, or another thread has it. */
  readonly descriptor: number | undefined
  /** Another process listens on its socket: accepts nothing more, and leaves the socket as it is. */
  release(): void
  /** Ends gracefully; resolves when the last connection is gone. Calling it again shortens the deadline. */
  drain(options: DrainOptions): Promise<void>
  /** Stops accepting and cuts what is open. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** Binds (or adopts) and starts to accept. Rejects with MESH_LISTEN_FAILED. */
export async function openListener(options: OpenListenerOptions): Promise<Listener> {
  const listener = new OpenedListener(options)
  await listener.open(options.adopt)
  return listener
}

/** Sockets that are accepted and not read while overload says so; more are refused. */
const waitingMax = 1024

/** What counts a connection that is refused. */
type Refusal = 'overflow' | 'globalOverflow' | 'overloadReject'

class OpenedListener implements Listener, ConnectionHost {
  readonly runtime: ProxyRuntime
  readonly names = new HeaderNames()
  readonly requestIds: RequestIds
  readonly dates: DateHeader
  config: ListenerConfig
  address: WireAddress
  overflowTotal = 0
  #server: AcceptingServer | undefined
  readonly #connections = new Roster<OpenConnection>()
  /** Accepted, and not yet with a filter chain. */
  readonly #incoming = new Roster<Incoming>()
  readonly #certificates: CertificateWatch
  /** Those that were let in by gates, which hear when they end. */
  readonly #gates = new Map<OpenConnection, readonly ConnectionGate[]>()
  /** Whether its connections count for the ceiling of the process: those of inside have come in by another listener. */
  readonly #isCounted: boolean
  /** The local end of every connection; undefined where it is bound to all addresses, or to none. */
  #localEnd: ConnectionEnd | undefined
  #waiting: Socket[] = []
  #drain: Drain | undefined
  #unwatch: () => void
  readonly #acceptInternal = (wire: Wire): void => {
    const { inspection } = this.config
    if (inspection === undefined) this.#acceptUnseen(wire)
    else {
      const incoming = new IncomingInternal(wire, this)
      this.#addIncoming(incoming)
      incoming.start(inspection)
    }
  }

  constructor(options: OpenListenerOptions) {
    this.runtime = options.runtime
    this.config = options.config
    this.address = options.config.address
    const { ignoresGlobalLimit, bypassesOverload } = options.config
    this.#isCounted =
      this.address.kind !== 'internal' && ignoresGlobalLimit !== true && bypassesOverload !== true
    this.requestIds = new RequestIds(options.runtime.random)
    this.dates = new DateHeader(options.runtime.clock)
    this.#certificates = new CertificateWatch(options.runtime.clock)
    this.#unwatch = options.runtime.overload.watch(() => this.#acceptWaiting())
  }

  get name(): string {
    return this.config.name
  }

  get connectionsActive(): number {
    return this.#connections.size + this.#incoming.size
  }

  get connectionsWaiting(): number {
    return this.#waiting.length
  }

  async open(adopt: OpenListenerOptions['adopt']): Promise<void> {
    if (this.address.kind === 'internal') {
      this.runtime.internalListeners.register(this.address.listener, this.#acceptInternal)
      return
    }
    if (!this.config.bindToPort && adopt === undefined) return
    const server = await this.#openServer(adopt)
    this.#server = server
    server.on('error', (error) => {
      this.runtime.log.warn({ listener: this.name, error: error.message }, 'accept failed')
    })
    this.address = boundAddress(server, this.address)
    this.#localEnd = onlyEnd(this.address)
    if (this.runtime.handles !== undefined && server instanceof Server) {
      interceptConnections(server, (handle) => this.#acceptHandle(handle))
    }
  }

  async #openServer(adopt: AdoptedSocket | undefined): Promise<AcceptingServer> {
    const accept = (socket: Socket): void => this.#acceptSocket(socket)
    if (adopt !== undefined && !('fd' in adopt)) {
      adopt.on('connection', accept)
      return adopt
    }
    const server = createServer({ allowHalfOpen: true, noDelay: true })
    server.on('connection', accept)
    await listen(server, this.address, adopt)
    return server
  }

  update(config: ListenerConfig): void {
    this.config = config
  }

  async drain(options: DrainOptions): Promise<void> {
    const isInternal = this.address.kind === 'internal'
    // What still runs on connections from outside may need it until the end.
    const keepAccepting =
      options.keepAccepting === true || (isInternal && options.strategy !== 'immediate')
    if (!keepAccepting) this.#stopAccepting()
    if (options.strategy === 'none') return
    const { clock, random } = this.runtime
    const connections = this.#connections
    const stopAccepting = (): void => this.#stopAccepting()
    this.#drain ??= new Drain({ clock, random, connections, stopAccepting })
    const drained = this.#drain.start({ ...options, keepAccepting })
    if (!isInternal || options.strategy === 'immediate') await drained
  }

  get descriptor(): number | undefined {
    return this.#server instanceof Server && this.#server.listening
      ? descriptorOf(this.#server)
      : undefined
  }

  release(): void {
    this.#unwatch()
    const server = this.#server
    if (server instanceof Server && server.listening) closeHandedOver(server)
    else if (server?.listening === true) server.close()
    // Accepted, and still to be served, whatever the process is short of.
    for (const socket of this.#waiting.splice(0)) {
      this.#serve(socket)
      socket.resume()
    }
  }

  async close(): Promise<void> {
    const server = this.#server
    const isListening = server?.listening === true
    const closed = new Promise<void>((resolve) => {
      if (isListening) server.once('close', () => resolve())
      else resolve()
    })
    this.#stopAccepting()
    for (const connection of this.#connections.list()) connection.destroy()
    for (const incoming of this.#incoming.list()) {
      incoming.destroy()
      this.onIncoming(incoming, undefined)
    }
    this.#certificates.close()
    await closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  // What its connections ask.

  wantsClose(): boolean {
    if (this.#drain?.wantsClose() === true) return true
    if (this.runtime.health.isFailing && this.config.drainsWithHealth !== false) return true
    return (
      this.config.bypassesOverload !== true &&
      this.runtime.overload.strikes('disable_http_keepalive')
    )
  }

  onConnectionClose(connection: OpenConnection): void {
    if (!this.#connections.delete(connection)) return
    this.#certificates.delete(connection)
    for (const gate of this.#gates.get(connection) ?? []) gate.leave()
    this.#gates.delete(connection)
    this.#count(-1)
    this.config.acceptStats?.cxDestroy.add(1)
    this.#drain?.onConnectionClose()
  }

  onIncoming(incoming: Incoming, arrived: ArrivedConnection | undefined): void {
    if (!this.#incoming.delete(incoming)) return
    if (incoming.isChosen) this.#count(-1)
    else this.#countIncoming(-1)
    if (arrived !== undefined) this.#acceptWire(arrived.wire, arrived.chain)
    else if (incoming.isChosen) this.config.acceptStats?.cxDestroy.add(1)
  }

  onChosen(): void {
    this.#countIncoming(-1)
    this.config.acceptStats?.cxTotal.add(1)
    this.#count(1)
  }

  /** Most connections: nothing to look at, nothing to wait for, and no socket. */
  #acceptHandle(handle: StreamHandle): boolean {
    if (this.config.inspection !== undefined || this.#isStopped) return false
    // Asked once: the points of the overload manager count each time that they are.
    const refusal = this.#refusal()
    if (refusal !== undefined) {
      this.#countRefusal(refusal)
      handle.close(() => {})
      return true
    }
    const wire = this.runtime.handles?.accept(handle, this.#localEnd)
    if (wire === undefined) {
      // The peer is gone already.
      handle.close(() => {})
      return true
    }
    this.#acceptUnseen(wire)
    return true
  }

  #acceptSocket(socket: Socket): void {
    socket.on('error', () => {
      // The wire hears of it too; a socket that is refused below has nobody else to listen.
    })
    if (this.#isStopped && this.#waiting.length < waitingMax) {
      socket.pause()
      this.#waiting.push(socket)
      return
    }
    const refusal = this.#refusal()
    if (refusal === undefined) {
      this.#serve(socket)
      return
    }
    this.#countRefusal(refusal)
    socket.destroy()
  }

  #countRefusal(refusal: Refusal): void {
    this.overflowTotal += 1
    this.config.acceptStats?.[refusal].add(1)
  }

  #serve(socket: Socket): void {
    // An adopted server may have been made with other options.
    socket.allowHalfOpen = true
    socket.setNoDelay(true)
    const { inspection } = this.config
    if (inspection !== undefined) {
      const incoming = new IncomingConnection(socket, this)
      this.#addIncoming(incoming)
      incoming.start(inspection)
      return
    }
    const { handles, turn, acceptBuffer: buffer } = this.runtime
    const wire = handles?.take(socket, this.#localEnd) ?? acceptWire(socket, { turn, buffer })
    this.#acceptUnseen(wire)
  }

  #addIncoming(incoming: Incoming): void {
    this.#incoming.add(incoming)
    this.#countIncoming(1)
  }

  /** As in Envoy, what has no chain yet is no connection of the listener's, but one of the process. */
  #countIncoming(amount: 1 | -1): void {
    this.config.acceptStats?.preCxActive.add(amount)
    if (this.#isCounted) this.runtime.overload.connectionsActive += amount
  }

  #count(amount: 1 | -1): void {
    this.config.acceptStats?.cxActive.add(amount)
    if (this.#isCounted) this.runtime.overload.connectionsActive += amount
  }

  get #isStopped(): boolean {
    const { bypassesOverload } = this.config
    return bypassesOverload !== true && this.runtime.overload.isActive('stop_accepting_connections')
  }

  #acceptWaiting(): void {
    if (this.#isStopped) return
    for (const socket of this.#waiting.splice(0)) {
      if (socket.destroyed) continue
      this.#acceptSocket(socket)
      socket.resume()
    }
  }

  /** Why one more connection is refused, by the name of what counts it. */
  #refusal(): Refusal | undefined {
    const { overload } = this.runtime
    const { connectionsMax, bypassesOverload } = this.config
    if (connectionsMax !== 0 && this.connectionsActive >= connectionsMax) return 'overflow'
    if (this.#isCounted && overload.refusesConnection()) return 'globalOverflow'
    if (bypassesOverload === true) return undefined
    // More wait than may wait.
    return this.#isStopped || overload.rejectsConnections() ? 'overloadReject' : undefined
  }

  /** The first chain takes every connection as it comes. */
  #acceptUnseen(wire: Wire): void {
    const { chains, defaultChain, acceptStats } = this.config
    const chain = chains[0] ?? defaultChain
    if (chain === undefined) {
      wire.destroy()
      return
    }
    acceptStats?.cxTotal.add(1)
    this.#acceptWire(wire, chain)
  }

  #acceptWire(wire: Wire, chain: FilterChain): void {
    const { network, gates } = chain
    const refusedMs = gates && refuseAt(gates)
    if (refusedMs !== undefined) {
      this.#sendAway(wire, refusedMs)
      return
    }
    const key = chainKey(chain)
    const now = () => this.#manager(key)
    this.#count(1)
    const connection =
      network.kind === 'http'
        ? openHttpConnection(wire, this, { first: network.manager, now })
        : openTcpConnection(wire, this, network.proxy)
    this.#connections.add(connection)
    if (gates !== undefined) this.#gates.set(connection, gates)
    this.#certificates.add(connection, wire)
  }

  /** Kept for a while, so that whoever comes back at once does not come back faster. */
  #sendAway(wire: Wire, delayMs: number): void {
    this.config.acceptStats?.cxDestroy.add(1)
    if (delayMs === 0) {
      wire.destroy()
      return
    }
    wire.pause()
    const timer = this.runtime.clock.setTimer(delayMs, () => wire.destroy())
    const end = (): void => timer.cancel()
    wire.listen({ onData() {}, onEnd() {}, onDrain() {}, onClose: end })
  }

  /** The chain's manager in the config of now; none, where the chain is gone: its connections end. */
  #manager(key: string): HttpConnectionManager | undefined {
    const { chains, defaultChain } = this.config
    for (const chain of chains) {
      if (chainKey(chain) === key) return managerOf(chain)
    }
    const isDefault = defaultChain !== undefined && chainKey(defaultChain) === key
    return isDefault ? managerOf(defaultChain) : undefined
  }

  #stopAccepting(): void {
    this.#unwatch()
    for (const socket of this.#waiting.splice(0)) socket.destroy()
    if (this.address.kind === 'internal') {
      this.runtime.internalListeners.unregister(this.address.listener, this.#acceptInternal)
    }
    const server = this.#server
    if (server instanceof Server && server.listening) closeServer(server, this.address)
    else if (server?.listening === true) server.close()
  }
}

/** Of a listener that is bound to one address. */
function onlyEnd(address: WireAddress): ConnectionEnd | undefined {
  if (address.kind !== 'ip' || address.address === '0.0.0.0' || address.address === '::') {
    return undefined
  }
  return { address: address.address, port: address.port }
}

function managerOf({ network }: FilterChain): HttpConnectionManager | undefined {
  return network.kind === 'http' ? network.manager : undefined
}

function chainKey({ key, name }: FilterChain): string {
  return key ?? name
}
