/**
 * VirtualServices that name the host of a request and have no say in it: the first thing to look at when a rule does
 * not do what it should. The translation's own functions say why.
 */
import type { VirtualServiceSpec } from '../../model/istio/virtual-service.ts'
import { describeResource, type Resource } from '../../model/resource.ts'
import { isCoveredBy, isExportedTo, resolveHost } from '../../translate/host-name.ts'
import { exclusionOf, type MatchScope } from '../../translate/route-match.ts'
import { isBoundToMesh } from '../../translate/virtual-service-index.ts'

export interface PassedOver {
  /** `VirtualService default/reviews` */
  readonly resource: string
  readonly file: string
  readonly line: number
  readonly reason: string
}

export interface PassedOverInput {
  readonly virtualServices: readonly Resource<VirtualServiceSpec>[]
  /** Where VirtualServices are exported to that do not say so. */
  readonly exportTo: readonly string[]
  /** Fully qualified, without a port. */
  readonly host: string
  /** Those whose routes are in the sidecar. */
  readonly used: ReadonlySet<string>
  readonly scope: MatchScope
}

export function passedOver(input: PassedOverInput): readonly PassedOver[] {
  return input.virtualServices
    .filter((resource) => namesHost(resource, input.host))
    .filter((resource) => !input.used.has(describeResource(resource)))
    .map((resource) => {
      const { file, line } = resource.origin
      return { resource: describeResource(resource), file, line, reason: reasonOf(resource, input) }
    })
}

function namesHost({ spec, metadata }: Resource<VirtualServiceSpec>, host: string): boolean {
  return (spec.hosts ?? []).some((name) => isCoveredBy(host, resolveHost(name, metadata.namespace)))
}

function reasonOf(resource: Resource<VirtualServiceSpec>, input: PassedOverInput): string {
  const { spec, metadata } = resource
  const { scope } = input
  if (!isBoundToMesh(spec)) {
    return `it is for the gateways ${(spec.gateways ?? []).join(', ')}, and not for the mesh`
  }
  const written = spec.exportTo ?? []
  const exportTo = written.length > 0 ? written : input.exportTo
  if (!isExportedTo(exportTo, { own: metadata.namespace, client: scope.clientNamespace })) {
    return `it is exported to ${exportTo.join(', ')}, and not to namespace ${scope.clientNamespace}`
  }
  if ((spec.http ?? []).length === 0) return 'it has rules for TCP or TLS only'
  if (!hasRuleFor(spec, scope)) {
    return `none of its rules is for this workload on port ${scope.port} (port, sourceLabels, sourceNamespace, gateways)`
  }
  const [used] = input.used
  if (used === undefined) return 'the sidecar does not have it, or not yet'
  return `${used} goes before it: it names the host more exactly, is older, or of the same age and first by name; they are not merged`
}

function hasRuleFor({ http }: VirtualServiceSpec, scope: MatchScope): boolean {
  return (http ?? []).some(({ match }) => {
    const blocks = match ?? []
    return blocks.length === 0 || blocks.some((block) => exclusionOf(block, scope) === undefined)
  })
}
