/**
 * Streams of secrets (SDS) to static clusters, usually one, to the agent's socket: opened when a listener or a cluster names
 * a secret there, and closed when none does any more. Envoy has a stream for each secret; the protocol is the same.
 */
import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import type { Random } from '../../lib/random.ts'
import { AdsClient, type AdsUpdate } from '../../xds/ads-client.ts'
import type { Node } from '../../xds/proto/generated/envoy/config/core/v3/base.ts'
import { typeUrls } from '../../xds/resource-set.ts'
import type { StatScope, StatsRegistry } from '../telemetry/stats-registry.ts'
import type { WantedSecret } from '../tls/secret-store.ts'
import { targetText } from './ads-session.ts'
import type { AdsAddress } from './bootstrap.ts'
import type { Rejection } from './data-plane.ts'
import type { ResourceStore } from './resource-store.ts'

const paths = {
  sotw: '/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets',
  delta: '/envoy.service.secret.v3.SecretDiscoveryService/DeltaSecrets',
}

export interface SdsSessionsOptions {
  readonly servers: ReadonlyMap<string, AdsAddress>
  readonly node: Node
  readonly store: ResourceStore
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly stats: StatsRegistry
}

export class SdsSessions {
  readonly #options: SdsSessionsOptions
  readonly #scope: StatScope
  readonly #clients = new Map<string, AdsClient>()

  constructor(options: SdsSessionsOptions) {
    this.#options = options
    this.#scope = options.stats.scope({ path: 'sds', metric: 'envoy_sds', labels: [] })
  }

  want(wanted: readonly WantedSecret[]): void {
    const byServer = new Map<string, { names: string[]; isDelta: boolean }>()
    for (const { name, origin } of wanted) {
      if (origin.kind !== 'sds') continue
      const known = byServer.get(origin.cluster)
      if (known === undefined) {
        byServer.set(origin.cluster, { names: [name], isDelta: origin.isDelta })
      } else known.names.push(name)
    }
    for (const [server, { names, isDelta }] of byServer) {
      const client = this.#clients.get(server) ?? this.#open(server, isDelta)
      client?.subscribe(typeUrls.secret, names)
    }
    for (const [server, client] of this.#clients) {
      if (byServer.has(server)) continue
      client.close()
      this.#clients.delete(server)
    }
    const names = wanted.map(({ name }) => name)
    this.#options.store.keepOnly(typeUrls.secret, names)
  }

  close(): void {
    for (const client of this.#clients.values()) client.close()
    this.#clients.clear()
    this.#scope.close()
  }

  /** The compiler has refused names of clusters that are not there. */
  #open(server: string, isDelta: boolean): AdsClient | undefined {
    const { servers, node, clock, random, log } = this.#options
    const address = servers.get(server)
    if (address === undefined) return undefined
    const client = new AdsClient({
      target: targetText(address),
      variant: isDelta ? 'delta' : 'sotw',
      paths,
      node,
      authority: server,
      clock,
      random,
      log,
      events: { onUpdate: (update) => this.#take(update) },
    })
    this.#clients.set(server, client)
    return client
  }

  async #take(update: AdsUpdate): Promise<readonly Rejection[]> {
    const { typeUrl, resources } = update
    // A secret that is taken away stays in use until nobody names it: traffic never stops for it.
    const rejected = await this.#options.store.update(
      { typeUrl, resources, removed: [] },
      'dynamic',
    )
    const outcome = rejected.length === 0 ? 'update_success' : 'update_rejected'
    this.#scope.counter(outcome).add(1)
    return rejected
  }
}
