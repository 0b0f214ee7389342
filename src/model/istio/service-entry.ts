/** Spec of Istio's `ServiceEntry` (networking.istio.io v1, v1beta1, v1alpha3), shaped as its YAML. */
import type { WorkloadEntrySpec } from './workload-entry.ts'

export interface ServiceEntrySpec {
  readonly hosts: readonly string[]
  readonly addresses?: readonly string[]
  readonly ports?: readonly ServiceEntryPort[]
  readonly location?: 'MESH_EXTERNAL' | 'MESH_INTERNAL'
  readonly resolution?: ServiceEntryResolution
  readonly endpoints?: readonly WorkloadEntrySpec[]
  readonly workloadSelector?: WorkloadSelector
  readonly exportTo?: readonly string[]
  readonly subjectAltNames?: readonly string[]
}

export type ServiceEntryResolution = 'NONE' | 'STATIC' | 'DNS' | 'DNS_ROUND_ROBIN' | 'DYNAMIC_DNS'

export interface WorkloadSelector {
  readonly labels?: Readonly<Record<string, string>>
}

export interface ServiceEntryPort {
  readonly number: number
  readonly name: string
  /** HTTP, HTTPS, GRPC, GRPC-WEB, HTTP2, MONGO, TCP, TLS, UDP in any case; absent = TCP. */
  readonly protocol?: string
  readonly targetPort?: number
}
