/**
 * Joins what is declared with what runs, and keeps the result up to date at the price of what changed.
 *
 * ```
 *   declarations ──by host──▶ service          a member's labels ──▶ declarations that select it
 *        │                       │             a selector        ──▶ members that it selects
 *        └──members (sorted)─────┴──▶ endpoints of host|port
 * ```
 *
 * A change marks hosts as dirty; `flush` computes those anew and makes one snapshot. What comes out equal is the
 * same object as before (Service, Endpoint, array of endpoints, whole map), so that readers compare by identity.
 * With 10 000 workloads, one that joins costs its own services' arrays and a copy of one map, not the world.
 */
import { isDeepStrictEqual } from 'node:util'

import { compareText } from '../store/identity.ts'
import type { Declaration } from './declaration.ts'
import { hostEndpoint, isMeshHost } from './declare-service.ts'
import { fixedEndpoint, isUsable, memberEndpoint } from './endpoint.ts'
import type { Member } from './endpoint.ts'
import {
  adHocService,
  compareDeclarations,
  isOverruled,
  joinDeclarations,
  portLike,
} from './join-service.ts'
import { isSelectedBy } from './label.ts'
import type { Labels } from './label.ts'
import { endpointKey, servicesOf } from './service.ts'
import type { Endpoint, RegistrySnapshot, Service, ServicePort, Workload } from './service.ts'

export interface RegistryChange {
  readonly snapshot: RegistrySnapshot
  readonly previous: RegistrySnapshot
  /** Keys of endpoints that changed. */
  readonly endpointKeys: ReadonlySet<string>
  /** Hosts whose service changed, came or went. */
  readonly hostnames: ReadonlySet<string>
  /** Ids of workloads that changed, came or went. */
  readonly workloadIds: ReadonlySet<string>
}

interface Entry {
  readonly declaration: Declaration
  /** Ids of selected members, sorted. */
  readonly members: string[]
}

interface Held {
  readonly member: Member
  readonly entries: Set<Entry>
  /** Endpoints made of it, by the port object of a declaration; they go when the declaration does. */
  readonly endpoints: WeakMap<ServicePort, Endpoint>
}

const emptySnapshot: RegistrySnapshot = {
  revision: 0,
  services: new Map(),
  namesakes: new Map(),
  endpoints: new Map(),
  workloads: new Map(),
}

export class ServiceIndex {
  #snapshot = emptySnapshot
  readonly #entriesByOwner = new Map<string, readonly Entry[]>()
  readonly #entriesByHost = new Map<string, Set<Entry>>()
  /** By namespace and the first label of the selector: a member looks under each of its labels. */
  readonly #entriesByLabel = new Map<string, Set<Entry>>()
  readonly #held = new Map<string, Held>()
  readonly #idsByLabel = new Map<string, Set<string>>()
  readonly #idsByDirectHost = new Map<string, Set<string>>()
  /** Hosts that are another name for a host. */
  readonly #aliases = new Map<string, Set<string>>()
  readonly #dirtyHosts = new Set<string>()
  readonly #dirtyWorkloads = new Set<string>()

  get snapshot(): RegistrySnapshot {
    return this.#snapshot
  }

  /** Hosts with everything that declares them, oldest first. */
  *declared(): Iterable<readonly Declaration[]> {
    for (const host of this.#entriesByHost.keys()) {
      yield this.#ranked(host).map(({ declaration }) => declaration)
    }
  }

  /** Workloads that a declaration selects or that serve its host directly. */
  membersOf(declaration: Declaration): readonly Member[] {
    for (const entry of this.#entriesByHost.get(declaration.hostname) ?? []) {
      if (entry.declaration === declaration) return this.#membersOf(entry)
    }
    return []
  }

