/** The trust domain of a mesh file: one answer for whoever signs, and for whoever says which names to expect. */
import type { MeshSpec } from './mesh.ts'

export const defaultTrustDomain = 'cluster.local'

/** `spec.trustDomain`, else Istio's place for it, `spec.meshConfig.trustDomain`. */
export function trustDomainOf(
  spec: Pick<MeshSpec, 'trustDomain' | 'meshConfig'> | undefined,
): string {
  return spec?.trustDomain ?? spec?.meshConfig?.trustDomain ?? defaultTrustDomain
}
