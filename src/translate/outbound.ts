/**
 * The shared part of what clients get: everything outbound of one scope class, kept by host and brought up to
 * date host by host. A new state is built beside the one that is published, and takes its place at the end.
 */
import { isDeepStrictEqual } from 'node:util'

import type { Steps } from '../lib/steps.ts'
import type { Service } from '../registry/service.ts'
import type { EncodedResource } from '../xds/resource-set.ts'
import type { Dirty } from './dirty.ts'
import {
  placeKey,
  serviceRules,
  translateAssignments,
  translateClusters,
  translateUnregistered,
  translateVirtualHosts,
  tunnelsOf,
  virtualHostInputs,
  type PartInput,
} from './host-part.ts'
import type { Imports } from './import-cache.ts'
import { httpProxyName } from './outbound-listener.ts'
import { keyOfHeaders, withHeaders } from './proxy-header.ts'
import {
  encodeRouteConfiguration,
  encodeVirtualHost,
  type EncodedVirtualHost,
} from './route-configuration.ts'
import type { Scope } from './scope.ts'
import { namesOf } from './service-name.ts'
import type { SharedParts } from './shared-parts.ts'
import { outboundPolicyOf } from './sidecar-index.ts'
import { translateSystemClusters } from './system-cluster.ts'
import type { Tunnel } from './tunnel.ts'
import { catchAllVirtualHost } from './virtual-host.ts'
import { isUnregistered, visibleService, type World } from './world.ts'

type ResourceMap = ReadonlyMap<string, EncodedResource>

interface HostPart {
  readonly clusters: readonly EncodedResource[]
  readonly endpoints: readonly EncodedResource[]
  readonly virtualHosts: readonly EncodedVirtualHost[]
  readonly tunnels: readonly Tunnel[]
}

/** Immutable. A map that did not change is the same object as before. */
export interface OutboundState {
  readonly scope: Scope
  readonly parts: ReadonlyMap<string, HostPart>
  readonly unregistered: ReadonlyMap<string, readonly EncodedVirtualHost[]>
  readonly clusters: ResourceMap
  readonly endpoints: ResourceMap
  readonly routes: ResourceMap
  /** Of all hosts; each client has a listener for each. */
  readonly tunnels: readonly Tunnel[]
  /** Where a Sidecar says what is seen. */
  readonly imports: Imports | undefined
}

export interface OutboundInput {
  readonly world: World
  readonly scope: Scope
  readonly dirty: Dirty
  readonly shared: SharedParts
  readonly previous: OutboundState | undefined
}

const empty: HostPart = { clusters: [], endpoints: [], virtualHosts: [], tunnels: [] }

/** Yields after each host that it worked on, so that a long run can be done in slices. */
export function* translateOutbound(input: OutboundInput): Steps<OutboundState> {
  const { world, scope, dirty, previous } = input
  const before = dirty.everything ? undefined : previous
  const parts = new Map(before?.parts)
  const changed = before === undefined ? undefined : new Set<string>()
  const { imports, moved, hosts } = workOf(input, before)
  for (const host of hosts) {
    const known = moved.has(host) ? undefined : before?.parts.get(host)
    place(parts, host, translateHost(input, host, known))
    changed?.add(host)
    yield
  }
  const isKept = !dirty.unregistered && moved.size === 0
  const unregistered = unregisteredOf(world, scope, isKept ? before : undefined)
  yield
  const state = { world, scope, parts, unregistered }
  const clusters = mapOf('clusters', state, { previous, changed })
  yield
  const endpoints = mapOf('endpoints', state, { previous, changed })
  yield
  const routes = routesOf(state, { previous, changed })
  yield
  const tunnels = tunnelsIn(parts, previous?.tunnels)
  return { scope, parts, unregistered, clusters, endpoints, routes, tunnels, imports }
}

function place(parts: Map<string, HostPart>, host: string, part: HostPart | undefined): void {
  if (part === undefined) parts.delete(host)
  else parts.set(host, part)
}

