/**
 * What a health check asks a host, behind one small interface: probes move bytes and say what came of it; host-check.ts
 * decides what that means.
 */
import type { Clock } from '../../lib/clock.ts'
import type { Random } from '../../lib/random.ts'
import type { RequestHead } from '../http/message.ts'
import type { Http2Options } from '../http2/settings.ts'
import type { Http2Stats } from '../telemetry/cluster-stats.ts'
import type { LogSource } from '../telemetry/log-source.ts'
import type { Host } from '../upstream/host.ts'
import type { ConnectOptions, Connector, WireAddress, WireTransport } from '../wire/wire.ts'

export type ProbeOutcome =
  | { readonly kind: 'pass'; readonly isDegraded: boolean }
  /**
   * The host answered, and not as it should. `isRetriable`: it is counted instead of believed at once. `isExcluding`:
   * it said that it goes. `status`: by HTTP; otherwise 0.
   */
  | {
      readonly kind: 'fail'
      readonly isRetriable: boolean
      readonly isExcluding: boolean
      readonly status: number
    }
  /** It could not be reached, or the connection ended without an answer. */
  | { readonly kind: 'network' }

export interface Probe {
  /** Asks once; `done` is told once, unless it is given up before. Never called while one is under way. */
  check(done: (outcome: ProbeOutcome) => void): void
  /** The check's time is over: nobody is told any more. */
  giveUp(): void
  /** Ends the connection that it may have kept. */
  close(): void
}

export interface ProbeTarget {
  readonly host: Host
  readonly address: WireAddress
  /** Of the same endpoint; absent: none. */
  readonly otherAddresses?: readonly WireAddress[]
  /** What the endpoint says that checks of it are addressed to; empty: nothing. */
  readonly hostname: string
  readonly clusterName: string
  readonly reusesConnection: boolean
  readonly timeoutMs: number
  readonly http2: Http2Options
  /** Asked for each connection; undefined: plaintext. */
  readonly transport: (version: 'http1' | 'http2' | 'tcp') => WireTransport | undefined
  /** The service check's counter `verify_cluster`. */
  readonly onVerify: () => void
  readonly http2Stats: () => Http2Stats
  /** A kept connection of a TCP check ended between two checks. */
  readonly onLost: () => void
}

export interface ProbeScope {
  readonly clock: Clock
  readonly random: Random
  readonly connector: Connector
}

/**
 * What formats in a check's headers can be asked about. There is no client: as in Envoy, the loopback address stands for
 * it, and for the listener.
 */
export function checkSource(head: RequestHead, target: ProbeTarget, clock: Clock): LogSource {
  return {
    request: head,
    startMs: clock.nowMs(),
    host: target.host,
    downstreamLocalAddress: nobody,
    downstreamRemoteAddress: nobody,
  }
}

const nobody = '127.0.0.1:0'

/** Of a connection to the endpoint; the check's own time is over before that of the connection. */
export function checkConnectOptions(target: ProbeTarget, version: ProbeVersion): ConnectOptions {
  const { address, otherAddresses = [], timeoutMs, transport } = target
  return {
    address,
    ...(otherAddresses.length > 0 && { otherAddresses }),
    connectTimeoutMs: timeoutMs + 1_000,
    transport: transport(version),
  }
}

type ProbeVersion = Parameters<ProbeTarget['transport']>[0]

/** Whom a check is addressed to: the endpoint's own word goes first, then the check's, then the cluster's name. */
export function authorityOf(configured: string, target: ProbeTarget): string {
  return target.hostname || configured || target.clusterName
}
