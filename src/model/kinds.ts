/**
 * Every resource kind that we know by name: Istio's groups, the Gateway API, Kubernetes' Service and our Mesh.
 *
 * `supported: 'full'` means that each field of the spec is parsed, checked and positioned; `'known'` means that
 * the kind is recognised, stored as written, and reported as having no effect yet. The table also serves the
 * HTTP API's discovery documents and the CLI (`tulle get vs`). Versions are ordered best first.
 */

export type KindSupport = 'full' | 'known'

export interface Kind {
  /** Empty for Kubernetes' core group. */
  readonly group: string
  readonly kind: string
  readonly versions: readonly string[]
  readonly plural: string
  readonly singular: string
  readonly shortNames: readonly string[]
  readonly isNamespaced: boolean
  readonly supported: KindSupport
  /** True when leaving it without effect weakens security: the warning says so. */
  readonly isSecurity: boolean
}

const v1ToAlpha3 = ['v1', 'v1beta1', 'v1alpha3']
const networking = 'networking.istio.io'
const security = 'security.istio.io'
const gatewayApi = 'gateway.networking.k8s.io'
const gatewayApiExperimental = 'gateway.networking.x-k8s.io'

export const kinds: readonly Kind[] = [
  full(networking, 'VirtualService', v1ToAlpha3, 'virtualservices', ['vs']),
  full(networking, 'DestinationRule', v1ToAlpha3, 'destinationrules', ['dr']),
  full(networking, 'ServiceEntry', v1ToAlpha3, 'serviceentries', ['se']),
  full(networking, 'WorkloadEntry', v1ToAlpha3, 'workloadentries', ['we']),
  full(networking, 'WorkloadGroup', v1ToAlpha3, 'workloadgroups', ['wg']),
  known(networking, 'Gateway', v1ToAlpha3, 'gateways', ['gw']),
  full(networking, 'Sidecar', v1ToAlpha3, 'sidecars', []),
  known(networking, 'EnvoyFilter', ['v1alpha3'], 'envoyfilters', []),
  full(networking, 'ProxyConfig', ['v1beta1'], 'proxyconfigs', []),
  guard(security, 'AuthorizationPolicy', ['v1', 'v1beta1'], 'authorizationpolicies', ['ap']),
  {
    ...full(security, 'PeerAuthentication', ['v1', 'v1beta1'], 'peerauthentications', ['pa']),
    isSecurity: true,
  },
  guard(security, 'RequestAuthentication', ['v1', 'v1beta1'], 'requestauthentications', ['ra']),
  known('telemetry.istio.io', 'Telemetry', ['v1', 'v1alpha1'], 'telemetries', ['telemetry']),
  known('extensions.istio.io', 'WasmPlugin', ['v1alpha1'], 'wasmplugins', []),
  known('extensions.istio.io', 'TrafficExtension', ['v1alpha1'], 'trafficextensions', []),
  clusterWide(known(gatewayApi, 'GatewayClass', ['v1', 'v1beta1'], 'gatewayclasses', ['gc'])),
  known(gatewayApi, 'Gateway', ['v1', 'v1beta1'], 'gateways', ['gtw']),
  known(gatewayApi, 'HTTPRoute', ['v1', 'v1beta1'], 'httproutes', []),
  known(gatewayApi, 'GRPCRoute', ['v1', 'v1alpha2'], 'grpcroutes', []),
  known(gatewayApi, 'TLSRoute', ['v1', 'v1alpha3', 'v1alpha2'], 'tlsroutes', []),
  known(gatewayApi, 'TCPRoute', ['v1alpha2'], 'tcproutes', []),
  known(gatewayApi, 'UDPRoute', ['v1alpha2'], 'udproutes', []),
  known(gatewayApi, 'ListenerSet', ['v1'], 'listenersets', ['lset']),
  guard(gatewayApi, 'ReferenceGrant', ['v1', 'v1beta1', 'v1alpha2'], 'referencegrants', [
    'refgrant',
  ]),
  guard(gatewayApi, 'BackendTLSPolicy', ['v1', 'v1alpha3'], 'backendtlspolicies', ['btlspolicy']),
  known(gatewayApiExperimental, 'XListenerSet', ['v1alpha1'], 'xlistenersets', []),
  known(gatewayApiExperimental, 'XBackend', ['v1alpha1'], 'xbackends', []),
  known(gatewayApiExperimental, 'XBackendTrafficPolicy', ['v1alpha1'], 'xbackendtrafficpolicies', [
    'xbtpolicy',
  ]),
  clusterWide(known(gatewayApiExperimental, 'XMesh', ['v1alpha1'], 'xmeshes', [])),
  full('', 'Service', ['v1'], 'services', ['svc']),
  full('tulle.dev', 'Mesh', ['v1alpha1'], 'meshes', []),
  full('tulle.dev', 'RouteTest', ['v1alpha1'], 'routetests', []),
]

