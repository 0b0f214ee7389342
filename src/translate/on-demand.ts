/**
 * What a client gets that starts with what it has called before and fetches the rest when it first calls it: the virtual
 * hosts that it asked for (VHDS), and the clusters to which these, its own listeners and its own wishes lead.
 *
 * Everything is taken from what its scope class has, so a thousand such clients cost a look-up each. A host that nobody
 * knows gets a virtual host of its own that answers as the mesh answers unknown hosts. Where a wildcard matched, the
 * client gets the one name that it asked for, because it would not ask for names that a wildcard of its own covers.
 *
 * Who gets it: a client that says that it can (metadata ON_DEMAND: auto, on or off), has a proxy for HTTP, and is ruled by
 * no Sidecar. `auto` follows the mesh's `onDemand`, whose AUTO means from `autoFrom` services on.
 */
import { encodedResource } from '../xds/encode.ts'
import { RouteConfiguration } from '../xds/proto/generated/envoy/config/route/v3/route.ts'
import {
  VirtualHost,
  type Route,
} from '../xds/proto/generated/envoy/config/route/v3/route_components.ts'
import { typeUrls, type Demand, type EncodedResource } from '../xds/resource-set.ts'
import type { Client } from './client.ts'
import type { MeshSettings } from './input.ts'
import type { L4Routes } from './l4-route.ts'
import { adsSource } from './message.ts'
import { httpProxyName } from './outbound-listener.ts'
import type { OutboundState } from './outbound.ts'
import { usualHeaders, withHeaders } from './proxy-header.ts'
import { virtualHostBytes, type EncodedVirtualHost } from './route-configuration.ts'
import type { Scope } from './scope.ts'
import { translateSystemClusters } from './system-cluster.ts'
import type { Tunnel } from './tunnel.ts'
import { catchAllVirtualHost } from './virtual-host.ts'

type ResourceMap = ReadonlyMap<string, EncodedResource>

/** Services from which on AUTO means on demand, and below which it no longer does. */
export const autoFrom = 200
const autoUntil = 150

export interface OnDemandChoice {
  readonly client: Client
  readonly scope: Scope
  readonly mesh: MeshSettings
  /** With the hosts that only VirtualServices know. */
  readonly services: number
  /** It was, a moment ago: a mesh at the border does not swing. */
  readonly wasOnDemand: boolean
}

export function isOnDemand(choice: OnDemandChoice): boolean {
  const { client, scope, mesh, services, wasOnDemand } = choice
  if (client.onDemand === undefined || client.httpProxyPort === undefined) return false
  if (scope.sidecar !== undefined || client.onDemand === 'off') return false
  if (client.onDemand === 'on' || mesh.onDemand === 'ON') return true
  return mesh.onDemand === 'AUTO' && services >= (wasOnDemand ? autoUntil : autoFrom)
}

export interface DemandInput {
  readonly outbound: OutboundState
  readonly scope: Scope
  readonly mesh: MeshSettings
  readonly client: Client
  readonly demand: Demand
}

export interface DemandedHosts {
  readonly virtualHosts: ResourceMap
  readonly tunnels: readonly Tunnel[]
  /** Clusters that these lead to. */
  readonly clusters: ReadonlySet<string>
}

/** Keeps what many clients ask for of one state of a scope class. */
export class DemandTranslation {
  /** By the routes of a state, which are the same object while no virtual host changed. */
  readonly #directories = new WeakMap<ResourceMap, Directory>()
  /** Names of what every sidecar has. */
  readonly #system = new WeakMap<MeshSettings, readonly string[]>()

  /** The virtual hosts that the client asked for, on this stream or before it. */
  hosts(input: DemandInput): DemandedHosts {
    const { outbound } = input
    const found = this.#find(input)
    const virtualHosts = new Map<string, EncodedResource>()
    if (input.scope.kind === 'envoy') virtualHosts.set(nobody.name, nobody)
    const clusters = new Set<string>()
    const hosts = new Set<string>()
    for (const [name, { part, aliases }] of found) {
      virtualHosts.set(name, { ...part.resource, aliases })
      for (const cluster of part.clusters) clusters.add(cluster)
      if (part.host !== undefined) hosts.add(part.host)
    }
    const tunnels = [...hosts].flatMap((host) => outbound.parts.get(host)?.tunnels ?? [])
    for (const { routes } of tunnels) for (const name of l4Clusters(routes)) clusters.add(name)
    return { virtualHosts, tunnels, clusters }
  }

