/**
 * What every connection of one sidecar shares: time, chance, the log, clusters, pools and limits.
 *
 * Made once by the composition root (sidecar.ts) and passed down by argument; nothing here is global, so one
 * process can hold many sidecars. Listeners, exchanges and tunnels read it; only config/ changes `clusters`.
 */
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { describeError } from '../lib/mesh-error.ts'
import type { Random } from '../lib/random.ts'
import { HiddenClasses } from './hidden-classes.ts'
import { InternalListeners } from './listener/internal-listener.ts'
import { Overload, type OverloadGauges } from './listener/overload.ts'
import { RefusalLog } from './tls/refusal-log.ts'
import type { ClusterSet } from './upstream/cluster.ts'
import { UpstreamPools } from './upstream/pool.ts'
import { createConnector } from './wire/connector.ts'
import { FlushTurn } from './wire/flush-turn.ts'
import { HandleWires } from './wire/handle-wire.ts'
import type { HandleInternals } from './wire/node-handle.ts'
import { ReadBuffer } from './wire/read-buffer.ts'
import type { Connector } from './wire/wire.ts'

export interface ProxyRuntime {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly clusters: ClusterSet
  readonly connector: Connector
  readonly pools: UpstreamPools
  /** Listeners of this process that are reached by name (Envoy internal addresses). */
  readonly internalListeners: InternalListeners
  readonly overload: Overload
  /** Whether somebody said that the sidecar is to fail its health checks (POST /healthcheck/fail). */
  readonly health: { isFailing: boolean }
  /** Log lines about refused TLS connections, rate limited. */
  readonly refusals: RefusalLog
  /** Collects what one turn of the event loop writes; every wire of the runtime shares it. */
  readonly turn: FlushTurn
  /** What accepted sockets read into; undefined gives each read its own memory. */
  readonly acceptBuffer: ReadBuffer | undefined
  readonly hiddenClasses: HiddenClasses
  /** Takes connected sockets over; undefined leaves them to `net`. */
  readonly handles: HandleWires | undefined
  /** Unique within the process, from 1: `%CONNECTION_ID%`. */
  nextConnectionId(): number
}

export interface ProxyRuntimeOptions {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly clusters: ClusterSet
  /** Ceiling of open downstream connections over all listeners; 0 or absent = none. */
  readonly connectionsMax?: number
  /** What all threads of the process share; absent: there is one. */
  readonly overloadGauges?: OverloadGauges
  /** Shared with the TLS of clusters; one of its own unless given. */
  readonly refusals?: RefusalLog
  /** False keeps accepted sockets off Node's internals (wire/shared-read.ts); true unless set. */
  readonly sharesAcceptedReads?: boolean
  /** What wires on libuv's handles stand on (wire/choose-wire.ts); undefined keeps to `net`. */
  readonly handles?: HandleInternals | undefined
}

export function createProxyRuntime(options: ProxyRuntimeOptions): ProxyRuntime {
  const { random, log, clusters } = options
  const overload = new Overload({
    connectionsMax: options.connectionsMax ?? 0,
    random,
    ...(options.overloadGauges && { gauges: options.overloadGauges }),
  })
  const turn = new FlushTurn(
    (error) => log.error({ error: describeError(error) }, 'connection lost by a bug'),
    overload,
  )
  const clock = turn.cache(options.clock)
  const readBuffer = new ReadBuffer()
  const internalListeners = new InternalListeners(turn)
  const handles =
    options.handles === undefined ? undefined : new HandleWires(options.handles, turn, readBuffer)
  const connector = createConnector({ clock, turn, readBuffer, handles, internalListeners })
  const refusals = options.refusals ?? new RefusalLog(clock, log)
  const pools = new UpstreamPools({ clock, random, connector, held: overload, copies: turn.copies })
  let connections = 0
  return {
    clock,
    random,
    log,
    clusters,
    connector,
    pools,
    internalListeners,
    overload,
    health: { isFailing: false },
    refusals,
    turn,
    hiddenClasses: new HiddenClasses(),
    handles,
    acceptBuffer: options.sharesAcceptedReads === false ? undefined : readBuffer,
    nextConnectionId: () => ++connections,
  }
}
