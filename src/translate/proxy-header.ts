/**
 * Which headers a sidecar adds, by `proxyHeaders` of its ProxyConfig, or of the mesh's where it has none of its own.
 *
 * Those of a listener are the workload's own affair. Those that stand in virtual hosts and clusters are shared by all that
 * want the same: they are part of the scope class.
 */
import { unreachable } from '../lib/assert.ts'
import type {
  CurrentClientCertDetails,
  ForwardedClientCert,
  ProxyHeaders,
} from '../model/mesh/proxy-config.ts'
import type { VirtualHost } from '../xds/proto/generated/envoy/config/route/v3/route_components.ts'
import { HttpConnectionManager_ForwardClientCertDetails as ForwardDetails } from '../xds/proto/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts'
import { PreserveCaseFormatterConfig } from '../xds/proto/generated/envoy/extensions/http/header_formatters/preserve_case/v3/preserve_case.ts'
import type { Client } from './client.ts'
import type { MeshSettings } from './input.ts'
import { packed } from './message.ts'

export function proxyHeadersOf(client: Client, mesh: MeshSettings): ProxyHeaders {
  return client.proxyHeaders ?? mesh.proxyHeaders
}

/** What routes and clusters have of it. */
export interface SharedHeaders {
  /** `x-envoy-attempt-count` on requests. */
  readonly countsAttempts: boolean
  /** `x-forwarded-host` on requests whose host is rewritten. */
  readonly forwardsHost: boolean
  /** Names of headers of HTTP/1.1 go on as they came. */
  readonly preservesCase: boolean
}

export function sharedHeadersOf(headers: ProxyHeaders): SharedHeaders {
  return {
    countsAttempts: headers.attemptCount?.disabled !== true,
    forwardsHost: headers.xForwardedHost?.enabled === true,
    preservesCase: headers.preserveHttp1HeaderCase === true,
  }
}

export const usualHeaders: SharedHeaders = sharedHeadersOf({})

/** To be compared: '' is what they are unless somebody says otherwise. */
export function keyOfHeaders({
  countsAttempts,
  forwardsHost,
  preservesCase,
}: SharedHeaders): string {
  return [!countsAttempts && 'uncounted', forwardsHost && 'host', preservesCase && 'case']
    .filter((word) => word !== false)
    .join()
}

/** A virtual host as it is when attempts are counted and hosts are not forwarded, made into what is wanted. */
export function withHeaders(virtualHost: VirtualHost, headers: SharedHeaders): VirtualHost {
  if (headers.countsAttempts && !headers.forwardsHost) return virtualHost
  return {
    ...virtualHost,
    includeRequestAttemptCount: headers.countsAttempts,
    routes: headers.forwardsHost ? virtualHost.routes.map(forwardingHost) : virtualHost.routes,
  }
}

function forwardingHost(route: VirtualHost['routes'][number]): VirtualHost['routes'][number] {
  const { action } = route
  if (action?.$case !== 'route' || action.value.hostRewriteSpecifier === undefined) return route
  return { ...route, action: { ...action, value: { ...action.value, appendXForwardedHost: true } } }
}

/** Of a listener's or a cluster's HTTP/1.1. */
export function spellingOf(preservesCase: boolean) {
  if (!preservesCase) return {}
  const type =
    'envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig'
  const typedConfig = packed(PreserveCaseFormatterConfig, type, {})
  return {
    headerKeyFormat: {
      headerFormat: {
        $case: 'statefulFormatter' as const,
        value: { name: 'preserve_case', typedConfig },
      },
    },
  }
}

/**
 * What the application is told of the caller's certificate. Without mTLS there is none, and what claims to be one is
 * removed, unless it is to be passed on always.
 */
export function forwardedCertificate(
  { forwardedClientCert = 'UNDEFINED', setCurrentClientCertDetails }: ProxyHeaders,
  hasCertificate: boolean,
) {
  if (!hasCertificate && forwardedClientCert !== 'ALWAYS_FORWARD_ONLY') return {}
  return {
    forwardClientCertDetails: forwardDetails(forwardedClientCert),
    setCurrentClientCertDetails: currentDetails(setCurrentClientCertDetails),
  }
}

function forwardDetails(mode: ForwardedClientCert): ForwardDetails {
  switch (mode) {
    case 'SANITIZE':
      return ForwardDetails.SANITIZE
    case 'FORWARD_ONLY':
      return ForwardDetails.FORWARD_ONLY
    case 'UNDEFINED':
    case 'APPEND_FORWARD':
      return ForwardDetails.APPEND_FORWARD
    case 'SANITIZE_SET':
      return ForwardDetails.SANITIZE_SET
    case 'ALWAYS_FORWARD_ONLY':
      return ForwardDetails.ALWAYS_FORWARD_ONLY
    default:
      return unreachable(mode)
  }
}

/** Istio tells subject and names unless it is told not to. */
function currentDetails({
  subject = true,
  cert = false,
  chain = false,
  dns = true,
  uri = true,
}: CurrentClientCertDetails = {}) {
  return { subject, cert, chain, dns, uri }
}
