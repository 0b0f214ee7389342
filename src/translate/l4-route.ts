/**
 * Where the connections of a port go that are not routed request by request: TCP and TLS routes of VirtualServices, as
 * Istio reads them for outbound listeners.
 *
 * - Every VirtualService whose hosts cover the service is asked, oldest first; their routes are not cut off by the most
 *   specific host, as HTTP routes are.
 * - TCP: the first route that applies takes everything.
 * - TLS: each match is a filter chain for its server names. What has none of them goes to the service, or nowhere in a
 *   closed mesh. Without any TLS route for this client all of it goes to the service.
 * - `destinationSubnets`: nothing tells what address was dialled, so the service's own addresses are compared.
 */
import { BlockList, isIP } from 'node:net'

import type { TrafficPolicy } from '../model/istio/destination-rule.ts'
import type {
  L4MatchAttributes,
  RouteDestination,
  TlsMatchAttributes,
} from '../model/istio/virtual-service.ts'
import type { Service, ServicePort } from '../registry/service.ts'
import { clusterOfDestination } from './called-host.ts'
import type { MergedRule } from './destination-rule-index.ts'
import { clusterName, resolveHost } from './host-name.ts'
import { isSelected, type Scope } from './scope.ts'
import { outboundPolicyOf } from './sidecar-index.ts'
import { withAffinity } from './source-hash.ts'
import { statName } from './stat-name.ts'
import { systemClusters } from './system-cluster.ts'
import { l4CandidatesFor, type VirtualService } from './virtual-service-index.ts'
import { routedService, ruleFor, type World } from './world.ts'

export interface L4Target {
  readonly statPrefix: string
  /** Weights are shares of their sum. */
  readonly clusters: readonly { readonly name: string; readonly weight: number }[]
  /** Of the first destination's rule; durations as written. */
  readonly idleTimeout: string | undefined
  readonly maxConnectionDuration: string | undefined
  readonly hashesSourceIp: boolean
  /** The clusters’ hosts are HTTP proxies, which are asked for a tunnel to this place first. */
  readonly tunnel?: { readonly target: string; readonly usesPost: boolean } | undefined
  /** The rule that leads there; absent: the service's own. */
  readonly rule?: { readonly namespace: string; readonly name: string; readonly path: string }
}

export interface L4Routes {
  /** By server name, first match first; no name stands twice. */
  readonly named: readonly {
    readonly serverNames: readonly string[]
    readonly target: L4Target
  }[]
  readonly fallback: L4Target
}

export interface L4Input {
  readonly world: World
  readonly scope: Scope
  readonly service: Service
  readonly port: ServicePort
}

export function isTls({ protocol }: Pick<ServicePort, 'protocol'>): boolean {
  return protocol === 'tls' || protocol === 'https'
}

export function l4RoutesOf(input: L4Input): L4Routes {
  const { world, scope, service, port } = input
  const index = world.imports.virtualServices(scope)
  const candidates = l4CandidatesFor(service.hostname, index)
  if (!isTls(port)) return { named: [], fallback: tcpTarget(input, candidates) }
  const named = tlsRoutes(input, candidates)
  const isClosed = named.length > 0 && !outboundPolicyOf(world.input.mesh, scope.sidecar).isAllowed
  const fallback = isClosed ? nowhere : ownTarget(input)
  return { named, fallback }
}

/** Nothing is there: connections end. */
export const nowhere: L4Target = {
  statPrefix: systemClusters.blackHole,
  clusters: [{ name: systemClusters.blackHole, weight: 1 }],
  idleTimeout: undefined,
  maxConnectionDuration: undefined,
  hashesSourceIp: false,
}

function tcpTarget(input: L4Input, candidates: readonly VirtualService[]): L4Target {
  for (const virtualService of candidates) {
    for (const [index, rule] of (virtualService.resource.spec.tcp ?? []).entries()) {
      const { match = [], route = [] } = rule
      const applies = match.length === 0 || match.some((block) => appliesTo(block, input))
      if (!applies || route.length === 0) continue
      const { namespace, name } = virtualService.resource.metadata
      const target = routedTarget(input, virtualService, route)
      return { ...target, rule: { namespace, name, path: `spec.tcp[${index}]` } }
    }
  }
  return ownTarget(input)
}

function tlsRoutes(input: L4Input, candidates: readonly VirtualService[]): L4Routes['named'] {
  const taken = new Set<string>()
  return candidates.flatMap((virtualService) =>
    (virtualService.resource.spec.tls ?? []).flatMap(({ match, route = [] }) =>
      match.flatMap((block) => {
        if (route.length === 0 || !appliesTo(block, input)) return []
        // Envoy refuses two chains for one name, and names with a star that is no label of its own.
        const serverNames = [...new Set(block.sniHosts.map((host) => host.toLowerCase()))].filter(
          (host) => !taken.has(host) && !/^\*[^.]/.test(host),
        )
        if (serverNames.length === 0) return []
        for (const name of serverNames) taken.add(name)
        return [{ serverNames, target: routedTarget(input, virtualService, route) }]
      }),
    ),
  )
}

