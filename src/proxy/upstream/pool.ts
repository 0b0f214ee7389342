/**
 * Signatures first; see below.
 */
import type { Clock } from '../../lib/clock.ts'
import type { Connector } from '../wire/wire.ts'
import type { Host } from './host.ts'

export interface UpstreamPoolsOptions {
  readonly clock: Clock
  readonly connector: Connector
}

export declare class UpstreamPools {
  constructor(options: UpstreamPoolsOptions)
  /** The host left its cluster: idle connections end now, busy ones after their response. */
  drainHost(host: Host): void
  /** Ends every idle connection and stops pooling; busy ones end after their response. */
  close(): void
}
