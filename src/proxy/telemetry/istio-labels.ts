/**
 * The labels of Istio's standard metrics: which there are, in which order, and where each value comes from. Our own
 * side is constant; the other side is what EDS says about the endpoint (Istio's `workload;namespace;…` metadata) or,
 * inbound, nothing yet. A value that is not known is `unknown`.
 */
import type { Cluster } from '../upstream/cluster.ts'
import type { Host } from '../upstream/host.ts'

export const istioLabelNames = [
  'reporter',
  'source_workload',
  'source_canonical_service',
  'source_canonical_revision',
  'source_workload_namespace',
  'source_principal',
  'source_app',
  'source_version',
  'source_cluster',
  'destination_workload',
  'destination_workload_namespace',
  'destination_principal',
  'destination_app',
  'destination_version',
  'destination_service',
  'destination_canonical_service',
  'destination_canonical_revision',
  'destination_service_name',
  'destination_service_namespace',
  'destination_cluster',
  'request_protocol',
  'response_code',
  'grpc_response_status',
  'response_flags',
  'connection_security_policy',
] as const

export type IstioLabel = (typeof istioLabelNames)[number]

/** Only in metrics of requests. */
export const requestOnlyLabels: ReadonlySet<IstioLabel> = new Set([
  'response_code',
  'grpc_response_status',
])

export type IstioLabels = Partial<Record<IstioLabel, string>>

export interface Peer {
  readonly host: Host | undefined
  readonly cluster: Cluster | undefined
  readonly clusterName: string
  readonly routeName: string
  /** The request's authority; '' for TCP. */
  readonly authority: string
}

/** Clusters and routes that stand for no service; Istio names the destination after them. */
const specialNames: Readonly<Record<string, string>> = {
  BlackHoleCluster: 'BlackHoleCluster',
  PassthroughCluster: 'PassthroughCluster',
  InboundPassthroughCluster: 'InboundPassthroughCluster',
}
const specialRoutes: Readonly<Record<string, string>> = {
  block_all: 'BlackHoleCluster',
  allow_any: 'PassthroughCluster',
}

/** What EDS says of the workload that a request went to. */
export function destinationLabels(host: Host | undefined): IstioLabels {
  if (host === undefined) return {}
  const { workload, namespace, canonicalName, canonicalRevision, cluster } = host.metadata
  // The endpoint's metadata has no labels `app` and `version`; canonical name and revision are made from them.
  return compact({
    destination_workload: workload,
    destination_workload_namespace: namespace,
    destination_app: canonicalName,
    destination_version: canonicalRevision === 'latest' ? '' : canonicalRevision,
    destination_canonical_service: canonicalName,
    destination_canonical_revision: canonicalRevision || (workload === '' ? '' : 'latest'),
    destination_cluster: cluster,
  })
}

/** The service that was meant: the cluster's, otherwise what the request's authority says. */
export function serviceLabels(peer: Peer, hostHeaderFallback: boolean): IstioLabels {
  const service = peer.cluster?.service
  if (service !== undefined && service.host !== '') {
    return compact({
      destination_service: service.host,
      destination_service_name: service.name,
      destination_service_namespace: service.namespace,
    })
  }
  const host = hostHeaderFallback ? peer.authority : ''
  const special = specialNames[peer.clusterName] ?? specialRoutes[peer.routeName]
  return compact({
    destination_service: host,
    destination_service_name: special ?? serviceName(host, peer.host?.metadata.namespace ?? ''),
    destination_service_namespace: peer.host?.metadata.namespace ?? '',
  })
}

/** `name.namespace…` of the endpoint's namespace is `name`; any other host is its own name. */
function serviceName(host: string, namespace: string): string {
  const bare = host.replace(/:\d+$/, '')
  const dot = bare.indexOf('.')
  if (dot < 0 || namespace === '') return bare
  const rest = bare.slice(dot + 1)
  return rest === namespace || rest.startsWith(`${namespace}.`) ? bare.slice(0, dot) : bare
}

function compact(labels: IstioLabels): IstioLabels {
  return Object.fromEntries(Object.entries(labels).filter(([, value]) => value !== ''))
}
