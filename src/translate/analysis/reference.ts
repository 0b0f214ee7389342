/** Every destination that a VirtualService names: of its HTTP routes and their mirrors, and of its TLS and TCP routes. */
import type { VirtualServiceSpec } from '../../model/istio/virtual-service.ts'
import type { Resource } from '../../model/resource.ts'
import { destinationsOf, type PlacedDestination } from '../route-destination.ts'

export function destinationReferences(resource: Resource<VirtualServiceSpec>): PlacedDestination[] {
  const { tls, tcp } = resource.spec
  return [
    ...destinationsOf(resource),
    ...routeReferences(tls, 'spec.tls'),
    ...routeReferences(tcp, 'spec.tcp'),
  ]
}

function routeReferences(
  rules: VirtualServiceSpec['tls'] | VirtualServiceSpec['tcp'],
  path: string,
): PlacedDestination[] {
  return (rules ?? []).flatMap(({ route }, rule) =>
    (route ?? []).map(({ destination }, index) => ({
      path: `${path}[${rule}].route[${index}].destination`,
      destination,
    })),
  )
}
