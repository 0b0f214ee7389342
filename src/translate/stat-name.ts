/**
 * What a cluster is called in statistics, by the mesh's `inboundClusterStatName` and `outboundClusterStatName`.
 *
 * | in the pattern | is replaced by |
 * | --- | --- |
 * | %SERVICE% | name.namespace of a service of the mesh; the host of a ServiceEntry |
 * | %SERVICE_FQDN% | its host |
 * | %SERVICE_PORT% | the service's port |
 * | %SERVICE_PORT_NAME% | the name of that port |
 * | %TARGET_PORT% | the port that the application listens on; inbound only, else 0 |
 * | %SUBSET_NAME% | the subset, or nothing; outbound only |
 *
 * What stands for nothing stays as it is. Istio adds a `;`, by which it finds the end of the name in Prometheus' text;
 * here the name of a cluster is a label, wherever it ends.
 */
import type { Service, ServicePort } from '../registry/service.ts'

export interface StatNameInput {
  readonly service: Pick<Service, 'hostname' | 'name' | 'namespace'>
  readonly port: Pick<ServicePort, 'number' | 'name'>
  readonly subset?: { readonly name: string } | undefined
  readonly targetPort?: number
}

/** Undefined without a pattern. */
export function statName(pattern: string, input: StatNameInput): string | undefined {
  if (pattern === '') return undefined
  const { service, port, subset, targetPort = 0 } = input
  return pattern
    .replaceAll('%SERVICE%', shortNameOf(service))
    .replaceAll('%SERVICE_FQDN%', service.hostname)
    .replaceAll('%SUBSET_NAME%', subset?.name ?? '')
    .replaceAll('%SERVICE_PORT%', String(port.number))
    .replaceAll('%TARGET_PORT%', String(targetPort))
    .replaceAll('%SERVICE_PORT_NAME%', port.name)
}

/** The field of a cluster that says it. */
export function altStatName(pattern: string, input: StatNameInput | undefined) {
  const name = input && statName(pattern, input)
  return name === undefined ? {} : { altStatName: name }
}

/** A ServiceEntry has no name but its hosts. */
function shortNameOf({ hostname, name, namespace }: StatNameInput['service']): string {
  return name === hostname ? hostname : `${name}.${namespace}`
}
