/**
 * Reads an Envoy v3 bootstrap file (JSON or YAML): the proxy's only input. The same file runs in Envoy.
 *
 * What is wrong with it is a MeshError MESH_BOOTSTRAP_INVALID that names every field, with file, line and column where
 * the field stands in the file.
 */
import { describeError } from '../../lib/mesh-error.ts'
import { typeNameOf } from '../../xds/any.ts'
import { MessageJson } from '../../xds/json.ts'
import { Bootstrap } from '../../xds/proto/generated/envoy/config/bootstrap/v3/bootstrap.ts'
import type { Cluster } from '../../xds/proto/generated/envoy/config/cluster/v3/cluster.ts'
import type { Node } from '../../xds/proto/generated/envoy/config/core/v3/base.ts'
import {
  ApiConfigSource_ApiType as ApiType,
  type ApiConfigSource,
  type ConfigSource,
} from '../../xds/proto/generated/envoy/config/core/v3/config_source.ts'
import type { OverloadPlan } from '../overload/overload-plan.ts'
import type { StatsPolicy } from '../telemetry/shown-stats.ts'
import type { WireAddress } from '../wire/wire.ts'
import { bootstrapRule } from './bootstrap-fields.ts'
import { type BootstrapText, invalid, readBootstrap } from './bootstrap-text.ts'
import { compileOverload } from './compile-overload.ts'
import { compileStats } from './compile-stats.ts'
import { type FieldReport, at, checkFields, refuse, showValue } from './field-rule.ts'
import { durationMs, isIp, socketHostPort, wireAddress } from './message-value.ts'
import { type ManagerValues, type RuntimeValues, noManager, readRuntime } from './runtime-values.ts'

export interface AdsTarget {
  readonly mode: 'state-of-the-world' | 'delta'
  readonly clusterName: string
  readonly address: AdsAddress
  readonly authority: string
  readonly initialMetadata: readonly (readonly [name: string, value: string])[]
}

/** An IP and port, a Unix socket, or a name to resolve. */
export type AdsAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

export interface BootstrapConfig {
  readonly message: Bootstrap
  readonly node: Node
  readonly admin: AdminAddress | undefined
  readonly ads: AdsTarget | undefined
  /** Addresses of static clusters, by name: where SDS may be asked. */
  readonly servers: ReadonlyMap<string, AdsAddress>
  /** Undefined when the type does not come from ADS; 0 waits for ever. */
  readonly cdsInitialFetchTimeoutMs: number | undefined
  readonly ldsInitialFetchTimeoutMs: number | undefined
  readonly runtime: RuntimeValues
  /** What the overload manager watches, beside the sidecar's own limits. */
  readonly overload: OverloadPlan
  /** What is shown of the statistics; undefined: all. */
  readonly statsPolicy: StatsPolicy | undefined
  /** What was accepted and has no effect that the reader might expect. */
  readonly warnings: readonly string[]
  /** `file:line:column` of a field, by its path. */
  readonly placeOf: (path: string) => string
}

export interface AdminAddress {
  readonly address: WireAddress
  /** Of a Unix socket. */
  readonly mode: number
}

export { type BootstrapText, invalid } from './bootstrap-text.ts'

const bootstrapType = 'envoy.config.bootstrap.v3.Bootstrap'

export function parseBootstrap(source: BootstrapText): BootstrapConfig {
  const { value, placeOf: place } = readBootstrap(source)
  const message = decodeBootstrap(value, place)
  const report: FieldReport = { path: '', reasons: [] }
  const config = { ...compileBootstrap(message, report), placeOf: place }
  if (report.reasons.length > 0) {
    throw invalid(report.reasons.map((reason) => `${place(pathOf(reason))}: ${reason}`))
  }
  return config
}

function decodeBootstrap(json: unknown, place: (path: string) => string): Bootstrap {
  try {
    return new MessageJson().parse(bootstrapType, Bootstrap, json)
  } catch (error) {
    const text = describeError(error)
    throw invalid([`${place(pathOf(text))}: ${text}`])
  }
}

function compileBootstrap(
  message: Bootstrap,
  report: FieldReport,
): Omit<BootstrapConfig, 'placeOf'> {
  checkFields(message, bootstrapRule, report)
  checkExtensions(message, report)
  const layers = (message.layeredRuntime?.layers ?? []).flatMap(({ layerSpecifier }) =>
    layerSpecifier?.$case === 'staticLayer' ? [layerSpecifier.value ?? {}] : [],
  )
  const runtime = readRuntime(layers)
  const overload = compileOverload(message.overloadManager, at(report, 'overload_manager'))
  const dynamic = message.dynamicResources
  const here = at(report, 'dynamic_resources')
  const ads = dynamic?.adsConfig && compileAds(message, dynamic.adsConfig, at(here, 'ads_config'))
  const fetchTimeout = (source: ConfigSource | undefined, field: string): number | undefined => {
    if (source === undefined) return undefined
    if (dynamic?.adsConfig === undefined) refuse(at(here, field), 'ads needs ads_config')
    const timeout = at(here, field, 'initial_fetch_timeout')
    return durationMs(source.initialFetchTimeout, { absentMs: 15_000 }, timeout)
  }
  return {
    message,
    node: nodeOf(message, dynamic !== undefined, report),
    admin: compileAdmin(message, report),
    ads,
    servers: staticServers(message),
    cdsInitialFetchTimeoutMs: fetchTimeout(dynamic?.cdsConfig, 'cds_config'),
    ldsInitialFetchTimeoutMs: fetchTimeout(dynamic?.ldsConfig, 'lds_config'),
    runtime: { ...runtime.values, manager: managerValues(message) },
    overload: overload.plan,
    statsPolicy: compileStats(message.statsConfig, at(report, 'stats_config')),
    warnings: [
      ...runtime.unread.map((key) => `runtime key ${key} has no effect`),
      ...overload.warnings,
    ],
  }
}

