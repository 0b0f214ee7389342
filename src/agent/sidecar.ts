/** The two things beside an application that the agent opens and closes: the relay and the sidecar. */
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { Random } from '../lib/random.ts'
import type { IdentityEvent, WorkloadIdentity } from './identity/workload-identity.ts'
import type { Reaper } from './process/reaper.ts'
import type { WorkloadAddresses, WorkloadPlan } from './workload-plan.ts'

/** Stands in the middle of the sidecar's ADS stream, joins the mesh for it and carries health. */
export interface WorkloadRelay extends AsyncDisposable {
  /** Where the sidecar connects: `127.0.0.1:port` or `unix:/path`. */
  readonly address: string
  reportHealth(isHealthy: boolean, message: string): void
}

export interface OpenIdentityOptions {
  readonly plan: WorkloadPlan
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly onEvent: (event: IdentityEvent) => void
  /** Aborted: no longer wait for a certificate. */
  readonly signal: AbortSignal
}

/** Undefined for a plan without one. Resolves when there is a certificate. */
export type OpenIdentity = (options: OpenIdentityOptions) => Promise<WorkloadIdentity | undefined>

export interface OpenRelayOptions {
  readonly plan: WorkloadPlan
  /** Undefined: plaintext. */
  readonly identity: WorkloadIdentity | undefined
  readonly log: Log
  readonly clock: Clock
  readonly random: Random
  /** Of the sidecar that will stand beside it. */
  readonly adminAddress: string
  /** The workload has been told to end: it is not ready any more. */
  readonly isEnding: () => boolean
  /** Somebody asks for another sidecar (WorkloadSidecar.upgrade). */
  readonly upgrade: (command: readonly string[]) => Promise<void>
}

export type OpenRelay = (options: OpenRelayOptions) => Promise<WorkloadRelay>

/** Our proxy in this process, one in a process of its own that has taken over from it, or an Envoy beside it. */
export interface WorkloadSidecar extends AsyncDisposable {
  /**
   * Another process takes over from it: `command` starts a `tulle` of whatever version. Resolves when it serves; rejects
   * with the reason why it does not, and then nothing has changed.
   */
  upgrade(command: readonly string[]): Promise<void>
}

export interface OpenSidecarOptions {
  readonly plan: WorkloadPlan
  readonly addresses: WorkloadAddresses
  readonly bootstrapFile: string
  readonly bootstrap: Readonly<Record<string, unknown>>
  /** Environment of this process. */
  readonly env: Readonly<Record<string, string | undefined>>
  readonly log: Log
  readonly clock: Clock
  readonly random: Random
  readonly reaper: Reaper
  /** It has ended by itself. */
  readonly onFailure: (error: Error) => void
}

export type OpenSidecar = (options: OpenSidecarOptions) => Promise<WorkloadSidecar>
