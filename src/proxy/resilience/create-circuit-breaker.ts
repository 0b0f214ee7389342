/**
 * Counts what a cluster has in flight against its limits, in slots that all workers share.
 *
 * As in Envoy the check and the count are two steps, so that workers racing may pass a limit by a few; the counts
 * themselves are exact.
 */
import { unreachable } from '../../lib/assert.ts'
import type { Clock } from '../../lib/clock.ts'
import type { ClusterStats } from '../telemetry/cluster-stats.ts'
import type { GaugeSlot, Slots } from '../telemetry/slots.ts'
import type { BreakerLimits, BreakerResource, CircuitBreaker } from './circuit-breaker.ts'
import { RetryWindow } from './retry-window.ts'

/** Envoy's defaults for a cluster without `circuit_breakers`. */
export const breakerLimitsDefault: BreakerLimits = {
  connectionsMax: 1024,
  pendingMax: 1024,
  requestsMax: 1024,
  retriesMax: 3,
}

export interface CircuitBreakerOptions {
  /** Of the cluster: what all threads count under. */
  readonly name: string
  readonly slots: Slots
  readonly clock: Clock
  readonly limits: BreakerLimits
  /** Its overflow counters. */
  readonly stats: Pick<
    ClusterStats,
    'cxOverflow' | 'rqPendingOverflow' | 'rqActiveOverflow' | 'rqRetryOverflow'
  >
}

export function createCircuitBreaker(options: CircuitBreakerOptions): CircuitBreaker {
  return new SharedBreaker(options)
}

class SharedBreaker implements CircuitBreaker {
  readonly #slots: Slots
  readonly #clock: Clock
  readonly #name: string
  readonly #stats: CircuitBreakerOptions['stats']
  readonly #connections: GaugeSlot
  readonly #pending: GaugeSlot
  readonly #requests: GaugeSlot
  readonly #retries: GaugeSlot
  #limits: BreakerLimits
  /** Of a retry budget with an interval. */
  #window: RetryWindow | undefined

  constructor(options: CircuitBreakerOptions) {
    this.#slots = options.slots
    this.#stats = options.stats
    this.#clock = options.clock
    this.#name = options.name
    this.#limits = options.limits
    const gauge = (what: string): GaugeSlot =>
      options.slots.gauge(`breaker ${what} ${options.name}`)
    this.#connections = gauge('connections')
    this.#pending = gauge('pending')
    this.#requests = gauge('requests')
    this.#retries = gauge('retries')
    this.#window = this.#openWindow()
  }

  tryAcquire(resource: BreakerResource): boolean {
    const slot = this.#slotOf(resource)
    if (this.#slots.readGauge(slot) >= this.max(resource)) {
      this.#countOverflow(resource)
      return false
    }
    this.#slots.addGauge(slot, 1)
    if (this.#window !== undefined && resource === 'requests') this.#window.count()
    return true
  }

  acquire(resource: BreakerResource): void {
    this.#slots.addGauge(this.#slotOf(resource), 1)
    if (this.#window !== undefined && resource === 'requests') this.#window.count()
  }

  release(resource: BreakerResource): void {
    this.#slots.addGauge(this.#slotOf(resource), -1)
  }

  active(resource: BreakerResource): number {
    return this.#slots.readGauge(this.#slotOf(resource))
  }

  limits(): BreakerLimits {
    return this.#limits
  }

  setLimits(limits: BreakerLimits): void {
    this.#limits = limits
    if (limits.retryBudget?.intervalMs === this.#window?.intervalMs) return
    this.#window?.close()
    this.#window = this.#openWindow()
  }

  #openWindow(): RetryWindow | undefined {
    const intervalMs = this.#limits.retryBudget?.intervalMs
    if (intervalMs === undefined) return undefined
    return new RetryWindow({ name: this.#name, slots: this.#slots, clock: this.#clock, intervalMs })
  }

  close(): void {
    this.#window?.close()
    for (const slot of [this.#connections, this.#pending, this.#requests, this.#retries]) {
      this.#slots.free(slot)
    }
  }

  #slotOf(resource: BreakerResource): GaugeSlot {
    switch (resource) {
      case 'connections':
        return this.#connections
      case 'pending':
        return this.#pending
      case 'requests':
        return this.#requests
      case 'retries':
        return this.#retries
      default:
        return unreachable(resource)
    }
  }

  max(resource: BreakerResource): number {
    switch (resource) {
      case 'connections':
        return this.#limits.connectionsMax
      case 'pending':
        return this.#limits.pendingMax
      case 'requests':
        return this.#limits.requestsMax
      case 'retries':
        return this.#retriesMax()
      default:
        return unreachable(resource)
    }
  }

  /** A budget is a share of what is active or waiting now, or of what began lately, and never below its floor. */
  #retriesMax(): number {
    const budget = this.#limits.retryBudget
    if (budget === undefined) return this.#limits.retriesMax
    const live =
      this.#window?.read() ??
      this.#slots.readGauge(this.#requests) + Math.max(0, this.#slots.readGauge(this.#pending))
    return Math.max(Math.floor((budget.budgetPercent / 100) * live), budget.retryConcurrencyMin)
  }

  #countOverflow(resource: BreakerResource): void {
    if (resource === 'connections') this.#stats.cxOverflow.add(1)
    else if (resource === 'retries') this.#stats.rqRetryOverflow.add(1)
    else if (resource === 'requests') this.#stats.rqActiveOverflow.add(1)
    else this.#stats.rqPendingOverflow.add(1)
  }
}
