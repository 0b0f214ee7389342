/**
 * Settings of the whole mesh: the fields of Istio's MeshConfig that make sense without Kubernetes, by Istio's
 * names, and a few of our own. Other fields of Istio's are known by name and reported as having no effect.
 */
import type {
  ConnectionPoolSettings,
  LocalityLbSetting,
  ZoneAwareLbSetting,
  OutlierDetection,
  TcpKeepalive,
} from '../istio/destination-rule.ts'
import type { HttpRetry } from '../istio/virtual-service.ts'
import type { ProxyConfig } from './proxy-config.ts'

export interface MeshConfig {
  readonly outboundTrafficPolicy?: { readonly mode?: OutboundTrafficMode }
  /** File, or `/dev/stdout`; empty = off. */
  readonly accessLogFile?: string
  readonly accessLogFormat?: string
  readonly accessLogEncoding?: 'TEXT' | 'JSON'
  readonly connectTimeout?: string
  readonly rootNamespace?: string
  readonly trustDomain?: string
  readonly trustDomainAliases?: readonly string[]
  readonly defaultServiceExportTo?: readonly string[]
  readonly serviceEntryVisibility?: ServiceEntryVisibility
  readonly defaultVirtualServiceExportTo?: readonly string[]
  readonly defaultDestinationRuleExportTo?: readonly string[]
  readonly defaultHttpRetryPolicy?: HttpRetry
  readonly defaultTrafficPolicy?: {
    readonly connectionPool?: ConnectionPoolSettings
    readonly outlierDetection?: OutlierDetection
  }
  readonly localityLbSetting?: LocalityLbSetting
  /** Where it is enabled it goes before `localityLbSetting`. */
  readonly zoneAwareLbSetting?: ZoneAwareLbSetting
  readonly h2UpgradePolicy?: 'DO_NOT_UPGRADE' | 'UPGRADE'
  readonly protocolDetectionTimeout?: string
  readonly dnsRefreshRate?: string
  readonly enableAutoMtls?: boolean
  /** More roots that workloads are believed by. */
  readonly caCertificates?: readonly CaCertificate[]
  /** Of TLS between sidecars; absent version, and TLS_AUTO: 1.3. Curves cannot be chosen there, as in Istio. */
  readonly meshMTLS?: TlsConfig
  /** Of TLS with others: what a Sidecar's ingress serves, and what a DestinationRule originates. */
  readonly tlsDefaults?: TlsConfig
  readonly verifyCertificateAtClient?: boolean
  /** Names of clusters in statistics; see stat-name.ts for what may stand in them. */
  readonly inboundClusterStatName?: string
  readonly outboundClusterStatName?: string
  readonly tcpKeepalive?: TcpKeepalive
  /** Of requests that have reached their sidecar; empty: none. */
  readonly defaultInboundHttpRetryPolicy?: HttpRetry
  readonly inboundTrafficPolicy?: { readonly mode?: 'PASSTHROUGH' | 'LOCALHOST' }
  readonly serviceSettings?: readonly ServiceSettings[]
  /** Ours: how long the certificates of workloads live; they are renewed at half of it. Default 24h. */
  readonly certificateLifetime?: string
  /** Ours: what workloads accept that no PeerAuthentication speaks of. Default STRICT. */
  readonly mtlsMode?: 'STRICT' | 'PERMISSIVE' | 'DISABLE'
  readonly enableTracing?: boolean
  readonly pathNormalization?: { readonly normalization?: PathNormalization }
  /** Ours: infer subsets from the label `version` where no DestinationRule names them. Default true. */
  readonly inferSubsets?: boolean
  readonly onDemand?: 'AUTO' | 'ON' | 'OFF'
  /** Ours: how long a workload stays after its stream ended. Default 10s. */
  readonly workloadGracePeriod?: string
  /** Of every sidecar, unless a ProxyConfig or an annotation of its workload says otherwise. */
  readonly defaultConfig?: ProxyConfig
}

/** How far ServiceEntries are seen, whatever their `exportTo` says; it narrows and never widens. */
export interface ServiceEntryVisibility {
  /** Where no policy matches. */
  readonly defaultVisibility?: EntryVisibility
  /** The first one counts of which all rules match. */
  readonly policies?: readonly {
    readonly visibility?: EntryVisibility
    readonly matchingRules?: readonly { readonly namespaceSelector?: LabelSelector }[]
  }[]
  /** Without it Istio's sidecars follow `exportTo` alone, and so do ours. */
  readonly applyToSidecars?: boolean
}

export type EntryVisibility = 'VISIBILITY_UNSPECIFIED' | 'NONE' | 'NAMESPACE' | 'PUBLIC'

/** Kubernetes' own; all of it must match. */
export interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>>
  readonly matchExpressions?: readonly {
    readonly key: string
    readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist'
    readonly values?: readonly string[]
  }[]
}

export interface TlsConfig {
  readonly minProtocolVersion?: 'TLS_AUTO' | 'TLSV1_2' | 'TLSV1_3'
  /** Of TLS 1.2; those of 1.3 cannot be chosen. */
  readonly cipherSuites?: readonly string[]
  readonly ecdhCurves?: readonly string[]
}

export interface CaCertificate {
  readonly pem?: string
  readonly spiffeBundleUrl?: string
  readonly certSigners?: readonly string[]
  /** Absent: the mesh's own. */
  readonly trustDomains?: readonly string[]
}

export interface ServiceSettings {
  readonly settings?: {
    /** Callers reach only endpoints of their own cluster. */
    readonly clusterLocal?: boolean
  }
  /** Fully qualified; may begin with `*`. The most specific entry counts. */
  readonly hosts?: readonly string[]
}

export type OutboundTrafficMode = 'ALLOW_ANY' | 'REGISTRY_ONLY' | 'ALLOW_ANY_DYNAMIC_DNS'

export type PathNormalization =
  | 'DEFAULT'
  | 'NONE'
  | 'BASE'
  | 'MERGE_SLASHES'
  | 'DECODE_AND_MERGE_SLASHES'