  /** Of the clusters of the scope class those that are named, and those that every sidecar has. */
  clusters(
    { outbound, mesh }: Pick<DemandInput, 'outbound' | 'mesh'>,
    names: ReadonlySet<string>,
  ): ResourceMap {
    const clusters = new Map<string, EncodedResource>()
    for (const name of [...this.#systemNames(mesh), ...names]) {
      const resource = outbound.clusters.get(name)
      if (resource !== undefined) clusters.set(name, resource)
    }
    return clusters
  }

  #find({ outbound, mesh, client, demand }: DemandInput) {
    const directory = this.#directoryOf(outbound)
    const policy = { isAllowed: mesh.isOutboundAllowed, egressProxy: undefined }
    const unknown = () => withHeaders(catchAllVirtualHost(policy), outbound.scope.headers)
    const found = new Map<string, { readonly part: HostPart; readonly aliases: string[] }>()
    const remembered = client.rememberedHosts.filter((name) => !demand.droppedHosts.has(name))
    for (const alias of new Set([...remembered, ...demand.hosts])) {
      const authority = authorityOf(alias)
      if (authority === undefined) continue
      const part =
        directory.find(authority) ?? directory.unknown(authority, String(policy.isAllowed), unknown)
      const known = found.get(part.resource.name)
      if (known === undefined) found.set(part.resource.name, { part, aliases: [alias] })
      else known.aliases.push(alias)
    }
    return found
  }

  #directoryOf({ routes: key, parts, unregistered }: OutboundState): Directory {
    let directory = this.#directories.get(key)
    if (directory === undefined) {
      const ofServices = [...parts.values()].flatMap((part) => part.virtualHosts)
      directory = new Directory([...ofServices, ...[...unregistered.values()].flat()])
      this.#directories.set(key, directory)
    }
    return directory
  }

  #systemNames(mesh: MeshSettings): readonly string[] {
    let names = this.#system.get(mesh)
    if (names === undefined) {
      names = translateSystemClusters(mesh, usualHeaders).map(({ name }) => name)
      this.#system.set(mesh, names)
    }
    return names
  }
}

export function l4Clusters({ named, fallback }: L4Routes): readonly string[] {
  return [...named.map(({ target }) => target), fallback].flatMap(({ clusters }) =>
    clusters.map(({ name }) => name),
  )
}

/** `http_proxy` without virtual hosts: they come on demand. */
export function demandedRoutes(): ResourceMap {
  return routes
}

const routeConfiguration = RouteConfiguration.fromPartial({
  name: httpProxyName,
  validateClusters: false,
  maxDirectResponseBodySizeBytes: 1024 * 1024,
  vhds: { configSource: adsSource() },
})
const routes: ResourceMap = new Map([
  [
    httpProxyName,
    encodedResource(
      httpProxyName,
      typeUrls.route,
      RouteConfiguration.encode(routeConfiguration).finish(),
    ),
  ],
])

/** A real Envoy opens its listeners only when VHDS has given it something; an answer that holds nothing does not count. */
const nobody = encodedResource(
  `${httpProxyName}/nobody`,
  typeUrls.virtualHost,
  VirtualHost.encode(
    VirtualHost.fromPartial({ name: `${httpProxyName}/nobody`, domains: ['nobody.invalid'] }),
  ).finish(),
)

/** Of a name that can be asked for; a `*` would claim more than one host. */
function authorityOf(alias: string): string | undefined {
  const prefix = `${httpProxyName}/`
  if (!alias.startsWith(prefix)) return undefined
  const authority = alias.slice(prefix.length).toLowerCase()
  return authority === '' || /[*/\s]/.test(authority) ? undefined : authority
}

