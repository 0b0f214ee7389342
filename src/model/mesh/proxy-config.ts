/**
 * Settings of one sidecar, by the names of Istio's ProxyConfig: those of the mesh's `defaultConfig`, over them those of
 * resources of kind ProxyConfig, over them those of the annotation `proxy.istio.io/config`. They are read when the workload
 * starts. A field that is written at one level replaces the one below as a whole; in `proxyMetadata` and `proxyHeaders` each
 * entry does.
 */
import type { ReadinessProbe } from '../istio/workload-group.ts'

export interface ProxyConfig {
  /** Threads that carry traffic; 0: as many as the machine has cores. Default 1. */
  readonly concurrency?: number
  /** How long connections of a listener that has gone may go on. Default 45s. */
  readonly drainDuration?: string
  /** Ceiling of the time that a sidecar waits for what is under way when its workload ends. */
  readonly terminationDrainDuration?: string
  /** Variables of Istio's agent; `ISTIO_META_NAME` becomes NAME in the metadata of the node. */
  readonly proxyMetadata?: Readonly<Record<string, string>>
  readonly proxyHeaders?: ProxyHeaders
  /** Which statistics are shown; absent: all. */
  readonly proxyStatsMatcher?: StatsMatcher
  /** Tags that are taken from names of statistics. */
  readonly extraStatTags?: readonly string[]
  /** Whether the application waits for its sidecar. Default true. */
  readonly holdApplicationUntilProxyStarts?: boolean
  /** Of a workload without a probe of its own. */
  readonly readinessProbe?: ReadinessProbe
  /** Where the agent answers /healthz/ready on loopback; absent: nowhere but on its own socket. */
  readonly statusPort?: number
  /** Absent: one that is free. */
  readonly proxyAdminPort?: number
  /** Of Envoy's runtime; an empty text takes a default away. */
  readonly runtimeValues?: Readonly<Record<string, string>>
  /** More roots that workloads of the mesh are believed by. */
  readonly caCertificatesPem?: readonly string[]
  readonly serviceCluster?: string
  readonly tracingServiceName?: TracingServiceName
}

export type TracingServiceName =
  | 'APP_LABEL_AND_NAMESPACE'
  | 'CANONICAL_NAME_ONLY'
  | 'CANONICAL_NAME_AND_NAMESPACE'

export interface StatsMatcher {
  readonly inclusionPrefixes?: readonly string[]
  readonly inclusionSuffixes?: readonly string[]
  readonly inclusionRegexps?: readonly string[]
}

export interface ProxyHeaders {
  /** What the application is told of the caller's certificate. */
  readonly forwardedClientCert?: ForwardedClientCert
  readonly setCurrentClientCertDetails?: CurrentClientCertDetails
  readonly requestId?: Switch
  readonly server?: Switch & { readonly value?: string }
  readonly attemptCount?: Switch
  readonly envoyDebugHeaders?: Switch
  readonly metadataExchangeHeaders?: { readonly mode?: 'UNDEFINED' | 'IN_MESH' }
  readonly preserveHttp1HeaderCase?: boolean
  readonly xForwardedHost?: { readonly enabled?: boolean }
  readonly xForwardedPort?: { readonly enabled?: boolean }
}

export interface Switch {
  readonly disabled?: boolean
}

export type ForwardedClientCert =
  | 'UNDEFINED'
  | 'SANITIZE'
  | 'FORWARD_ONLY'
  | 'APPEND_FORWARD'
  | 'SANITIZE_SET'
  | 'ALWAYS_FORWARD_ONLY'

export interface CurrentClientCertDetails {
  readonly subject?: boolean
  readonly cert?: boolean
  readonly chain?: boolean
  readonly dns?: boolean
  readonly uri?: boolean
}

/** Later ones lie over earlier ones, as Istio lays them. */
export function mergeProxyConfigs(configs: readonly (ProxyConfig | undefined)[]): ProxyConfig {
  const proxyMetadata = merged(configs.map((config) => config?.proxyMetadata))
  const proxyHeaders = merged(configs.map((config) => config?.proxyHeaders))
  return {
    ...merged(configs),
    ...(proxyMetadata !== undefined && { proxyMetadata }),
    ...(proxyHeaders !== undefined && { proxyHeaders }),
  }
}

function merged<T extends object>(parts: readonly (T | undefined)[]): T | undefined {
  const known = parts.filter((part) => part !== undefined)
  // Parts of one type, laid over each other, are of that type.
  return known.length === 0 ? undefined : (Object.assign({}, ...known) as T)
}
