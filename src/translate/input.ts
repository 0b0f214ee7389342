/** What the translation is a function of: resources, what runs, and the mesh's settings with their defaults. */
import { durationMs } from '../model/duration.ts'
import type {
  ConnectionPoolSettings,
  LocalityLbSetting,
  ZoneAwareLbSetting,
  OutlierDetection,
  TcpKeepalive,
} from '../model/istio/destination-rule.ts'
import type { HttpFaultInjection, HttpRetry } from '../model/istio/virtual-service.ts'
import type {
  MeshConfig,
  PathNormalization,
  ServiceEntryVisibility,
  TlsConfig,
} from '../model/mesh/mesh-config.ts'
import type { MeshSpec } from '../model/mesh/mesh.ts'
import type { ProxyHeaders } from '../model/mesh/proxy-config.ts'
import { trustDomainOf } from '../model/mesh/trust-domain.ts'
import type { Resource } from '../model/resource.ts'
import type { RegistrySnapshot } from '../registry/service.ts'
import { bySpecificity } from './host-name.ts'

export interface TranslationInput {
  /** By resourceKey; kinds that the translation does not read are passed over. A changed resource is a new
   * object, an unchanged one the same object. */
  readonly resources: ReadonlyMap<string, Resource>
  readonly registry: RegistrySnapshot
  readonly mesh: MeshSettings
  /** Newest first; absent: none. The same array while nothing changed. */
  readonly faults?: readonly InjectedFault[]
}

/** Immutable: a changed fault is a new object. */
export interface InjectedFault {
  readonly name: string
  /** Fully qualified. */
  readonly host: string
  /** Workload, or label `app`, of the clients that it is for; undefined: all. */
  readonly from: string | undefined
  /** Exact values, by name in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly fault: HttpFaultInjection
  /** Its abort is a reset for proxies that know resets; Envoy answers the status. */
  readonly isReset?: boolean
}

/** MeshConfig with every default filled in (Istio's, where Istio has the field). */
export interface MeshSettings {
  readonly rootNamespace: string
  readonly isOutboundAllowed: boolean
  readonly accessLogFile: string
  readonly accessLogFormat: string
  readonly accessLogEncoding: 'TEXT' | 'JSON'
  readonly connectTimeoutMs: number
  readonly dnsRefreshRateMs: number
  readonly serviceExportTo: readonly string[]
  /** Narrows what ServiceEntries say; undefined where it is not for sidecars. */
  readonly entryVisibility: ServiceEntryVisibility | undefined
  readonly virtualServiceExportTo: readonly string[]
  readonly destinationRuleExportTo: readonly string[]
  readonly retryPolicy: HttpRetry | undefined
  readonly connectionPool: ConnectionPoolSettings | undefined
  readonly outlierDetection: OutlierDetection | undefined
  /** Undefined: switched off. */
  readonly localityLb: LocalityLbSetting | undefined
  /** As written; what is switched off is told to proxies. */
  readonly zoneAwareLb: ZoneAwareLbSetting | undefined
  /** Between sidecars, where no rule says otherwise. */
  readonly isHttp2Upgraded: boolean
  readonly pathNormalization: PathNormalization
  readonly infersSubsets: boolean
  /** Whether proxies that can start with what they have called before, and fetch the rest (on-demand.ts). */
  readonly onDemand: 'AUTO' | 'ON' | 'OFF'
  /** How long the first bytes of a connection are waited for where they decide; 0 = for ever. */
  readonly protocolDetectionTimeoutMs: number
  readonly trustDomain: string
  readonly trustDomainAliases: readonly string[]
  readonly isAutoMtls: boolean
  /** For workloads that no PeerAuthentication speaks of. */
  readonly mtlsMode: MtlsMode
  readonly mtlsVersionMin: '1.2' | '1.3'
  /** Of TLS 1.2 between sidecars; undefined: Istio's. */
  readonly mtlsCipherSuites: readonly string[] | undefined
  /** Of TLS with others. */
  readonly tlsDefaults: TlsConfig
  /** Patterns; empty: a cluster's own name. */
  readonly inboundStatName: string
  readonly outboundStatName: string
  readonly tcpKeepalive: TcpKeepalive | undefined
  /** Of sidecars that do not say their own. */
  readonly proxyHeaders: ProxyHeaders
  /** Of requests that have reached their sidecar; undefined: Istio's own policy. */
  readonly inboundRetryPolicy: HttpRetry | undefined
  /** Whether callers reach only what runs in their own cluster, by host; the most specific counts. */
  readonly clusterLocal: readonly ClusterLocalHost[]
}

export interface ClusterLocalHost {
  readonly host: string
  readonly isLocal: boolean
}

/** What a workload takes: mTLS only, plaintext too, or plaintext only. */
export type MtlsMode = 'STRICT' | 'PERMISSIVE' | 'DISABLE'

const everywhere = ['*']

/** Of a mesh file; of none: the defaults. */
export function meshSettingsOfSpec(spec: MeshSpec | undefined): MeshSettings {
  return { ...meshSettingsOf(spec?.meshConfig), trustDomain: trustDomainOf(spec) }
}

