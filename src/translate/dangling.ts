/**
 * Destinations of a VirtualService that lead nowhere: a host without a service, a subset that nothing defines, a delegate
 * that is not there.
 */
import type { VirtualServiceSpec } from '../model/istio/virtual-service.ts'
import type { Resource } from '../model/resource.ts'
import { destinationReferences } from './analysis/reference.ts'
import { calledHost } from './called-host.ts'
import { isCoveredBy, isWildcard, resolveHost } from './host-name.ts'
import { serviceFor } from './service-choice.ts'
import { inferredSubsets, serviceSeenFrom, type World } from './world.ts'

export interface Reference {
  readonly kind: 'host' | 'subset' | 'delegate'
  readonly path: string
  /** Of a delegate: `namespace/name`. */
  readonly host: string
  /** Empty where none is meant. */
  readonly subset: string
}

/** Everything that a VirtualService names: a host for each destination, its subset, delegates. */
export function referencesOf(resource: Resource<VirtualServiceSpec>): Reference[] {
  const { namespace } = resource.metadata
  const destinations = destinationReferences(resource).flatMap(
    ({ path, destination }): Reference[] => {
      const host = resolveHost(destination.host, namespace)
      const subset = destination.subset ?? ''
      const named: Reference = { kind: 'host', path, host, subset: '' }
      return subset === '' ? [named] : [named, { kind: 'subset', path, host, subset }]
    },
  )
  const delegates = (resource.spec.http ?? []).flatMap(({ delegate }, index): Reference[] => {
    if (delegate === undefined) return []
    const host = `${delegate.namespace || namespace}/${delegate.name ?? ''}`
    return [{ kind: 'delegate', path: `spec.http[${index}].delegate`, host, subset: '' }]
  })
  return [...destinations, ...delegates]
}

/** Of an unknown host only the host is told, and not its subset too. */
export function danglingReferences(
  world: World,
  resource: Resource<VirtualServiceSpec>,
): Reference[] {
  const unknown = new Set<string>()
  return referencesOf(resource).filter((reference) => {
    if (unknown.has(reference.path)) return false
    const isKnown = isKnownReference(world, resource, reference)
    if (!isKnown) unknown.add(reference.path)
    return !isKnown
  })
}

function isKnownReference(
  world: World,
  resource: Resource<VirtualServiceSpec>,
  { kind, host: name, subset }: Reference,
): boolean {
  const { namespace } = resource.metadata
  if (kind === 'delegate') return world.virtualServices.delegates.has(name)
  const host = calledHost(world, name)
  if (kind === 'host') return isKnownHost(world, resource, host)
  return isKnownSubset(world, { host, subset, namespace })
}

/** Visible to every namespace that the VirtualService is for; to its own, when it is for all. */
function isKnownHost(world: World, resource: Resource<VirtualServiceSpec>, host: string): boolean {
  const own = resource.metadata.namespace
  const written = resource.spec.exportTo ?? []
  const exportTo = written.length > 0 ? written : world.input.mesh.virtualServiceExportTo
  const clients = exportTo.includes('*')
    ? [own]
    : exportTo.map((target) => (target === '.' ? own : target))
  return clients.every((client) => isSeenFrom(world, client, host))
}

function isSeenFrom({ imports, input }: World, client: string, host: string): boolean {
  const { services } = input.registry
  const isSeen = (name: string) => serviceFor(imports.visibility, name, client) !== undefined
  if (services.has(host)) return isSeen(host)
  return [...services.keys()].some(
    (name) => isWildcard(name) && isCoveredBy(host, name) && isSeen(name),
  )
}

/** As a client in the VirtualService's own namespace sees it. */
function isKnownSubset(
  world: World,
  { host, subset, namespace }: { host: string; subset: string; namespace: string },
): boolean {
  const service = serviceSeenFrom(world, namespace, host)
  const rule = world.destinationRules.find({
    host,
    serviceNamespace: service?.namespace ?? '',
    clientNamespace: namespace,
    isSelected: () => true,
  })
  const inferred = service === undefined ? [] : inferredSubsets(world, service, rule)
  return [...(rule?.subsets ?? []), ...inferred].some(({ name }) => name === subset)
}
