/** OverloadManager → OverloadPlan. What is wrong is said in Envoy's own words, with the path of the field. */
import { typeNameOf } from '../../xds/any.ts'
import type {
  OverloadManager,
  ResourceMonitor,
  Trigger,
} from '../../xds/proto/generated/envoy/config/overload/v3/overload.ts'
import { CgroupMemoryConfig } from '../../xds/proto/generated/envoy/extensions/resource_monitors/cgroup_memory/v3/cgroup_memory.ts'
import { DownstreamConnectionsConfig } from '../../xds/proto/generated/envoy/extensions/resource_monitors/downstream_connections/v3/downstream_connections.ts'
import { FixedHeapConfig } from '../../xds/proto/generated/envoy/extensions/resource_monitors/fixed_heap/v3/fixed_heap.ts'
import { InjectedResourceConfig } from '../../xds/proto/generated/envoy/extensions/resource_monitors/injected_resource/v3/injected_resource.ts'
import type { Any } from '../../xds/proto/generated/google/protobuf/any.ts'
import type { OverloadAction } from '../listener/overload.ts'
import {
  type ActionPlan,
  type MonitorPlan,
  type OverloadPlan,
  type TriggerPlan,
  actionPrefix,
  noOverloadPlan,
} from '../overload/overload-plan.ts'
import { type FieldReport, at, refuse, showValue } from './field-rule.ts'
import { decodeTyped, durationMs } from './message-value.ts'

export interface CompiledOverload {
  readonly plan: OverloadPlan
  readonly warnings: readonly string[]
}

export function compileOverload(
  manager: OverloadManager | undefined,
  report: FieldReport,
): CompiledOverload {
  if (manager === undefined) return { plan: noOverloadPlan, warnings: [] }
  const monitors = new Map<string, MonitorPlan | number>()
  manager.resourceMonitors.forEach((monitor, index) => {
    const here = at(report, 'resource_monitors', index)
    if (monitors.has(monitor.name)) refuse(here, `Duplicate resource monitor ${monitor.name}`)
    const compiled = compileMonitor(monitor, here)
    if (compiled !== undefined) monitors.set(monitor.name, compiled)
  })
  const actions = compileActions(manager, monitors, report)
  const hasShrink = actions.some(({ name }) => name === shrinkHeap)
  return {
    plan: {
      refreshIntervalMs: refreshInterval(manager, at(report, 'refresh_interval')),
      monitors: [...monitors.values()].filter((monitor) => typeof monitor !== 'number'),
      actions,
      connectionsMax: [...monitors.values()].find((monitor) => typeof monitor === 'number') ?? 0,
    },
    warnings: hasShrink ? [`${shrinkHeap} has no effect: V8 gives memory back by itself`] : [],
  }
}

function refreshInterval({ refreshInterval: value }: OverloadManager, report: FieldReport): number {
  const intervalMs = durationMs(value, { absentMs: 1_000 }, report)
  if (intervalMs < 1)
    refuse(report, `value must be greater than or equal to 1ms, got ${intervalMs}ms`)
  return intervalMs
}

const downstreamConnections = 'envoy.resource_monitors.global_downstream_max_connections'

/** A number is the ceiling of connections: nobody watches it, because each new connection is held against it. */
function compileMonitor(
  { name, configType }: ResourceMonitor,
  report: FieldReport,
): MonitorPlan | number | undefined {
  if (name === '') refuse(at(report, 'name'), 'value length must be at least 1 characters')
  const here = at(report, 'typed_config')
  const any = configType?.value
  if (any === undefined) {
    refuse(here, 'is required')
    return undefined
  }
  const type = typeNameOf(any.typeUrl)
  switch (type) {
    case `${monitorTypes}fixed_heap.v3.FixedHeapConfig`:
      return fixedHeap(name, any, here)
    case `${monitorTypes}cgroup_memory.v3.CgroupMemoryConfig`:
      return cgroupMemory(name, any, here)
    case `${monitorTypes}injected_resource.v3.InjectedResourceConfig`:
      return injectedResource(name, any, here)
    case `${monitorTypes}downstream_connections.v3.DownstreamConnectionsConfig`:
      if (name !== downstreamConnections) {
        refuse(at(report, 'name'), `must be ${downstreamConnections}, got ${showValue(name)}`)
      }
      return connectionsCeiling(any, here)
    default:
      refuse(report, `${name} (${type}) is not implemented`)
      return undefined
  }
}

function fixedHeap(name: string, any: Any, report: FieldReport): MonitorPlan {
  const bytesMax = decodeTyped(any, FixedHeapConfig, report)?.maxHeapSizeBytes ?? 0
  if (bytesMax === 0) refuse(at(report, 'max_heap_size_bytes'), 'value must be greater than 0')
  return { kind: 'fixed-heap', name, bytesMax }
}

function cgroupMemory(name: string, any: Any, report: FieldReport): MonitorPlan {
  const bytesMax = decodeTyped(any, CgroupMemoryConfig, report)?.maxMemoryBytes ?? 0
  // As Envoy takes it: 0 is as good as nothing.
  return { kind: 'cgroup-memory', name, bytesMax: bytesMax === 0 ? undefined : bytesMax }
}

function injectedResource(name: string, any: Any, report: FieldReport): MonitorPlan {
  const file = decodeTyped(any, InjectedResourceConfig, report)?.filename ?? ''
  if (file === '') refuse(at(report, 'filename'), 'value length must be at least 1 characters')
  return { kind: 'injected', name, file }
}

