/** One input with the indexes that every translation of it looks things up in. Immutable. */
import { runToEnd, type Steps } from '../lib/steps.ts'
import type { Subset } from '../model/istio/destination-rule.ts'
import type { Resource } from '../model/resource.ts'
import { hostnameLabel } from '../registry/label.ts'
import {
  allServices,
  endpointKey,
  type Endpoint,
  type RegistrySnapshot,
  type Service,
  type ServicePort,
} from '../registry/service.ts'
import { calledHost, otherNamesIn, type OtherNames } from './called-host.ts'
import { DestinationRules, type MergedRule } from './destination-rule-index.ts'
import { isCoveredBy, isWildcard, overlaps } from './host-name.ts'
import { ImportCache } from './import-cache.ts'
import { sourceSelectors } from './injected-fault.ts'
import { compareText, type MtlsMode, type TranslationInput } from './input.ts'
import { asksForNode, clusterLabel } from './locality.ts'
import { modeOfPort, PeerAuthentications } from './peer-authentication-index.ts'
import { isSelected, placeLabelsOf, selectorsOf, type Scope, type Selectors } from './scope.ts'
import { serviceFor } from './service-choice.ts'
import { Sidecars } from './sidecar-index.ts'
import { rulesHashSource } from './source-hash.ts'
import { VirtualServices, type VirtualService } from './virtual-service-index.ts'
import { routesByZone } from './zone-aware.ts'

export interface World {
  readonly input: TranslationInput
  readonly virtualServices: VirtualServices
  readonly destinationRules: DestinationRules
  readonly peerAuthentications: PeerAuthentications
  readonly selectors: Selectors
  /** Labels of clients that endpoints are ordered or chosen by. */
  readonly placeLabels: readonly string[]
  /** Those of them that rules and the mesh name. */
  readonly ruleLabels: readonly string[]
  /** Whether some destination hashes by who calls. */
  readonly hashesSource: boolean
  readonly hashingRules: boolean
  /** Whether requests to some service stay in their zone as far as they can. */
  readonly routesByZone: boolean
  readonly sidecars: Sidecars
  /** What clients see of it all. */
  readonly imports: ImportCache
  /** Subsets that VirtualServices name, by host. */
  readonly subsetReferences: ReadonlyMap<string, ReadonlySet<string>>
  /** VirtualServices that send requests to a host. */
  readonly virtualServicesTo: ReadonlyMap<string, readonly VirtualService[]>
  /** Host that an address, or another name, belongs to: the first by name, where several claim it. */
  readonly addressOwners: ReadonlyMap<string, string>
  /** Hosts of services, by the names that ExternalNames give them. */
  readonly otherNames: OtherNames
  /** Service ports that a workload's mesh port serves, by `namespace/workload|port`. */
  readonly served: ReadonlyMap<string, readonly ServedPort[]>
  /** Resources that the indexes are made of. */
  readonly indexed: readonly Resource[]
}

export interface ServedPort {
  readonly service: Service
  readonly port: ServicePort
}

export function buildWorld(input: TranslationInput, previous?: World): World {
  return runToEnd(buildWorldInSteps(input, previous))
}

export function* buildWorldInSteps(input: TranslationInput, previous?: World): Steps<World> {
  const indexed =
    previous?.input.resources === input.resources ? previous.indexed : indexedOf(input)
  // Services and endpoints change most often, and no index is made of them.
  const isSameConfig =
    previous !== undefined &&
    isSameList(previous.indexed, indexed) &&
    previous.input.mesh === input.mesh &&
    previous.input.faults === input.faults
  const config = isSameConfig ? previous : yield* buildConfig(input, previous)
  yield
  const names = namesIn(input.registry, previous)
  return {
    ...config,
    ...names,
    ...askedOf(input.registry, { config, before: isSameConfig ? previous : undefined }),
    indexed,
    imports: new ImportCache({ ...config, ...names, input }),
    input,
    served: previous?.input.registry === input.registry ? previous.served : servedPorts(input),
  }
}

/** Whom addresses and other names belong to. */
function namesIn(
  registry: RegistrySnapshot,
  before: World | undefined,
): Pick<World, 'addressOwners' | 'otherNames'> {
  if (before !== undefined && isSameServices(before.input.registry, registry)) {
    const { addressOwners, otherNames } = before
    return { addressOwners, otherNames }
  }
  return { addressOwners: ownersOf(registry), otherNames: otherNamesIn(registry) }
}

export function isSameServices(before: RegistrySnapshot, after: RegistrySnapshot): boolean {
  return before.services === after.services && before.namesakes === after.namesakes
}

const indexedKinds = new Set(['VirtualService', 'DestinationRule', 'PeerAuthentication', 'Sidecar'])

function indexedOf({ resources }: TranslationInput): readonly Resource[] {
  return [...resources.values()].filter(({ kind }) => indexedKinds.has(kind))
}

