/** A WorkloadEntry as a workload that needs no stream. */
import type { WorkloadEntrySpec } from '../model/istio/workload-entry.ts'
import { describeResource } from '../model/resource.ts'
import type { Resource } from '../model/resource.ts'
import type { Member } from './endpoint.ts'
import { localityOf } from './label.ts'

export function workloadEntryMember(
  resource: Resource<WorkloadEntrySpec>,
  cluster: string,
): Member {
  const { metadata, spec } = resource
  // Istio: what the metadata says wins over the spec.
  const labels = { ...spec.labels, ...metadata.labels }
  return {
    workload: {
      id: describeResource(resource),
      name:
        metadata.annotations['istio.io/autoRegistrationGroup'] ??
        labels['service.istio.io/workload-name'] ??
        metadata.name,
      namespace: metadata.namespace,
      serviceAccount: spec.serviceAccount ?? '',
      address: spec.address ?? '',
      labels,
      ports: Object.entries(spec.ports ?? {}).map(([name, port]) => ({
        name,
        appPort: port,
        meshPort: port,
        servicePort: undefined,
      })),
      health: 'healthy',
      healthMessage: '',
      presence: 'static',
      locality: localityOf(spec.locality, labels),
      network: spec.network ?? '',
      cluster,
      weight: spec.weight ?? 0,
    },
    portMap: spec.ports ?? {},
    hasOwnPorts: false,
    directHost: undefined,
  }
}
