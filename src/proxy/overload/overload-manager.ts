/**
 * Watches what the process is short of, and sets the overload actions that listeners and connections obey (Envoy's
 * overload manager).
 *
 * Every `refresh_interval` each monitor says a pressure, each trigger of an action makes a state of it, from 0 (off) to 1
 * (on), and the action has the highest of its triggers. A monitor that cannot say its pressure keeps the last one, and
 * is counted. Each thread looks by itself: its heap and its event loop are its own. Statistics are Envoy's:
 * `overload.<monitor>.pressure`, `overload.<action>.active`, `overload.<action>.scale_percent`.
 */
import type { Clock, Timer } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import { type Overload, bufferedBytesMaxDefault } from '../listener/overload.ts'
import type { Counter, Gauge } from '../telemetry/cluster-stats.ts'
import type { StatScope, StatsRegistry } from '../telemetry/stats-registry.ts'
import {
  type ActionPlan,
  type MonitorPlan,
  type OverloadLimits,
  type OverloadPlan,
  type TriggerPlan,
  mergePlans,
  ownPlan,
} from './overload-plan.ts'
import { type ProcessGauges, readPressure } from './read-pressure.ts'

export const overloadLimitsDefault: OverloadLimits = {
  heapShareMax: 0.9,
  heapShareCritical: 0.97,
  bufferedBytesMax: bufferedBytesMaxDefault,
  eventLoopDelayMsMax: 2_000,
}

export interface OverloadManagerOptions {
  readonly overload: Overload
  readonly plan: OverloadPlan
  readonly limits: OverloadLimits
  readonly clock: Clock
  readonly log: Log
  readonly stats: StatsRegistry
  readonly gauges: ProcessGauges
}

const connectionsMonitor = 'envoy.resource_monitors.global_downstream_max_connections'

interface Watched {
  readonly plan: MonitorPlan
  readonly pressureGauge: Gauge
  readonly failedUpdates: Counter
  pressure: number
}

interface Switched {
  readonly plan: ActionPlan
  readonly active: Gauge | undefined
  readonly scale: Gauge
  state: number
}

export class OverloadManager {
  readonly #options: OverloadManagerOptions
  readonly #monitors = new Map<string, Watched>()
  readonly #actions: readonly Switched[]
  readonly #intervalMs: number
  readonly #scope: StatScope
  #timer: Timer

  constructor(options: OverloadManagerOptions) {
    this.#options = options
    const { overload, limits, stats } = options
    overload.bufferedBytesMax = limits.bufferedBytesMax
    const plan = mergePlans(options.plan, ownPlan(limits))
    if (plan.connectionsMax !== 0) overload.connectionsMax = plan.connectionsMax
    this.#intervalMs = plan.refreshIntervalMs
    this.#scope = stats.scope({ path: 'overload', metric: 'envoy_overload', labels: [] })
    for (const monitor of plan.monitors) this.#monitors.set(monitor.name, this.#watch(monitor))
    this.#actions = plan.actions.map((action) => this.#switch(action))
    this.#countShed(plan.actions)
    // What is short at the start is known before the first connection.
    this.#look(0)
    this.#timer = this.#arm()
  }

  close(): void {
    this.#timer.cancel()
    // The shared gauge counts the threads on which an action is on.
    for (const one of this.#actions) this.#set(one, 0)
  }

  #arm(): Timer {
    const { clock } = this.#options
    const dueMs = clock.monotonicMs() + this.#intervalMs
    return clock.setTimer(this.#intervalMs, () => {
      this.#look(clock.monotonicMs() - dueMs)
      this.#timer = this.#arm()
    })
  }

  #look(lateMs: number): void {
    const { overload, gauges } = this.#options
    const { bufferedBytesOfProcess: bufferedBytes, bufferedBytesMax } = overload
    const source = { gauges, bufferedBytes, bufferedBytesMax, lateMs }
    for (const monitor of this.#monitors.values()) {
      const pressure = readPressure(monitor.plan, source)
      if (typeof pressure === 'string') monitor.failedUpdates.add(1)
      else {
        monitor.pressure = pressure
        monitor.pressureGauge.set(Math.trunc(pressure * 100))
      }
    }
    let hasChanged = false
    for (const one of this.#actions) {
      if (this.#set(one, this.#stateOf(one.plan))) hasChanged = true
    }
    if (hasChanged) this.#tell()
  }

  #stateOf({ triggers }: ActionPlan): number {
    let state = 0
    for (const trigger of triggers) {
      const { pressure = 0 } = this.#monitors.get(trigger.monitor) ?? {}
      state = Math.max(state, triggered(trigger, pressure))
    }
    return state
  }

  /** Whether it was switched on or off. */
  #set(one: Switched, state: number): boolean {
    if (state === one.state) return false
    const wasActive = one.state >= 1
    const isActive = state >= 1
    one.state = state
    one.scale.set(Math.round(state * 100))
    if (isActive !== wasActive) one.active?.add(isActive ? 1 : -1)
    const { action } = one.plan
    if (action !== undefined) this.#options.overload.set(action, state)
    return isActive !== wasActive
  }

  #tell(): void {
    const on = this.#actions.filter(({ state }) => state >= 1).map(({ plan }) => plan.name)
    const pressures = [...this.#monitors].map(([name, { pressure }]) => [name, percent(pressure)])
    const state = on.length === 0 ? 'normal' : 'overloaded'
    this.#options.log.warn({ state, actions: on, ...Object.fromEntries(pressures) }, 'overload')
  }

  #watch(plan: MonitorPlan): Watched {
    return {
      plan,
      pressureGauge: this.#scope.gauge(`${plan.name}.pressure`),
      failedUpdates: this.#scope.counter(`${plan.name}.failed_updates`),
      pressure: 0,
    }
  }

  #switch(plan: ActionPlan): Switched {
    return {
      plan,
      active: plan.kind === 'action' ? this.#scope.gauge(`${plan.name}.active`) : undefined,
      scale: this.#scope.gauge(`${plan.name}.scale_percent`),
      state: 0,
    }
  }

  #countShed(actions: readonly ActionPlan[]): void {
    const counters = new Map<string, Counter>()
    for (const { name, kind, action } of actions) {
      if (kind !== 'load-shed-point' || action === undefined) continue
      counters.set(action, this.#scope.counter(`${name}.shed_load_count`))
    }
    if (this.#options.plan.connectionsMax !== 0) {
      counters.set('connections', this.#scope.counter(`${connectionsMonitor}.failed_updates`))
    }
    this.#options.overload.onShed = (point) => counters.get(point)?.add(1)
  }
}

function triggered(trigger: TriggerPlan, pressure: number): number {
  if (trigger.kind === 'threshold') return pressure >= trigger.value ? 1 : 0
  const { scalingThreshold: from, saturationThreshold: to } = trigger
  if (pressure <= from) return 0
  return pressure >= to ? 1 : (pressure - from) / (to - from)
}

function percent(pressure: number): string {
  return `${Math.round(pressure * 100)}%`
}