function isSameList(left: readonly unknown[], right: readonly unknown[]): boolean {
  return (
    left === right ||
    (left.length === right.length && left.every((member, index) => member === right[index]))
  )
}

function* buildConfig(input: TranslationInput, previous: World | undefined) {
  const virtualServices = new VirtualServices(input, previous?.virtualServices)
  yield
  const destinationRules = new DestinationRules(input, previous?.destinationRules)
  yield
  const subsetReferences = new Map<string, Set<string>>()
  const virtualServicesTo = new Map<string, VirtualService[]>()
  for (const virtualService of virtualServices.all) {
    for (const reference of virtualService.subsetReferences) {
      const [host = '', subset = ''] = reference.split('|')
      valueOf(subsetReferences, host, () => new Set<string>()).add(subset)
    }
    for (const host of virtualService.destinationHosts) {
      valueOf(virtualServicesTo, host, (): VirtualService[] => []).push(virtualService)
    }
  }
  return {
    virtualServices,
    destinationRules,
    peerAuthentications: new PeerAuthentications(input),
    sidecars: new Sidecars(input, previous?.sidecars),
    subsetReferences,
    virtualServicesTo,
    ruleLabels: placeLabelsOf(destinationRules, input.mesh),
    hashingRules: rulesHashSource(destinationRules),
    routesByZone: routesByZone(destinationRules, input.mesh),
    selectors: selectorsOf(
      virtualServices,
      destinationRules,
      (input.faults ?? []).flatMap(sourceSelectors),
    ),
  }
}

interface AskedInput {
  readonly config: Pick<World, 'ruleLabels' | 'hashingRules'>
  /** Of the same configuration. */
  readonly before: World | undefined
}

/** What clients have to tell of themselves because of a rule, or of a service. */
function askedOf(
  registry: RegistrySnapshot,
  { config, before }: AskedInput,
): Pick<World, 'placeLabels' | 'hashesSource'> {
  if (before !== undefined && isSameServices(before.input.registry, registry)) {
    const { placeLabels, hashesSource } = before
    return { placeLabels, hashesSource }
  }
  const { ruleLabels, hashingRules } = config
  const all = [...allServices(registry)]
  const asked = all.some(asksForNode) && !ruleLabels.includes(hostnameLabel)
  return {
    placeLabels: asked ? [...ruleLabels, hostnameLabel].sort() : ruleLabels,
    hashesSource: hashingRules || all.some(({ hasClientAffinity }) => hasClientAffinity === true),
  }
}

function servedPorts(input: TranslationInput): Map<string, ServedPort[]> {
  const served = new Map<string, ServedPort[]>()
  for (const service of allServices(input.registry)) {
    for (const port of service.ports) {
      for (const key of workloadPorts(input, service, port)) {
        valueOf(served, key, (): ServedPort[] => []).push({ service, port })
      }
    }
  }
  return served
}

/** Of a key, made when it has none. */
function valueOf<V>(map: Map<string, V>, key: string, make: () => V): V {
  let value = map.get(key)
  if (value === undefined) {
    value = make()
    map.set(key, value)
  }
  return value
}

function workloadPorts(input: TranslationInput, service: Service, port: ServicePort): Set<string> {
  const endpoints = input.registry.endpoints.get(endpointKey(service, port.number)) ?? []
  return new Set(endpoints.flatMap((endpoint) => servedKey(endpoint) ?? []))
}

function ownersOf(registry: RegistrySnapshot): Map<string, string> {
  const owners = new Map<string, string>()
  for (const { hostname, addresses, aliases = [] } of allServices(registry)) {
    for (const address of [...addresses, ...aliases]) {
      const owner = owners.get(address)
      if (owner === undefined || hostname < owner) owners.set(address, hostname)
    }
  }
  return owners
}

/** The service of a host, when the scope's clients may see it. */
export function visibleService(world: World, scope: Scope, host: string): Service | undefined {
  const imports = world.imports.of(scope)
  if (imports !== undefined) return imports.services.get(host)
  return serviceFor(world.imports.visibility, host, scope.namespace)
}

/** The service that a route means by a host, when the scope's clients may see it. */
export function routedService(world: World, scope: Scope, host: string): Service | undefined {
  return visibleService(world, scope, calledHost(world, host))
}

/** The service of a host as clients of a namespace mean it, be it by leave or not. */
export function serviceSeenFrom(
  { imports, input }: Pick<World, 'imports' | 'input'>,
  namespace: string,
  host: string,
): Service | undefined {
  return serviceFor(imports.visibility, host, namespace) ?? input.registry.services.get(host)
}

/** Of the service of a host, by whichever of its names. */
export function ruleFor(world: World, scope: Scope, name: string): MergedRule | undefined {
  const host = calledHost(world, name)
  const service = visibleService(world, scope, host) ?? world.input.registry.services.get(host)
  return world.destinationRules.find({
    host,
    serviceNamespace: service?.namespace ?? '',
    clientNamespace: scope.namespace,
    isSelected: (selector) => isSelected(scope, selector),
  })
}

