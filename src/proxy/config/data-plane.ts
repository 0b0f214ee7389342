/**
 * The boundary between the main thread, which talks xDS, and what carries traffic.
 *
 * Everything that crosses it can be sent to a worker: batches hold bytes in shared memory, answers and states are plain
 * data. With `--concurrency 1` the data plane lives in the main thread behind the same interface
 * (local-data-plane.ts); the main thread acknowledges to the control plane when every data plane has answered.
 */
import type { DrainOptions } from '../listener/drain.ts'
import type { OutlierAverages } from '../resilience/outlier-detector.ts'
import type { WantedSecret } from '../tls/secret-store.ts'
import type { ActiveHealth } from '../upstream/host.ts'
import type { WireAddress } from '../wire/wire.ts'
import type { ResourceBatch } from './resource-batch.ts'

export interface Rejection {
  readonly name: string
  /** Every reason, each with its field, joined by `; `. */
  readonly reason: string
}

export interface ApplyResult {
  /** What was refused; everything else of the batch is in force. */
  readonly rejected: readonly Rejection[]
}

/** Names that the data plane must be told about: those that its clusters and listeners refer to. */
export interface WantedNames {
  readonly endpoint: readonly string[]
  readonly route: readonly string[]
  readonly secret: readonly WantedSecret[]
  readonly onDemand: DemandedNames
}

/** What requests ask for as they come (on-demand-hosts.ts). */
export interface DemandedNames {
  /** Route configurations whose virtual hosts come on demand. */
  readonly routes: readonly string[]
  /** `<route configuration>/<authority>` */
  readonly hosts: readonly string[]
  readonly clusters: readonly string[]
}

export const nothingDemanded: DemandedNames = { routes: [], hosts: [], clusters: [] }

export interface DataPlaneEvents {
  /** The wanted names have changed. */
  onWanted(wanted: WantedNames): void
  /** A cluster or listener has begun to serve, or stopped. */
  onChange(): void
  /** A listener that was accepted could not be opened when its routes had come. */
  onListenerFailed(failure: Rejection): void
}

export interface DataPlane {
  /** Somebody carries traffic with all that is in force. */
  readonly isServing: boolean
  /** Compiles and swaps in; resolves when it is in force (or warming), and never rejects for a bad resource. */
  apply(batch: ResourceBatch): Promise<ApplyResult>
  /** Everything, host by host. */
  status(): Promise<DataPlaneStatus>
  progress(): Promise<DataPlaneProgress>
  /** The sidecar ends: listeners stop accepting and end their connections within the deadline. */
  drain(options: DrainRequest): Promise<void>
  /** What it listens on, by `socketKey`. */
  descriptors(): Promise<ReadonlyMap<string, number>>
  /** Another process listens on all of it: nothing more is accepted, and what is open goes on. */
  release(): Promise<void>
  /** Responses close their connection for as long as it fails its health checks. */
  failHealthCheck(isFailing: boolean): void
  /** Every certificate in use, with its authorities; no keys. */
  certificates(): Promise<readonly CertificateStatus[]>
  /** Log files are opened again: whoever rotates them has moved them. */
  reopenLogs(): void
  close(): Promise<void>
}

export interface DrainRequest extends DrainOptions {
  /** Listeners whose `traffic_direction` is INBOUND only. */
  readonly inboundOnly: boolean
}

/** What start-up waits for; cheap, whatever the number of clusters. */
export interface DataPlaneProgress {
  readonly clustersWarm: boolean
  readonly listenersWarm: boolean
  readonly wanted: WantedNames
}

export interface DataPlaneStatus extends DataPlaneProgress {
  readonly clusters: readonly ClusterStatus[]
  readonly warmingClusters: readonly string[]
  readonly listeners: readonly ListenerStatus[]
  readonly warmingListeners: readonly string[]
}

/** One TLS context: its own chain and the authorities that it trusts. */
export interface CertificateStatus {
  readonly chain: readonly CertificateEntry[]
  readonly authorities: readonly CertificateEntry[]
}

export interface CertificateEntry {
  readonly path: string
  readonly serial: string
  readonly dns: readonly string[]
  readonly uris: readonly string[]
  readonly ips: readonly string[]
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

export interface ListenerStatus {
  readonly name: string
  readonly address: WireAddress
  readonly trafficDirection: 'inbound' | 'outbound' | 'unspecified'
  readonly connectionsActive: number
  readonly overflowTotal: number
  /** RDS resource, if it uses one. */
  readonly routeName: string | undefined
}

export interface ClusterStatus {
  readonly name: string
  readonly type: string
  readonly edsName: string | undefined
  readonly limits: {
    readonly connectionsMax: number
    readonly pendingMax: number
    readonly requestsMax: number
    readonly retriesMax: number
  }
  /** Of the last interval; undefined without outlier detection. */
  readonly averages: OutlierAverages | undefined
  readonly hosts: readonly HostStatus[]
}

export interface HostStatus {
  readonly address: WireAddress
  readonly addressText: string
  readonly hostname: string
  readonly weight: number
  readonly locality: { readonly region: string; readonly zone: string; readonly subZone: string }
  /** Envoy's word for the health in EDS. */
  readonly edsHealth: string
  /** What active checks say; undefined: it is not checked. */
  readonly active: ActiveHealth | undefined
  /** It left its source, and is kept because its checks pass. */
  readonly isPendingRemoval: boolean
  readonly priority: number
  readonly isEjected: boolean
  /** Percent in the last interval, or -1. */
  readonly successRate: number
  readonly localOriginSuccessRate: number
  readonly ejectionRemainingMs: number
  readonly ejectionsInARow: number
  readonly consecutive5xx: number
  readonly consecutiveGatewayFailure: number
  readonly stats: HostCounts
}

export interface HostCounts {
  readonly cx_active: number
  readonly cx_connect_fail: number
  readonly cx_total: number
  readonly rq_active: number
  readonly rq_error: number
  readonly rq_success: number
  readonly rq_timeout: number
  readonly rq_total: number
}
