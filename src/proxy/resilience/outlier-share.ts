/**
 * How the outlier detectors of several threads are one: they count together, and one thread decides for all of them, as
 * Envoy's main thread does.
 *
 * | message | from | to | when |
 * | --- | --- | --- | --- |
 * | `fired` | whoever counted | the leader | a host has failed so often in a row |
 * | `verdict` | the leader | all others | a host is ejected, or comes back |
 * | `ask` | a detector that has just been made | the leader | it answers by the ejections that hold |
 * | `reset` | the main thread | all | the leader has died: nobody would end its ejections, so all come back |
 */
import type { EjectionKind } from '../telemetry/cluster-stats.ts'
import type { HostTally } from './host-tally.ts'

export type OutlierMessage =
  | {
      readonly kind: 'fired'
      readonly cluster: string
      readonly host: string
      readonly reasons: readonly EjectionKind[]
    }
  | {
      readonly kind: 'verdict'
      readonly cluster: string
      readonly host: string
      readonly isEjected: boolean
      readonly jitterMs: number
    }
  | { readonly kind: 'ask'; readonly cluster: string }
  | { readonly kind: 'reset'; readonly cluster?: undefined }

export interface OutlierShare {
  /** Decides, and ends ejections. */
  readonly isLeader: boolean
  tallyOf(cluster: string, host: string): HostTally
  /** To the leader, or from the leader to all others. */
  send(message: OutlierMessage): void
  /** Until the returned function is called. */
  listen(cluster: string, onMessage: (message: OutlierMessage) => void): () => void
}
