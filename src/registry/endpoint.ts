/**
 * Makes endpoints: of a workload, or of what is written in a ServiceEntry, for one port of one declaration.
 *
 * Which port of a workload serves a service's port:
 * - a connected workload says so (MESH_PORTS): the entry whose `servicePort` it is, else whose application port
 *   or name is the target port, else whose name is the service port's. Requests go to its mesh port.
 * - a WorkloadEntry: Istio's order, its own `ports` by the service port's name, then targetPort, then the number.
 */
import { isIP } from 'node:net'

import type { Declaration, FixedEndpoint } from './declaration.ts'
import { isDialable } from './declare-service-entry.ts'
import { canonicalName, canonicalRevision, withTopology } from './label.ts'
import type { Labels } from './label.ts'
import type { Endpoint, ServicePort, Workload } from './service.ts'

/** A workload as the index holds it. */
export interface Member {
  readonly workload: Workload
  /** Port name → port, from a WorkloadEntry or the template of a WorkloadGroup. */
  readonly portMap: Readonly<Record<string, number>>
  /** True when its own list of ports is all it serves; else its ports follow from the service. */
  readonly hasOwnPorts: boolean
  /** Host that it serves whatever its labels (`tulle run --service`). */
  readonly directHost: string | undefined
}

/** Undefined when the workload does not serve this port. */
export function memberEndpoint(
  member: Member,
  declaration: Declaration,
  port: ServicePort,
): Endpoint | undefined {
  const { workload } = member
  if (!canReach(workload.address, declaration)) return undefined
  const served = portOf(member, declaration, port)
  if (served === undefined) return undefined
  const { labels, name, namespace, cluster, network, locality } = workload
  return {
    address: workload.address,
    ...served,
    servicePort: port.number,
    labels: withTopology(labels, { cluster, network, locality }),
    workload: name,
    namespace,
    serviceAccount: workload.serviceAccount,
    canonicalName: canonicalName(labels, name),
    canonicalRevision: canonicalRevision(labels),
    cluster,
    network,
    locality,
    weight: workload.weight,
    health: declaration.publishesUnready === true ? 'healthy' : workload.health,
    tlsMode: member.hasOwnPorts
      ? labelledTlsMode(labels)
      : tlsModeOf(labels, workload.serviceAccount),
  }
}

/** A host name needs DNS: only a ServiceEntry that resolves names can use it. */
function canReach(address: string, declaration: Declaration): boolean {
  if (isIP(address) !== 0) return true
  if (declaration.kind !== 'ServiceEntry' || address === '') return false
  return isUsable({ address }, declaration)
}

/** Whether a service that is resolved in its way can use an endpoint that another declaration of its host made. */
export function isUsable(
  { address }: Pick<Endpoint, 'address'>,
  { resolution }: Pick<Declaration, 'resolution'>,
): boolean {
  return resolution === 'static' ? isDialable(address) : resolution !== 'none'
}

/** Where requests go, and where the application listens when that is another port. */
function portOf(
  { workload, portMap, hasOwnPorts }: Member,
  declaration: Declaration,
  port: ServicePort,
): Pick<Endpoint, 'port' | 'appPort'> | undefined {
  if (workload.address.startsWith('unix://')) return { port: 0 }
  const { targetPort } = port
  if (!hasOwnPorts) {
    const written = writtenPort(portMap, port, declaration)
    return written === undefined ? undefined : { port: written, appPort: written }
  }
  const target = typeof targetPort === 'string' ? portMap[targetPort] : portMap[port.name]
  const served =
    workload.ports.find(({ servicePort }) => servicePort === port.number) ??
    workload.ports.find(({ name }) => typeof targetPort === 'string' && name === targetPort) ??
    workload.ports.find(({ appPort }) => appPort === (target ?? targetPort)) ??
    workload.ports.find(({ name }) => name !== '' && name === port.name)
  return served && { port: served.meshPort, appPort: served.appPort }
}

function writtenPort(
  portMap: Readonly<Record<string, number>>,
  port: ServicePort,
  { kind }: Pick<Declaration, 'kind'>,
): number | undefined {
  const { targetPort } = port
  // A Service that names its target port means that very name; the service port's own name is not looked up.
  if (kind !== 'ServiceEntry' && typeof targetPort === 'string') return portMap[targetPort]
  const named = portMap[port.name]
  if (named !== undefined && named > 0) return named
  return typeof targetPort === 'number' ? targetPort : port.number
}

export function fixedEndpoint(
  fixed: FixedEndpoint,
  declaration: Declaration,
  port: ServicePort,
): Endpoint | undefined {
  if (declaration.resolution === 'static' && !isDialable(fixed.address)) return undefined
  const isSocket = fixed.address.startsWith('unix://')
  const { labels, network, locality } = fixed
  return {
    address: fixed.address,
    port: isSocket ? 0 : (writtenPort(fixed.ports, port, declaration) ?? port.number),
    servicePort: port.number,
    labels: withTopology(labels, { cluster: '', network, locality }),
    workload: '',
    namespace: declaration.namespace,
    serviceAccount: fixed.serviceAccount,
    canonicalName: canonicalName(labels, ''),
    canonicalRevision: canonicalRevision(labels),
    cluster: '',
    network,
    locality,
    weight: fixed.weight,
    health: 'healthy',
    tlsMode: tlsModeOf(labels, fixed.serviceAccount),
  }
}

/** Istio's rule for what a person wrote: the label says it, else a service account means a sidecar. */
function tlsModeOf(labels: Labels, serviceAccount: string): 'istio' | undefined {
  const label = labels['security.istio.io/tlsMode']
  if (label !== undefined) return label === 'istio' ? 'istio' : undefined
  return serviceAccount === '' ? undefined : 'istio'
}

/** A connected sidecar takes plaintext until it says otherwise. */
function labelledTlsMode(labels: Labels): 'istio' | undefined {
  return labels['security.istio.io/tlsMode'] === 'istio' ? 'istio' : undefined
}
