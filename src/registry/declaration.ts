/**
 * A service as one resource declares it: the common form of Service, ServiceEntry, the mesh file's services, and
 * ad-hoc services that only a workload names. The index joins the declarations of one host.
 */
import type { Issue } from '../model/issue.ts'
import { describeResource } from '../model/resource.ts'
import type { Resource } from '../model/resource.ts'
import type { Labels } from './label.ts'
import type { Resolution, ServicePort, TrafficDistribution } from './service.ts'

export type DeclarationKind = 'mesh' | 'Service' | 'ServiceEntry' | 'ad-hoc'

export interface Declaration {
  readonly kind: DeclarationKind
  readonly hostname: string
  readonly name: string
  readonly namespace: string
  readonly ports: readonly ServicePort[]
  /** Workloads of the same namespace with these labels stand behind it; undefined: none do. */
  readonly selector: Labels | undefined
  /** Endpoints written in the resource itself. */
  readonly fixed: readonly FixedEndpoint[]
  readonly addresses: readonly string[]
  readonly resolution: Resolution
  readonly isMeshExternal: boolean
  /** Workloads count as healthy whatever their probes say. */
  readonly publishesUnready?: boolean
  readonly exportTo: readonly string[]
  readonly subjectAltNames: readonly string[]
  readonly trafficDistribution?: TrafficDistribution
  /** Another name for that host: of a service of the mesh, if there is one, else outside. */
  readonly aliasOf?: string
  readonly hasClientAffinity?: boolean
  readonly isNodeLocal?: boolean
  readonly declaredBy: string
  /** What to say when nobody gives it endpoints. */
  readonly withoutEndpoints?: readonly Issue[]
  /** Absent for an ad-hoc one. */
  readonly resource: Resource | undefined
  /** Path of what is declared in the resource: `spec.services[2]`. */
  readonly path: string
}

/** An endpoint that no workload stands for. */
export interface FixedEndpoint {
  readonly address: string
  /** Port name → port. */
  readonly ports: Readonly<Record<string, number>>
  readonly labels: Labels
  readonly serviceAccount: string
  readonly network: string
  readonly locality: string
  readonly weight: number
}

export interface Declared {
  readonly declarations: readonly Declaration[]
  readonly issues: readonly Issue[]
}

export const serviceDomain = 'cluster.local'

/** `reviews` of `default` → `reviews.default.svc.cluster.local`; a name with a dot is full already. */
export function hostnameOf(name: string, namespace: string): string {
  const lower = name.toLowerCase()
  return lower.includes('.') ? lower : `${lower}.${namespace}.svc.${serviceDomain}`
}

export type Finding = Pick<Issue, 'code' | 'severity' | 'message' | 'remedy'>

export function issueAt(resource: Resource, path: string, finding: Finding): Issue {
  const { file, line, column } = resource.origin.positionOf(path)
  return { ...finding, file, line, column, resource: describeResource(resource), path }
}

/** Where a declaration is written, for messages. */
export function placeOf(declaration: Declaration): string {
  const { resource, declaredBy, path } = declaration
  if (resource === undefined || resource.origin.file === '') return declaredBy
  const { file, line } = resource.origin.positionOf(path)
  return `${declaredBy} (${file}:${line})`
}
