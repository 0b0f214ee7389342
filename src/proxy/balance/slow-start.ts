/**
 * Slow start: a host that has just come gets its share bit by bit, so that caches fill and code warms up before the
 * whole load is on it. Envoy's formula (EdfLoadBalancerBase): for the length of the window, weight × the larger of
 * (age ÷ window)^(1 ÷ aggression) and the least share.
 *
 * A host's age counts from when a balancer first saw it, or from its last passed health check where those are active.
 */
import type { Host } from '../upstream/host.ts'

export interface SlowStartSettings {
  readonly windowMs: number
  /** 1: the share grows evenly; above: fast at first. */
  readonly aggression: number
  /** Share that a host has at once, 0 to 1. */
  readonly leastShare: number
}

export class SlowStart {
  readonly #settings: SlowStartSettings
  readonly #nowMs: () => number
  #newestMs = Number.NEGATIVE_INFINITY

  constructor(settings: SlowStartSettings, nowMs: () => number) {
    this.#settings = settings
    this.#nowMs = nowMs
  }

  /** Whether some host may still be warming up. */
  get isActive(): boolean {
    return this.#nowMs() - this.#newestMs <= this.#settings.windowMs
  }

  /** Hosts of the balancer changed. */
  update(hosts: readonly Host[]): void {
    const nowMs = this.#nowMs()
    for (const host of hosts) {
      host.readySinceMs ??= nowMs
      const isWarming = nowMs - host.readySinceMs < this.#settings.windowMs
      if (isWarming) this.#newestMs = Math.max(this.#newestMs, host.readySinceMs)
    }
  }

  /** `weight`, or the part of it that the host gets now. */
  weigh(host: Host, weight: number): number {
    if (host.readySinceMs === undefined || host.health !== 'healthy') return weight
    const { windowMs, aggression, leastShare } = this.#settings
    const ageMs = this.#nowMs() - host.readySinceMs
    if (ageMs >= windowMs) return weight
    const share = Math.max(1, ageMs) / windowMs
    return weight * Math.max(aggression === 1 ? share : share ** (1 / aggression), leastShare)
  }
}
