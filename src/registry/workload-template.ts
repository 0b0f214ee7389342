/**
 * What a joining workload inherits from its group: an Istio WorkloadGroup, or a workload of the mesh file, which
 * is an implicit group of its own name.
 */
import type { WorkloadGroupSpec } from '../model/istio/workload-group.ts'
import type { MeshService, MeshSpec, MeshWorkload } from '../model/mesh/mesh.ts'
import { describeResource } from '../model/resource.ts'
import type { Resource } from '../model/resource.ts'
import { localityOf } from './label.ts'
import type { Labels } from './label.ts'

export interface WorkloadTemplate {
  readonly labels: Labels
  readonly serviceAccount: string
  readonly network: string
  readonly locality: string
  readonly weight: number
  readonly ports: Readonly<Record<string, number>>
  /** A workload with a probe counts as unhealthy until it has reported for the first time. */
  readonly hasProbe: boolean
  readonly declaredBy: string
}

export function groupTemplate(resource: Resource<WorkloadGroupSpec>): WorkloadTemplate {
  const { template, metadata, probe } = resource.spec
  // Istio: the group's metadata wins over the template; the node's own labels win over both.
  const labels = { ...template.labels, ...metadata?.labels }
  return {
    labels,
    serviceAccount: template.serviceAccount ?? '',
    network: template.network ?? '',
    locality: localityOf(template.locality, labels),
    weight: template.weight ?? 0,
    ports: template.ports ?? {},
    hasProbe: probe !== undefined,
    declaredBy: describeResource(resource),
  }
}

/** By `namespace/name`. */
export function meshTemplates(resource: Resource<MeshSpec>): Map<string, WorkloadTemplate> {
  const templates = new Map<string, WorkloadTemplate>()
  const declaredBy = describeResource(resource)
  const add = (workload: MeshWorkload, service?: MeshService): void => {
    const namespace = workload.namespace ?? service?.namespace ?? resource.metadata.namespace
    templates.set(`${namespace}/${workload.name}`, meshTemplate(workload, service, declaredBy))
  }
  for (const service of resource.spec.services ?? []) {
    for (const workload of service.workloads ?? []) add(workload, service)
  }
  for (const workload of resource.spec.workloads ?? []) add(workload)
  return templates
}

function meshTemplate(
  workload: MeshWorkload,
  service: MeshService | undefined,
  declaredBy: string,
): WorkloadTemplate {
  // As the agent says it of itself: what serves nothing is an application of its own name.
  const labels = { app: service?.name ?? workload.name, ...workload.labels }
  return {
    labels,
    serviceAccount: workload.serviceAccount ?? '',
    network: '',
    locality: localityOf(workload.locality, labels),
    weight: workload.weight ?? 0,
    ports: {},
    hasProbe: workload.probe !== undefined,
    declaredBy,
  }
}
