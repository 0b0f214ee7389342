/**
 * The endpoints of a STRICT_DNS or LOGICAL_DNS cluster: every name of its assignment is watched, and every answer that
 * changes something gives the cluster its whole new list.
 *
 * STRICT_DNS makes an endpoint of each address of a name. LOGICAL_DNS makes one of them all: it connects to the first, and
 * to the others where that fails. The first stays while it is still among the answers, so that connections are not given
 * up for an order that changed.
 */
import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import type { Random } from '../../lib/random.ts'
import type { ClusterConfig } from '../config/cluster-config.ts'
import type { Endpoint } from '../config/compile-endpoints.ts'
import { isIp } from '../config/message-value.ts'
import type { DnsStats } from '../telemetry/cluster-stats.ts'
import type { WireAddress } from '../wire/wire.ts'
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
  /** Become the endpoints' own. */
  readonly stats: DnsStats
  /** Whether there is time for every name, because endpoints from before serve meanwhile. */
  readonly waitsForAll: boolean
  /** The whole list, after every answer. */
  readonly onEndpoints: (list: ResolvedList) => void
  /** There is an address, or every name has been answered once: the cluster need not wait any more. */
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
    this.#warm()
  }

  close(): void {
    for (const watch of this.#watches) watch.close()
    this.#options.stats.close()
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
    const { scope, config, stats } = this.#options
    const { clock, random, resolve, log } = scope
    const onAnswer = (addresses: readonly string[] | undefined, message: string): void => {
      entry.answered = true
      const before = entry.addresses
      if (addresses !== undefined) entry.addresses = this.#choose(before, addresses)
      else log.warn({ name: target.host, message }, 'name not resolved, the last good answer stays')
      const isChange = entry.addresses !== before
      const outcome = addresses === undefined ? stats.failure : stats.success
      outcome.add(1)
      if (addresses !== undefined && !isChange) stats.noRebuild.add(1)
      if (isChange) this.#publish()
      this.#warm()
    }
    const onAsk = (): void => stats.attempt.add(1)
    // Envoy: a name without addresses takes those of STRICT_DNS away; to LOGICAL_DNS it is one that was not resolved.
    const takesNone = config.type === 'strict-dns'
    const { dns } = config
    const name = target.host
    this.#watches.push(
      new NameWatch({ name, dns, takesNone, resolve, clock, random, onAsk, onAnswer }),
    )
  }

  /** Another order is not a change: `before` itself stays. */
  #choose(before: readonly string[], addresses: readonly string[]): readonly string[] {
    if (isSameSet(before, addresses)) return before
    const [current] = before
    const isKept = current !== undefined && addresses.includes(current)
    if (this.#options.config.type === 'strict-dns' || !isKept) return addresses
    return [current, ...addresses.filter((address) => address !== current)]
  }

  #publish(): void {
    const { type, endpoints: list } = this.#options.config
    const resolve = type === 'strict-dns' ? eachAddress : allAddresses
    this.#options.onEndpoints({
      endpoints: this.#watched.flatMap(resolve),
      overprovisioningPercent: list?.overprovisioningPercent ?? 140,
    })
  }

  #warm(): void {
    if (this.#isWarm) return
    const isSome = this.#watched.some(({ addresses, endpoint }) => {
      return addresses.length > 0 || endpoint.target.kind === 'address'
    })
    const isEnough = isSome && !this.#options.waitsForAll
    if (!isEnough && !this.#watched.every((entry) => entry.answered)) return
    this.#isWarm = true
    this.#options.onWarm()
  }
}

function isSameSet(before: readonly string[], now: readonly string[]): boolean {
  return before.length === now.length && before.every((address) => now.includes(address))
}

/** One endpoint for each address. */
function eachAddress({ endpoint, addresses }: Watched): readonly ResolvedEndpoint[] {
  const { target, ...rest } = endpoint
  if (target.kind === 'address') return [{ ...rest, address: target.address }]
  return addresses.map((address) => ({ ...rest, address: ipAddress(address, target.port) }))
}

/** One endpoint that has them all. */
function allAddresses(watched: Watched): readonly ResolvedEndpoint[] {
  const [first, ...others] = eachAddress(watched)
  return first === undefined
    ? []
    : [{ ...first, otherAddresses: others.map(({ address }) => address) }]
}

export function ipAddress(address: string, port: number): WireAddress {
  return { kind: 'ip', address, port }
}