  /** Replaces what `owner` (a resource's key) declares. */
  setDeclarations(owner: string, declarations: readonly Declaration[]): void {
    const previous = this.#entriesByOwner.get(owner) ?? []
    for (const entry of previous) this.#removeEntry(entry)
    const entries = declarations.map((declaration) => this.#addEntry(declaration))
    if (entries.length === 0) this.#entriesByOwner.delete(owner)
    else this.#entriesByOwner.set(owner, entries)
  }

  setMember(member: Member): void {
    const { id } = member.workload
    const previous = this.#held.get(id)
    this.#dirtyWorkloads.add(id)
    if (previous !== undefined && isSameForServices(previous.member, member)) {
      this.#held.set(id, { ...previous, member })
      return
    }
    this.removeMember(id)
    const held: Held = { member, entries: new Set(), endpoints: new WeakMap() }
    this.#held.set(id, held)
    for (const key of labelKeys(member.workload)) {
      addTo(this.#idsByLabel, key, id)
      for (const entry of this.#entriesByLabel.get(key) ?? []) {
        if (isSelectedBy(member.workload.labels, entry.declaration.selector ?? {})) {
          this.#connect(entry, held)
        }
      }
    }
    if (member.directHost === undefined) return
    addTo(this.#idsByDirectHost, member.directHost, id)
    this.#dirtyHosts.add(member.directHost)
  }

  removeMember(id: string): void {
    const held = this.#held.get(id)
    if (held === undefined) return
    this.#held.delete(id)
    this.#dirtyWorkloads.add(id)
    for (const key of labelKeys(held.member.workload)) removeFrom(this.#idsByLabel, key, id)
    for (const entry of held.entries) {
      removeSorted(entry.members, id)
      this.#dirtyHosts.add(entry.declaration.hostname)
    }
    const { directHost } = held.member
    if (directHost === undefined) return
    removeFrom(this.#idsByDirectHost, directHost, id)
    this.#dirtyHosts.add(directHost)
  }

  /** Undefined when nothing came out different. */
  flush(): RegistryChange | undefined {
    const previous = this.#snapshot
    const services = new Draft(previous.services)
    const namesakes = new Draft(previous.namesakes)
    const endpoints = new Draft(previous.endpoints)
    const workloads = new Draft(previous.workloads)
    const drafts = { services, namesakes, endpoints }
    for (const host of this.#withAliases(this.#dirtyHosts)) this.#computeHost(host, drafts)
    for (const id of this.#dirtyWorkloads) {
      const workload = this.#held.get(id)?.member.workload
      const known = previous.workloads.get(id)
      workloads.set(id, isDeepStrictEqual(known, workload) ? known : workload)
    }
    this.#dirtyHosts.clear()
    this.#dirtyWorkloads.clear()
    const hostnames = new Set([...services.changed, ...namesakes.changed])
    const changes = hostnames.size + endpoints.changed.size + workloads.changed.size
    if (changes === 0) return undefined
    this.#snapshot = {
      revision: previous.revision + 1,
      services: services.map,
      namesakes: namesakes.map,
      endpoints: endpoints.map,
      workloads: workloads.map,
    }
    return {
      snapshot: this.#snapshot,
      previous,
      endpointKeys: endpoints.changed,
      hostnames,
      workloadIds: workloads.changed,
    }
  }

  #addEntry(declaration: Declaration): Entry {
    const entry: Entry = { declaration, members: [] }
    addTo(this.#entriesByHost, declaration.hostname, entry)
    this.#dirtyHosts.add(declaration.hostname)
    if (declaration.aliasOf !== undefined) {
      addTo(this.#aliases, declaration.aliasOf, declaration.hostname)
    }
    const key = selectorKey(declaration)
    if (key === undefined) return entry
    addTo(this.#entriesByLabel, key, entry)
    for (const id of this.#idsByLabel.get(key) ?? []) {
      const held = this.#held.get(id)
      if (held === undefined) continue
      if (isSelectedBy(held.member.workload.labels, declaration.selector ?? {})) {
        this.#connect(entry, held)
      }
    }
    return entry
  }

  #removeEntry(entry: Entry): void {
    const { declaration } = entry
    removeFrom(this.#entriesByHost, declaration.hostname, entry)
    this.#dirtyHosts.add(declaration.hostname)
    if (declaration.aliasOf !== undefined) {
      removeFrom(this.#aliases, declaration.aliasOf, declaration.hostname)
      this.#dirtyHosts.add(declaration.aliasOf)
    }
    const key = selectorKey(declaration)
    if (key !== undefined) removeFrom(this.#entriesByLabel, key, entry)
    for (const id of entry.members) this.#held.get(id)?.entries.delete(entry)
  }

  #connect(entry: Entry, held: Held): void {
    held.entries.add(entry)
    insertSorted(entry.members, held.member.workload.id)
    this.#dirtyHosts.add(entry.declaration.hostname)
  }

  #ranked(host: string): readonly Entry[] {
    return [...(this.#entriesByHost.get(host) ?? [])].sort((a, b) =>
      compareDeclarations(a.declaration, b.declaration),
    )
  }

  #computeHost(host: string, { services, namesakes, endpoints }: HostDrafts): void {
    const entries = this.#inForce(host)
    const before = servicesOf(this.#snapshot, host)
    const aliases = entries.length === 0 ? [] : this.#aliasesOf(host)
    const made = joinDeclarations(
      entries.map(({ declaration }) => declaration),
      aliases.map((alias) => ({
        host: alias,
        ports: this.#ranked(alias)[0]?.declaration.ports ?? [],
      })),
    )
    const all = made.map(
      (service) => before.find((known) => isDeepStrictEqual(known, service)) ?? service,
    )
    services.set(
      host,
      all.find(({ variant }) => variant === undefined),
    )
    namesakes.set(host, severalOf(all, this.#snapshot.namesakes.get(host)))
    const gone = new Set(before.flatMap(keysOf))
    for (const service of all) {
      for (const port of service.ports) {
        const key = endpointKey(service, port.number)
        const known = this.#snapshot.endpoints.get(key)
        const list = this.#endpointsOf({ entries, service, port }, known ?? [])
        endpoints.set(key, isSameList(known, list) ? known : list)
        gone.delete(key)
      }
    }
    for (const key of gone) endpoints.set(key, undefined)
  }

  /** The declarations of a host that count; an ad-hoc one when nothing else declares it. */
  #inForce(host: string): readonly Entry[] {
    const ranked = this.#ranked(host)
    const own = ranked.filter(({ declaration }) => declaration.aliasOf === undefined)
    if (own.length > 0) {
      const declarations = own.map(({ declaration }) => declaration)
      return own.filter(({ declaration }) => !isOverruled(declaration, declarations))
    }
    const direct = this.#direct(host)
    if (direct.length > 0) return [{ declaration: adHocService(host, direct), members: [] }]
    const [alias] = ranked
    const target = alias && this.targetOf(host)
    if (alias === undefined || target === undefined || target.isService) return []
    if (isMeshHost(target.host)) return []
    const fixed = [hostEndpoint(target.host)]
    return [{ ...alias, declaration: { ...alias.declaration, fixed } }]
  }

  /** Whom a host that is another name means in the end; undefined: it leads back to itself. */
  targetOf(host: string): { readonly host: string; readonly isService: boolean } | undefined {
    const seen = new Set<string>()
    for (let current = host; !seen.has(current);) {
      seen.add(current)
      const ranked = this.#ranked(current)
      const isService =
        ranked.some(({ declaration }) => declaration.aliasOf === undefined) ||
        this.#idsByDirectHost.has(current)
      const next = ranked[0]?.declaration.aliasOf
      if (isService || next === undefined) return { host: current, isService }
      current = next
    }
    return undefined
  }

  /** Sorted. */
  #aliasesOf(host: string): readonly string[] {
    if (this.#aliases.size === 0) return []
    const found = this.#followed([host], (current) => this.#aliases.get(current) ?? [])
    return [...found]
      .filter((alias) => alias !== host && this.targetOf(alias)?.host === host)
      .sort(compareText)
  }

  /** With whom they are another name for, and with other names for them. */
  #withAliases(hosts: ReadonlySet<string>): ReadonlySet<string> {
    if (this.#aliases.size === 0) return hosts
    return this.#followed(hosts, (host) => [
      ...(this.#aliases.get(host) ?? []),
      ...this.#ranked(host).flatMap(({ declaration }) => declaration.aliasOf ?? []),
    ])
  }

  #followed(hosts: Iterable<string>, next: (host: string) => Iterable<string>): Set<string> {
    const found = new Set(hosts)
    // A set that grows while it is walked is walked to its new end.
    for (const host of found) for (const other of next(host)) found.add(other)
    return found
  }

  #direct(host: string): readonly Member[] {
    return [...(this.#idsByDirectHost.get(host) ?? [])]
      .sort(compareText)
      .flatMap((id) => this.#held.get(id)?.member ?? [])
  }

  #membersOf({ declaration, members }: Entry): readonly Member[] {
    const selected = members.flatMap((id) => this.#held.get(id)?.member ?? [])
    const ids = new Set(members)
    const direct = this.#direct(declaration.hostname)
    return [...selected, ...direct.filter(({ workload }) => !ids.has(workload.id))]
  }

  /** Of all declarations of the host in the service's namespace, joined by the name of the port as in Istio. */
  #endpointsOf(
    { entries, service, port }: PortInput,
    known: readonly Endpoint[],
  ): readonly Endpoint[] {
    const made = new Map<string, Endpoint>()
    const knownByAddress = new Map(known.map((endpoint) => [addressKey(endpoint), endpoint]))
    const add = (endpoint: Endpoint): Endpoint => {
      const key = addressKey(endpoint)
      const same = knownByAddress.get(key)
      const shared = same !== undefined && isSameEndpoint(same, endpoint) ? same : endpoint
      if (!made.has(key) && isUsable(shared, service)) made.set(key, shared)
      return shared
    }
    for (const entry of entries) {
      const { namespace, resolution } = entry.declaration
      const own = portLike(entry.declaration, port)
      if (own === undefined || namespace !== service.namespace || resolution === 'none') continue
      this.#addEndpoints(entry, { own, called: port.number }, add)
    }
    return [...made.values()]
  }

  /** Of one declaration's port, for the service port of a number. */
  #addEndpoints(
    entry: Entry,
    { own, called }: { readonly own: ServicePort; readonly called: number },
    add: (endpoint: Endpoint) => Endpoint,
  ): void {
    const { declaration } = entry
    const isSame = own.number === called
    const port = isSame ? own : { ...own, number: called }
    for (const { workload } of this.#membersOf(entry)) {
      const held = this.#held.get(workload.id)
      if (held === undefined) continue
      const endpoint = held.endpoints.get(port) ?? memberEndpoint(held.member, declaration, port)
      if (endpoint !== undefined) held.endpoints.set(port, add(endpoint))
    }
    for (const fixed of declaration.fixed) {
      const endpoint = fixedEndpoint(fixed, declaration, port)
      if (endpoint !== undefined) add(endpoint)
    }
  }
}

interface HostDrafts {
  readonly services: Draft<Service>
  readonly namesakes: Draft<readonly Service[]>
  readonly endpoints: Draft<readonly Endpoint[]>
}

interface PortInput {
  /** Everything that declares the host. */
  readonly entries: readonly Entry[]
  readonly service: Service
  readonly port: ServicePort
}

function keysOf(service: Service): string[] {
  return service.ports.map(({ number }) => endpointKey(service, number))
}

/** Undefined for one alone; the same list as before when it holds the same. */
function severalOf(
  services: readonly Service[],
  before: readonly Service[] | undefined,
): readonly Service[] | undefined {
  if (services.length < 2) return undefined
  const isSame =
    before?.length === services.length && services.every((service, at) => before[at] === service)
  return isSame ? before : services
}

/** A copy of a map that is only made when something is written to it. */
class Draft<Value> {
  readonly changed = new Set<string>()
  readonly #original: ReadonlyMap<string, Value>
  #copy: Map<string, Value> | undefined

  constructor(original: ReadonlyMap<string, Value>) {
    this.#original = original
  }

  get map(): ReadonlyMap<string, Value> {
    return this.#copy ?? this.#original
  }

  /** Undefined takes the key out. */
  set(key: string, value: Value | undefined): void {
    if (this.map.get(key) === value) return
    this.#copy ??= new Map(this.#original)
    if (value === undefined) this.#copy.delete(key)
    else this.#copy.set(key, value)
    this.changed.add(key)
  }
}

function labelKeys({ namespace, labels }: Pick<Workload, 'namespace' | 'labels'>): string[] {
  return Object.entries(labels).map(([key, value]) => `${namespace}\0${key}\0${value}`)
}

function selectorKey({ namespace, selector }: Declaration): string | undefined {
  const [first] = Object.keys(selector ?? {}).sort(compareText)
  if (first === undefined || selector === undefined) return undefined
  return labelKeys({ namespace, labels: { [first]: selector[first] ?? '' } })[0]
}

/** Whether services see no difference: presence and messages do not reach endpoints. */
function isSameForServices(a: Member, b: Member): boolean {
  const visible = ({ workload, ...rest }: Member) => ({
    ...rest,
    workload: { ...workload, presence: undefined, healthMessage: undefined },
  })
  return isDeepStrictEqual(visible(a), visible(b))
}

function addressKey({ address, port }: Endpoint): string {
  return `${address}|${port}`
}

function isSameList(a: readonly Endpoint[] | undefined, b: readonly Endpoint[]): boolean {
  return a?.length === b.length && b.every((endpoint, index) => a[index] === endpoint)
}

function isSameEndpoint(a: Endpoint, b: Endpoint): boolean {
  return a === b || (isSameScalars(a, b) && isSameLabels(a.labels, b.labels))
}

function isSameScalars(a: Endpoint, b: Endpoint): boolean {
  // Both come from the same two functions, which set every field.
  const keys = Object.keys(a) as (keyof Endpoint)[]
  return keys.every((key) => key === 'labels' || a[key] === b[key])
}

function isSameLabels(a: Labels, b: Labels): boolean {
  const keys = Object.keys(a)
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key])
}

function addTo<Value>(map: Map<string, Set<Value>>, key: string, value: Value): void {
  const set = map.get(key)
  if (set === undefined) map.set(key, new Set([value]))
  else set.add(value)
}

function removeFrom<Value>(map: Map<string, Set<Value>>, key: string, value: Value): void {
  const set = map.get(key)
  if (set?.delete(value) === true && set.size === 0) map.delete(key)
}

function positionIn(sorted: readonly string[], id: string): number {
  let [low, high] = [0, sorted.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compareText(sorted[middle] ?? '', id) < 0) low = middle + 1
    else high = middle
  }
  return low
}

function insertSorted(sorted: string[], id: string): void {
  const position = positionIn(sorted, id)
  if (sorted[position] !== id) sorted.splice(position, 0, id)
}

function removeSorted(sorted: string[], id: string): void {
  const position = positionIn(sorted, id)
  if (sorted[position] === id) sorted.splice(position, 1)
}