/** A virtual host as a resource of its own, and what it leads to. */
interface HostPart {
  readonly resource: EncodedResource
  readonly clusters: readonly string[]
  /** Service that it belongs to; undefined: none. */
  readonly host: string | undefined
}

/** Virtual hosts of one state by domain, in Envoy's order of matching. */
class Directory {
  readonly #exact = new Map<string, EncodedVirtualHost>()
  /** Longest first. */
  readonly #wildcards: (readonly [domain: string, virtualHost: EncodedVirtualHost])[] = []
  readonly #parts = new Map<string, HostPart>()

  constructor(virtualHosts: Iterable<EncodedVirtualHost>) {
    for (const virtualHost of virtualHosts) {
      for (const domain of virtualHost.domains) {
        if (domain.includes('*')) this.#wildcards.push([domain, virtualHost])
        else this.#exact.set(domain.toLowerCase(), virtualHost)
      }
    }
    const rank = (domain: string) => (domain.startsWith('*') ? 0 : 1)
    this.#wildcards.sort(([a], [b]) => rank(a) - rank(b) || b.length - a.length)
  }

  find(authority: string): HostPart | undefined {
    const exact = this.#exact.get(authority)
    if (exact !== undefined) {
      return this.#partOf(exact, `${httpProxyName}/${exact.name}`, (domains) =>
        domains.filter((domain) => !domain.includes('*')),
      )
    }
    const wildcard = this.#wildcards.find(([domain]) => covers(domain.toLowerCase(), authority))
    if (wildcard === undefined) return undefined
    return this.#partOf(wildcard[1], `${httpProxyName}/${authority}`, () => [authority])
  }

  unknown(authority: string, policy: string, make: () => VirtualHost): HostPart {
    const name = `${httpProxyName}/${authority}`
    const key = `${name} ${policy}`
    let part = this.#parts.get(key)
    if (part === undefined) {
      part = partOf({ ...make(), name, domains: [authority] }, undefined)
      this.#keep(key, part)
    }
    return part
  }

  #partOf(
    virtualHost: EncodedVirtualHost,
    name: string,
    narrow: (domains: readonly string[]) => string[],
  ): HostPart {
    const key = `${name} ${virtualHost.hash}`
    let part = this.#parts.get(key)
    if (part === undefined) {
      const message = VirtualHost.decode(virtualHostBytes(virtualHost))
      const domains = narrow(message.domains)
      part = partOf({ ...message, name, domains }, hostOf(virtualHost.name))
      this.#keep(key, part)
    }
    return part
  }

  /** Those of names that are no longer asked for go all at once; they are cheap to make again. */
  #keep(key: string, part: HostPart): void {
    if (this.#parts.size >= partsMax) this.#parts.clear()
    this.#parts.set(key, part)
  }
}

const partsMax = 20_000

/** `reviews.default.svc.cluster.local:9080` */
function hostOf(name: string): string {
  return name.slice(0, name.lastIndexOf(':')).replace(/^\[(.*)\]$/, '$1')
}

function partOf(message: VirtualHost, host: string | undefined): HostPart {
  const { name } = message
  const value = VirtualHost.encode(message).finish()
  return {
    resource: encodedResource(name, typeUrls.virtualHost, value),
    clusters: message.routes.flatMap(clustersOfRoute),
    host,
  }
}

/** A wildcard never stands for nothing. */
function covers(domain: string, authority: string): boolean {
  if (domain.length - 1 >= authority.length) return false
  return domain.startsWith('*')
    ? authority.endsWith(domain.slice(1))
    : authority.startsWith(domain.slice(0, -1))
}

export function clustersOfRoute({ action }: Route): readonly string[] {
  if (action?.$case !== 'route') return []
  const { clusterSpecifier: specifier, requestMirrorPolicies } = action.value
  const mirrors = requestMirrorPolicies.map(({ cluster }) => cluster)
  if (specifier?.$case === 'cluster') return [specifier.value, ...mirrors]
  if (specifier?.$case !== 'weightedClusters') return mirrors
  return [...specifier.value.clusters.map(({ name }) => name), ...mirrors]
}
