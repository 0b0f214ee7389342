/**
 * All that the clients of one scope class need for one host: its clusters, their endpoints, its virtual hosts.
 *
 * This is the unit of incremental work. What a part was made from is compared by identity, so that scope classes
 * that see the same share one part, encoded once.
 */
import type { Subset } from '../model/istio/destination-rule.ts'
import type { Endpoint, Service } from '../registry/service.ts'
import type { Route } from '../xds/proto/generated/envoy/config/route/v3/route_components.ts'
import type { EncodedResource } from '../xds/resource-set.ts'
import { abilitiesOf } from './ability.ts'
import { takesStreams } from './between-sidecars.ts'
import { tlsRefusal } from './cluster-tls.ts'
import { translateCluster } from './cluster.ts'
import type { MergedRule } from './destination-rule-index.ts'
import { translateEndpoints } from './endpoint.ts'
import { consistentHashOf, type HashOf } from './hash-policy.ts'
import { identitiesOf } from './identity.ts'
import { faultsFor, injectFaults } from './injected-fault.ts'
import { l4Inputs, l4RoutesOf } from './l4-route.ts'
import { isPassthrough } from './load-balancer.ts'
import { isZoneAware, localityPolicyOf } from './locality.ts'
import { keyOfHeaders, withHeaders } from './proxy-header.ts'
import { encodeVirtualHost, type EncodedVirtualHost } from './route-configuration.ts'
import { translateRoutes } from './route.ts'
import { isSelected, type Scope } from './scope.ts'
import { namesOf } from './service-name.ts'
import { withAffinity } from './source-hash.ts'
import { portsBeside, takenNames } from './taken-name.ts'
import { blocksOf, effectivePolicy } from './traffic-policy.ts'
import { tunnelOf, type Tunnel } from './tunnel.ts'
import {
  isHttp,
  serviceVirtualHost,
  unregisteredVirtualHost,
  type ServiceHostInput,
} from './virtual-host.ts'
import { candidatesFor, type VirtualService } from './virtual-service-index.ts'
import {
  inferredSubsets,
  isClusterLocal,
  reachableEndpoints,
  ruleFor,
  takesMtls,
  routedService,
  type World,
} from './world.ts'

/** The rule and the subsets that a scope's clients see for a service. */
export interface ServiceRules {
  readonly rule: MergedRule | undefined
  readonly inferred: readonly Subset[]
}

export function serviceRules(world: World, scope: Scope, service: Service): ServiceRules {
  const rule = ruleFor(world, scope, service.hostname)
  return { rule, inferred: inferredSubsets(world, service, rule) }
}

export interface PartInput extends ServiceRules {
  readonly world: World
  readonly scope: Scope
  readonly service: Service
}

export function translateClusters(input: PartInput): EncodedResource[] {
  const { world, scope, service, rule } = input
  const common = {
    service,
    rule,
    mesh: world.input.mesh,
    abilities: abilitiesOf(scope.kind),
    identities: identitiesOf(world, service),
    systemRoots: scope.systemRoots,
    dnsFamily: scope.dnsFamily,
    place: scope.place,
    preservesCase: scope.headers.preservesCase,
    routesByZone: world.routesByZone,
  }
  return service.ports.flatMap((port) =>
    subsetsOf(input).flatMap((subset) => {
      const endpoints = reachableEndpoints(world, scope, { service, port })
      const takes = {
        takesMtls: (endpoint: Endpoint) => takesMtls(world, port, endpoint),
        takesStreams: (endpoint: Endpoint) => takesStreams(world, port, endpoint),
      }
      return translateCluster({ ...common, port, subset, endpoints, ...takes }) ?? []
    }),
  )
}

