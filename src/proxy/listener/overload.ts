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
}

export class Overload {
  readonly #active = new Set<OverloadAction>()
  readonly #watchers = new Set<() => void>()
  /** Open downstream connections over all listeners; kept by the listeners. */
  connectionsActive = 0
  connectionsMax: number

  constructor(options: OverloadOptions) {
    this.connectionsMax = options.connectionsMax
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