export function endpointsOf(
  world: World,
  service: Service,
  port: ServicePort,
): readonly Endpoint[] {
  return world.input.registry.endpoints.get(endpointKey(service, port.number)) ?? []
}

/** Whether callers reach only what runs in their own cluster; the most specific host that the mesh names decides. */
export function isClusterLocal({ input }: Pick<World, 'input'>, { hostname }: Service): boolean {
  const { clusterLocal } = input.mesh
  return clusterLocal.find(({ host }) => isCoveredBy(hostname, host))?.isLocal === true
}

/** Those of them that the scope's clients may call. An endpoint that says no cluster is everybody's. */
export function reachableEndpoints(
  world: World,
  scope: Scope,
  { service, port }: ServedPort,
): readonly Endpoint[] {
  const endpoints = endpointsOf(world, service, port)
  const own = scope.place.labels[clusterLabel]
  if (own === undefined || !isClusterLocal(world, service)) return endpoints
  return endpoints.filter(({ cluster }) => cluster === '' || cluster === own)
}

/**
 * What an endpoint's own PeerAuthentication says. A policy's ports are those of the application: what it listens on,
 * or the target port by which the service means it.
 */
export function modeOfEndpoint(
  { peerAuthentications }: Pick<World, 'peerAuthentications'>,
  { targetPort }: ServicePort,
  endpoint: Endpoint,
): MtlsMode {
  const modes = peerAuthentications.modesOf(endpoint.namespace, endpoint.labels)
  const target = typeof targetPort === 'number' ? targetPort : undefined
  return modeOfPort(modes, [endpoint.appPort, target])
}

/** What the sidecar before an endpoint takes its mesh port for, when several services mean it: the first by name. */
export function firstServed(
  { served }: Pick<World, 'served'>,
  endpoint: Endpoint,
): ServedPort | undefined {
  const key = servedKey(endpoint)
  const known = (key === undefined ? undefined : served.get(key)) ?? []
  return known.length < 2 ? known[0] : [...known].sort(byHostname)[0]
}

/** Undefined for an address that no workload stands for: two of those have nothing in common. */
export function servedKey({ namespace, workload, port }: Endpoint): string | undefined {
  return workload === '' ? undefined : `${namespace}/${workload}|${port}`
}

export function byHostname(left: ServedPort, right: ServedPort): number {
  return (
    compareText(left.service.hostname, right.service.hostname) ||
    left.port.number - right.port.number
  )
}

/** Whether an endpoint is to be called with mTLS: a sidecar that speaks it stands before it, and takes it. */
export function takesMtls(
  world: Pick<World, 'peerAuthentications'>,
  port: ServicePort,
  endpoint: Endpoint,
): boolean {
  return endpoint.tlsMode === 'istio' && modeOfEndpoint(world, port, endpoint) !== 'DISABLE'
}

/**
 * Subsets that a VirtualService names, no rule defines, and the service's own workloads can mean: those whose
 * label `version` has that value.
 */
export function inferredSubsets(
  world: World,
  service: Service,
  rule: MergedRule | undefined,
): readonly Subset[] {
  const named = namedSubsets(world, service)
  if (named.size === 0 || !world.input.mesh.infersSubsets) return []
  const versions = versionsOf(world, service)
  const defined = new Set(rule?.subsets.map(({ name }) => name))
  return [...named]
    .filter((name) => !defined.has(name) && versions.has(name))
    .sort()
    .map((name) => ({ name, labels: { version: name } }))
}

/** Subsets that routes name for a service, by whichever of its names. */
export function namedSubsets(
  { subsetReferences }: Pick<World, 'subsetReferences'>,
  { hostname, aliases }: Service,
): ReadonlySet<string> {
  const own = subsetReferences.get(hostname) ?? noSubsets
  if (aliases === undefined) return own
  return new Set([...own, ...aliases.flatMap((name) => [...(subsetReferences.get(name) ?? [])])])
}

const noSubsets: ReadonlySet<string> = new Set()

export function versionsOf(world: World, service: Service): ReadonlySet<string> {
  const versions = new Set<string>()
  for (const port of service.ports) {
    for (const { labels } of endpointsOf(world, service, port)) {
      if (labels['version'] !== undefined) versions.add(labels['version'])
    }
  }
  return versions
}

/** Hosts that a VirtualService names and no visible service has. */
export function isUnregistered(world: World, scope: Scope, host: string): boolean {
  if (!isWildcard(host)) return visibleService(world, scope, host) === undefined
  for (const name of world.input.registry.services.keys()) {
    if (overlaps(name, host) && visibleService(world, scope, name) !== undefined) return false
  }
  return true
}
