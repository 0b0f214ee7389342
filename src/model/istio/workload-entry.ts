/** Spec of Istio's `WorkloadEntry` (networking.istio.io v1, v1beta1, v1alpha3), shaped as its YAML. */

export interface WorkloadEntrySpec {
  /** IP, host name, `unix:///path` or `unix://@abstract`; may be absent when `network` is set. */
  readonly address?: string
  /** Port name of the service → port of this workload. */
  readonly ports?: Readonly<Record<string, number>>
  readonly labels?: Readonly<Record<string, string>>
  readonly network?: string
  /** `region/zone/subzone` */
  readonly locality?: string
  readonly weight?: number
  readonly serviceAccount?: string
}
