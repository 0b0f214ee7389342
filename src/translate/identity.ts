/** Names that the workloads of a service may prove to have: what a client checks on each connection. */
import { parseSpiffeId } from '../identity/spiffe-id.ts'
import type { Service } from '../registry/service.ts'
import { compareText, type MeshSettings } from './input.ts'
import { endpointsOf, type World } from './world.ts'

/**
 * SPIFFE ids of the endpoints' service accounts, on whatever port and however they are, and the service's own
 * `subjectAltNames`; each id once more for each alias of the trust domain. Sorted.
 */
export function identitiesOf(world: World, service: Service): readonly string[] {
  const { mesh } = world.input
  const accounts = new Set<string>()
  for (const port of service.ports) {
    for (const { namespace, serviceAccount } of endpointsOf(world, service, port)) {
      if (serviceAccount !== '') accounts.add(`/ns/${namespace}/sa/${serviceAccount}`)
    }
  }
  const names = new Set<string>()
  for (const path of accounts) {
    for (const domain of trustDomainsOf(mesh)) {
      const id = parseSpiffeId(`spiffe://${domain}${path}`)
      // A name that no certificate can hold is nobody's.
      if (id !== undefined) names.add(id.id)
    }
  }
  for (const name of service.subjectAltNames) {
    for (const alias of withAliases(name, mesh)) names.add(alias)
  }
  return [...names].sort(compareText)
}

/** The mesh's own first. */
export function trustDomainsOf({ trustDomain, trustDomainAliases }: MeshSettings): string[] {
  return [...new Set([trustDomain, ...trustDomainAliases])]
}

/** As Istio expands: a SPIFFE id stands for itself and for its like in each of the mesh's domains. */
function withAliases(name: string, mesh: MeshSettings): string[] {
  const id = parseSpiffeId(name)
  if (id === undefined || mesh.trustDomainAliases.length === 0) return [name]
  return [name, ...trustDomainsOf(mesh).map((domain) => `spiffe://${domain}${id.path}`)]
}
