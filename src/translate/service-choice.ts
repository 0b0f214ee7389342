/**
 * Which service a client means by a host that several namespaces have a service for.
 *
 * As in Istio: of those that it may see, one of its own namespace; else one that is no ServiceEntry; else the first.
 * First are those that only its namespace may see, then those that are exported to it by name, then those for all; the
 * oldest first in each. In the namespace that is chosen a ServiceEntry gives way too.
 */
import type { ServiceEntryVisibility } from '../model/mesh/mesh-config.ts'
import { servicesOf, type RegistrySnapshot, type Service } from '../registry/service.ts'
import { entryReach, type EntryReach } from './entry-visibility.ts'
import { compareText } from './input.ts'

type Services = Pick<RegistrySnapshot, 'services' | 'namesakes'>

export interface Visibility {
  readonly registry: Services
  /** For services that do not say where they are exported to. */
  readonly exportTo: readonly string[]
  /** How far ServiceEntries may be seen, whatever they say; undefined: as far as they say. */
  readonly entries?: ServiceEntryVisibility | undefined
}

/** Of the services of a host, in order, those that clients of a namespace may see. */
export function visibleServices(
  visibility: Visibility,
  host: string,
  client: string,
): readonly Service[] {
  const all = servicesOf(visibility.registry, host)
  const ranked = all.flatMap((service) => {
    const rank = rankOf(service, visibility, client)
    return rank === undefined ? [] : [{ service, rank }]
  })
  if (ranked.length > 1) ranked.sort((left, right) => left.rank - right.rank)
  return ranked.map(({ service }) => service)
}

/** Undefined: not to be seen. */
function rankOf(service: Service, visibility: Visibility, client: string): number | undefined {
  const { exportTo: own, namespace } = service
  const exportTo = own.length > 0 ? own : visibility.exportTo
  const reach = reachOf(service, visibility)
  if (reach === 'NONE' || (reach === 'NAMESPACE' && namespace !== client)) return undefined
  if (exportTo.includes('*')) return reach === 'NAMESPACE' ? 0 : 2
  if (namespace !== client) return exportTo.includes(client) ? 1 : undefined
  return exportTo.includes('.') || exportTo.includes(client) ? 0 : undefined
}

function reachOf(service: Service, { entries }: Visibility): EntryReach {
  return entries !== undefined && isEntry(service)
    ? entryReach(entries, service.namespace)
    : 'PUBLIC'
}

export function isVisibleIn(visibility: Visibility, service: Service, client: string): boolean {
  return rankOf(service, visibility, client) !== undefined
}

/** Of services of one host that a client sees, in order. */
export function chooseService(seen: readonly Service[], client: string): Service | undefined {
  let [chosen] = seen
  if (chosen === undefined || seen.length === 1) return chosen
  for (const service of seen) {
    const isOwn = service.namespace === client
    const goesBefore = isEntry(chosen) && !isEntry(service) && chosen.namespace !== client
    if (isOwn || goesBefore) chosen = service
  }
  const { namespace } = chosen
  return preferred(seen.filter((service) => service.namespace === namespace))
}

/** The service of a host that clients of a namespace mean, where no Sidecar says what they see. */
export function serviceFor(
  visibility: Visibility,
  host: string,
  client: string,
): Service | undefined {
  const { registry } = visibility
  if (!registry.namesakes.has(host)) {
    const only = registry.services.get(host)
    return only !== undefined && isVisibleIn(visibility, only, client) ? only : undefined
  }
  return chooseService(visibleServices(visibility, host, client), client)
}

/**
 * The service that a route leads to whose host no listener of a Sidecar imports: the namespace's own, be it exported or
 * not, else that of the first namespace by name that lets it be seen.
 */
export function inferredService(
  visibility: Visibility,
  host: string,
  client: string,
): Service | undefined {
  const all = servicesOf(visibility.registry, host)
  const own = preferred(all.filter(({ namespace }) => namespace === client))
  if (own !== undefined) return own
  const namespaces = [...new Set(all.map(({ namespace }) => namespace))].sort(compareText)
  for (const namespace of namespaces) {
    const service = preferred(all.filter((one) => one.namespace === namespace))
    if (service !== undefined && isVisibleIn(visibility, service, client)) return service
  }
  return undefined
}

function preferred(services: readonly Service[]): Service | undefined {
  return services.find((service) => !isEntry(service)) ?? services[0]
}

export function isEntry({ isServiceEntry }: Service): boolean {
  return isServiceEntry === true
}
