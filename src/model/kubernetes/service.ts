/**
 * Spec of Kubernetes' core `Service` (apiVersion v1), shaped as its YAML. What only a cluster can do (load
 * balancer addresses, node ports) is known and checked, and has no effect here.
 */

export interface ServiceSpec {
  readonly ports?: readonly ServicePortSpec[]
  readonly selector?: Readonly<Record<string, string>>
  /** `None` makes it headless. */
  readonly clusterIP?: string
  readonly clusterIPs?: readonly string[]
  readonly type?: 'ClusterIP' | 'NodePort' | 'LoadBalancer' | 'ExternalName'
  readonly externalName?: string
  readonly externalIPs?: readonly string[]
  readonly sessionAffinity?: 'None' | 'ClientIP'
  readonly sessionAffinityConfig?: { readonly clientIP?: { readonly timeoutSeconds?: number } }
  readonly externalTrafficPolicy?: 'Cluster' | 'Local'
  readonly internalTrafficPolicy?: 'Cluster' | 'Local'
  readonly healthCheckNodePort?: number
  readonly publishNotReadyAddresses?: boolean
  readonly ipFamilies?: readonly ('IPv4' | 'IPv6')[]
  readonly ipFamilyPolicy?: 'SingleStack' | 'PreferDualStack' | 'RequireDualStack'
  readonly allocateLoadBalancerNodePorts?: boolean
  readonly loadBalancerClass?: string
  readonly loadBalancerIP?: string
  readonly loadBalancerSourceRanges?: readonly string[]
  readonly trafficDistribution?: string
}

export interface ServicePortSpec {
  readonly name?: string
  /** A transport; what Istio's files say besides means TCP. */
  readonly protocol?: string
  /** `http`, `https`, `kubernetes.io/h2c`, `grpc`, …: wins over the port's name. */
  readonly appProtocol?: string
  readonly port: number
  /** A number, or the name of a port of the workload; absent = `port`. */
  readonly targetPort?: number | string
  readonly nodePort?: number
}
