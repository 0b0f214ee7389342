/**
 * Spec of Istio's `DestinationRule` (networking.istio.io v1, v1beta1, v1alpha3), shaped as its YAML.
 *
 * Durations stay text as written (`10s`): `durationMs` in model/duration.ts reads them.
 */

export interface DestinationRuleSpec {
  readonly host: string
  readonly trafficPolicy?: TrafficPolicy
  readonly subsets?: readonly Subset[]
  readonly exportTo?: readonly string[]
  readonly workloadSelector?: LabelSelector
}

export interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>>
}

export interface Subset {
  readonly name: string
  readonly labels?: Readonly<Record<string, string>>
  readonly trafficPolicy?: TrafficPolicy
}

/** The blocks that a port can have of its own. */
export interface PortTrafficPolicyBlocks {
  readonly loadBalancer?: LoadBalancerSettings
  readonly connectionPool?: ConnectionPoolSettings
  readonly outlierDetection?: OutlierDetection
  readonly tls?: ClientTlsSettings
}

export interface TrafficPolicy extends PortTrafficPolicyBlocks {
  readonly portLevelSettings?: readonly PortTrafficPolicy[]
  readonly tunnel?: TunnelSettings
  readonly proxyProtocol?: ProxyProtocol
  readonly retryBudget?: RetryBudget
}

export interface PortTrafficPolicy extends PortTrafficPolicyBlocks {
  readonly port?: { readonly number?: number }
}

export type SimpleLoadBalancer =
  | 'UNSPECIFIED'
  | 'LEAST_CONN'
  | 'RANDOM'
  | 'PASSTHROUGH'
  | 'ROUND_ROBIN'
  | 'LEAST_REQUEST'

export interface LoadBalancerSettings {
  readonly simple?: SimpleLoadBalancer
  readonly consistentHash?: ConsistentHash
  readonly localityLbSetting?: LocalityLbSetting
  readonly zoneAwareLbSetting?: ZoneAwareLbSetting
  readonly warmup?: Warmup
  /** Deprecated: `warmup.duration`. */
  readonly warmupDurationSecs?: string
}

/** Exactly one key; at most one algorithm. */
export interface ConsistentHash {
  readonly httpHeaderName?: string
  readonly httpCookie?: HttpCookie
  readonly useSourceIp?: boolean
  readonly httpQueryParameterName?: string
  readonly ringHash?: { readonly minimumRingSize?: number }
  readonly maglev?: { readonly tableSize?: number }
  /** Deprecated: `ringHash.minimumRingSize`. */
  readonly minimumRingSize?: number
}

export interface HttpCookie {
  readonly name: string
  readonly path?: string
  readonly ttl?: string
  readonly attributes?: readonly { readonly name: string; readonly value?: string }[]
}

export interface LocalityLbSetting {
  readonly enabled?: boolean
  readonly distribute?: readonly LocalityDistribute[]
  readonly failover?: readonly LocalityFailover[]
  readonly failoverPriority?: readonly string[]
}

export interface LocalityDistribute {
  readonly from?: string
  readonly to?: Readonly<Record<string, number>>
}

export interface LocalityFailover {
  readonly from?: string
  readonly to?: string
}

export interface ZoneAwareLbSetting {
  readonly enabled?: boolean
  readonly failover?: readonly LocalityFailover[]
  readonly failoverPriority?: readonly string[]
  readonly minClusterSize?: number
}

export interface Warmup {
  readonly duration: string
  readonly minimumPercent?: number
  readonly aggression?: number
}

export interface ConnectionPoolSettings {
  readonly tcp?: TcpSettings
  readonly http?: HttpSettings
}

export interface TcpSettings {
  readonly maxConnections?: number
  readonly connectTimeout?: string
  readonly tcpKeepalive?: TcpKeepalive
  readonly maxConnectionDuration?: string
  readonly idleTimeout?: string
}

export interface TcpKeepalive {
  readonly probes?: number
  readonly time?: string
  readonly interval?: string
}

export interface HttpSettings {
  readonly http1MaxPendingRequests?: number
  readonly http2MaxRequests?: number
  readonly maxRequestsPerConnection?: number
  readonly maxRetries?: number
  readonly idleTimeout?: string
  readonly h2UpgradePolicy?: 'DEFAULT' | 'DO_NOT_UPGRADE' | 'UPGRADE'
  readonly useClientProtocol?: boolean
  readonly maxConcurrentStreams?: number
  readonly http2KeepAlive?: { readonly interval?: string; readonly timeout?: string }
}

export interface OutlierDetection {
  /** Deprecated; we honour it as `consecutiveGatewayErrors`, Istio ignores it. */
  readonly consecutiveErrors?: number
  readonly splitExternalLocalOriginErrors?: boolean
  readonly consecutiveLocalOriginFailures?: number
  readonly consecutiveGatewayErrors?: number
  readonly consecutive5xxErrors?: number
  readonly interval?: string
  readonly baseEjectionTime?: string
  readonly maxEjectionPercent?: number
  readonly minHealthPercent?: number
  readonly outlierDetectionHttpErrorCodes?: readonly number[]
}

export interface ClientTlsSettings {
  readonly mode?: 'DISABLE' | 'SIMPLE' | 'MUTUAL' | 'ISTIO_MUTUAL'
  readonly clientCertificate?: string
  readonly privateKey?: string
  readonly caCertificates?: string
  readonly credentialName?: string
  readonly subjectAltNames?: readonly string[]
  readonly sni?: string
  readonly insecureSkipVerify?: boolean
  readonly caCrl?: string
}

export interface TunnelSettings {
  readonly protocol?: string
  readonly targetHost: string
  readonly targetPort: number
}

export interface ProxyProtocol {
  readonly version?: 'V1' | 'V2'
}

export interface RetryBudget {
  readonly percent?: number
  readonly minRetryConcurrency?: number
  readonly budgetInterval?: string
}
