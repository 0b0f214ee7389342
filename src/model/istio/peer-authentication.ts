/** Spec of Istio's `PeerAuthentication` (security.istio.io v1, v1beta1), shaped as its YAML. */

export interface PeerAuthenticationSpec {
  /** Without labels: all workloads of the namespace, of the mesh in the root namespace. */
  readonly selector?: { readonly matchLabels?: Readonly<Record<string, string>> }
  readonly mtls?: MutualTls
  /** By the workload's own port. */
  readonly portLevelMtls?: Readonly<Record<string, MutualTls>>
}

export interface MutualTls {
  /** UNSET, and nothing at all: what the next wider policy says. */
  readonly mode?: 'UNSET' | 'DISABLE' | 'PERMISSIVE' | 'STRICT'
}
