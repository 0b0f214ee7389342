/**
 * What lets a connection in before anything is spoken on it (Envoy's network filters `connection_limit` and
 * `local_ratelimit`): a ceiling of open ones, a rate of new ones. Each counts who was sent away.
 */
import type { Counter, Gauge } from '../telemetry/cluster-stats.ts'

export interface ConnectionGate {
  /** Undefined: it may come in. Else the milliseconds that it is kept before it ends. */
  refuse(): number | undefined
  /** One that came in has ended. */
  leave(): void
}

export interface CeilingOptions {
  readonly connectionsMax: number
  readonly delayMs: number
  readonly limited: Counter
  /** Of all threads together. */
  readonly active: Gauge
}

export function createCeiling(options: CeilingOptions): ConnectionGate {
  const { connectionsMax, delayMs, limited, active } = options
  return {
    refuse() {
      if (active.value() >= connectionsMax) {
        limited.add(1)
        return delayMs
      }
      active.add(1)
      return undefined
    },
    leave: () => active.add(-1),
  }
}

export interface RateGateOptions {
  readonly take: () => boolean
  readonly limited: Counter
}

export function createRateGate({ take, limited }: RateGateOptions): ConnectionGate {
  return {
    refuse() {
      if (take()) return undefined
      limited.add(1)
      return 0
    },
    leave() {},
  }
}

/** Asks one after the other; those that had let it in are told when a later one does not. */
export function refuseAt(gates: readonly ConnectionGate[]): number | undefined {
  for (const [index, gate] of gates.entries()) {
    const delayMs = gate.refuse()
    if (delayMs === undefined) continue
    for (const before of gates.slice(0, index)) before.leave()
    return delayMs
  }
  return undefined
}
