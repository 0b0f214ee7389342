/**
 * The way back from a change of input to the hosts whose translation it can change.
 *
 * | what changed | clusters | endpoints | virtual hosts |
 * | --- | --- | --- | --- |
 * | a service | its own, and of those with the same workloads | its own | its own; those that route to it; those whose names or addresses it shares |
 * | endpoints of a port | its own, when resolved by DNS, when some take no mTLS, or when the inferred subsets or the identities change | its own | – |
 * | a VirtualService | of destinations, when the subsets that are named change | as clusters | of its hosts |
 * | a DestinationRule | of the hosts it covers | as clusters | as clusters, and those that route to them |
 * | labels of a workload | – | – | – (its own part) |
 * | a Sidecar | when its ports take something else since | – | – (other scope classes; what they see anew is worked on) |
 * | a PeerAuthentication | as endpoints | of endpoints that take mTLS since, or no more | – |
 * | an injected fault | – | – | of its host; the own parts of workloads |
 * | the mesh's settings, the set of selectors, whether anything routes by zone | everything | everything | everything |
 *
 * Marking too much costs time; marking too little is wrong. The property test compares with a full run.
 */
import { isDeepStrictEqual } from 'node:util'

import type { Steps } from '../lib/steps.ts'
import {
  allServices,
  endpointKey,
  hostOfEndpointKey,
  servicesOf,
  type Service,
} from '../registry/service.ts'
import { takesStreams } from './between-sidecars.ts'
import { calledHost } from './called-host.ts'
import type { MergedRule } from './destination-rule-index.ts'
import { isCoveredBy, isWildcard } from './host-name.ts'
import { identitiesOf } from './identity.ts'
import { isSameEntry, type VirtualService } from './virtual-service-index.ts'
import {
  endpointsOf,
  isSameServices,
  namedSubsets,
  servedKey,
  takesMtls,
  versionsOf,
  type World,
} from './world.ts'

export interface Dirty {
  readonly everything: boolean
  readonly clusters: ReadonlySet<string>
  readonly endpoints: ReadonlySet<string>
  readonly virtualHosts: ReadonlySet<string>
  /** Whether hosts that only VirtualServices know have to be looked at again. */
  readonly unregistered: boolean
  /** Whether the own parts of workloads have to be looked at again, with nothing else changed. */
  readonly workloads: boolean
}

class Marks implements Dirty {
  everything = false
  unregistered = false
  workloads = false
  readonly clusters = new Set<string>()
  readonly endpoints = new Set<string>()
  readonly virtualHosts = new Set<string>()
  readonly #names = new Map<World, Set<string>>()

  /** Hosts of which others may claim a name or an address. */
  namesOf(world: World): Set<string> {
    let names = this.#names.get(world)
    if (names === undefined) this.#names.set(world, (names = new Set()))
    return names
  }
}

export function everythingDirty(): Dirty {
  const marks = new Marks()
  marks.everything = true
  marks.unregistered = true
  return marks
}

export function* compareWorlds(before: World, after: World): Steps<Dirty> {
  const marks = new Marks()
  if (
    !isSame(before.input.mesh, after.input.mesh) ||
    !isSameKeys(before.selectors, after.selectors) ||
    !isSame(before.placeLabels, after.placeLabels) ||
    before.routesByZone !== after.routesByZone
  ) {
    return everythingDirty()
  }
  for (const mark of [
    markServices,
    markEndpoints,
    markVirtualServices,
    markRules,
    markPeerAuthentications,
    markSidecars,
    markWorkloads,
    markFaults,
  ]) {
    mark(marks, before, after)
    yield
  }
  for (const world of [before, after]) {
    markNamesakes(marks, world, marks.namesOf(world))
    yield
  }
  return marks
}

function isSameKeys(
  before: ReadonlyMap<string, unknown>,
  after: ReadonlyMap<string, unknown>,
): boolean {
  return before === after || isDeepStrictEqual([...before.keys()], [...after.keys()])
}

/** Nothing at all changed that the translation reads. */
export function isClean(dirty: Dirty): boolean {
  return (
    !dirty.everything &&
    !dirty.unregistered &&
    !dirty.workloads &&
    dirty.clusters.size + dirty.endpoints.size + dirty.virtualHosts.size === 0
  )
}

function markServices(marks: Marks, before: World, after: World): void {
  const old = before.input.registry
  const now = after.input.registry
  if (isSameServices(old, now)) return
  const changed = new Set<string>()
  for (const host of new Set([...old.services.keys(), ...now.services.keys()])) {
    const isSameHere =
      isSame(old.services.get(host), now.services.get(host)) &&
      isSame(old.namesakes.get(host), now.namesakes.get(host))
    if (isSameHere) continue
    changed.add(host)
    marks.clusters.add(host)
    marks.endpoints.add(host)
    marks.virtualHosts.add(host)
    marks.unregistered = true
    for (const world of [before, after]) {
      markRoutesTo(marks, world, host)
      markSharers(marks, world, host)
      marks.namesOf(world).add(host)
    }
  }
  for (const world of [before, after]) markHostsBeside(marks, world, changed)
}