function managerValues({ clusterManager, node }: Bootstrap): ManagerValues {
  return {
    localCluster: clusterManager?.localClusterName ?? '',
    outlierLogPath: clusterManager?.outlierDetection?.eventLogPath ?? '',
    nodeCluster: node?.cluster ?? '',
    nodeLocality: node?.locality ?? noManager.nodeLocality,
  }
}

function checkExtensions(message: Bootstrap, report: FieldReport): void {
  for (const [index, extension] of message.bootstrapExtensions.entries()) {
    const name = typeNameOf(extension.typedConfig?.typeUrl ?? '')
    if (name === 'envoy.extensions.bootstrap.internal_listener.v3.InternalListener') continue
    refuse(
      at(report, 'bootstrap_extensions', index),
      `${extension.name} (${name}) is not implemented`,
    )
  }
}

function nodeOf(message: Bootstrap, isNeeded: boolean, report: FieldReport): Node {
  const { node } = message
  if (isNeeded && (node?.id ?? '') === '') refuse(at(report, 'node', 'id'), 'is required by xDS')
  return node ?? emptyNode
}

const emptyNode: Node = {
  id: '',
  cluster: '',
  metadata: undefined,
  dynamicParameters: {},
  locality: undefined,
  userAgentName: '',
  userAgentVersionType: undefined,
  extensions: [],
  clientFeatures: [],
  listeningAddresses: [],
}

const loopback = /^(?:127\.|::1$)/

function compileAdmin(message: Bootstrap, report: FieldReport): AdminAddress | undefined {
  if (message.admin === undefined || message.admin.address === undefined) return undefined
  const here = at(report, 'admin', 'address')
  const address = wireAddress(message.admin.address, here)
  if (address === undefined) return undefined
  if (address.kind === 'internal') refuse(here, 'must be an IP address or a pipe')
  if (address.kind === 'ip' && !loopback.test(address.address)) {
    refuse(here, `must be a loopback address or a pipe, got ${address.address}`)
  }
  const pipe = message.admin.address.address
  const mode = pipe?.$case === 'pipe' && pipe.value.mode !== 0 ? pipe.value.mode : 0o600
  return { address, mode }
}

function compileAds(
  message: Bootstrap,
  source: ApiConfigSource,
  report: FieldReport,
): AdsTarget | undefined {
  const { apiType, grpcServices } = source
  if (apiType !== ApiType.GRPC && apiType !== ApiType.DELTA_GRPC) {
    refuse(at(report, 'api_type'), 'must be GRPC or DELTA_GRPC')
  }
  const here = at(report, 'grpc_services')
  const [service] = grpcServices
  if (service === undefined || grpcServices.length !== 1) {
    refuse(here, `needs one service, got ${grpcServices.length}`)
    return undefined
  }
  // Another kind of service was refused by the table of fields.
  if (service.targetSpecifier?.$case !== 'envoyGrpc') return undefined
  const { clusterName, authority } = service.targetSpecifier.value
  const address = adsAddress(message, clusterName, at(here, 0, 'envoy_grpc', 'cluster_name'))
  if (address === undefined) return undefined
  return {
    mode: apiType === ApiType.DELTA_GRPC ? 'delta' : 'state-of-the-world',
    clusterName,
    address,
    authority: authority || clusterName,
    initialMetadata: service.initialMetadata.map(({ key, value }) => [key, value] as const),
  }
}

/** The first endpoint of a static cluster; the ADS client dials it itself. */
function adsAddress(
  message: Bootstrap,
  clusterName: string,
  report: FieldReport,
): AdsAddress | undefined {
  const clusters = message.staticResources?.clusters ?? []
  const cluster = clusters.find((candidate) => candidate.name === clusterName)
  if (cluster === undefined) {
    refuse(report, `no static cluster named ${showValue(clusterName)}`)
    return undefined
  }
  return firstAddress(cluster, report)
}

function firstAddress(cluster: Cluster, report: FieldReport): AdsAddress | undefined {
  const endpoints = (cluster.loadAssignment?.endpoints ?? []).flatMap((group) => group.lbEndpoints)
  const identifier = endpoints[0]?.hostIdentifier
  const address = identifier?.$case === 'endpoint' ? identifier.value.address?.address : undefined
  if (address?.$case === 'pipe') return { kind: 'unix', path: address.value.path }
  if (address?.$case === 'socketAddress') {
    const target = socketHostPort(address.value, report)
    return target && { kind: 'tcp', host: hostOf(target.host), port: target.port }
  }
  refuse(report, `cluster ${showValue(cluster.name)} has no endpoint with an address`)
  return undefined
}

/** Clusters without an address are no servers, which is no mistake by itself. */
function staticServers(message: Bootstrap): ReadonlyMap<string, AdsAddress> {
  const servers = new Map<string, AdsAddress>()
  for (const cluster of message.staticResources?.clusters ?? []) {
    const address = firstAddress(cluster, { path: '', reasons: [] })
    if (address !== undefined) servers.set(cluster.name, address)
  }
  return servers
}

function hostOf(host: string): string {
  return isIp(host) && host.includes(':') ? `[${host}]` : host
}

/** The path that a reason starts with: `a.b[0].c: …`. */
function pathOf(reason: string): string {
  return /^([\w.[\]@/-]+): /.exec(reason)?.[1] ?? ''
}