export function meshSettingsOf(config: MeshConfig = {}): MeshSettings {
  return {
    rootNamespace: config.rootNamespace ?? 'istio-system',
    isOutboundAllowed: config.outboundTrafficPolicy?.mode !== 'REGISTRY_ONLY',
    connectTimeoutMs: durationMs(config.connectTimeout ?? '10s'),
    dnsRefreshRateMs: durationMs(config.dnsRefreshRate ?? '60s'),
    ...accessLogDefaults(config),
    ...exportDefaults(config),
    retryPolicy: config.defaultHttpRetryPolicy,
    connectionPool: config.defaultTrafficPolicy?.connectionPool,
    outlierDetection: config.defaultTrafficPolicy?.outlierDetection,
    localityLb: localityDefaults(config.localityLbSetting),
    zoneAwareLb: config.zoneAwareLbSetting,
    isHttp2Upgraded: config.h2UpgradePolicy !== 'DO_NOT_UPGRADE',
    pathNormalization: config.pathNormalization?.normalization ?? 'DEFAULT',
    ...ownDefaults(config),
    // Istio waits for ever, and who waits for the server to speak first waits as long.
    protocolDetectionTimeoutMs: durationMs(config.protocolDetectionTimeout ?? '5s'),
    ...securityDefaults(config),
    ...statNames(config),
    ...connectionDefaults(config),
  }
}

function connectionDefaults(config: MeshConfig) {
  return {
    tcpKeepalive: config.tcpKeepalive,
    proxyHeaders: config.defaultConfig?.proxyHeaders ?? {},
    inboundRetryPolicy: config.defaultInboundHttpRetryPolicy,
    clusterLocal: clusterLocalHosts(config),
  }
}

function statNames({ inboundClusterStatName = '', outboundClusterStatName = '' }: MeshConfig) {
  return { inboundStatName: inboundClusterStatName, outboundStatName: outboundClusterStatName }
}

function clusterLocalHosts({ serviceSettings = [] }: MeshConfig): ClusterLocalHost[] {
  return serviceSettings
    .flatMap(({ settings, hosts = [] }) =>
      hosts.map((host) => ({
        host: host.toLowerCase(),
        isLocal: settings?.clusterLocal === true,
      })),
    )
    .sort((left, right) => bySpecificity(left.host, right.host))
}

/** What Istio has no field for. */
function ownDefaults({
  inferSubsets = true,
  onDemand = 'AUTO',
}: MeshConfig): Pick<MeshSettings, 'infersSubsets' | 'onDemand'> {
  return { infersSubsets: inferSubsets, onDemand }
}

/** On unless it is switched off; what it does depends on each destination. */
function localityDefaults(setting: LocalityLbSetting = {}): LocalityLbSetting | undefined {
  return setting.enabled === false ? undefined : setting
}

function securityDefaults(config: MeshConfig) {
  return {
    trustDomain: trustDomainOf({ meshConfig: config }),
    trustDomainAliases: config.trustDomainAliases ?? [],
    isAutoMtls: config.enableAutoMtls ?? true,
    mtlsMode: config.mtlsMode ?? ('STRICT' as const),
    mtlsVersionMin:
      config.meshMTLS?.minProtocolVersion === 'TLSV1_2' ? ('1.2' as const) : ('1.3' as const),
    mtlsCipherSuites: config.meshMTLS?.cipherSuites,
    tlsDefaults: config.tlsDefaults ?? {},
  }
}

function accessLogDefaults(config: MeshConfig) {
  return {
    accessLogFile: config.accessLogFile ?? '',
    accessLogFormat: config.accessLogFormat ?? '',
    accessLogEncoding: config.accessLogEncoding ?? ('TEXT' as const),
  }
}

function exportDefaults(config: MeshConfig) {
  return {
    serviceExportTo: config.defaultServiceExportTo ?? everywhere,
    entryVisibility:
      config.serviceEntryVisibility?.applyToSidecars === true
        ? config.serviceEntryVisibility
        : undefined,
    virtualServiceExportTo: config.defaultVirtualServiceExportTo ?? everywhere,
    destinationRuleExportTo: config.defaultDestinationRuleExportTo ?? everywhere,
  }
}

/** Oldest first, as Istio decides between resources that claim the same host. One without a written
 * creationTimestamp counts as made just now; names settle what is left, so that the order of files does not. */
export function byAge(left: Resource, right: Resource): number {
  const leftMs = left.metadata.creationTimestampMs ?? Number.MAX_SAFE_INTEGER
  const rightMs = right.metadata.creationTimestampMs ?? Number.MAX_SAFE_INTEGER
  return (
    leftMs - rightMs ||
    compareText(left.metadata.name, right.metadata.name) ||
    compareText(left.metadata.namespace, right.metadata.namespace)
  )
}

export function compareText(left: string, right: string): number {
  if (left === right) return 0
  return left < right ? -1 : 1
}
