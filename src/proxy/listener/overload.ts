/**
 * What the downstream side may bring while the process is short of something: the state of every overload action, and
 * the two budgets that all connections share.
 *
 * overload/overload-manager.ts looks at resources and sets the states; listeners and connections ask. Both budgets, open
 * connections and buffered bytes, are the process's: each thread counts its own part, and adds it to one shared gauge.
 */
import type { Random } from '../../lib/random.ts'
import type { Gauge } from '../telemetry/cluster-stats.ts'

/** Envoy's overload actions and load-shed points that something here obeys, by their short names. */
export type OverloadAction =
  | 'stop_accepting_requests'
  | 'disable_http_keepalive'
  | 'stop_accepting_connections'
  | 'reject_incoming_connections'
  | 'tcp_listener_accept'
  | 'http_connection_manager_decode_headers'

export interface OverloadOptions {
  /** Ceiling of open downstream connections over all listeners; 0 = none. */
  readonly connectionsMax: number
  /** Ceiling of the bytes that all connections of the process buffer. */
  readonly bufferedBytesMax?: number
  /** Draws whether an action that is half on strikes. */
  readonly random?: Random
  /** Shared by all threads; of this thread alone unless given. */
  readonly gauges?: OverloadGauges
}

export interface OverloadGauges {
  readonly connections: Gauge
  readonly bufferedBytes: Gauge
}

/** A quarter of what a small sidecar may take; one connection holds a megabyte at most. */
export const bufferedBytesMaxDefault = 256 * 1024 * 1024

export class Overload {
  readonly #states = new Map<OverloadAction, number>()
  readonly #watchers = new Set<() => void>()
  readonly #random: Random
  readonly #gauges: OverloadGauges
  #connections = 0
  #bytes = 0
  connectionsMax: number
  bufferedBytesMax: number
  /** Told of each connection or request that a load-shed point, or the ceiling of connections, has turned away. */
  onShed: (point: OverloadAction | 'connections') => void = () => {}

  constructor(options: OverloadOptions) {
    this.connectionsMax = options.connectionsMax
    this.bufferedBytesMax = options.bufferedBytesMax ?? bufferedBytesMaxDefault
    this.#random = options.random ?? (() => 0)
    this.#gauges = options.gauges ?? { connections: new OwnGauge(), bufferedBytes: new OwnGauge() }
  }

  /** Open downstream connections of this thread, over all listeners; kept by the listeners. */
  get connectionsActive(): number {
    return this.#connections
  }

  set connectionsActive(count: number) {
    this.#gauges.connections.add(count - this.#connections)
    this.#connections = count
  }

  /**
   * Bytes that this thread holds: of requests that wait for an upstream or a retry, of streams that are not read, and
   * what peers that do not read have left unsent. Kept by whoever holds them.
   */
  get bufferedBytes(): number {
    return this.#bytes
  }

  set bufferedBytes(bytes: number) {
    this.#gauges.bufferedBytes.add(bytes - this.#bytes)
    this.#bytes = bytes
  }

  /** The same of all threads. */
  get bufferedBytesOfProcess(): number {
    return this.#gauges.bufferedBytes.value()
  }

  /** From 0, off, to 1, on. */
  stateOf(action: OverloadAction): number {
    return this.#states.size === 0 ? 0 : (this.#states.get(action) ?? 0)
  }

  isActive(action: OverloadAction): boolean {
    return this.stateOf(action) >= 1
  }

  /** Whether it strikes this once: an action that is half on strikes half of the times. */
  strikes(action: OverloadAction): boolean {
    const state = this.stateOf(action)
    return state > 0 && (state >= 1 || this.#random() < state)
  }

  set(action: OverloadAction, state: number): void {
    if (state === this.stateOf(action)) return
    if (state > 0) this.#states.set(action, state)
    else this.#states.delete(action)
    for (const watcher of this.#watchers) watcher()
  }

  /** Whether a new request is to be refused: somebody said so, or the process holds too many bytes. */
  refusesRequests(): boolean {
    if (this.#gauges.bufferedBytes.value() > this.bufferedBytesMax) return true
    if (this.#states.size === 0) return false
    return (
      this.#sheds('http_connection_manager_decode_headers') ||
      this.strikes('stop_accepting_requests')
    )
  }

  /** Whether a new connection is to be refused by an action or a load-shed point. */
  rejectsConnections(): boolean {
    if (this.#states.size === 0) return false
    return this.#sheds('tcp_listener_accept') || this.strikes('reject_incoming_connections')
  }

  /** Whether one more connection is refused, because it would be above the process-wide ceiling. */
  refusesConnection(): boolean {
    if (this.connectionsMax === 0) return false
    if (this.#gauges.connections.value() < this.connectionsMax) return false
    this.onShed('connections')
    return true
  }

  /** Tells about every change of an action until the returned function is called. */
  watch(watcher: () => void): () => void {
    this.#watchers.add(watcher)
    return () => this.#watchers.delete(watcher)
  }

  #sheds(point: OverloadAction): boolean {
    const isShed = this.strikes(point)
    if (isShed) this.onShed(point)
    return isShed
  }
}

class OwnGauge implements Gauge {
  #value = 0

  add(amount: number): void {
    this.#value += amount
  }

  set(value: number): void {
    this.#value = value
  }

  value(): number {
    return this.#value
  }
}
