/**
 * Virtual hosts of the `http_proxy` route configuration: one for each port of a service, and one for each host
 * that only a VirtualService knows.
 *
 * All listen ports of Istio's sidecar are one here, because an explicit proxy has one listener, so the port is
 * part of the name that is matched: `reviews:9080`. The name without a port means port 80, or the only HTTP port
 * of a service that has none on 80.
 *
 * CONNECT: to an HTTP port the tunnel ends in this sidecar (`http_proxy_tunnel`), so that requests inside are
 * routed like any other; to any other port it goes to the service's endpoints.
 */
import type { Service, ServicePort } from '../registry/service.ts'
import { provenanceKey } from '../xds/own-metadata.ts'
import { Metadata } from '../xds/proto/generated/envoy/config/core/v3/base.ts'
import {
  Route,
  VirtualHost,
} from '../xds/proto/generated/envoy/config/route/v3/route_components.ts'
import type { Abilities } from './ability.ts'
import { hashPoliciesOf, type HashOf } from './hash-policy.ts'
import { clusterName } from './host-name.ts'
import { injectFaults } from './injected-fault.ts'
import type { InjectedFault, MeshSettings } from './input.ts'
import type { L4Routes, L4Target } from './l4-route.ts'
import { durationOfText, noTimeout } from './message.ts'
import { configPath } from './provenance.ts'
import { translateRetries } from './retry.ts'
import { namesOf } from './service-name.ts'
import type { OutboundPolicy } from './sidecar-index.ts'
import { systemClusters } from './system-cluster.ts'
import { tunnelName, tunnelOf } from './tunnel.ts'

export interface ServiceHostInput {
  readonly service: Service
  readonly port: ServicePort
  readonly clientNamespace: string
  /** Routes of the VirtualService that applies; empty: none, and the default route stands. */
  readonly routes: readonly Route[]
  /** Where connections go that are not routed request by request. */
  readonly l4: L4Routes
  readonly hashOf: HashOf
  /** Laid over its routes. */
  readonly faults: readonly InjectedFault[]
  readonly mesh: MeshSettings
  readonly abilities: Abilities
  /** Names that belong to somebody else: another service's own name, or an address two services share. */
  readonly isTaken: (domain: string, port: number) => boolean
}

/** Undefined when every one of its names belongs to another. */
export function serviceVirtualHost(input: ServiceHostInput): VirtualHost | undefined {
  const { service, port } = input
  const domains = domainsOf(input)
  if (domains.length === 0) return undefined
  return VirtualHost.fromPartial({
    name: hostAndPort(service.hostname, port.number),
    domains,
    routes: [tunnelInto(input), ...(isHttp(port) ? httpRoutes(input) : [])],
    includeRequestAttemptCount: true,
  })
}

/** A host of a VirtualService that is no service. `isDefault`: its name without a port means this port. */
export function unregisteredVirtualHost(
  host: string,
  { port, isDefault }: { readonly port: number; readonly isDefault: boolean },
  routes: readonly Route[],
): VirtualHost {
  const name = hostAndPort(host, port)
  return VirtualHost.fromPartial({
    name,
    domains: isDefault ? [host, name] : [name],
    routes: [tunnelRoute(), ...routes],
    includeRequestAttemptCount: true,
  })
}

/** The routes of a service port for a listener that leads nowhere else: any authority will do. */
export function singleVirtualHost(input: ServiceHostInput): VirtualHost {
  return VirtualHost.fromPartial({
    name: hostAndPort(input.service.hostname, input.port.number),
    domains: ['*'],
    routes: [...httpRoutes(input)],
    includeRequestAttemptCount: true,
  })
}

/** The same for a listener of one port: names without a port mean it. Undefined when all names belong to others. */
export function listenerVirtualHost(input: ServiceHostInput): VirtualHost | undefined {
  const { service, port, clientNamespace, isTaken } = input
  const domains = namesOf(service, clientNamespace).flatMap((name) =>
    name === service.hostname || !isTaken(name, port.number)
      ? [bracketed(name), hostAndPort(name, port.number)]
      : [],
  )
  if (domains.length === 0) return undefined
  return VirtualHost.fromPartial({
    name: hostAndPort(service.hostname, port.number),
    domains,
    routes: [...httpRoutes(input)],
    includeRequestAttemptCount: true,
  })
}

function httpRoutes(input: ServiceHostInput): readonly Route[] {
  const routes = input.routes.length > 0 ? input.routes : [defaultRoute(input)]
  return injectFaults(routes, input.faults)
}

/** What happens to a host that nobody knows. */
export function catchAllVirtualHost({ isAllowed, egressProxy }: OutboundPolicy): VirtualHost {
  return isAllowed ? allowAny(egressProxy ?? systemClusters.passthrough) : blockAll()
}

/** Whether requests on a port are routed one by one. Of an `auto` port those that are seen to be HTTP are; the registry
 * already calls the well-known ports of server-first protocols `tcp`. */
export function isHttp({ protocol }: Pick<ServicePort, 'protocol'>): boolean {
  return ['http', 'http2', 'grpc', 'grpc-web', 'auto'].includes(protocol)
}

