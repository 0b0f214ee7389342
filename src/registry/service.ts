/**
 * What runs, as the translation sees it: services, their ports, and the endpoints behind them. Built from
 * Service, ServiceEntry, WorkloadEntry, WorkloadGroup, the mesh file and the workloads that have joined.
 */

/** Application protocol of a port, after Istio's protocol selection (port name, appProtocol). */
export type PortProtocol =
  | 'http'
  | 'http2'
  | 'grpc'
  | 'grpc-web'
  | 'https'
  | 'tls'
  | 'tcp'
  | 'mongo'
  | 'udp'
  | 'auto'

export interface ServicePort {
  readonly number: number
  readonly name: string
  readonly protocol: PortProtocol
  /** Port of the workload that serves it; a name refers to the workload's own port names. */
  readonly targetPort: number | string
}

export type Resolution = 'none' | 'static' | 'dns' | 'dns-round-robin' | 'dynamic-dns'

/** Which endpoints a service itself prefers: those in the caller's zone, or on its node. */
export type TrafficDistribution = 'same-zone' | 'same-node'

export interface Service {
  /** Fully qualified, lower case: `reviews.default.svc.cluster.local`, or a ServiceEntry's own host. */
  readonly hostname: string
  /** Short name for labels: the Service's name, or the host. */
  readonly name: string
  readonly namespace: string
  readonly ports: readonly ServicePort[]
  /** Virtual addresses, when it has any. */
  readonly addresses: readonly string[]
  readonly resolution: Resolution
  readonly isMeshExternal: boolean
  readonly exportTo: readonly string[]
  readonly subjectAltNames: readonly string[]
  /** Absent: no preference. */
  readonly trafficDistribution?: TrafficDistribution
  /** Calls of one client go to one endpoint, where no rule says otherwise; absent: they do not. */
  readonly hasClientAffinity?: boolean
  /** Only endpoints on the caller's node serve; absent: all do. */
  readonly isNodeLocal?: boolean
  /** What declared it, for messages: `Service default/reviews`, `mesh.yaml:12`. */
  readonly declaredBy: string
  /** Hosts that are other names for it, sorted. Absent: none. */
  readonly aliases?: readonly string[]
  /** The port of each of them that was written with one port. Absent: none was. */
  readonly aliasPorts?: Readonly<Record<string, number>>
  /** Made of ServiceEntries: as in Istio, one of these gives way to other services of its host. Absent: it is not. */
  readonly isServiceEntry?: boolean
  /** What tells it from the leading service of its host; absent for that one. */
  readonly variant?: string
}

export type EndpointHealth = 'healthy' | 'unhealthy' | 'draining'

/** One address of one service port. */
export interface Endpoint {
  /** IP, host name (DNS resolution) or `unix:///path`. */
  readonly address: string
  /** 0 for a Unix socket. */
  readonly port: number
  readonly servicePort: number
  /** Where the application itself listens, when its sidecar says so: the port that PeerAuthentication names. */
  readonly appPort?: number | undefined
  readonly labels: Readonly<Record<string, string>>
  readonly workload: string
  readonly namespace: string
  readonly serviceAccount: string
  readonly canonicalName: string
  readonly canonicalRevision: string
  readonly cluster: string
  readonly network: string
  /** `region/zone/subzone`, parts may be empty. */
  readonly locality: string
  /** 0 = unset, which counts as 1. */
  readonly weight: number
  readonly health: EndpointHealth
  /** `istio` when a sidecar that speaks mTLS stands before it; undefined: plaintext. */
  readonly tlsMode: 'istio' | undefined
}

/** A workload that stands behind a stream or a WorkloadEntry. */
export interface Workload {
  /** The node id for a connected one, `WorkloadEntry ns/name` else. */
  readonly id: string
  readonly name: string
  readonly namespace: string
  readonly serviceAccount: string
  readonly address: string
  readonly labels: Readonly<Record<string, string>>
  readonly ports: readonly WorkloadPort[]
  readonly health: EndpointHealth
  readonly healthMessage: string
  /** `connected`; `gone` since its stream ended and within its grace period; `static` for a WorkloadEntry;
   * `restored` from before a restart of the control plane, and not back yet. */
  readonly presence: 'connected' | 'gone' | 'static' | 'restored'
  readonly locality: string
  readonly network: string
  readonly cluster: string
  readonly weight: number
}

export interface WorkloadPort {
  readonly name: string
  /** Where the application listens; inbound cluster and listener carry this number. */
  readonly appPort: number
  /** Where its sidecar accepts for it; equal to `appPort` when there is no sidecar. */
  readonly meshPort: number
  /** Service port that it serves, when the workload says so; else matched by name and target port. */
  readonly servicePort: number | undefined
}

/** An immutable view; a change makes a new one. */
export interface RegistrySnapshot {
  readonly revision: number
  /** By host. Of a host that has several, the one that leads where nothing else decides. */
  readonly services: ReadonlyMap<string, Service>
  /** Hosts that have several: all of them, oldest first. Which of them a client means depends on the client. */
  readonly namesakes: ReadonlyMap<string, readonly Service[]>
  /** By `endpointKey`. */
  readonly endpoints: ReadonlyMap<string, readonly Endpoint[]>
  readonly workloads: ReadonlyMap<string, Workload>
}

/** `hostname|port`; of a service that does not lead its host, `hostname variant|port`. */
export function endpointKey(
  { hostname, variant }: Pick<Service, 'hostname' | 'variant'>,
  port: number,
): string {
  return variant === undefined ? `${hostname}|${port}` : `${hostname} ${variant}|${port}`
}

export function hostOfEndpointKey(key: string): string {
  const hostAndVariant = key.slice(0, key.lastIndexOf('|'))
  const space = hostAndVariant.indexOf(' ')
  return space < 0 ? hostAndVariant : hostAndVariant.slice(0, space)
}

type Services = Pick<RegistrySnapshot, 'services' | 'namesakes'>

/** All services of a host, oldest first. */
export function servicesOf({ services, namesakes }: Services, host: string): readonly Service[] {
  const several = namesakes.get(host)
  if (several !== undefined) return several
  const only = services.get(host)
  return only === undefined ? [] : [only]
}

/** All services of all hosts. */
export function* allServices({ services, namesakes }: Services): Generator<Service, void> {
  for (const [host, service] of services) {
    const several = namesakes.get(host)
    if (several === undefined) yield service
    else yield* several
  }
}