/**
 * Kinds that stand beside Istio's in the same files and belong to a cluster only: they are skipped with a note,
 * not reported as unknown.
 */
export const clusterKinds: ReadonlySet<string> = new Set(
  (
    'ConfigMap Endpoints Event LimitRange Namespace Node PersistentVolume PersistentVolumeClaim Pod ' +
    'ReplicationController ResourceQuota Secret ServiceAccount'
  ).split(' '),
)

/** Group and version of `networking.istio.io/v1`; the core group is empty. */
export function splitApiVersion(apiVersion: string): { group: string; version: string } {
  const slash = apiVersion.indexOf('/')
  return slash < 0
    ? { group: '', version: apiVersion }
    : { group: apiVersion.slice(0, slash), version: apiVersion.slice(slash + 1) }
}

export function findKind(group: string, kind: string): Kind | undefined {
  return kinds.find((entry) => entry.group === group && entry.kind === kind)
}

/** Kind of `networking.istio.io/v1`, `VirtualService`; undefined when the version does not exist either. */
export function findKindOf(apiVersion: string, kind: string): Kind | undefined {
  const { group, version } = splitApiVersion(apiVersion)
  const found = findKind(group, kind)
  return found?.versions.includes(version) === true ? found : undefined
}

/** The kinds of a group, in the order of the table. */
export function kindsOfGroup(group: string): readonly Kind[] {
  return kinds.filter((entry) => entry.group === group)
}

/**
 * What a person may type: kind, plural, singular or short name in any case, with or without the group
 * (`gateways.gateway.networking.k8s.io`). Istio's group wins where two groups share a name.
 */
export function findKindByName(name: string): Kind | undefined {
  const wanted = name.toLowerCase()
  return kinds.find((entry) => namesOf(entry).includes(wanted))
}

function namesOf(entry: Kind): string[] {
  const names = [entry.kind.toLowerCase(), entry.plural, entry.singular, ...entry.shortNames]
  return entry.group === '' ? names : [...names, ...names.map((name) => `${name}.${entry.group}`)]
}

function full(
  ...[group, kind, versions, plural, shortNames]: [string, string, string[], string, string[]]
): Kind {
  return { ...known(group, kind, versions, plural, shortNames), supported: 'full' }
}

function guard(
  ...[group, kind, versions, plural, shortNames]: [string, string, string[], string, string[]]
): Kind {
  return { ...known(group, kind, versions, plural, shortNames), isSecurity: true }
}

function known(
  ...[group, kind, versions, plural, shortNames]: [string, string, string[], string, string[]]
): Kind {
  return {
    group,
    kind,
    versions,
    plural,
    singular: kind.toLowerCase(),
    shortNames,
    isNamespaced: true,
    supported: 'known',
    isSecurity: false,
  }
}

function clusterWide(entry: Kind): Kind {
  return { ...entry, isNamespaced: false }
}
