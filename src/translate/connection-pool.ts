/** A DestinationRule's `connectionPool` as limits and protocol options of the cluster, with Istio's defaults. */
import { durationMs } from '../model/duration.ts'
import type {
  ConnectionPoolSettings,
  HttpSettings,
  OutlierDetection,
  RetryBudget,
  TcpKeepalive,
  TcpSettings,
} from '../model/istio/destination-rule.ts'
import type { ServicePort } from '../registry/service.ts'
import { HttpProtocolOptions } from '../xds/proto/generated/envoy/extensions/upstreams/http/v3/http_protocol_options.ts'
import type { MeshSettings } from './input.ts'
import { durationOf, durationOfText, packed } from './message.ts'
import { spellingOf } from './proxy-header.ts'

export interface PoolInput {
  readonly settings: ConnectionPoolSettings
  readonly port: Pick<ServicePort, 'protocol'>
  readonly mesh: MeshSettings
  readonly direction: 'inbound' | 'outbound'
  /** Whether every endpoint is a sidecar that is called with mTLS (between-sidecars.ts). */
  readonly isBetweenSidecars?: boolean
  /** Whether names of headers of HTTP/1.1 go on as they came. */
  readonly preservesCase?: boolean
  /** In place of a fixed number of retries. */
  readonly retryBudget?: RetryBudget | undefined
  /** Of its `outlierDetectionHttpErrorCodes` the protocol's options tell. */
  readonly outlierDetection?: OutlierDetection | undefined
  /** Whether TLS is spoken with the name that a request asked for, and the server must prove to have it. */
  readonly autoSni?: boolean
  readonly autoSanValidation?: boolean
}

/** Istio's "no limit": it lifts Envoy's own defaults of 1024, and of 3 retries. */
const unlimited = 4_294_967_295

const protocolOptionsName = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions'

export function translateConnectionPool(input: PoolInput) {
  const { settings, mesh } = input
  const { tcp } = settings
  const keepalive = keepaliveOf(mesh.tcpKeepalive, tcp?.tcpKeepalive)
  const options = protocolOptions(input)
  return {
    connectTimeout: durationOf(
      tcp?.connectTimeout === undefined ? mesh.connectTimeoutMs : durationMs(tcp.connectTimeout),
    ),
    circuitBreakers: { thresholds: [thresholds(input)] },
    ...(keepalive !== undefined && {
      upstreamConnectionOptions: {
        tcpKeepalive: {
          ...(keepalive.probes !== undefined && { keepaliveProbes: keepalive.probes }),
          ...(keepalive.time !== undefined && { keepaliveTime: secondsOf(keepalive.time) }),
          ...(keepalive.interval !== undefined && {
            keepaliveInterval: secondsOf(keepalive.interval),
          }),
        },
      },
    }),
    ...(options !== undefined && {
      typedExtensionProtocolOptions: {
        [protocolOptionsName]: packed(HttpProtocolOptions, protocolOptionsName, options),
      },
    }),
  }
}

/** What a rule leaves out is the mesh's. */
function keepaliveOf(
  mesh: TcpKeepalive | undefined,
  own: TcpKeepalive | undefined,
): TcpKeepalive | undefined {
  return mesh === undefined && own === undefined ? undefined : { ...mesh, ...own }
}

/** Zero in the YAML counts as unset, as in Istio. */
function thresholds({ settings: { tcp, http }, retryBudget }: PoolInput) {
  return {
    maxConnections: positive(tcp?.maxConnections) ?? unlimited,
    maxPendingRequests: positive(http?.http1MaxPendingRequests) ?? unlimited,
    maxRequests: positive(http?.http2MaxRequests) ?? unlimited,
    maxRetries: positive(http?.maxRetries) ?? unlimited,
    ...(retryBudget !== undefined && { retryBudget: budgetOf(retryBudget) }),
    trackRemaining: true,
  }
}

function budgetOf({ percent = 20, minRetryConcurrency, budgetInterval }: RetryBudget) {
  return {
    budgetPercent: { value: percent },
    minRetryConcurrency: positive(minRetryConcurrency) ?? 3,
    ...(budgetInterval !== undefined && { budgetInterval: durationOfText(budgetInterval) }),
  }
}

function protocolOptions(input: PoolInput): object | undefined {
  const { tcp, http } = input.settings
  const common = commonOptions({ tcp, http })
  const upstreamProtocolOptions = upstreamProtocol(input)
  const names = serverNames(input)
  const isAsked = common ?? upstreamProtocolOptions ?? names
  if (!isHttp(input.port) && isAsked === undefined) return undefined
  const errorMatcher = errorMatcherOf(input)
  return {
    ...(common !== undefined && { commonHttpProtocolOptions: common }),
    ...(names !== undefined && { upstreamHttpProtocolOptions: names }),
    ...(errorMatcher !== undefined && { outlierDetection: { errorMatcher } }),
    upstreamProtocolOptions: upstreamProtocolOptions ?? {
      $case: 'explicitHttpConfig',
      value: { protocolConfig: { $case: 'httpProtocolOptions', value: http1Options(input) } },
    },
  }
}