/** What is seen, what came into sight or went out of it, and the hosts to look at. */
function workOf({ world, scope, dirty }: OutboundInput, before: OutboundState | undefined) {
  const imports = world.imports.of(scope)
  if (before === undefined) {
    const hosts = (imports ?? world.input.registry).services.keys()
    return { imports, moved: noHosts, hosts }
  }
  const moved = withNamesakes({ world, scope, dirty }, differing(before.imports, imports))
  return { imports, moved, hosts: new Set([...dirtyHosts(dirty), ...moved]) }
}

const noHosts: ReadonlySet<string> = new Set()

/** With services of which names come or go with what moved. Those beside what changed by itself are marked already. */
function withNamesakes(
  { world, scope, dirty }: Pick<OutboundInput, 'world' | 'scope' | 'dirty'>,
  moved: ReadonlySet<string>,
): ReadonlySet<string> {
  const names = new Set([...moved].filter((host) => !dirty.virtualHosts.has(host)))
  if (names.size === 0) return moved
  for (const { hosts } of world.imports.virtualServices(scope).all) {
    if (hosts.some((host) => names.has(host))) for (const host of hosts) names.add(host)
  }
  const services = [...(world.imports.of(scope)?.services.values() ?? [])]
  const namesakes = services.filter((service) =>
    namesOf(service, scope.namespace).some((name) => names.has(name)),
  )
  return new Set([...moved, ...namesakes.map(({ hostname }) => hostname)])
}

/** Hosts that came into sight, went out of it, or look otherwise. */
function differing(
  before: OutboundState['imports'],
  now: OutboundState['imports'],
): ReadonlySet<string> {
  if (before === undefined || now === undefined || before === now) return noHosts
  const hosts = new Set([...before.services.keys(), ...now.services.keys()])
  const isSame = (host: string): boolean =>
    before.services.get(host) === now.services.get(host) &&
    before.named.get(host) === now.named.get(host)
  return new Set([...hosts].filter((host) => !isSame(host)))
}

function dirtyHosts({ clusters, endpoints, virtualHosts }: Dirty): Set<string> {
  return new Set([...clusters, ...endpoints, ...virtualHosts])
}

function translateHost(
  input: OutboundInput,
  host: string,
  before: HostPart | undefined,
): HostPart | undefined {
  const { world, scope, dirty, shared } = input
  const service = visibleService(world, scope, host)
  if (service === undefined) return undefined
  const known = before ?? empty
  const needs = (hosts: ReadonlySet<string>) => before === undefined || hosts.has(host)
  const rules = serviceRules(world, scope, service)
  const part: PartInput = { world, scope, service, ...rules }
  const inferred = rules.inferred.map(({ name }) => name).join()
  const routed = routedPart(input, service, { known, isDirty: needs(dirty.virtualHosts) })
  const own = [scope.kind, scope.systemRoots, scope.dnsFamily, keyOfHeaders(scope.headers)]
  const byRule = [service, rules.rule, inferred, ...own, placeKey(part)]
  return {
    clusters: needs(dirty.clusters)
      ? shared.take('clusters', { host, inputs: byRule }, () => translateClusters(part))
      : known.clusters,
    endpoints: needs(dirty.endpoints)
      ? shared.take('endpoints', { host, inputs: byRule }, () => translateAssignments(part))
      : known.endpoints,
    virtualHosts: routed.virtualHosts,
    tunnels: routed.tunnels,
  }
}

/** What clients call the service by. One that only routes lead to is not called by its name. */
function routedPart(
  { world, scope, shared }: OutboundInput,
  reachable: Service,
  { known, isDirty }: { readonly known: HostPart; readonly isDirty: boolean },
): Pick<HostPart, 'virtualHosts' | 'tunnels'> {
  if (!isDirty) return known
  const { hostname: host } = reachable
  const imports = world.imports.of(scope)
  const service = imports === undefined ? reachable : imports.named.get(host)
  if (service === undefined) return empty
  const inputs = virtualHostInputs(world, scope, service)
  return {
    virtualHosts: shared.take('virtualHosts', { host, inputs }, () =>
      translateVirtualHosts(world, scope, service),
    ),
    tunnels: tunnelsOf(world, scope, service),
  }
}

/** The same list as before, when it holds the same. */
function tunnelsIn(
  parts: OutboundState['parts'],
  before: readonly Tunnel[] | undefined,
): readonly Tunnel[] {
  const tunnels = [...parts.values()].flatMap((part) => part.tunnels)
  return isDeepStrictEqual(tunnels, before) && before !== undefined ? before : tunnels
}

