/** What a listener and the connections that it accepted know of each other. */
import type { Placed } from '../../lib/roster.ts'
import type { RequestIds } from '../exchange-request-id.ts'
import type { DateHeader } from '../http/date-header.ts'
import type { HeaderNames } from '../http1/header-names.ts'
import type { ProxyRuntime } from '../runtime.ts'
import type { ListenerConfig } from './listener-config.ts'

export interface OpenConnection extends Placed {
  /** Ends when nothing is in flight; a TCP connection only at the deadline. */
  closeWhenIdle(): void
  destroy(): void
}

export interface ConnectionHost {
  readonly runtime: ProxyRuntime
  readonly config: ListenerConfig
  readonly names: HeaderNames
  readonly requestIds: RequestIds
  readonly dates: DateHeader
  /** Whether a response that is about to start should be its connection's last. */
  wantsClose(): boolean
  onConnectionClose(connection: OpenConnection): void
}
