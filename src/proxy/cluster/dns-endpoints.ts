/**
 * The endpoints of a STRICT_DNS or LOGICAL_DNS cluster: every name of its assignment is watched, and every answer
 * gives the cluster its whole new list. STRICT_DNS takes all addresses of a name; LOGICAL_DNS one, which it keeps while
 * it is still among the answers, so that connections are not given up for an order that changed.
 */
import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import type { Random } from '../../lib/random.ts'
import type { ClusterConfig } from '../config/cluster-config.ts'
import type { Endpoint } from '../config/compile-endpoints.ts'
import { isIp } from '../config/message-value.ts'
import type { ResolvedEndpoint, ResolvedList } from './live-host.ts'
import { NameWatch } from './name-watch.ts'
import type { Resolve } from './resolver.ts'

export interface DnsScope {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly resolve: Resolve
}

export interface DnsEndpointsOptions {
  readonly config: ClusterConfig
  readonly scope: DnsScope
  /** The whole list, after every answer. */
  readonly onEndpoints: (list: ResolvedList) => void
  /** Every name has been answered once, well or badly: the cluster is warm. */
  readonly onWarm: () => void
}

interface Watched {
  readonly endpoint: Endpoint
  addresses: readonly string[]
  answered: boolean
}

export class DnsEndpoints {
  readonly #options: DnsEndpointsOptions
  readonly #watched: Watched[] = []
  readonly #watches: NameWatch[] = []
  #isWarm = false

  constructor(options: DnsEndpointsOptions) {
    this.#options = options
    for (const endpoint of options.config.endpoints?.endpoints ?? []) this.#watch(endpoint)
    this.#publish()
  }

  close(): void {
    for (const watch of this.#watches) watch.close()
  }

  #watch(endpoint: Endpoint): void {
    const entry: Watched = { endpoint, addresses: [], answered: false }
    this.#watched.push(entry)
    const { target } = endpoint
    if (target.kind === 'address' || isIp(target.host)) {
      entry.answered = true
      if (target.kind === 'name') entry.addresses = [target.host]
      return
    }
    const { clock, random, resolve, log } = this.#options.scope
    const onAnswer = (addresses: readonly string[] | undefined, message: string): void => {
      entry.answered = true
      if (addresses !== undefined) entry.addresses = this.#choose(entry, addresses)
      else log.warn({ name: target.host, message }, 'name not resolved, the last good answer stays')
      this.#publish()
    }
    const { dns } = this.#options.config
    this.#watches.push(new NameWatch({ name: target.host, dns, resolve, clock, random, onAnswer }))
  }

  #choose(entry: Watched, addresses: readonly string[]): readonly string[] {
    if (this.#options.config.type === 'strict-dns') return addresses
    // Envoy: a name without addresses takes those of STRICT_DNS away, and leaves LOGICAL_DNS its last one.
    if (addresses.length === 0) return entry.addresses
    const current = entry.addresses[0]
    if (current !== undefined && addresses.includes(current)) return entry.addresses
    return addresses.slice(0, 1)
  }

  #publish(): void {
    const overprovisioningPercent = this.#options.config.endpoints?.overprovisioningPercent ?? 140
    const endpoints = this.#watched.flatMap(resolved)
    this.#options.onEndpoints({ endpoints, overprovisioningPercent })
    if (this.#isWarm || !this.#watched.every((entry) => entry.answered)) return
    this.#isWarm = true
    this.#options.onWarm()
  }
}

function resolved(entry: Watched): readonly ResolvedEndpoint[] {
  const { target, ...rest } = entry.endpoint
  if (target.kind === 'address') return [{ ...rest, address: target.address }]
  return entry.addresses.map((address) => ({
    ...rest,
    address: { kind: 'ip', address, port: target.port },
  }))
}
