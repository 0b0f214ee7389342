/**
 * Connections to upstream hosts: for each host, TLS identity and version of HTTP a pool of its own, because a
 * connection is never used for a request that needs another one.
 */
import type { Clock } from '../../lib/clock.ts'
import type { Random } from '../../lib/random.ts'
import { HeaderNames } from '../http1/header-names.ts'
import type { HeldBytes } from '../http2/stream.ts'
import type { CopyBuffers } from '../wire/copy-buffer.ts'
import type { Connector, WireTransport } from '../wire/wire.ts'
import type { Cluster } from './cluster.ts'
import type { HostPool, StreamWaiter } from './host-pool.ts'
import type { Host } from './host.ts'
import { Http1HostPool } from './http1-host-pool.ts'
import { Http2HostPool } from './http2-host-pool.ts'

export interface UpstreamPoolsOptions {
  readonly clock: Clock
  readonly random: Random
  readonly connector: Connector
  /** Counts what paused streams hold. */
  readonly held: HeldBytes
  /** Memory for what cannot leave at once. */
  readonly copies: CopyBuffers
}

export class UpstreamPools {
  readonly #options: UpstreamPoolsOptions
  readonly #byHost = new WeakMap<Host, HostPool>()
  readonly #http2ByHost = new WeakMap<Host, HostPool>()
  /** By TLS identity, which says what is spoken too. */
  readonly #secureByHost = new WeakMap<Host, Map<string, HostPool>>()
  /** Pools that hold something, so that `close` finds them and nothing else is kept alive. */
  readonly #live = new Set<HostPool>()
  readonly #names = new HeaderNames()
  #isClosed = false

  constructor(options: UpstreamPoolsOptions) {
    this.#options = options
  }

  /** Asks for a stream to `host`. */
  request(cluster: Cluster, host: Host, waiter: StreamWaiter): void {
    const { authority = '', downstream } = waiter
    const version = versionOf(cluster, waiter)
    const transport = cluster.transportOf?.(host, { kind: 'http', authority, version, downstream })
    let pool: HostPool | undefined
    if (transport !== undefined) pool = this.#secureByHost.get(host)?.get(transport.key)
    else pool = (version === 'http1' ? this.#byHost : this.#http2ByHost).get(host)
    pool ??= this.#open({ cluster, host, transport, version })
    pool.request(cluster, waiter, this.#isClosed)
  }

  /** Gives up waiting for a stream. */
  cancel(host: Host, waiter: StreamWaiter): void {
    for (const pool of this.#poolsOf(host)) pool.cancel(waiter)
  }

  /** The host left its cluster: idle connections end now, busy ones after their response. */
  drainHost(host: Host): void {
    for (const pool of this.#poolsOf(host)) pool.drain()
  }

  /** Ends every idle connection and stops pooling; busy ones end after their response. */
  close(): void {
    this.#isClosed = true
    for (const pool of this.#live) pool.drain()
  }

  #open({ cluster, host, transport, version }: PoolTarget): HostPool {
    const options = {
      ...this.#options,
      host,
      cluster,
      transport,
      names: this.#names,
      onLive: (live: HostPool, isLive: boolean) => {
        if (isLive) this.#live.add(live)
        else this.#live.delete(live)
      },
    }
    const pool = version === 'http1' ? new Http1HostPool(options) : new Http2HostPool(options)
    if (transport === undefined) {
      const byHost = version === 'http1' ? this.#byHost : this.#http2ByHost
      byHost.set(host, pool)
      return pool
    }
    let pools = this.#secureByHost.get(host)
    if (pools === undefined) this.#secureByHost.set(host, (pools = new Map()))
    this.#makeRoom(pools)
    pools.set(transport.key, pool)
    return pool
  }

  /** Names may come from clients: the pool that was made first ends when there are too many. */
  #makeRoom(pools: Map<string, HostPool>): void {
    for (const [key, pool] of pools) {
      if (pools.size < securePoolsPerHostMax) return
      if (pool.hasWaiters) continue
      pools.delete(key)
      pool.drain()
    }
  }

  #poolsOf(host: Host): readonly HostPool[] {
    const plain = [this.#byHost.get(host), this.#http2ByHost.get(host)]
    const secure = [...(this.#secureByHost.get(host)?.values() ?? [])]
    return [...plain.filter((pool) => pool !== undefined), ...secure]
  }
}

interface PoolTarget {
  readonly cluster: Cluster
  readonly host: Host
  readonly transport: WireTransport | undefined
  readonly version: 'http1' | 'http2'
}

function versionOf({ protocol }: Cluster, waiter: StreamWaiter): 'http1' | 'http2' {
  if (protocol !== 'use-downstream') return protocol
  return waiter.protocol === 'HTTP/2' ? 'http2' : 'http1'
}

const securePoolsPerHostMax = 64
