/**
 * The shared part of what clients get: everything outbound of one scope class, kept by host and brought up to
 * date host by host. A new state is built beside the one that is published, and takes its place at the end.
 */
import type { EncodedResource } from '../xds/resource-set.ts'
import { abilitiesOf } from './ability.ts'
import type { Dirty } from './dirty.ts'
import {
  serviceRules,
  translateAssignments,
  translateClusters,
  translateUnregistered,
  translateVirtualHosts,
  virtualHostInputs,
  type PartInput,
} from './host-part.ts'
import { httpProxyName } from './outbound-listener.ts'
import {
  encodeRouteConfiguration,
  encodeVirtualHost,
  type EncodedVirtualHost,
} from './route-configuration.ts'
import type { Scope } from './scope.ts'
import type { SharedParts } from './shared-parts.ts'
import { translateSystemClusters } from './system-cluster.ts'
import { catchAllVirtualHost } from './virtual-host.ts'
import { isUnregistered, visibleService, type World } from './world.ts'

type ResourceMap = ReadonlyMap<string, EncodedResource>

interface HostPart {
  readonly clusters: readonly EncodedResource[]
  readonly endpoints: readonly EncodedResource[]
  readonly virtualHosts: readonly EncodedVirtualHost[]
}

/** Immutable. A map that did not change is the same object as before. */
export interface OutboundState {
  readonly scope: Scope
  readonly parts: ReadonlyMap<string, HostPart>
  readonly unregistered: ReadonlyMap<string, readonly EncodedVirtualHost[]>
  readonly clusters: ResourceMap
  readonly endpoints: ResourceMap
  readonly routes: ResourceMap
}

export interface OutboundInput {
  readonly world: World
  readonly scope: Scope
  readonly dirty: Dirty
  readonly shared: SharedParts
  readonly previous: OutboundState | undefined
}

const empty: HostPart = { clusters: [], endpoints: [], virtualHosts: [] }

/** Yields after each host that it worked on, so that a long run can be done in slices. */
export function* translateOutbound(input: OutboundInput): Generator<void, OutboundState> {
  const { world, scope, dirty, previous } = input
  const isFull = dirty.everything || previous === undefined
  const parts = new Map(isFull ? [] : previous.parts)
  for (const host of isFull ? world.input.registry.services.keys() : dirtyHosts(dirty)) {
    const part = translateHost(input, host, isFull ? undefined : parts.get(host))
    if (part === undefined) parts.delete(host)
    else parts.set(host, part)
    yield
  }
  const isAllUnregistered = isFull || dirty.unregistered
  const unregistered = isAllUnregistered ? unregisteredOf(world, scope) : previous.unregistered
  yield
  return {
    scope,
    parts,
    unregistered,
    ...mapsOf({ world, scope, parts, unregistered, isFull }, previous),
  }
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
  const byRule = [rules.rule, inferred, scope.kind]
  return {
    clusters: needs(dirty.clusters)
      ? shared.take('clusters', { host, inputs: byRule }, () => translateClusters(part))
      : known.clusters,
    endpoints: needs(dirty.endpoints)
      ? shared.take('endpoints', { host, inputs: byRule }, () => translateAssignments(part))
      : known.endpoints,
    virtualHosts: needs(dirty.virtualHosts)
      ? shared.take(
          'virtualHosts',
          { host, inputs: virtualHostInputs(world, scope, service) },
          () => translateVirtualHosts(world, scope, service),
        )
      : known.virtualHosts,
  }
}

function unregisteredOf(world: World, scope: Scope): Map<string, readonly EncodedVirtualHost[]> {
  const hosts = new Map<string, readonly EncodedVirtualHost[]>()
  for (const host of world.virtualServices.visibleIn(scope.namespace).byHost.keys()) {
    if (!isUnregistered(world, scope, host)) continue
    const virtualHosts = translateUnregistered(world, scope, host)
    if (virtualHosts.length > 0) hosts.set(host, virtualHosts)
  }
  return hosts
}

interface Parts extends Pick<OutboundState, 'scope' | 'parts' | 'unregistered'> {
  readonly world: World
  readonly isFull: boolean
}

function mapsOf(state: Parts, previous: OutboundState | undefined) {
  const { world, scope, parts } = state
  const { mesh } = world.input
  const system = translateSystemClusters(mesh, abilitiesOf(scope.kind))
  const clusters = new Map(system.map((cluster) => [cluster.name, cluster]))
  const endpoints = new Map<string, EncodedResource>()
  for (const host of [...parts.keys()].sort()) {
    const part = parts.get(host) ?? empty
    for (const cluster of part.clusters) clusters.set(cluster.name, cluster)
    for (const assignment of part.endpoints) endpoints.set(assignment.name, assignment)
  }
  return {
    clusters: keepSame(clusters, previous?.clusters),
    endpoints: keepSame(endpoints, previous?.endpoints),
    routes: routesOf(state, previous),
  }
}

function routesOf(state: Parts, previous: OutboundState | undefined): ResourceMap {
  const virtualHosts = virtualHostsOf(state)
  const isUnchanged =
    !state.isFull && previous !== undefined && isSameList(virtualHosts, virtualHostsOf(previous))
  if (isUnchanged) return previous.routes
  const catchAll = encodeVirtualHost(catchAllVirtualHost(state.world.input.mesh))
  const resource = encodeRouteConfiguration(httpProxyName, [...virtualHosts, catchAll])
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

function isSameList(left: readonly unknown[], right: readonly unknown[]): boolean {
  return left.length === right.length && left.every((member, index) => member === right[index])
}

/** The previous map, when the new one holds the same. */
export function keepSame(map: ResourceMap, previous: ResourceMap | undefined): ResourceMap {
  if (previous === undefined || map.size !== previous.size) return map
  for (const [name, resource] of map) {
    if (previous.get(name)?.version !== resource.version) return map
  }
  return previous
}