/** Port that a name without a port means; undefined when it would be a guess. */
export function defaultPortOf(service: Service): number | undefined {
  const ports = service.ports.filter(isHttp)
  if (service.ports.some(({ number }) => number === 80)) return 80
  return ports.length === 1 ? ports[0]?.number : undefined
}

function domainsOf({ service, port, clientNamespace, isTaken }: ServiceHostInput): string[] {
  const isDefault = defaultPortOf(service) === port.number
  return namesOf(service, clientNamespace)
    .filter((name) => name === service.hostname || !isTaken(name, port.number))
    .flatMap((name) => {
      const withPort = hostAndPort(name, port.number)
      // A name without a port is that of port 80, when somebody has it there.
      const isBare = isDefault && (name === service.hostname || !isTaken(name, 80))
      return isBare ? [bracketed(name), withPort] : [withPort]
    })
}

function hostAndPort(host: string, port: number): string {
  return `${bracketed(host)}:${port}`
}

/** IPv6 addresses stand in brackets in an authority. */
function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}

function defaultRoute({ service, port, hashOf, mesh }: ServiceHostInput): Route {
  const hash = hashOf({ host: service.hostname, port: { number: port.number } })
  const hashPolicy = hashPoliciesOf(hash)
  // As in Istio, hashing does not stop a default route from retrying elsewhere.
  const retryPolicy = translateRetries(mesh.retryPolicy, { isHashed: false })
  return Route.fromPartial({
    name: 'default',
    match: { pathSpecifier: { $case: 'prefix', value: '/' } },
    decorator: { operation: `${service.hostname}:${port.number}/*` },
    action: {
      $case: 'route',
      value: {
        clusterSpecifier: {
          $case: 'cluster',
          value: clusterName(port.number, '', service.hostname),
        },
        timeout: noTimeout,
        maxGrpcTimeout: noTimeout,
        ...(retryPolicy !== undefined && { retryPolicy }),
        hashPolicy,
      },
    },
  })
}

/** CONNECT: into the sidecar where requests or first bytes decide, else to where the port's connections go. */
function tunnelInto({ service, port, l4 }: ServiceHostInput): Route {
  if (tunnelOf({ service, port }, l4) !== undefined) {
    return connectRoute(tunnelName(service, port.number))
  }
  return isHttp(port) ? tunnelRoute() : connectTo(l4.fallback)
}

function connectTo(target: L4Target): Route {
  const { clusters, idleTimeout, maxConnectionDuration, rule } = target
  const [only] = clusters
  const limits = {
    ...(idleTimeout !== undefined && { idleTimeout: durationOfText(idleTimeout) }),
    ...(maxConnectionDuration !== undefined && {
      maxStreamDuration: { maxStreamDuration: durationOfText(maxConnectionDuration) },
    }),
  }
  const isSingle = clusters.length === 1 && only !== undefined
  const route = connectRoute(isSingle ? only.name : clusters, limits)
  return rule === undefined ? route : { ...route, metadata: provenanceOf(rule) }
}

/** As HTTP routes have it, for `tulle explain`. */
function provenanceOf({ path, ...metadata }: NonNullable<L4Target['rule']>) {
  return Metadata.fromPartial({
    filterMetadata: {
      istio: { config: configPath('virtual-service', metadata) },
      [provenanceKey]: { path },
    },
  })
}

function tunnelRoute(): Route {
  return connectRoute(systemClusters.tunnel)
}

function connectRoute(to: string | L4Target['clusters'], limits: object = {}): Route {
  return Route.fromPartial({
    name: 'connect',
    match: { pathSpecifier: { $case: 'connectMatcher', value: {} } },
    action: {
      $case: 'route',
      value: {
        clusterSpecifier:
          typeof to === 'string'
            ? { $case: 'cluster', value: to }
            : { $case: 'weightedClusters', value: { clusters: [...to] } },
        timeout: noTimeout,
        ...limits,
        upgradeConfigs: [{ upgradeType: 'CONNECT', connectConfig: {} }],
      },
    },
  })
}

function allowAny(cluster: string): VirtualHost {
  return VirtualHost.fromPartial({
    name: 'allow_any',
    domains: ['*'],
    routes: [
      connectRoute(cluster),
      Route.fromPartial({
        name: 'allow_any',
        match: { pathSpecifier: { $case: 'prefix', value: '/' } },
        action: {
          $case: 'route',
          value: {
            clusterSpecifier: { $case: 'cluster', value: cluster },
            timeout: noTimeout,
            maxGrpcTimeout: noTimeout,
          },
        },
      }),
    ],
    includeRequestAttemptCount: true,
  })
}

function blockAll(): VirtualHost {
  const action = { $case: 'directResponse' as const, value: { status: 502 } }
  return VirtualHost.fromPartial({
    name: 'block_all',
    domains: ['*'],
    routes: [
      {
        name: 'block_all',
        match: { pathSpecifier: { $case: 'connectMatcher', value: {} } },
        action,
      },
      { name: 'block_all', match: { pathSpecifier: { $case: 'prefix', value: '/' } }, action },
    ],
    includeRequestAttemptCount: true,
  })
}
