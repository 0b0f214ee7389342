/** What the main thread and a worker tell each other; all of it can be cloned, and bytes lie in shared memory. */
import type { LogFields } from '../../lib/log.ts'
import type { BootstrapText } from '../config/bootstrap-text.ts'
import type {
  ApplyResult,
  CertificateStatus,
  DataPlaneProgress,
  DataPlaneStatus,
  DrainRequest,
  Rejection,
  WantedNames,
} from '../config/data-plane.ts'
import type { ResourceBatch } from '../config/resource-batch.ts'
import type { OverloadLimits } from '../overload/overload-plan.ts'
import type { OutlierMessage } from '../resilience/outlier-share.ts'
import type { SlotBuffers } from '../telemetry/shared-slots.ts'
import type { WireKind } from '../wire/choose-wire.ts'
import type { WireAddress } from '../wire/wire.ts'
import type { StatsChange } from './worker-stats.ts'

/** What a worker is started with. */
export interface WorkerSetup {
  /** From 1; 0 is the main thread. */
  readonly thread: number
  readonly slots: SlotBuffers
  readonly bootstrap: BootstrapText
  readonly hostname: string
  readonly drainTimeMs: number
  readonly wire: WireKind
  readonly overload: Partial<OverloadLimits>
  readonly logLevel: string
}

/** Questions to a worker, by name: what goes in and what comes out. */
export interface WorkerCalls {
  apply: { readonly input: ResourceBatch; readonly output: ApplyResult }
  status: { readonly input: undefined; readonly output: DataPlaneStatus }
  progress: { readonly input: undefined; readonly output: DataPlaneProgress }
  certificates: { readonly input: undefined; readonly output: readonly CertificateStatus[] }
  drain: { readonly input: DrainRequest; readonly output: undefined }
  release: { readonly input: undefined; readonly output: undefined }
  close: { readonly input: undefined; readonly output: undefined }
}

export type WorkerCall = keyof WorkerCalls

export type ToWorker =
  | {
      readonly kind: 'call'
      readonly id: number
      readonly name: WorkerCall
      readonly input: WorkerCalls[WorkerCall]['input']
    }
  | { readonly kind: 'listening'; readonly id: number; readonly result: ListenResult }
  | { readonly kind: 'connection'; readonly listener: string; readonly descriptor: number }
  /** The worker has left the listener, and no connection of it comes any more. */
  | { readonly kind: 'unlistened'; readonly listener: string }
  | { readonly kind: 'outlier'; readonly message: OutlierMessage }
  | { readonly kind: 'reopen-logs' }
  | { readonly kind: 'reset-counters' }
  | { readonly kind: 'fail-health-check'; readonly isFailing: boolean }

export type ListenResult =
  | { readonly ok: true; readonly address: WireAddress }
  | { readonly ok: false; readonly message: string }

export type FromWorker =
  | { readonly kind: 'ready' }
  | {
      readonly kind: 'answer'
      readonly id: number
      readonly output: WorkerCalls[WorkerCall]['output']
    }
  | { readonly kind: 'wanted'; readonly wanted: WantedNames }
  | { readonly kind: 'change' }
  | { readonly kind: 'listener-failed'; readonly failure: Rejection }
  | {
      readonly kind: 'listen'
      readonly id: number
      readonly listener: string
      readonly address: WireAddress
    }
  | { readonly kind: 'unlisten'; readonly listener: string }
  | { readonly kind: 'outlier'; readonly message: OutlierMessage }
  | { readonly kind: 'stats'; readonly change: StatsChange }
  | {
      readonly kind: 'log'
      readonly level: 'debug' | 'info' | 'warn' | 'error'
      readonly fields: LogFields
      readonly message: string
    }
