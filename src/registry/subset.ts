/** What the translation asks about subsets: which endpoints have these labels, and which versions there are. */
import { isSelectedBy } from './label.ts'
import type { Labels } from './label.ts'
import type { Endpoint, RegistrySnapshot } from './service.ts'

/** Endpoints that have all of `labels`; a subset without labels is all endpoints. The same array when all do. */
export function endpointsMatching(
  endpoints: readonly Endpoint[],
  labels: Labels,
): readonly Endpoint[] {
  if (Object.keys(labels).length === 0) return endpoints
  const matching = endpoints.filter((endpoint) => isSelectedBy(endpoint.labels, labels))
  return matching.length === endpoints.length ? endpoints : matching
}

/** Values of the label `version` among a service's endpoints, sorted: the subsets that can be inferred. */
export function versionsOf(snapshot: RegistrySnapshot, hostname: string): readonly string[] {
  const versions = new Set<string>()
  for (const { number } of snapshot.services.get(hostname)?.ports ?? []) {
    for (const { labels } of snapshot.endpoints.get(`${hostname}|${number}`) ?? []) {
      const version = labels['version']
      if (version !== undefined && version !== '') versions.add(version)
    }
  }
  return [...versions].sort()
}