function unregisteredOf(
  world: World,
  scope: Scope,
  kept: OutboundState | undefined,
): OutboundState['unregistered'] {
  if (kept !== undefined) return kept.unregistered
  const hosts = new Map<string, readonly EncodedVirtualHost[]>()
  for (const host of world.imports.virtualServices(scope).byHost.keys()) {
    if (!isUnregistered(world, scope, host)) continue
    const virtualHosts = translateUnregistered(world, scope, { host })
    if (virtualHosts.length > 0) hosts.set(host, virtualHosts)
  }
  return hosts
}

interface Parts extends Pick<OutboundState, 'scope' | 'parts' | 'unregistered'> {
  readonly world: World
}

interface Before {
  /** The state that is published. */
  readonly previous: OutboundState | undefined
  /** Hosts that were worked on; undefined: all. */
  readonly changed: ReadonlySet<string> | undefined
}

/** All clusters or endpoints, by name. */
function mapOf(
  kind: 'clusters' | 'endpoints',
  state: Parts,
  { previous, changed }: Before,
): ResourceMap {
  if (previous === undefined || changed === undefined) {
    return keepSame(wholeMap(kind, state), previous?.[kind])
  }
  const resourcesOf = (parts: OutboundState['parts'], host: string) => parts.get(host)?.[kind]
  const hosts = [...changed].filter(
    (host) => resourcesOf(previous.parts, host) !== resourcesOf(state.parts, host),
  )
  if (hosts.length === 0) return previous[kind]
  const map = new Map(previous[kind])
  for (const host of hosts) {
    for (const { name } of resourcesOf(previous.parts, host) ?? []) map.delete(name)
    for (const resource of resourcesOf(state.parts, host) ?? []) map.set(resource.name, resource)
  }
  return keepSame(map, previous[kind])
}

function wholeMap(kind: 'clusters' | 'endpoints', { world, scope, parts }: Parts): ResourceMap {
  const { mesh } = world.input
  const system = kind === 'clusters' ? translateSystemClusters(mesh, scope.headers) : []
  return byName([...system, ...[...parts.values()].flatMap((part) => part[kind])])
}

function byName(resources: readonly EncodedResource[]): Map<string, EncodedResource> {
  return new Map(resources.map((resource) => [resource.name, resource]))
}

function routesOf(state: Parts, { previous, changed }: Before): ResourceMap {
  const isUnchanged =
    previous !== undefined &&
    changed !== undefined &&
    previous.unregistered === state.unregistered &&
    [...changed].every(
      (host) => previous.parts.get(host)?.virtualHosts === state.parts.get(host)?.virtualHosts,
    )
  if (isUnchanged) return previous.routes
  const policy = outboundPolicyOf(state.world.input.mesh, state.scope.sidecar)
  const catchAll = encodeVirtualHost(withHeaders(catchAllVirtualHost(policy), state.scope.headers))
  const resource = encodeRouteConfiguration(httpProxyName, [...virtualHostsOf(state), catchAll])
  return keepSame(new Map([[httpProxyName, resource]]), previous?.routes)
}

/** In the order of their names, as Istio sorts them; the one for unknown hosts comes last. */
function virtualHostsOf({
  parts,
  unregistered,
}: Pick<OutboundState, 'parts' | 'unregistered'>): EncodedVirtualHost[] {
  return [
    ...[...parts.values()].flatMap(({ virtualHosts }) => virtualHosts),
    ...[...unregistered.values()].flat(),
  ].sort((left, right) => (left.name < right.name ? -1 : 1))
}

/** The previous map, when the new one holds the same. */
export function keepSame(map: ResourceMap, previous: ResourceMap | undefined): ResourceMap {
  if (previous === undefined || map.size !== previous.size) return map
  for (const [name, resource] of map) {
    const before = previous.get(name)
    if (before?.version !== resource.version) return map
    // The names that a client asked for it by are no part of its content.
    if (!isSameNames(before.aliases, resource.aliases)) return map
  }
  return previous
}

function isSameNames(left: readonly string[] = [], right: readonly string[] = []): boolean {
  return left.length === right.length && left.every((name, index) => name === right[index])
}
