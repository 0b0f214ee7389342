/**
 * Labels: selection by equality, Istio's canonical names, and the topology labels that Istio adds to endpoints.
 */

export type Labels = Readonly<Record<string, string>>

/**
 * Whether every label of `selector` is among `labels`. An empty selector selects nothing, as in Istio and for a
 * Kubernetes Service.
 */
export function isSelectedBy(labels: Labels, selector: Labels): boolean {
  const wanted = Object.entries(selector)
  return wanted.length > 0 && wanted.every(([key, value]) => labels[key] === value)
}

/** Label `service.istio.io/canonical-name`, or what Istio takes in its place; the workload's name at last. */
export function canonicalName(labels: Labels, workload: string): string {
  return (
    labels['service.istio.io/canonical-name'] ??
    labels['app.kubernetes.io/name'] ??
    labels['app'] ??
    workload
  )
}

export function canonicalRevision(labels: Labels): string {
  return (
    labels['service.istio.io/canonical-revision'] ??
    labels['app.kubernetes.io/version'] ??
    labels['version'] ??
    'latest'
  )
}

export interface Topology {
  readonly cluster: string
  readonly network: string
  /** `region/zone/subzone` */
  readonly locality: string
}

/** `labels` with where the endpoint is, so that subsets and failover can speak of it. */
export function withTopology(labels: Labels, topology: Topology): Labels {
  const [region = '', zone = '', subzone = ''] = topology.locality.split('/')
  const added = [
    ['topology.kubernetes.io/region', region],
    ['topology.kubernetes.io/zone', zone],
    ['topology.istio.io/subzone', subzone],
    ['topology.istio.io/cluster', topology.cluster],
    ['topology.istio.io/network', topology.network],
  ].filter(([, value]) => value !== '')
  return { ...labels, ...Object.fromEntries(added) }
}

/** The label by which a machine is known, in Kubernetes too. */
export const hostnameLabel = 'kubernetes.io/hostname'

/** With the machine that a sidecar says it runs on (NODE_NAME), unless a label says it. */
export function withNode(labels: Labels, node: string | undefined): Labels {
  return node === undefined || node === '' || labels[hostnameLabel] !== undefined
    ? labels
    : { ...labels, [hostnameLabel]: node }
}

/** Locality by label, where a workload's own field is empty. Labels cannot hold `/`, so a dot stands for it. */
export function localityOf(own: string | undefined, labels: Labels): string {
  if (own !== undefined && own !== '') return own
  const label = labels['topology.istio.io/locality'] ?? labels['istio-locality'] ?? ''
  return label.includes('/') ? label : label.replaceAll('.', '/')
}
