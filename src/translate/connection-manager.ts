/** Envoy's HTTP connection manager as Istio sets it up in a sidecar. */
import { unreachable } from '../lib/assert.ts'
import type { ProxyHeaders } from '../model/mesh/proxy-config.ts'
import type { Filter } from '../xds/proto/generated/envoy/config/listener/v3/listener_components.ts'
import { Filter as FilterCodec } from '../xds/proto/generated/envoy/config/listener/v3/listener_components.ts'
import type { RouteConfiguration } from '../xds/proto/generated/envoy/config/route/v3/route.ts'
import { Cors } from '../xds/proto/generated/envoy/extensions/filters/http/cors/v3/cors.ts'
import { HTTPFault } from '../xds/proto/generated/envoy/extensions/filters/http/fault/v3/fault.ts'
import { GrpcWeb } from '../xds/proto/generated/envoy/extensions/filters/http/grpc_web/v3/grpc_web.ts'
import { OnDemand } from '../xds/proto/generated/envoy/extensions/filters/http/on_demand/v3/on_demand.ts'
import { Router } from '../xds/proto/generated/envoy/extensions/filters/http/router/v3/router.ts'
import {
  HttpConnectionManager,
  HttpConnectionManager_PathWithEscapedSlashesAction as EscapedSlashes,
  HttpConnectionManager_ServerHeaderTransformation as ServerHeader,
} from '../xds/proto/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts'
import { accessLogs } from './access-log.ts'
import type { Client } from './client.ts'
import { dynamicForwardProxyFilter } from './dynamic-forward-proxy.ts'
import type { MeshSettings } from './input.ts'
import { adsSource, durationOfText, noTimeout, packed } from './message.ts'
import {
  forwardedCertificate,
  proxyHeadersOf,
  sharedHeadersOf,
  spellingOf,
} from './proxy-header.ts'
import { corsFilterName, faultFilterName, faultTypeName } from './route-filter.ts'
import { httpStatsFilter } from './stats-filter.ts'

export interface ManagerInput {
  readonly direction: 'inbound' | 'outbound'
  readonly statPrefix: string
  /** Name of a route configuration that comes over RDS, or the configuration itself. */
  readonly routes: string | RouteConfiguration
  /** Whether clients may open tunnels with CONNECT. */
  readonly acceptsConnect: boolean
  /** Whether the application is told who calls (`x-forwarded-client-cert`); else what claims to be that is removed. */
  readonly saysWhoCalls?: boolean
  /** Routes and clusters come when they are first called. */
  readonly isOnDemand?: boolean
  /** The port is one of `grpc-web`: browsers' calls become gRPC. */
  readonly readsGrpcWeb?: boolean
  readonly client: Client
  readonly mesh: MeshSettings
}

const managerName =
  'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'

export function connectionManager(input: ManagerInput): Filter {
  const { direction, mesh, routes, client } = input
  const headers = proxyHeadersOf(client, mesh)
  return FilterCodec.fromPartial({
    name: 'envoy.filters.network.http_connection_manager',
    configType: {
      $case: 'typedConfig',
      value: packed(HttpConnectionManager, managerName, {
        statPrefix: input.statPrefix,
        routeSpecifier:
          typeof routes === 'string'
            ? { $case: 'rds', value: { configSource: adsSource(), routeConfigName: routes } }
            : { $case: 'routeConfig', value: routes },
        ...serverHeader(headers, direction),
        // A hop in HTTP/2 would carry trailers in any case, so that they are kept at its ends.
        httpProtocolOptions: {
          allowAbsoluteUrl: true,
          enableTrailers: true,
          ...(client.takesHttp10 && { acceptHttp10: true }),
          ...spellingOf(sharedHeadersOf(headers).preservesCase),
        },
        ...(client.idleTimeout !== undefined && {
          commonHttpProtocolOptions: { idleTimeout: durationOfText(client.idleTimeout) },
        }),
        // Where a hop between sidecars is HTTP/2, an upgrade crosses it as extended CONNECT (RFC 8441).
        ...(direction === 'inbound' && { http2ProtocolOptions: { allowConnect: true } }),
        ...normalization(mesh),
        useRemoteAddress: false,
        ...(direction === 'inbound' && forwardedCertificate(headers, input.saysWhoCalls === true)),
        generateRequestId: headers.requestId?.disabled !== true,
        // 100 and 103 are the application's, never this proxy's.
        proxy100Continue: true,
        streamIdleTimeout: noTimeout,
        upgradeConfigs: [
          { upgradeType: 'websocket' },
          ...(input.acceptsConnect ? [{ upgradeType: 'CONNECT' }] : []),
        ],
        accessLog: accessLogs(mesh, client),
        httpFilters: httpFilters(input),
      }),
    },
  })
}

