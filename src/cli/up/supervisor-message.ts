/** What the processes of a mesh tell `tulle up` over the IPC channel; JSON both ways. */
import type { WorkloadEvent } from '../../agent/run-workload.ts'

/** From `tulle control-plane`. */
export interface ControlPlaneReady {
  readonly event: 'control-plane-ready'
  /** `http://127.0.0.1:15014` */
  readonly api: string
  /** `127.0.0.1:15010` */
  readonly xds: string
}

export type SupervisorMessage = ControlPlaneReady | WorkloadEvent
