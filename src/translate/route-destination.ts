/** Where the routes of a VirtualService send requests, and copies of them, with the place of each in its spec. */
import type { Destination, HttpRoute, VirtualServiceSpec } from '../model/istio/virtual-service.ts'
import type { Resource } from '../model/resource.ts'

export interface PlacedDestination {
  /** `spec.http[0].route[1].destination` */
  readonly path: string
  readonly destination: Destination
}

export function destinationsOf(resource: Resource<VirtualServiceSpec>): PlacedDestination[] {
  return (resource.spec.http ?? []).flatMap((http, index) =>
    destinationsOfRoute(http, `spec.http[${index}]`),
  )
}

export function destinationsOfRoute(http: HttpRoute, path: string): PlacedDestination[] {
  return [
    ...(http.route ?? []).map(({ destination }, index) => ({
      path: `${path}.route[${index}].destination`,
      destination,
    })),
    ...(http.mirror === undefined ? [] : [{ path: `${path}.mirror`, destination: http.mirror }]),
    ...(http.mirrors ?? []).map(({ destination }, index) => ({
      path: `${path}.mirrors[${index}].destination`,
      destination,
    })),
  ]
}