function appliesTo(
  block: L4MatchAttributes | TlsMatchAttributes,
  { scope, service, port }: L4Input,
): boolean {
  const { gateways = [], destinationSubnets = [] } = block
  const isForMesh = gateways.length === 0 || gateways.includes('mesh')
  const isPort = (block.port ?? 0) === 0 || block.port === port.number
  if (!isForMesh || !isPort || !conditionsMet(block, scope).every(Boolean)) return false
  return destinationSubnets.length === 0 || isWithin(service, destinationSubnets)
}

function conditionsMet(
  { sourceLabels, sourceNamespace = '' }: L4MatchAttributes | TlsMatchAttributes,
  scope: Scope,
): boolean[] {
  return [
    sourceLabels === undefined || isSelected(scope, sourceLabels),
    sourceNamespace === '' || sourceNamespace === scope.namespace,
  ]
}

function isWithin({ addresses }: Service, subnets: readonly string[]): boolean {
  const list = new BlockList()
  for (const subnet of subnets) addSubnet(list, subnet)
  return addresses.some((address) => {
    const [ip = ''] = address.split('/')
    const family = isIP(ip)
    return family !== 0 && list.check(ip, family === 4 ? 'ipv4' : 'ipv6')
  })
}

function addSubnet(list: BlockList, subnet: string): void {
  const [ip = '', bits] = subnet.split('/')
  const family = isIP(ip)
  if (family === 0) return
  const type = family === 4 ? 'ipv4' : 'ipv6'
  if (bits === undefined) list.addAddress(ip, type)
  else list.addSubnet(ip, Number(bits), type)
}

function ownTarget({ world, scope, service, port }: L4Input): L4Target {
  const name = clusterName(port.number, '', service.hostname)
  const rule = ruleFor(world, scope, service.hostname)
  const statPrefix = statName(world.input.mesh.outboundStatName, { service, port }) ?? name
  return { statPrefix, clusters: [{ name, weight: 1 }], ...settingsOf({ rule, service }, '') }
}

function routedTarget(
  { world, scope, port }: L4Input,
  { resource }: VirtualService,
  route: readonly RouteDestination[],
): L4Target {
  const { name, namespace } = resource.metadata
  const targets = route.map(({ destination, weight }) => {
    const host = resolveHost(destination.host, namespace)
    const service = routedService(world, scope, host)
    const subset = destination.subset ?? ''
    const called = { destination: { ...destination, host }, service, called: port.number }
    return { name: clusterOfDestination(called), weight: weight ?? 0, host, subset, service }
  })
  const [first] = targets
  if (first === undefined) return nowhere
  const { service, subset } = first
  const to = { rule: ruleFor(world, scope, first.host), service }
  if (targets.length === 1) {
    const clusters = [{ name: first.name, weight: 1 }]
    const pattern = world.input.mesh.outboundStatName
    const own = service && statName(pattern, { service, port, subset: { name: subset } })
    return { statPrefix: own ?? first.name, clusters, ...settingsOf(to, subset) }
  }
  const clusters = targets
    .filter(({ weight }) => weight > 0)
    .map((target) => ({ name: target.name, weight: target.weight }))
  if (clusters.length === 0) return nowhere
  return { statPrefix: `${name}.${namespace}`, clusters, ...settingsOf(to, '') }
}

/** As in Istio, the rule's own settings count, and not those of a subset or a port; a subset may hash otherwise. */
function settingsOf(
  { rule, service }: { rule: MergedRule | undefined; service: Service | undefined },
  subsetName: string,
) {
  const policy = rule?.trafficPolicy ?? {}
  const { idleTimeout, maxConnectionDuration } = policy.connectionPool?.tcp ?? {}
  const subset = rule?.subsets.find(({ name }) => name === subsetName)?.trafficPolicy ?? {}
  const balancer = withAffinity(subset.loadBalancer ?? policy.loadBalancer, service)
  return {
    idleTimeout,
    maxConnectionDuration,
    hashesSourceIp: balancer?.consistentHash?.useSourceIp === true,
    tunnel: askedTunnel(subsetName === '' ? policy : subset),
  }
}

/** As in Istio, a destination with a subset has the subset's tunnel or none. */
function askedTunnel({ tunnel }: TrafficPolicy): L4Target['tunnel'] {
  if (tunnel === undefined) return undefined
  const { targetHost, targetPort, protocol } = tunnel
  const host = isIP(targetHost) === 6 ? `[${targetHost}]` : targetHost
  return { target: `${host}:${targetPort}`, usesPost: protocol === 'POST' }
}

/** Everything that the routes of a service depend on besides the service itself, to be compared member by member. */
export function l4Inputs(world: World, scope: Scope, service: Service): unknown[] {
  const index = world.imports.virtualServices(scope)
  return [
    ruleFor(world, scope, service.hostname),
    ...l4CandidatesFor(service.hostname, index).flatMap((virtualService) => [
      virtualService.resource,
      ...conditionsOf(virtualService, scope),
      ...virtualService.l4Hosts.flatMap((host) => [
        routedService(world, scope, host),
        ruleFor(world, scope, host),
      ]),
    ]),
  ]
}

/** What its TCP and TLS routes ask about the client, answered. */
function conditionsOf({ resource }: VirtualService, scope: Scope): unknown[] {
  const { tcp = [], tls = [] } = resource.spec
  return [...tcp, ...tls]
    .flatMap(({ match = [] }): readonly (L4MatchAttributes | TlsMatchAttributes)[] => match)
    .flatMap((block) => conditionsMet(block, scope))
}
