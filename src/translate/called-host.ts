/**
 * Which service the destination of a route means: the one of its host, or the one that its host is another name of
 * (ExternalName). As in Istio it is the cluster of that service that requests go to, so its rules and subsets count.
 */
import type { Destination } from '../model/istio/virtual-service.ts'
import { allServices, type RegistrySnapshot, type Service } from '../registry/service.ts'
import { clusterName } from './host-name.ts'

/** Hosts of services, by their other names. */
export type OtherNames = ReadonlyMap<string, string>

export function otherNamesIn(registry: RegistrySnapshot): OtherNames {
  const names = new Map<string, string>()
  for (const { hostname, aliases = [] } of allServices(registry)) {
    for (const alias of aliases) names.set(alias, hostname)
  }
  return names
}

/** A host as it is, where it is no other name. */
export function calledHost(
  { otherNames }: { readonly otherNames: OtherNames },
  host: string,
): string {
  return otherNames.get(host) ?? host
}

/** A destination whose host is fully qualified, with the service that it means to the client. */
export interface CalledDestination {
  readonly destination: Destination
  readonly service: Service | undefined
  /** The port that the client called. */
  readonly called: number
}

/** Of a host without a service the port that was called, where none is named. */
export function clusterOfDestination({ destination, service, called }: CalledDestination): string {
  const { host, port, subset = '' } = destination
  if (service === undefined) return clusterName(port?.number ?? called, subset, host)
  const number = port?.number ?? onlyPort(service, host) ?? called
  return clusterName(number, subset, service.hostname)
}

/** The only one that was written for an ExternalName, if the service has it; else the only one that the service has. */
function onlyPort({ aliasPorts, ports }: Service, name: string): number | undefined {
  const written = aliasPorts?.[name]
  if (ports.some(({ number }) => number === written)) return written
  return ports.length === 1 ? ports[0]?.number : undefined
}