/** Hosts of a VirtualService that are no services are on the ports of those beside them. */
function markHostsBeside(marks: Marks, world: World, changed: ReadonlySet<string>): void {
  for (const entry of world.virtualServices.all) {
    const { hosts } = entry
    if (hosts.length > 1 && hosts.some((host) => changed.has(host))) {
      markHostsOf(marks, world, entry)
    }
  }
}

/** Services that could claim a name or an address of one of these hosts: one pass, however many they are. */
function markNamesakes(marks: Marks, world: World, hosts: ReadonlySet<string>): void {
  if (hosts.size === 0) return
  const { registry } = world.input
  const addresses = new Set<string>()
  for (const host of hosts) {
    for (const service of servicesOf(registry, host)) {
      for (const address of service.addresses) addresses.add(address)
    }
  }
  for (const service of allServices(registry)) {
    const { hostname } = service
    const isSharing = addresses.size > 0 && service.addresses.some((one) => addresses.has(one))
    const others = [...service.addresses, ...(service.aliases ?? [])]
    const isNamesake = [hostname, ...others].some((name) => hasPrefixIn(name, hosts))
    const isTaken = others.some((name) => hosts.has(name))
    if (isSharing || isNamesake || isTaken) marks.virtualHosts.add(hostname)
  }
}

/** Whether a name begins with one of the hosts and a dot. */
function hasPrefixIn(name: string, hosts: ReadonlySet<string>): boolean {
  for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
    if (hosts.has(name.slice(0, dot))) return true
  }
  return false
}

function markEndpoints(marks: Marks, before: World, after: World): void {
  const old = before.input.registry.endpoints
  const now = after.input.registry.endpoints
  if (old === now) return
  for (const key of new Set([...old.keys(), ...now.keys()])) {
    if (isSame(old.get(key), now.get(key))) continue
    const host = hostOfEndpointKey(key)
    marks.endpoints.add(host)
    for (const world of [before, after]) markSharers(marks, world, host)
    const number = Number(key.slice(key.lastIndexOf('|') + 1))
    const service = servicesOf(after.input.registry, host).find(
      (one) => endpointKey(one, number) === key,
    )
    if (service === undefined) continue
    const isInferring = namedSubsets(after, service).size > 0
    const versionsChanged =
      isInferring && !isDeepStrictEqual(versionsOf(before, service), versionsOf(after, service))
    const changesCluster =
      service.resolution !== 'static' ||
      versionsChanged ||
      mayChangeHop([before, after], service, number) ||
      !isDeepStrictEqual(identitiesOf(before, service), identitiesOf(after, service))
    if (changesCluster) marks.clusters.add(host)
  }
}

/** Whether a cluster of the port, be it of a subset, may lead from sidecar to sidecar since, or no more. */
function mayChangeHop(worlds: readonly World[], service: Service, number: number): boolean {
  const port = service.ports.find((candidate) => candidate.number === number)
  if (port?.protocol !== 'http') return false
  return worlds.some((world) =>
    endpointsOf(world, service, port).some((endpoint) => !takesStreams(world, port, endpoint)),
  )
}

/** Services that mean a port of the same workload: what its sidecar takes the port for may have changed. */
function markSharers(marks: Marks, world: World, host: string): void {
  const endpoints = servicesOf(world.input.registry, host).flatMap((service) =>
    service.ports.flatMap((port) => endpointsOf(world, service, port)),
  )
  for (const endpoint of endpoints) {
    const key = servedKey(endpoint)
    const sharers = (key === undefined ? undefined : world.served.get(key)) ?? []
    if (sharers.length < 2) continue
    for (const sharer of sharers) marks.clusters.add(sharer.service.hostname)
  }
}

function markVirtualServices(marks: Marks, before: World, after: World): void {
  if (before.virtualServices === after.virtualServices) return
  const old = new Map(before.virtualServices.all.map((entry) => [entry.resource, entry]))
  const now = new Map(after.virtualServices.all.map((entry) => [entry.resource, entry]))
  for (const [world, entries, others] of [
    [before, old, now],
    [after, now, old],
  ] as const) {
    for (const [resource, entry] of entries) {
      const other = others.get(resource)
      if (other !== undefined && isSameEntry(other, entry)) continue
      marks.unregistered = true
      markHostsOf(marks, world, entry)
      markHostsOf(marks, world === before ? after : before, entry)
    }
  }
  for (const host of new Set([
    ...before.subsetReferences.keys(),
    ...after.subsetReferences.keys(),
  ])) {
    if (!isSame(before.subsetReferences.get(host), after.subsetReferences.get(host))) {
      for (const called of [calledHost(before, host), calledHost(after, host)]) {
        marks.clusters.add(called)
        marks.endpoints.add(called)
      }
    }
  }
}

