/**
 * A listener: one bound address, the connections that it accepted, and how they end.
 *
 * The config of a listener may change at any time; connections that live go on with the manager that they
 * started with until their next request, which takes the new one. Nothing is cut.
 */
import type { Server } from 'node:net'

import type { ProxyRuntime } from '../runtime.ts'
import type { WireAddress } from '../wire/wire.ts'
import type { ListenerConfig } from './listener-config.ts'

export interface OpenListenerOptions {
  readonly config: ListenerConfig
  readonly runtime: ProxyRuntime
  /**
   * A server that listens already (bound before the first config came, or kept over a restart), or the file
   * descriptor of a listening socket. The listener owns it from now on.
   */
  readonly adopt?: Server | { readonly fd: number }
}

export interface DrainOptions {
  /** Connections that are still open after this long are cut. 0 cuts at once. */
  readonly deadlineMs: number
  /**
   * `immediate`: every next response says `Connection: close` and idle connections end now.
   * `gradual`: the share of responses that say so grows linearly until the deadline (Envoy's default).
   */
  readonly strategy: 'gradual' | 'immediate'
  /** Whether to go on accepting while draining (Envoy's `/drain_listeners?graceful`); false unless set. */
  readonly keepAccepting?: boolean
}

export interface Listener {
  readonly name: string
  readonly config: ListenerConfig
  /** Where it listens in fact: port 0 of the config has become a real port. */
  readonly address: WireAddress
  readonly connectionsActive: number
  /** Connections refused because of a ceiling. */
  readonly overflowTotal: number
  /** Takes a new config for what comes next; the address must be the same. Cuts no connection. */
  update(config: ListenerConfig): void
  /** Ends gracefully; resolves when the last connection is gone. Calling it again shortens the deadline. */
  drain(options: DrainOptions): Promise<void>
  /** Stops accepting and cuts what is open. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** Binds (or adopts) and starts to accept. Rejects with MESH_LISTEN_FAILED. */
export declare function openListener(options: OpenListenerOptions): Promise<Listener>