/** A name that is asked for is told on both sides; without a word an application's own passes inbound. */
function serverHeader({ server }: ProxyHeaders, direction: ManagerInput['direction']) {
  const { disabled = false, value = '' } = server ?? {}
  if (disabled) return { serverHeaderTransformation: ServerHeader.PASS_THROUGH }
  const passesOn = direction === 'inbound' && value === ''
  return {
    serverName: value || 'istio-envoy',
    serverHeaderTransformation: passesOn ? ServerHeader.PASS_THROUGH : ServerHeader.OVERWRITE,
  }
}

/** As long as for a virtual host, in our proxy; Envoy waits for one of those without an end. */
const onDemandTimeout = { seconds: 5, nanos: 0 }

function onDemandFilter() {
  const odcds = { source: adsSource(), timeout: onDemandTimeout }
  const name = 'envoy.extensions.filters.http.on_demand.v3.OnDemand'
  return {
    name: 'envoy.filters.http.on_demand',
    configType: { $case: 'typedConfig' as const, value: packed(OnDemand, name, { odcds }) },
  }
}

function grpcWebFilter() {
  const name = 'envoy.extensions.filters.http.grpc_web.v3.GrpcWeb'
  return {
    name: 'envoy.filters.http.grpc_web',
    configType: { $case: 'typedConfig' as const, value: packed(GrpcWeb, name, {}) },
  }
}

function httpFilters(input: ManagerInput) {
  const { direction, client, mesh, isOnDemand = false, readsGrpcWeb = false } = input
  const { envoyDebugHeaders } = proxyHeadersOf(client, mesh)
  const suppressEnvoyHeaders = envoyDebugHeaders?.disabled === true
  return [
    ...(isOnDemand ? [onDemandFilter()] : []),
    ...(direction === 'outbound' ? [dynamicForwardProxyFilter()] : []),
    // Before faults and CORS, as Istio.
    ...(readsGrpcWeb ? [grpcWebFilter()] : []),
    {
      name: faultFilterName,
      configType: { $case: 'typedConfig', value: packed(HTTPFault, faultTypeName, {}) },
    },
    {
      name: corsFilterName,
      configType: {
        $case: 'typedConfig',
        value: packed(Cors, 'envoy.extensions.filters.http.cors.v3.Cors', {}),
      },
    },
    httpStatsFilter(direction === 'outbound' ? 'source' : 'destination', client),
    {
      name: 'envoy.filters.http.router',
      configType: {
        $case: 'typedConfig',
        value: packed(Router, 'envoy.extensions.filters.http.router.v3.Router', {
          suppressEnvoyHeaders,
        }),
      },
    },
  ]
}

/** Authorization sees the path that the application sees; Istio's default is BASE. */
function normalization(mesh: MeshSettings) {
  const unchanged = EscapedSlashes.KEEP_UNCHANGED
  switch (mesh.pathNormalization) {
    case 'NONE':
      return { normalizePath: false, pathWithEscapedSlashesAction: unchanged }
    case 'DEFAULT':
    case 'BASE':
      return { normalizePath: true, pathWithEscapedSlashesAction: unchanged }
    case 'MERGE_SLASHES':
      return {
        normalizePath: true,
        mergeSlashes: true,
        pathWithEscapedSlashesAction: unchanged,
      }
    case 'DECODE_AND_MERGE_SLASHES':
      return {
        normalizePath: true,
        mergeSlashes: true,
        pathWithEscapedSlashesAction: EscapedSlashes.UNESCAPE_AND_FORWARD,
      }
    default:
      return unreachable(mesh.pathNormalization)
  }
}
