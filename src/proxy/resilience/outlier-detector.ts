/**
 * Ejects hosts that answer badly (Envoy `cluster.OutlierDetection`). Fed with the end of every attempt;
 * consecutive counts act at once, intervals un-eject and judge success rates.
 */
import type { HeaderList } from '../http/header-list.ts'
import type { EjectionKind } from '../telemetry/cluster-stats.ts'
import type { Host } from '../upstream/host.ts'

/** What an attempt said about its host. A local-origin failure never produced a response. */
export type HostOutcome =
  | { readonly kind: 'response'; readonly status: number }
  | { readonly kind: 'local-failure'; readonly reason: 'connect-failure' | 'timeout' | 'reset' }
  /**
   * The host could be reached. `isFinal`: nothing more will be said about this attempt, because no response follows
   * (TCP); it then counts as a good answer.
   */
  | { readonly kind: 'connected'; readonly isFinal?: boolean }

/** Whether a response is an error of its host, where the status alone does not say it. */
export type ResponseTest = (headers: HeaderList, status: number) => boolean

/** Envoy `cluster.OutlierDetection` with every default filled in: percents are whole, 0 never fires or enforces. */
export interface OutlierSettings {
  readonly intervalMs: number
  readonly baseEjectionTimeMs: number
  readonly maxEjectionTimeMs: number
  readonly maxEjectionTimeJitterMs: number
  readonly maxEjectionPercent: number
  readonly alwaysEjectOneHost: boolean
  readonly splitExternalLocalOriginErrors: boolean
  readonly consecutive5xx: number
  readonly enforcingConsecutive5xx: number
  readonly consecutiveGatewayFailure: number
  readonly enforcingConsecutiveGatewayFailure: number
  readonly consecutiveLocalOriginFailure: number
  readonly enforcingConsecutiveLocalOriginFailure: number
  readonly enforcingSuccessRate: number
  readonly enforcingLocalOriginSuccessRate: number
  readonly successRateMinimumHosts: number
  readonly successRateRequestVolume: number
  /** In thousandths. */
  readonly successRateStdevFactor: number
  readonly failurePercentageThreshold: number
  readonly enforcingFailurePercentage: number
  readonly enforcingFailurePercentageLocalOrigin: number
  readonly failurePercentageMinimumHosts: number
  readonly failurePercentageRequestVolume: number
  /** A host that passes an active check comes back at once. */
  readonly checksUneject: boolean
}

/** What admin /clusters and `tulle proxy-config endpoints` show of a host. */
export interface OutlierState {
  readonly isEjected: boolean
  /** Until the ejection's time is over; the next sweep then ends it. 0 when not ejected. */
  readonly ejectionRemainingMs: number
  readonly ejections: number
  /** The factor of the base time: grows with each ejection, shrinks with each healthy interval. */
  readonly ejectionsInARow: number
  readonly consecutive5xx: number
  readonly consecutiveGatewayFailure: number
  readonly consecutiveLocalOriginFailure: number
  /** Percent in the last interval; -1 when there was not enough traffic to say. */
  readonly successRate: number
  readonly localOriginSuccessRate: number
}

/** What a host's rate was compared with; -1 where too few hosts had enough traffic. */
export interface RateThreshold {
  readonly average: number
  readonly threshold: number
}

export interface OutlierEvent {
  readonly action: 'eject' | 'uneject'
  readonly host: Host
  /** Why; undefined for the end of an ejection. */
  readonly reason: EjectionKind | undefined
  /** False: seen, and spared by its enforcing percentage. */
  readonly enforced: boolean
  /** Of the host, this one among them if it is enforced. */
  readonly ejections: number
  /** Since the host came back last, or, of the end of an ejection, since it began; undefined: never. */
  readonly sinceLastMs: number | undefined
  /** Of a judgement over an interval: the host's success rate, and what it was compared with. */
  readonly rate: (RateThreshold & { readonly host: number }) | undefined
}

/** Average success rates and the thresholds of the last interval. */
export interface OutlierAverages {
  readonly external: RateThreshold
  readonly local: RateThreshold
}

export interface OutlierDetector {
  report(host: Host, outcome: HostOutcome): void
  /** An active health check of the host has passed. */
  onCheckPassed(host: Host): void
  /** Hosts of the cluster changed; state of the ones that stay is kept. */
  update(hosts: readonly Host[]): void
  /** New settings; counts and ejections stay. */
  configure(settings: OutlierSettings): void
  averages(): OutlierAverages
  /** Undefined for a host that the cluster does not have. */
  state(host: Host): OutlierState | undefined
  /** Ends all ejections (outlier detection was removed from the cluster) and the sweep. */
  close(): void
}
