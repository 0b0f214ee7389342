/** Spec of Istio's `WorkloadGroup` (networking.istio.io v1, v1beta1, v1alpha3), shaped as its YAML. */
import type { WorkloadEntrySpec } from './workload-entry.ts'

export interface WorkloadGroupSpec {
  readonly metadata?: WorkloadGroupMetadata
  readonly template: WorkloadEntrySpec
  readonly probe?: ReadinessProbe
}

export interface WorkloadGroupMetadata {
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
}

/**
 * Exactly one of the four checks. A WorkloadGroup needs the port of httpGet and tcpSocket; in the mesh file it may
 * be left out, and is the application's own then.
 */
export interface ReadinessProbe {
  readonly httpGet?: HttpGetProbe
  readonly tcpSocket?: { readonly host?: string; readonly port?: number }
  readonly exec?: { readonly command: readonly string[] }
  readonly grpc?: { readonly port?: number; readonly service?: string }
  /** Default 0. */
  readonly initialDelaySeconds?: number
  /** Default 1. */
  readonly timeoutSeconds?: number
  /** Default 10. */
  readonly periodSeconds?: number
  /** Default 1. */
  readonly successThreshold?: number
  /** Default 3. */
  readonly failureThreshold?: number
}

export interface HttpGetProbe {
  readonly path?: string
  readonly port?: number
  readonly host?: string
  /** HTTP or HTTPS. */
  readonly scheme?: string
  readonly httpHeaders?: readonly { readonly name?: string; readonly value?: string }[]
}
