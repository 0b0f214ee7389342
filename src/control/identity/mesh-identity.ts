/** What the mesh file says of identity. Read at the start: another trust domain is another mesh. */
import { durationMs } from '../../model/duration.ts'
import type { MeshSpec } from '../../model/mesh/mesh.ts'
import { trustDomainOf } from '../../model/mesh/trust-domain.ts'
import type { Resource } from '../../model/resource.ts'

export interface MeshIdentity {
  readonly trustDomain: string
  readonly trustDomainAliases: readonly string[]
  /** Undefined: the authority's default. */
  readonly leafLifetimeMs: number | undefined
}

export function meshIdentityOf(mesh: Resource<MeshSpec> | undefined): MeshIdentity {
  const { trustDomainAliases = [], certificateLifetime } = mesh?.spec.meshConfig ?? {}
  return {
    trustDomain: trustDomainOf(mesh?.spec),
    trustDomainAliases,
    leafLifetimeMs: certificateLifetime === undefined ? undefined : durationMs(certificateLifetime),
  }
}