function markRules(marks: Marks, before: World, after: World): void {
  if (before.destinationRules === after.destinationRules) return
  const old = new Set(before.destinationRules.all)
  const now = new Set(after.destinationRules.all)
  const changed = [...old].filter((rule) => !now.has(rule))
  for (const rule of [...changed, ...[...now].filter((rule) => !old.has(rule))]) {
    markCovered(marks, before, rule)
    markCovered(marks, after, rule)
  }
}

function markPeerAuthentications(marks: Marks, before: World, after: World): void {
  const old = before.peerAuthentications
  const now = after.peerAuthentications
  if (old === now || isSameList(old.all, now.all)) return
  marks.workloads = true
  for (const service of allServices(after.input.registry)) {
    for (const port of service.ports) {
      const isChanged = endpointsOf(after, service, port).some(
        (endpoint) => takesMtls(before, port, endpoint) !== takesMtls(after, port, endpoint),
      )
      if (!isChanged) continue
      marks.endpoints.add(service.hostname)
      marks.clusters.add(service.hostname)
    }
  }
}

function markFaults(marks: Marks, before: World, after: World): void {
  const old = before.input.faults ?? []
  const now = after.input.faults ?? []
  if (old === now) return
  const changed = [
    ...old.filter((fault) => !now.includes(fault)),
    ...now.filter((fault) => !old.includes(fault)),
  ]
  if (changed.length === 0) return
  marks.unregistered = true
  marks.workloads = true
  for (const { host } of changed) marks.virtualHosts.add(host)
}

/** Another Sidecar is another scope class, with a state of its own. For others it says what a port takes. */
function markSidecars(marks: Marks, before: World, after: World): void {
  if (isSameList(before.sidecars.all, after.sidecars.all)) return
  marks.workloads = true
  for (const service of allServices(after.input.registry)) {
    const isChanged = service.ports.some((port) =>
      endpointsOf(after, service, port).some(
        (endpoint) => takesStreams(before, port, endpoint) !== takesStreams(after, port, endpoint),
      ),
    )
    if (isChanged) marks.clusters.add(service.hostname)
  }
}

/** Labels that a workload has from its group decide which policies and rules are its own. */
function markWorkloads(marks: Marks, before: World, after: World): void {
  const old = before.input.registry.workloads
  const now = after.input.registry.workloads
  if (old === now || marks.workloads) return
  for (const [id, workload] of now) {
    const known = old.get(id)
    const isSamePlace = known?.locality === workload.locality && known.network === workload.network
    if (known === workload || (isSamePlace && isSame(known.labels, workload.labels))) continue
    marks.workloads = true
    return
  }
}

function isSameList(left: readonly unknown[], right: readonly unknown[]): boolean {
  return left.length === right.length && left.every((member, index) => member === right[index])
}

function markCovered(marks: Marks, world: World, rule: MergedRule): void {
  for (const host of coveredHosts(world, rule.host)) {
    marks.clusters.add(host)
    marks.endpoints.add(host)
    marks.virtualHosts.add(host)
  }
  // Routes hash as the rule of their destination says, be it a service or not.
  for (const host of world.virtualServicesTo.keys()) {
    const called = calledHost(world, host)
    if (isCoveredBy(called, rule.host)) markRoutesTo(marks, world, called)
  }
}

/** Virtual hosts whose routes lead to a host, by whichever of its names. */
function markRoutesTo(marks: Marks, world: World, host: string): void {
  const names = new Set([host])
  for (const { aliases = [] } of servicesOf(world.input.registry, host)) {
    for (const alias of aliases) names.add(alias)
  }
  for (const name of names) {
    for (const entry of world.virtualServicesTo.get(name) ?? []) {
      marks.unregistered = true
      markHostsOf(marks, world, entry)
    }
  }
}

function markHostsOf(marks: Marks, world: World, entry: VirtualService): void {
  for (const host of entry.hosts) {
    for (const covered of coveredHosts(world, host)) marks.virtualHosts.add(covered)
    marks.namesOf(world).add(host)
  }
}

function coveredHosts(world: World, host: string): readonly string[] {
  if (!isWildcard(host)) return [host]
  const { services } = world.input.registry
  return [...services.keys()].filter((name) => isCoveredBy(name, host))
}

function isSame(left: unknown, right: unknown): boolean {
  return left === right || isDeepStrictEqual(left, right)
}
