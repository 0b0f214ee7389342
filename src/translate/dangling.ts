/** Destinations of a VirtualService that lead nowhere: a host without a service, a subset that nothing defines. */
import type { VirtualServiceSpec } from '../model/istio/virtual-service.ts'
import type { Resource } from '../model/resource.ts'
import { isCoveredBy, isWildcard, resolveHost } from './host-name.ts'
import { inferredSubsets, type World } from './world.ts'

export interface DanglingReference {
  /** Of the destination. */
  readonly path: string
  readonly host: string
  /** Undefined when the host itself is unknown. */
  readonly subset: string | undefined
}

export function danglingReferences(
  world: World,
  resource: Resource<VirtualServiceSpec>,
): DanglingReference[] {
  const { namespace } = resource.metadata
  return (resource.spec.http ?? []).flatMap(({ route }, http) =>
    (route ?? []).flatMap(({ destination }, index): DanglingReference[] => {
      const host = resolveHost(destination.host, namespace)
      const path = `spec.http[${http}].route[${index}].destination`
      if (!isKnownHost(world, host)) return [{ path, host, subset: undefined }]
      const subset = destination.subset ?? ''
      if (subset === '' || isKnownSubset(world, { host, subset, namespace })) return []
      return [{ path, host, subset }]
    }),
  )
}

function isKnownHost(world: World, host: string): boolean {
  const { services } = world.input.registry
  if (services.has(host)) return true
  for (const name of services.keys()) if (isWildcard(name) && isCoveredBy(host, name)) return true
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