export function translateAssignments(input: PartInput): EncodedResource[] {
  const { world, scope, service, rule } = input
  if (service.resolution !== 'static') return []
  const { mesh } = world.input
  return service.ports.flatMap((port) =>
    subsetsOf(input).flatMap((subset) => {
      const policy = effectivePolicy({
        rule: rule?.trafficPolicy,
        subset,
        port: port.number,
        mesh,
      })
      const refusal = tlsRefusal(policy.tls, rule?.selector !== undefined)
      if (refusal !== undefined || isPassthrough(policy.loadBalancer)) return []
      return translateEndpoints({
        service,
        port,
        subset,
        endpoints: reachableEndpoints(world, scope, { service, port }),
        takesMtls: (endpoint) => takesMtls(world, port, endpoint),
        locality: localityPolicyOf({ policy, service, mesh }),
        place: scope.place,
      })
    }),
  )
}

/** The client's place, where it can change what this service's clients get; '' elsewhere, so that parts are shared. */
export function placeKey({ world, scope, service, rule }: PartInput): string {
  const { mesh } = world.input
  const blocks = rule === undefined ? [] : blocksOf(rule)
  const counts =
    isClusterLocal(world, service) ||
    service.trafficDistribution !== undefined ||
    service.isNodeLocal === true ||
    mesh.outlierDetection !== undefined ||
    (mesh.localityLb?.distribute ?? []).length > 0 ||
    isZoneAware(mesh.zoneAwareLb) ||
    blocks.some(
      ({ outlierDetection, loadBalancer }) =>
        outlierDetection !== undefined ||
        loadBalancer?.localityLbSetting !== undefined ||
        loadBalancer?.zoneAwareLbSetting !== undefined,
    )
  return counts ? JSON.stringify(scope.place) : ''
}

/** The whole service first. */
function subsetsOf({ rule, inferred }: ServiceRules): readonly (Subset | undefined)[] {
  return [undefined, ...(rule?.subsets ?? []), ...inferred]
}

/** One virtual host for each port of a service that has a name left. */
export function translateVirtualHosts(
  world: World,
  scope: Scope,
  service: Service,
): EncodedVirtualHost[] {
  return service.ports
    .filter(({ protocol }) => protocol !== 'udp')
    .flatMap((port) => {
      const virtualHost = serviceVirtualHost(hostInput(world, scope, { service, port }))
      return virtualHost === undefined
        ? []
        : [encodeVirtualHost(withHeaders(virtualHost, scope.headers))]
    })
}

/** Ports of a service of which the first bytes decide. */
export function tunnelsOf(world: World, scope: Scope, service: Service): Tunnel[] {
  return service.ports.flatMap((port) => {
    const mayNeed = port.protocol === 'auto' || !isHttp(port)
    return (
      (mayNeed && tunnelOf({ service, port }, l4RoutesOf({ world, scope, service, port }))) || []
    )
  })
}

/** What a service's virtual host on one port is made from. */
export function hostInput(
  world: World,
  scope: Scope,
  target: Pick<ServiceHostInput, 'service' | 'port'>,
): ServiceHostInput {
  const { service, port } = target
  const taken = new Set(takenNames(world, scope, service))
  return {
    service,
    port,
    clientNamespace: scope.namespace,
    routes: isHttp(port)
      ? routesFor(world, scope, { host: service.hostname, port: port.number })
      : [],
    l4: l4RoutesOf({ world, scope, service, port }),
    hashOf: hashFor(world, scope),
    faults: faultsFor(world.input.faults, scope, service.hostname),
    mesh: world.input.mesh,
    abilities: abilitiesOf(scope.kind),
    isTaken: (name, on) => taken.has(name) || taken.has(`${name}|${on}`),
  }
}

/** Routes of the best VirtualService that has any for these clients on this port. */
function routesFor(
  world: World,
  scope: Scope,
  { host, port }: { readonly host: string; readonly port: number },
): Route[] {
  const index = world.imports.virtualServices(scope)
  for (const virtualService of candidatesFor(host, index)) {
    const routes = routesOf(world, scope, { virtualService, port })
    if (routes.length > 0) return routes
  }
  return []
}

