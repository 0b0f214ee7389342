/**
 * Process-wide limits on what the downstream side may bring (Envoy's overload manager, its actions only):
 * whoever watches a resource switches an action on, listeners and connections obey.
 */

/** Envoy overload actions that we know, by their short name. */
export type OverloadAction =
  | 'stop-accepting-requests'
  | 'disable-http-keepalive'
  | 'stop-accepting-connections'
  | 'reject-incoming-connections'

export interface OverloadOptions {
  /** Ceiling of open downstream connections over all listeners; 0 = none. */
  readonly connectionsMax: number
  /** Ceiling of the bytes of requests that wait for an upstream or for a retry, over all listeners. */
  readonly bufferedBytesMax?: number
}

/** A quarter of what a small sidecar may take; one connection holds a megabyte at most. */
export const bufferedBytesMaxDefault = 256 * 1024 * 1024

export class Overload {
  readonly #active = new Set<OverloadAction>()
  readonly #watchers = new Set<() => void>()
  /** Open downstream connections over all listeners; kept by the listeners. */
  connectionsActive = 0
  connectionsMax: number
  /** Bytes of requests that are held; kept by the exchanges. */
  bufferedBytes = 0
  bufferedBytesMax: number

  constructor(options: OverloadOptions) {
    this.connectionsMax = options.connectionsMax
    this.bufferedBytesMax = options.bufferedBytesMax ?? bufferedBytesMaxDefault
  }

  isActive(action: OverloadAction): boolean {
    return this.#active.size !== 0 && this.#active.has(action)
  }

  set(action: OverloadAction, isOn: boolean): void {
    if (isOn === this.#active.has(action)) return
    if (isOn) this.#active.add(action)
    else this.#active.delete(action)
    for (const watcher of this.#watchers) watcher()
  }

  /** Whether a new request is to be refused: somebody said so, or the requests that wait hold too much. */
  refusesRequests(): boolean {
    return this.bufferedBytes > this.bufferedBytesMax || this.isActive('stop-accepting-requests')
  }

  /** Whether one more connection would be above the process-wide ceiling. */
  isFull(): boolean {
    return this.connectionsMax !== 0 && this.connectionsActive >= this.connectionsMax
  }

  /** Tells about every change of an action until the returned function is called. */
  watch(watcher: () => void): () => void {
    this.#watchers.add(watcher)
    return () => this.#watchers.delete(watcher)
  }
}