/** Envoy's matcher takes the place of its own rule, so that rule is a part of it. */
function errorMatcherOf({ outlierDetection, port }: PoolInput): object | undefined {
  const errorCodes = outlierDetection?.outlierDetectionHttpErrorCodes ?? []
  const others = [...new Set(errorCodes)].filter((code) => code < 500)
  if (others.length === 0 || !(isHttp(port) || isHttp2(port))) return undefined
  const serverErrors = { $case: 'rangeMatch', value: { start: 500, end: 600 } }
  const rules = [
    statusRule(serverErrors),
    ...others.map((code) =>
      statusRule({
        $case: 'stringMatch',
        value: { matchPattern: { $case: 'exact', value: String(code) } },
      }),
    ),
  ]
  return { rule: { $case: 'orMatch', value: { rules } } }
}

function statusRule(headerMatchSpecifier: object) {
  const headers = [{ name: ':status', headerMatchSpecifier }]
  return { rule: { $case: 'httpResponseHeadersMatch', value: { headers } } }
}

function serverNames({ autoSni = false, autoSanValidation = false }: PoolInput) {
  return autoSni || autoSanValidation ? { autoSni, autoSanValidation } : undefined
}

interface PoolSettings {
  readonly tcp: TcpSettings | undefined
  readonly http: HttpSettings | undefined
}

function commonOptions({ tcp, http }: PoolSettings) {
  const idleTimeout = durationOfText(http?.idleTimeout ?? tcp?.idleTimeout)
  const maxConnectionDuration = durationOfText(tcp?.maxConnectionDuration)
  const maxRequestsPerConnection = positive(http?.maxRequestsPerConnection)
  if (
    idleTimeout === undefined &&
    maxConnectionDuration === undefined &&
    maxRequestsPerConnection === undefined
  ) {
    return undefined
  }
  return {
    ...(idleTimeout !== undefined && { idleTimeout }),
    ...(maxConnectionDuration !== undefined && { maxConnectionDuration }),
    ...(maxRequestsPerConnection !== undefined && { maxRequestsPerConnection }),
  }
}

export type HttpVersion = 'http/1' | 'http/2' | 'client'

/** Which HTTP version the cluster speaks: the port's, unless the rule asks for an upgrade or for the client's. */
export function httpVersionOf(input: PoolInput): HttpVersion {
  const { settings, port } = input
  if (settings.http?.useClientProtocol === true) return 'client'
  if (isHttp2(port) || (input.direction === 'outbound' && isUpgraded(input))) return 'http/2'
  return port.protocol === 'auto' ? 'client' : 'http/1'
}

function upstreamProtocol(input: PoolInput): object | undefined {
  const { settings } = input
  const version = httpVersionOf(input)
  if (version === 'client') return downstreamProtocol(input)
  if (version === 'http/2') {
    const maxConcurrentStreams = positive(settings.http?.maxConcurrentStreams)
    const value = {
      ...(maxConcurrentStreams !== undefined && { maxConcurrentStreams }),
      ...keepalivePings(settings.http),
    }
    return {
      $case: 'explicitHttpConfig',
      value: { protocolConfig: { $case: 'http2ProtocolOptions', value } },
    }
  }
  return undefined
}

/** A rule's word holds everywhere, as in Istio; without one, streams are for where they are understood and lose nothing. */
function isUpgraded(input: PoolInput): boolean {
  const { settings, port, mesh, isBetweenSidecars = false, preservesCase = false } = input
  const policy = settings.http?.h2UpgradePolicy ?? 'DEFAULT'
  if (policy !== 'DEFAULT') return policy === 'UPGRADE'
  // In HTTP/2 every name is in lower case.
  if (preservesCase) return false
  if (!mesh.isHttp2Upgraded || port.protocol !== 'http') return false
  return isBetweenSidecars && !limitsConnections(settings)
}

/** Limits that are meant for one request on each connection: of streams on one connection they would keep nothing back. */
function limitsConnections({ tcp, http }: ConnectionPoolSettings): boolean {
  return (
    positive(tcp?.maxConnections) !== undefined ||
    positive(http?.http1MaxPendingRequests) !== undefined
  )
}

function keepalivePings(http: HttpSettings | undefined) {
  const pings = http?.http2KeepAlive
  if (pings?.interval === undefined || pings.timeout === undefined) return {}
  return {
    connectionKeepalive: {
      interval: durationOfText(pings.interval),
      timeout: durationOfText(pings.timeout),
    },
  }
}

function downstreamProtocol(input: PoolInput): object {
  return {
    $case: 'useDownstreamProtocolConfig',
    value: { httpProtocolOptions: http1Options(input), http2ProtocolOptions: {} },
  }
}

function isHttp2({ protocol }: Pick<ServicePort, 'protocol'>): boolean {
  return protocol === 'http2' || protocol === 'grpc' || protocol === 'grpc-web'
}

/** Envoy drops the trailers of HTTP/1.1 otherwise: what comes from streams or goes to them would lose its end. */
function http1Options({ preservesCase = false }: PoolInput) {
  return { enableTrailers: true, ...spellingOf(preservesCase) }
}

function isHttp({ protocol }: Pick<ServicePort, 'protocol'>): boolean {
  return protocol === 'http' || protocol === 'auto'
}

function positive(value: number | undefined): number | undefined {
  return value !== undefined && value > 0 ? value : undefined
}

function secondsOf(text: string): number {
  return Math.round(durationMs(text) / 1000)
}