function routesOf(
  world: World,
  scope: Scope,
  { virtualService, port }: { readonly virtualService: VirtualService; readonly port: number },
): Route[] {
  return translateRoutes({
    virtualService,
    scope: {
      port,
      clientNamespace: scope.namespace,
      isSelected: (selector) => isSelected(scope, selector),
    },
    serviceOf: (host) => routedService(world, scope, host),
    hashOf: hashFor(world, scope),
    mesh: world.input.mesh,
    abilities: abilitiesOf(scope.kind),
  })
}

function hashFor(world: World, scope: Scope): HashOf {
  return (destination) => {
    const rule = ruleFor(world, scope, destination.host)
    const hash = consistentHashOf(rule, destination)
    if (hash !== undefined) return hash
    const service = routedService(world, scope, destination.host)
    return withAffinity(rule?.trafficPolicy?.loadBalancer, service)?.consistentHash
  }
}

/**
 * Virtual hosts for a host that only VirtualServices know; on 80, or on the ports of the services beside it.
 *
 * `listenerPort`: for a listener of that port alone.
 */
export function translateUnregistered(
  world: World,
  scope: Scope,
  { host, listenerPort }: { readonly host: string; readonly listenerPort?: number },
): EncodedVirtualHost[] {
  const index = world.imports.virtualServices(scope)
  const made = new Map<number, EncodedVirtualHost>()
  const faults = faultsFor(world.input.faults, scope, host)
  for (const virtualService of index.byHost.get(host) ?? []) {
    for (const port of portsBeside(world, scope, virtualService)) {
      if (made.has(port) || (listenerPort !== undefined && port !== listenerPort)) continue
      const routes = injectFaults(routesOf(world, scope, { virtualService, port }), faults)
      if (routes.length > 0) {
        made.set(
          port,
          encodeVirtualHost(
            withHeaders(
              unregisteredVirtualHost(
                host,
                { port, isDefault: port === (listenerPort ?? 80) },
                routes,
              ),
              scope.headers,
            ),
          ),
        )
      }
    }
  }
  return [...made.values()]
}

/**
 * Everything that a service's virtual hosts depend on. Two scope classes with equal inputs, member by member,
 * share one result.
 */
export function virtualHostInputs(world: World, scope: Scope, service: Service): unknown[] {
  const index = world.imports.virtualServices(scope)
  const candidates = candidatesFor(service.hostname, index)
  const destinations = candidates.flatMap(({ destinationHosts }) => destinationHosts)
  return [
    service,
    scope.kind,
    keyOfHeaders(scope.headers),
    service.namespace === scope.namespace,
    // Each of the names is short to clients of its own namespace.
    service.aliases === undefined ? '' : namesOf(service, scope.namespace).join(),
    takenNames(world, scope, service).join(),
    ...candidates.flatMap((candidate) => [
      candidate.resource,
      ...candidate.delegates,
      ...clientConditions(candidate, scope),
    ]),
    ...destinations.map((host) => routedService(world, scope, host)),
    ...(service.ports.every(({ protocol }) => isHttp({ protocol }) && protocol !== 'auto')
      ? []
      : l4Inputs(world, scope, service)),
    ...[service.hostname, ...destinations].map((host) => ruleFor(world, scope, host)),
    world.input.mesh,
    ...faultsFor(world.input.faults, scope, service.hostname),
  ]
}

/** What a VirtualService asks about its client, answered. */
function clientConditions(virtualService: VirtualService, scope: Scope): unknown[] {
  const matches = virtualService.routes.flatMap(({ http }) => http.match ?? [])
  return matches.flatMap(({ sourceLabels, sourceNamespace }) => [
    sourceLabels === undefined || isSelected(scope, sourceLabels),
    sourceNamespace === undefined || sourceNamespace === scope.namespace,
  ])
}
