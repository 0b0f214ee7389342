/** Destinations of a VirtualService that lead nowhere: a host without a service, a subset that nothing defines. */
import type { VirtualServiceSpec } from '../model/istio/virtual-service.ts'
import type { Resource } from '../model/resource.ts'
import type { Service } from '../registry/service.ts'
import { destinationReferences } from './analysis/reference.ts'
import { isCoveredBy, isExportedTo, isWildcard, resolveHost } from './host-name.ts'
import { inferredSubsets, type World } from './world.ts'

export interface DanglingReference {
  /** Of the destination. */
  readonly path: string
  readonly isMirror: boolean
  readonly host: string
  /** Undefined when the host itself is unknown. */
  readonly subset: string | undefined
}

export function danglingReferences(
  world: World,
  resource: Resource<VirtualServiceSpec>,
): DanglingReference[] {
  const { namespace } = resource.metadata
  return destinationReferences(resource.spec).flatMap((reference): DanglingReference[] => {
    const { path, isMirror, destination } = reference
    const host = resolveHost(destination.host, namespace)
    if (!isKnownHost(world, resource, host)) return [{ path, isMirror, host, subset: undefined }]
    const subset = destination.subset ?? ''
    if (subset === '' || isKnownSubset(world, { host, subset, namespace })) return []
    return [{ path, isMirror, host, subset }]
  })
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

function isSeenFrom({ input }: World, client: string, host: string): boolean {
  const { services } = input.registry
  const isSeen = ({ exportTo, namespace }: Service) =>
    isExportedTo(exportTo.length > 0 ? exportTo : input.mesh.serviceExportTo, {
      own: namespace,
      client,
    })
  const exact = services.get(host)
  if (exact !== undefined) return isSeen(exact)
  for (const [name, service] of services) {
    if (isWildcard(name) && isCoveredBy(host, name) && isSeen(service)) return true
  }
  return false
}

/** As a client in the VirtualService's own namespace sees it. */
function isKnownSubset(
  world: World,
  { host, subset, namespace }: { host: string; subset: string; namespace: string },
): boolean {
  const service = world.input.registry.services.get(host)
  const rule = world.destinationRules.find({
    host,
    serviceNamespace: service?.namespace ?? '',
    clientNamespace: namespace,
    isSelected: () => true,
  })
  const inferred = service === undefined ? [] : inferredSubsets(world, service, rule)
  return [...(rule?.subsets ?? []), ...inferred].some(({ name }) => name === subset)
}
