/** Spec of Istio's `Sidecar` (networking.istio.io v1), shaped as its YAML. */
import type { ConnectionPoolSettings } from './destination-rule.ts'
import type { Destination } from './virtual-service.ts'

export interface SidecarSpec {
  /** Without labels: all workloads of the namespace; in the root namespace, of namespaces that have none of their own. */
  readonly workloadSelector?: { readonly labels?: Readonly<Record<string, string>> }
  readonly ingress?: readonly IngressListener[]
  readonly egress?: readonly EgressListener[]
  readonly inboundConnectionPool?: ConnectionPoolSettings
  readonly outboundTrafficPolicy?: OutboundTrafficPolicy
}

export interface OutboundTrafficPolicy {
  /** Protobuf's zero value, and so what an absent mode means, is REGISTRY_ONLY. */
  readonly mode?: 'REGISTRY_ONLY' | 'ALLOW_ANY' | 'ALLOW_ANY_DYNAMIC_DNS'
  readonly egressProxy?: Destination
}

export interface IngressListener {
  readonly port: SidecarPort
  readonly bind?: string
  readonly captureMode?: CaptureMode
  readonly defaultEndpoint?: string
  readonly tls?: IngressTls
  readonly connectionPool?: ConnectionPoolSettings
}

/** Istio's server TLS settings. */
export interface IngressTls {
  readonly httpsRedirect?: boolean
  readonly mode?:
    | 'PASSTHROUGH'
    | 'SIMPLE'
    | 'MUTUAL'
    | 'AUTO_PASSTHROUGH'
    | 'ISTIO_MUTUAL'
    | 'OPTIONAL_MUTUAL'
  readonly serverCertificate?: string
  readonly privateKey?: string
  readonly caCertificates?: string
  readonly caCrl?: string
  readonly credentialName?: string
  readonly credentialNames?: readonly string[]
  readonly caCertCredentialName?: string
  readonly tlsCertificates?: readonly object[]
  readonly subjectAltNames?: readonly string[]
  readonly verifyCertificateSpki?: readonly string[]
  readonly verifyCertificateHash?: readonly string[]
  readonly minProtocolVersion?: TlsVersion
  readonly maxProtocolVersion?: TlsVersion
  readonly cipherSuites?: readonly string[]
}

type TlsVersion = 'TLS_AUTO' | 'TLSV1_0' | 'TLSV1_1' | 'TLSV1_2' | 'TLSV1_3'

export interface EgressListener {
  /** Absent: the ports of the services that are imported. */
  readonly port?: SidecarPort
  readonly bind?: string
  readonly captureMode?: CaptureMode
  /** `namespace/host` */
  readonly hosts: readonly string[]
}

export interface SidecarPort {
  /** 0 for a Unix socket. */
  readonly number?: number
  readonly protocol?: string
  readonly name?: string
  readonly targetPort?: number
}

export type CaptureMode = 'DEFAULT' | 'IPTABLES' | 'NONE'
