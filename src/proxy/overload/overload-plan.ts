/**
 * What the overload manager watches and what follows, as plain data: compiled from the bootstrap's `overload_manager`
 * (config/compile-overload.ts), with the limits that every sidecar has of its own added (`ownPlan`).
 */
import type { OverloadAction } from '../listener/overload.ts'

export type MonitorPlan =
  | { readonly kind: 'fixed-heap'; readonly name: string; readonly bytesMax: number }
  /** What the container has, page cache and children too; undefined: held against the cgroup's own limit. */
  | {
      readonly kind: 'cgroup-memory'
      readonly name: string
      readonly bytesMax: number | undefined
    }
  | { readonly kind: 'injected'; readonly name: string; readonly file: string }
  /** The JavaScript heap of the thread, as a share of its limit. */
  | { readonly kind: 'heap'; readonly name: string }
  /** How late the thread's event loop runs a timer, as a share of what is borne. */
  | { readonly kind: 'event-loop-delay'; readonly name: string; readonly delayMsMax: number }
  /** Bytes that the process holds, as a share of its budget. */
  | { readonly kind: 'buffered-bytes'; readonly name: string }

export type TriggerPlan =
  | { readonly kind: 'threshold'; readonly monitor: string; readonly value: number }
  | {
      readonly kind: 'scaled'
      readonly monitor: string
      readonly scalingThreshold: number
      readonly saturationThreshold: number
    }

export interface ActionPlan {
  /** Envoy's whole name: `envoy.overload_actions.stop_accepting_requests`. */
  readonly name: string
  readonly kind: 'action' | 'load-shed-point'
  /** Undefined: it has a state and statistics, and no effect here. */
  readonly action: OverloadAction | undefined
  readonly triggers: readonly TriggerPlan[]
}

export interface OverloadPlan {
  readonly refreshIntervalMs: number
  readonly monitors: readonly MonitorPlan[]
  readonly actions: readonly ActionPlan[]
  /** Ceiling of open downstream connections; 0 = none. */
  readonly connectionsMax: number
}

export const noOverloadPlan: OverloadPlan = {
  refreshIntervalMs: 500,
  monitors: [],
  actions: [],
  connectionsMax: 0,
}

/** What every sidecar keeps to, whatever its bootstrap says. */
export interface OverloadLimits {
  /** Share of the heap limit from which no connection is accepted. */
  readonly heapShareMax: number
  /** Share of the heap limit from which requests are refused. */
  readonly heapShareCritical: number
  /** Bytes that all connections buffer, above which requests are refused at once, and no connection is accepted. */
  readonly bufferedBytesMax: number
  /** How late a timer may be. */
  readonly eventLoopDelayMsMax: number
}

const own = 'tulle.resource_monitors'
export const actionPrefix = 'envoy.overload_actions.'

export function ownPlan(limits: OverloadLimits): Pick<OverloadPlan, 'monitors' | 'actions'> {
  const { heapShareMax, heapShareCritical, eventLoopDelayMsMax: delayMsMax } = limits
  const at = (monitor: string, value: number): TriggerPlan => ({
    kind: 'threshold',
    monitor: `${own}.${monitor}`,
    value,
  })
  const action = (
    name: 'stop_accepting_requests' | 'disable_http_keepalive' | 'stop_accepting_connections',
    triggers: readonly TriggerPlan[],
  ): ActionPlan => ({ name: `${actionPrefix}${name}`, kind: 'action', action: name, triggers })
  return {
    monitors: [
      { kind: 'heap', name: `${own}.heap` },
      { kind: 'event-loop-delay', name: `${own}.event_loop_delay`, delayMsMax },
      { kind: 'buffered-bytes', name: `${own}.buffered_bytes` },
    ],
    actions: [
      action('stop_accepting_connections', [
        at('heap', heapShareMax),
        // Work that is under way should end: a late event loop stops nothing but the accepting.
        at('event_loop_delay', 1),
        at('buffered_bytes', 1),
      ]),
      action('disable_http_keepalive', [at('heap', heapShareMax)]),
      action('stop_accepting_requests', [at('heap', heapShareCritical), at('buffered_bytes', 1)]),
    ],
  }
}

/** Both together: an action that both know has the triggers of both. */
export function mergePlans(
  plan: OverloadPlan,
  more: Pick<OverloadPlan, 'monitors' | 'actions'>,
): OverloadPlan {
  const actions = new Map(plan.actions.map((action) => [action.name, action]))
  for (const action of more.actions) {
    const { triggers = [] } = actions.get(action.name) ?? {}
    actions.set(action.name, { ...action, triggers: [...triggers, ...action.triggers] })
  }
  return {
    ...plan,
    monitors: [...plan.monitors, ...more.monitors],
    actions: [...actions.values()],
  }
}
