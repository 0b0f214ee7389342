/**
 * Envoy's runtime, as far as a sidecar has one: the static layers of the bootstrap, read once. Limits on connections are
 * looked up by Envoy's keys, and what the sidecar bears of its own accord by ours, which Envoy passes over; every other
 * key is reported by the bootstrap as without effect.
 */
import type { OverloadLimits } from '../overload/overload-plan.ts'
import type { HostLocality } from '../upstream/host.ts'

/** What else of the bootstrap clusters and filters read. */
export interface ManagerValues {
  /** The cluster that this proxy is a member of (`local_cluster_name`); empty: none. */
  readonly localCluster: string
  /** Gets a line for each ejection; empty: none. */
  readonly outlierLogPath: string
  /** `node.cluster`, and `node.locality`. */
  readonly nodeCluster: string
  readonly nodeLocality: HostLocality
}

export const noManager: ManagerValues = {
  localCluster: '',
  outlierLogPath: '',
  nodeCluster: '',
  nodeLocality: { region: '', zone: '', subZone: '' },
}

export interface RuntimeValues {
  /** Absent: nothing is said. */
  readonly manager?: ManagerValues
  /** Ceiling of open connections of one listener; 0 = none. */
  listenerConnectionsMax(listener: string): number
  /** Ceiling over all listeners; 0 = none. */
  readonly connectionsMax: number
  /** Keys `tulle.overload.…`; those that are absent have their defaults. */
  readonly overloadLimits: Partial<OverloadLimits>
}

export const noRuntime: RuntimeValues = {
  listenerConnectionsMax: () => 0,
  connectionsMax: 0,
  overloadLimits: {},
}

const globalKey = 'overload.global_downstream_max_connections'
const listenerKey = /^envoy\.resource_limits\.listener\.(.+)\.connection_limit$/

const overloadKeys: ReadonlyMap<string, keyof OverloadLimits> = new Map([
  ['tulle.overload.heap_share_max', 'heapShareMax'],
  ['tulle.overload.heap_share_critical', 'heapShareCritical'],
  ['tulle.overload.buffered_bytes_max', 'bufferedBytesMax'],
  ['tulle.overload.event_loop_delay_ms_max', 'eventLoopDelayMsMax'],
])

export interface RuntimeReading {
  readonly values: RuntimeValues
  /** Keys that nothing here reads. */
  readonly unread: readonly string[]
}

/** Reads the layers in order; a later one wins. Nested objects are keys with dots, as in Envoy. */
export function readRuntime(layers: readonly Readonly<Record<string, unknown>>[]): RuntimeReading {
  const flat = new Map<string, unknown>()
  for (const layer of layers) flatten(layer, '', flat)
  const limits = new Map<string, number>()
  const unread: string[] = []
  const overloadLimits: Partial<Record<keyof OverloadLimits, number>> = {}
  let connectionsMax = 0
  for (const [key, value] of flat) {
    const listener = listenerKey.exec(key)?.[1]
    const limit = overloadKeys.get(key)
    if (limit !== undefined && Number(value) > 0) overloadLimits[limit] = Number(value)
    else if (listener !== undefined) limits.set(listener, Number(value))
    else if (key === globalKey) connectionsMax = Number(value)
    else unread.push(key)
  }
  const listenerConnectionsMax = (name: string): number => limits.get(name) ?? 0
  const values = { connectionsMax, listenerConnectionsMax, overloadLimits }
  return { values, unread }
}

function flatten(value: object, path: string, into: Map<string, unknown>): void {
  for (const [key, inner] of Object.entries(value)) {
    const name = path === '' ? key : `${path}.${key}`
    if (typeof inner === 'object' && inner !== null) flatten(inner as object, name, into)
    else into.set(name, inner)
  }
}
