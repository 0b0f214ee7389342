/**
 * Hosts of a dynamic forward proxy cluster: found by the authority of the request, resolved once, and kept while they
 * are used (Envoy `common.dynamic_forward_proxy.v3.DnsCacheConfig`).
 *
 * Ceilings: `hostsMax` names (1024), because the names come from clients, and `pendingMax` requests that wait for an
 * answer (1024). What goes beyond fails like a name that does not resolve. A host that nobody asked for during `hostTtlMs`
 * is dropped. A name whose address changed gets a new host; the last good address stays while look-ups fail. Other addresses
 * of the name are tried where there is no connection to the first.
 */
import type { Timer } from '../../lib/clock.ts'
import type { DnsCacheConfig } from '../config/cluster-config.ts'
import { addressText, isIp } from '../config/message-value.ts'
import type { Host } from '../upstream/host.ts'
import type { WireAddress } from '../wire/wire.ts'
import { type DnsScope, ipAddress } from './dns-endpoints.ts'
import type { LiveHost, ResolvedEndpoint } from './live-host.ts'
import { NameWatch } from './name-watch.ts'

type Done = (host: Host | undefined) => void

export interface ForwardProxyCacheOptions {
  readonly config: DnsCacheConfig
  readonly scope: DnsScope
  /** A name for the sidecar itself fails like one that does not resolve: its request would go round for ever. */
  readonly leadsBack: (address: WireAddress) => boolean
  readonly createHost: (endpoint: ResolvedEndpoint) => LiveHost
  readonly onHostsChanged: (hosts: readonly LiveHost[], removed: readonly LiveHost[]) => void
}

interface Entry {
  readonly key: string
  readonly host: string
  readonly port: number
  live: LiveHost | undefined
  /** The last good answer; the host's own among them. */
  addresses: readonly string[]
  waiting: Done[]
  watch: NameWatch | undefined
  usedAtMs: number
  answered: boolean
}

export class ForwardProxyCache {
  readonly #options: ForwardProxyCacheOptions
  readonly #entries = new Map<string, Entry>()
  #config: DnsCacheConfig
  #pending = 0
  #sweep: Timer | undefined

  constructor(options: ForwardProxyCacheOptions) {
    this.#options = options
    this.#config = options.config
  }

  /** Names already known keep the refresh rate that they were found with. */
  configure(config: DnsCacheConfig): void {
    this.#config = config
  }

  /** `done` may be called before this returns when the host is known. */
  readonly resolveHost = (authority: string, done: Done): void => {
    const target = splitAuthority(authority, this.#config.defaultPort)
    if (target === undefined) return done(undefined)
    const key = `${target.host}:${target.port}`
    const entry = this.#entries.get(key) ?? this.#open(key, target)
    if (entry === undefined) return done(undefined)
    entry.usedAtMs = this.#options.scope.clock.monotonicMs()
    if (entry.live !== undefined || entry.answered) return done(this.#hostOf(entry))
    if (this.#pending >= this.#config.pendingMax) return done(undefined)
    this.#wait(entry, done)
  }

  close(): void {
    this.#sweep?.cancel()
    for (const entry of this.#entries.values()) {
      entry.watch?.close()
      this.#answer(entry)
    }
    this.#entries.clear()
  }

  #wait(entry: Entry, done: Done): void {
    this.#pending += 1
    const timer = this.#options.scope.clock.setTimer(this.#config.queryTimeoutMs, () => {
      entry.waiting = entry.waiting.filter((other) => other !== answer)
      answer(undefined)
    })
    const answer: Done = (host) => {
      timer.cancel()
      this.#pending -= 1
      done(host)
    }
    entry.waiting.push(answer)
  }

