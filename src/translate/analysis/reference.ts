/** What a VirtualService refers to: every destination of its routes, whatever their protocol, and of its mirrors. */
import type { Destination, VirtualServiceSpec } from '../../model/istio/virtual-service.ts'

export interface DestinationReference {
  /** Of the destination: `spec.http[0].route[1].destination`, `spec.http[0].mirror`. */
  readonly path: string
  readonly isMirror: boolean
  readonly destination: Destination
}

export function destinationReferences(spec: VirtualServiceSpec): DestinationReference[] {
  return [
    ...routeReferences(spec.http, 'spec.http'),
    ...mirrorReferences(spec.http),
    ...routeReferences(spec.tls, 'spec.tls'),
    ...routeReferences(spec.tcp, 'spec.tcp'),
  ]
}

interface Routed {
  readonly route?: readonly { readonly destination: Destination }[]
}

function routeReferences(
  rules: readonly Routed[] | undefined,
  path: string,
): DestinationReference[] {
  return (rules ?? []).flatMap(({ route }, rule) =>
    (route ?? []).map(({ destination }, index) => ({
      path: `${path}[${rule}].route[${index}].destination`,
      isMirror: false,
      destination,
    })),
  )
}

function mirrorReferences(rules: VirtualServiceSpec['http']): DestinationReference[] {
  return (rules ?? []).flatMap(({ mirror, mirrors }, rule) => [
    ...(mirror === undefined
      ? []
      : [{ path: `spec.http[${rule}].mirror`, isMirror: true, destination: mirror }]),
    ...(mirrors ?? []).flatMap(({ destination }, index) =>
      destination === undefined
        ? []
        : { path: `spec.http[${rule}].mirrors[${index}].destination`, isMirror: true, destination },
    ),
  ])
}