function connectionsCeiling(any: Any, report: FieldReport): number {
  const config = decodeTyped(any, DownstreamConnectionsConfig, report)
  const connectionsMax = config?.maxActiveDownstreamConnections ?? 0
  if (connectionsMax <= 0) {
    refuse(at(report, 'max_active_downstream_connections'), 'value must be greater than 0')
  }
  return connectionsMax
}

const monitorTypes = 'envoy.extensions.resource_monitors.'

const shrinkHeap = `${actionPrefix}shrink_heap`
const pointPrefix = 'envoy.load_shed_points.'

/** By their whole names; undefined: known, with a state and without an effect. */
const known: ReadonlyMap<string, OverloadAction | undefined> = new Map<
  string,
  OverloadAction | undefined
>([
  [`${actionPrefix}stop_accepting_requests`, 'stop_accepting_requests'],
  [`${actionPrefix}disable_http_keepalive`, 'disable_http_keepalive'],
  [`${actionPrefix}stop_accepting_connections`, 'stop_accepting_connections'],
  [`${actionPrefix}reject_incoming_connections`, 'reject_incoming_connections'],
  [shrinkHeap, undefined],
  [`${pointPrefix}tcp_listener_accept`, 'tcp_listener_accept'],
  [
    `${pointPrefix}http_connection_manager_decode_headers`,
    'http_connection_manager_decode_headers',
  ],
])

/** Envoy's, and refused here by name. */
const refusedActions: ReadonlySet<string> = new Set(
  ['reduce_timeouts', 'reset_high_memory_stream', 'close_idle_http_connections'].map(
    (name) => actionPrefix + name,
  ),
)

type Monitors = ReadonlyMap<string, MonitorPlan | number>

function compileActions(
  { actions, loadshedPoints }: OverloadManager,
  monitors: Monitors,
  report: FieldReport,
): readonly ActionPlan[] {
  const seen = new Set<string>()
  const compile =
    (field: 'actions' | 'loadshed_points') =>
    ({ name, triggers }: { name: string; triggers: readonly Trigger[] }, index: number) => {
      const here = at(report, field, index)
      const kind = field === 'actions' ? 'action' : 'load-shed-point'
      const what = kind === 'action' ? 'overload action' : 'loadshed point'
      if (seen.has(name)) refuse(here, `Duplicate ${what} ${name}`)
      seen.add(name)
      checkName(name, kind, at(here, 'name'))
      const place = { monitors, report: here, owner: `${what} ${name}` }
      return {
        name,
        kind,
        action: known.get(name),
        triggers: compileTriggers(triggers, place),
      } as const
    }
  return [...actions.map(compile('actions')), ...loadshedPoints.map(compile('loadshed_points'))]
}

function checkName(name: string, kind: ActionPlan['kind'], report: FieldReport): void {
  const isOfKind = name.startsWith(kind === 'action' ? actionPrefix : pointPrefix)
  if (known.has(name) && isOfKind) return
  if (kind === 'load-shed-point')
    refuse(report, `load-shed point ${showValue(name)} is not implemented`)
  else if (refusedActions.has(name)) refuse(report, `${name} is not implemented`)
  else refuse(report, `Unknown Overload Manager Action ${name}`)
}

interface TriggerPlace {
  readonly monitors: Monitors
  readonly report: FieldReport
  readonly owner: string
}

function compileTriggers(
  triggers: readonly Trigger[],
  { monitors, report, owner }: TriggerPlace,
): readonly TriggerPlan[] {
  if (triggers.length === 0) refuse(at(report, 'triggers'), 'value must contain at least 1 item(s)')
  const seen = new Set<string>()
  return triggers.flatMap((trigger, index) => {
    const here = at(report, 'triggers', index)
    const { name: monitor } = trigger
    if (seen.has(monitor)) refuse(here, `Duplicate trigger resource for ${owner}`)
    seen.add(monitor)
    const watched = monitors.get(monitor)
    if (watched === undefined) refuse(here, `Unknown trigger resource ${monitor} for ${owner}`)
    else if (typeof watched === 'number') {
      refuse(here, `${monitor} is held against each new connection and triggers nothing`)
    }
    const plan = compileTrigger(trigger, here)
    return plan === undefined ? [] : [plan]
  })
}

function compileTrigger({ name: monitor, triggerOneof }: Trigger, report: FieldReport) {
  if (triggerOneof === undefined) {
    refuse(report, 'trigger_oneof: is required')
    return undefined
  }
  if (triggerOneof.$case === 'threshold') {
    const value = share(triggerOneof.value.value, at(report, 'threshold', 'value'))
    return { kind: 'threshold', monitor, value } as const
  }
  const here = at(report, 'scaled')
  const scalingThreshold = share(triggerOneof.value.scalingThreshold, at(here, 'scaling_threshold'))
  const saturationThreshold = share(
    triggerOneof.value.saturationThreshold,
    at(here, 'saturation_threshold'),
  )
  if (scalingThreshold >= saturationThreshold) {
    refuse(here, 'scaling_threshold must be less than saturation_threshold')
  }
  return { kind: 'scaled', monitor, scalingThreshold, saturationThreshold } as const
}

function share(value: number, report: FieldReport): number {
  if (!(value >= 0 && value <= 1)) refuse(report, `value must be inside range [0, 1], got ${value}`)
  return value
}