  #open(key: string, target: { host: string; port: number }): Entry | undefined {
    if (this.#entries.size >= this.#config.hostsMax) {
      this.#options.scope.log.warn({ authority: key }, 'too many names in the DNS cache')
      return undefined
    }
    const { scope } = this.#options
    const usedAtMs = scope.clock.monotonicMs()
    const blank = { live: undefined, addresses: [], waiting: [], watch: undefined, answered: false }
    const entry: Entry = { key, ...target, ...blank, usedAtMs }
    this.#entries.set(key, entry)
    if (isIp(target.host)) {
      this.#take(entry, [target.host])
    } else {
      const { clock, random, resolve } = scope
      const onAnswer = (addresses: readonly string[] | undefined): void =>
        this.#take(entry, addresses)
      const name = target.host
      entry.watch = new NameWatch({ name, dns: this.#config, resolve, clock, random, onAnswer })
    }
    this.#armSweep()
    return entry
  }

  #take(entry: Entry, addresses: readonly string[] | undefined): void {
    const current = entry.live?.address
    const isKept =
      addresses === undefined || (current?.kind === 'ip' && addresses.includes(current.address))
    const address = isKept ? undefined : addresses[0]
    if (address !== undefined) {
      const replaced = entry.live
      entry.live = this.#options.createHost(endpointOf(entry, address))
      this.#publish(replaced === undefined ? [] : [replaced])
    }
    if (addresses !== undefined && addresses.length > 0) entry.addresses = addresses
    entry.answered = true
    this.#answer(entry)
    // A name that has never resolved is not kept: the next request asks again.
    if (entry.live === undefined) this.#drop(entry)
  }

  #answer(entry: Entry): void {
    const { waiting } = entry
    entry.waiting = []
    const host = this.#hostOf(entry)
    for (const done of waiting) done(host)
  }

  /** Asked each time: a listener may have come since the name was resolved. */
  #hostOf({ key, live, addresses, port }: Entry): Host | undefined {
    if (live === undefined) return undefined
    const { leadsBack, scope } = this.#options
    if (leadsBack(live.address)) {
      scope.log.warn({ authority: key }, 'a request for this proxy itself is refused')
      return undefined
    }
    const others = addresses.length > 1 ? addresses : []
    live.otherAddresses = others
      .map((address) => ipAddress(address, port))
      .filter((one) => addressText(one) !== live.addressText && !leadsBack(one))
    return live
  }

  #drop(entry: Entry): void {
    entry.watch?.close()
    this.#entries.delete(entry.key)
  }

  #publish(removed: readonly LiveHost[]): void {
    const hosts = [...this.#entries.values()].flatMap((entry) => entry.live ?? [])
    this.#options.onHostsChanged(hosts, removed)
  }

  #armSweep(): void {
    this.#sweep ??= this.#options.scope.clock.setTimer(this.#config.hostTtlMs, () => {
      this.#sweep = undefined
      this.#removeUnused()
      if (this.#entries.size > 0) this.#armSweep()
    })
  }

  #removeUnused(): void {
    const before = this.#options.scope.clock.monotonicMs() - this.#config.hostTtlMs
    const removed: LiveHost[] = []
    for (const entry of this.#entries.values()) {
      if (entry.usedAtMs > before || entry.waiting.length > 0) continue
      this.#drop(entry)
      if (entry.live !== undefined) removed.push(entry.live)
    }
    if (removed.length > 0) this.#publish(removed)
  }
}

/** Host and port of an authority; the scheme's port when there is none. */
export function splitAuthority(
  authority: string,
  defaultPort = 80,
): { host: string; port: number } | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/i.exec(authority)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3] ?? defaultPort)
  if (host === undefined || port < 1 || port > 65_535) return undefined
  return { host, port }
}

function endpointOf(entry: Entry, address: string): ResolvedEndpoint {
  return {
    address: ipAddress(address, entry.port),
    hostname: entry.host,
    weight: 1,
    health: 'healthy',
    healthStatus: 'HEALTHY',
    metadata: {
      workload: '',
      namespace: '',
      canonicalName: '',
      canonicalRevision: '',
      cluster: '',
      tlsMode: undefined,
    },
    locality: { region: '', zone: '', subZone: '' },
    priority: 0,
    localityWeight: 0,
  }
}
