/**
 * VirtualServices and the gateways that they name. Gateways have no effect yet, but a name that leads nowhere is wrong
 * whenever it is written; their specs are read here as far as these findings need it.
 */
import type { Issue } from '../../model/issue.ts'
import type { VirtualServiceSpec } from '../../model/istio/virtual-service.ts'
import { describeResource, type Resource } from '../../model/resource.ts'
import { issueOf } from '../finding.ts'
import { isCoveredBy, overlaps } from '../host-name.ts'
import { byAge } from '../input.ts'

interface GatewayFacts {
  readonly resource: Resource
  readonly selector: string
  readonly servers: readonly ServerFacts[]
}

interface ServerFacts {
  readonly port: number
  /** Without their namespaces. */
  readonly hosts: readonly string[]
  /** As written: `ns/host`. */
  readonly written: readonly string[]
}

export function reportGateways(resources: ReadonlyMap<string, Resource>): Issue[] {
  const gateways = [...resources.values()].filter(isIstioGateway).sort(byAge).map(readGateway)
  const byName = new Map(gateways.map((gateway) => [nameOf(gateway.resource), gateway]))
  const virtualServices = [...resources.values()].filter(
    (resource): resource is Resource<VirtualServiceSpec> => resource.kind === 'VirtualService',
  )
  return [
    ...virtualServices.flatMap((resource) => reportNames(resource, byName)),
    ...gateways.flatMap((gateway) => reportConflict(gateway, gateways)),
  ]
}

function isIstioGateway(resource: Resource): boolean {
  return resource.kind === 'Gateway' && resource.apiVersion.startsWith('networking.istio.io/')
}

function nameOf({ metadata }: Resource): string {
  return `${metadata.namespace}/${metadata.name}`
}

/** The spec is kept as written. */
function readGateway(resource: Resource): GatewayFacts {
  const spec = objectOf(resource.spec)
  const selector = Object.entries(objectOf(spec['selector'])).map(
    ([key, value]) => `${key}=${String(value)}`,
  )
  return {
    resource,
    selector: selector.sort().join(','),
    servers: listOf(spec['servers']).map((server) => {
      const hosts = server['hosts']
      const written = Array.isArray(hosts) ? hosts.map(String) : []
      return {
        port: Number(objectOf(server['port'])['number'] ?? 0),
        hosts: written.map((host) => host.slice(host.indexOf('/') + 1)),
        written,
      }
    }),
  }
}

function reportNames(
  resource: Resource<VirtualServiceSpec>,
  gateways: ReadonlyMap<string, GatewayFacts>,
): Issue[] {
  const { namespace } = resource.metadata
  return (resource.spec.gateways ?? []).flatMap((name, index) => {
    if (name === 'mesh') return []
    const path = `spec.gateways[${index}]`
    const gateway = gateways.get(fullNameOf(name, namespace))
    if (gateway === undefined) return notFound(resource, name, path)
    if ((resource.spec.hosts ?? []).some((host) => takes(gateway, host, namespace))) return []
    return issueOf(resource, {
      code: 'IST0132',
      severity: 'warning',
      path,
      message:
        `none of the hosts ${(resource.spec.hosts ?? []).join(', ')} is one of ` +
        describeResource(gateway.resource),
      remedy: 'Add the host to a server of the gateway, or correct it.',
    })
  })
}

/** `name`, `namespace/name`, or the old `name.namespace.svc…`. */
function fullNameOf(name: string, namespace: string): string {
  if (name.includes('/')) return name
  const [short = '', own = namespace] = name.split('.')
  return `${own}/${short}`
}

function notFound(resource: Resource, name: string, path: string): Issue {
  return issueOf(resource, {
    code: 'IST0101',
    severity: 'error',
    path,
    message: `referenced gateway not found: "${name}"`,
    remedy: `Declare the Gateway ${name}, or correct the name.`,
  })
}

/** Hosts of a server may say whose VirtualServices they are for: `ns/host`, `./host`, and a star for anyone. */
function takes({ resource, servers }: GatewayFacts, host: string, namespace: string): boolean {
  return servers.some(({ written }) =>
    written.some((entry) => {
      const slash = entry.indexOf('/')
      const scope = slash < 0 ? '*' : entry.slice(0, slash)
      const own = scope === '.' ? resource.metadata.namespace : scope
      const isFor = own === '*' || own === namespace
      return isFor && overlaps(entry.slice(slash + 1).toLowerCase(), host.toLowerCase())
    }),
  )
}

/** Of several gateways with one selector and port, those that claim one host. */
function reportConflict(own: GatewayFacts, all: readonly GatewayFacts[]): Issue[] {
  return own.servers.flatMap((server, index) => {
    const rivals = all.filter(
      (other) =>
        other !== own &&
        other.selector === own.selector &&
        other.servers.some(({ port, hosts }) => port === server.port && share(hosts, server.hosts)),
    )
    if (rivals.length === 0) return []
    return issueOf(own.resource, {
      code: 'IST0145',
      severity: 'error',
      path: `spec.servers[${index}]`,
      message:
        `port ${server.port} with hosts ${server.hosts.join(', ')} is also claimed by ` +
        rivals.map(({ resource }) => describeResource(resource)).join(', '),
      remedy: 'Give the gateways different hosts, ports or selectors, or merge them.',
    })
  })
}

function share(left: readonly string[], right: readonly string[]): boolean {
  return left.some((one) =>
    right.some((other) => isCoveredBy(one, other) || isCoveredBy(other, one)),
  )
}

export function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>) // an object that is no array
    : {}
}

export function listOf(value: unknown): readonly Readonly<Record<string, unknown>>[] {
  return Array.isArray(value) ? value.map(objectOf) : []
}
