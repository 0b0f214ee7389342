/**
 * Which Sidecar resource speaks for a client, and what it lets the client see.
 *
 * Precedence, as in Istio: one whose workload selector fits; the namespace's own without a selector; that of the root
 * namespace. Of several that fit equally the oldest counts.
 *
 * What is imported: services of the namespaces and hosts that the egress listeners name, without those that the same
 * listener leaves out (`~namespace/host`), and the destinations of the VirtualServices that are imported, for somebody must
 * be able to reach them. A VirtualService of which one host is imported brings its other hosts. Each listener sees what it
 * imports itself: what only a listener with a place of its own names is not called through the sidecar's proxy. Nothing
 * here is a guard: a client can still call what it does not see, if unknown hosts are allowed.
 */
import type { ConnectionPoolSettings } from '../model/istio/destination-rule.ts'
import { isExclusion } from '../model/istio/sidecar-host.ts'
import type { EgressListener, IngressListener, SidecarSpec } from '../model/istio/sidecar.ts'
import type { Resource } from '../model/resource.ts'
import { parseProtocol } from '../registry/protocol.ts'
import type { PortProtocol, Service } from '../registry/service.ts'
import type { Client } from './client.ts'
import { isCoveredBy, overlaps, resolveHost } from './host-name.ts'
import { byAge, type MeshSettings, type TranslationInput } from './input.ts'
import type { VirtualService } from './virtual-service-index.ts'

export interface OutboundPolicy {
  readonly isAllowed: boolean
  /** Cluster of the proxy that unknown hosts are sent to; undefined: where their names lead. */
  readonly egressProxy: string | undefined
}

/** A Sidecar, read for the clients of one namespace. Two with equal keys mean the same. */
export interface ClientSidecar {
  readonly key: string
  /** Of each listener, in order. */
  readonly listeners: readonly EgressImports[]
  /** Of those without a place of their own: what the sidecar's proxy for HTTP and its upstream ports know. */
  readonly shared: readonly EgressImports[]
  /** Listeners with a place of their own. */
  readonly bound: readonly BoundListener[]
  /** Undefined: the mesh's. */
  readonly policy: OutboundPolicy | undefined
  /** Undefined: every port of the workload. */
  readonly ingress: readonly IngressListener[] | undefined
  readonly inboundPool: ConnectionPoolSettings | undefined
}

/** An egress listener that is bound on the workload's host. */
export interface BoundListener {
  /** An IP address, or `unix://` and a path. */
  readonly bind: string
  /** 0 for a socket. */
  readonly port: number
  readonly protocol: PortProtocol | 'http-proxy'
  /** The Sidecar as though it had no other listener. */
  readonly alone: ClientSidecar
}

/** What one listener names. */
export interface EgressImports {
  readonly hosts: readonly HostImport[]
  /** Not imported, whatever `hosts` say. */
  readonly excluded: readonly HostImport[]
}

export interface HostImport {
  /** `*` for any. */
  readonly namespace: string
  readonly host: string
  /** Only services that have this port, and only that port of theirs. */
  readonly port: number | undefined
}

/** Services with a part of their ports, so that what is the same stays the same object. */
export type TrimmedServices = WeakMap<Service, Map<string, Service>>

export class Sidecars {
  /** Oldest first. */
  readonly all: readonly Resource<SidecarSpec>[]
  readonly trimmed: TrimmedServices
  readonly #rootNamespace: string
  readonly #read = new Map<string, ClientSidecar>()

  constructor(input: TranslationInput, previous: Sidecars | undefined) {
    this.trimmed = previous?.trimmed ?? new WeakMap()
    this.all = [...input.resources.values()].filter(isSidecar).sort(byAge)
    this.#rootNamespace = input.mesh.rootNamespace
  }

  /** The same object for all clients of a namespace to which the same resource applies. */
  of(client: Pick<Client, 'namespace' | 'labels'>): ClientSidecar | undefined {
    if (this.all.length === 0) return undefined
    const { namespace, labels } = client
    const own = this.all.filter(({ metadata }) => metadata.namespace === namespace)
    const found =
      own.find((resource) => isSelecting(resource, labels)) ??
      own.find((resource) => !hasSelector(resource)) ??
      this.all.find(
        (resource) => resource.metadata.namespace === this.#rootNamespace && !hasSelector(resource),
      )
    return found && this.#readFor(found, namespace)
  }

  #readFor(resource: Resource<SidecarSpec>, namespace: string): ClientSidecar {
    const id = `${resource.metadata.namespace}/${resource.metadata.name} ${namespace}`
    let read = this.#read.get(id)
    if (read === undefined) this.#read.set(id, (read = readSidecar(resource, namespace, id)))
    return read
  }
}

function isSidecar(resource: Resource): resource is Resource<SidecarSpec> {
  return resource.kind === 'Sidecar'
}

function hasSelector({ spec }: Resource<SidecarSpec>): boolean {
  return Object.keys(spec.workloadSelector?.labels ?? {}).length > 0
}

function isSelecting(
  resource: Resource<SidecarSpec>,
  labels: Readonly<Record<string, string>>,
): boolean {
  const wanted = Object.entries(resource.spec.workloadSelector?.labels ?? {})
  return wanted.length > 0 && wanted.every(([key, value]) => labels[key] === value)
}

function readSidecar(
  { spec }: Resource<SidecarSpec>,
  namespace: string,
  id: string,
): ClientSidecar {
  const egress = (spec.egress ?? []).length > 0 ? (spec.egress ?? []) : [{ hosts: ['*/*'] }]
  const listeners = egress.map((listener) => importsOf(listener, namespace))
  const key = `${id} ${JSON.stringify(spec)}`
  const others = {
    policy: policyOf(spec.outboundTrafficPolicy, namespace),
    ingress: (spec.ingress ?? []).length > 0 ? spec.ingress : undefined,
    inboundPool: spec.inboundConnectionPool,
  }
  const aloneAt = (index: number): ClientSidecar => {
    const own = listeners.slice(index, index + 1)
    return { key: `${key} ${index}`, listeners: own, shared: own, bound: [], ...others }
  }
  const places = egress.map(placeOf)
  return {
    key,
    listeners,
    // A proxy for every port is what the sidecar's own is.
    shared: listeners.filter((_, index) => {
      const place = places[index]
      return place === undefined || place.protocol === 'http-proxy'
    }),
    bound: places.flatMap((place, index) =>
      place === undefined ? [] : [{ ...place, alone: aloneAt(index) }],
    ),
    ...others,
  }
}

function importsOf(listener: EgressListener, namespace: string): EgressImports {
  const port = portOf(listener)
  const read = (hosts: readonly string[]) => hosts.map((host) => importOf(host, namespace, port))
  return {
    hosts: read(listener.hosts.filter((host) => !host.startsWith('~'))),
    excluded: read(listener.hosts.filter(isExclusion)),
  }
}

/** Where a listener says so: by `bind`, or because nothing leads traffic to it (captureMode NONE). */
function placeOf(listener: EgressListener): Omit<BoundListener, 'alone'> | undefined {
  const { port, bind = '', captureMode } = listener
  if (port === undefined || (bind === '' && captureMode !== 'NONE')) return undefined
  const isProxy = port.protocol?.toUpperCase() === 'HTTP_PROXY'
  return {
    bind: bind || '127.0.0.1',
    port: port.number ?? 0,
    protocol: isProxy ? 'http-proxy' : (parseProtocol(port.protocol ?? '') ?? 'tcp'),
  }
}

interface PortedListener {
  readonly port?: { readonly number?: number; readonly protocol?: string }
}

/** A proxy for every port has none of its own. */
function portOf({ port }: PortedListener): number | undefined {
  const isProxy = port?.protocol?.toUpperCase() === 'HTTP_PROXY'
  return port === undefined || isProxy || (port.number ?? 0) === 0 ? undefined : port.number
}

/** The `~` of an exclusion stands before the namespace, or for every one. */
function importOf(text: string, own: string, port: number | undefined): HostImport {
  const [written = '', host = ''] = text.split('/')
  const namespace = written.replace(/^~/, '') || '*'
  return { namespace: namespace === '.' ? own : namespace, host: host.toLowerCase(), port }
}

function policyOf(
  policy: SidecarSpec['outboundTrafficPolicy'],
  namespace: string,
): OutboundPolicy | undefined {
  if (policy === undefined) return undefined
  const { egressProxy, mode = 'REGISTRY_ONLY' } = policy
  const { host = '', subset = '', port } = egressProxy ?? {}
  const cluster = `outbound|${port?.number ?? 0}|${subset}|${resolveHost(host, namespace)}`
  return {
    isAllowed: mode !== 'REGISTRY_ONLY',
    egressProxy: egressProxy === undefined ? undefined : cluster,
  }
}

export function outboundPolicyOf(
  mesh: MeshSettings,
  sidecar: ClientSidecar | undefined,
): OutboundPolicy {
  return sidecar?.policy ?? { isAllowed: mesh.isOutboundAllowed, egressProxy: undefined }
}

/** One host that is imported, and not left out, is enough. */
export function importsVirtualService(
  { hosts: imports, excluded }: EgressImports,
  { resource, hosts }: VirtualService,
): boolean {
  const isHere = ({ namespace }: HostImport) => isOf(namespace, resource.metadata.namespace)
  const inForce = imports.filter(isHere)
  if (inForce.length === 0) return false
  const out = excluded.filter(isHere)
  return hosts.some(
    (own) =>
      inForce.some(({ host }) => overlaps(own, host)) &&
      !out.some(({ host }) => isCoveredBy(own, host)),
  )
}

/** Ports of a service that are imported, `all` of them perhaps; undefined: it is not imported. */
export function importedPorts(
  { hosts, excluded }: EgressImports,
  service: Service,
): ReadonlySet<number> | 'all' | undefined {
  const names = ({ namespace, host }: HostImport) =>
    isOf(namespace, service.namespace) && isCoveredBy(service.hostname, host)
  const named = hosts.filter(names)
  if (named.length === 0 || excluded.some(names)) return undefined
  const ports = new Set<number>()
  for (const { port } of named) {
    if (port === undefined) return 'all'
    if (service.ports.some(({ number }) => number === port)) ports.add(port)
  }
  return ports.size === 0 ? undefined : ports
}

function isOf(namespace: string, own: string): boolean {
  return namespace === '*' || namespace === own
}

/** Those of its other names that a listener imports beside the service itself. Undefined: it has none. */
export function importedAliases(
  listeners: readonly EgressImports[],
  service: Service,
): readonly string[] | undefined {
  const { aliases, namespace: own } = service
  if (aliases === undefined) return undefined
  const taken = listeners.map(({ hosts, excluded }): EgressImports => {
    // As in Istio, what is said of the service's namespace goes before what is said of all of them.
    const some = [own, '*']
      .map((wanted) => hosts.filter(({ namespace }) => namespace === wanted))
      .find((named) => importedPorts({ hosts: named, excluded }, service) !== undefined)
    return {
      hosts: some ?? [],
      excluded: excluded.filter(({ namespace }) => isOf(namespace, own)),
    }
  })
  return aliases.filter((name) => {
    const covers = ({ host }: HostImport) => isCoveredBy(name, host)
    return taken.some(({ hosts, excluded }) => hosts.some(covers) && !excluded.some(covers))
  })
}

export interface ImportedPart {
  readonly ports: ReadonlySet<number> | 'all'
  /** Undefined: all that it has. */
  readonly aliases: readonly string[] | undefined
}

/** The service with some of its ports, one of which it has, and some of its other names. */
export function trimmedService(
  service: Service,
  { ports: numbers, aliases }: ImportedPart,
  trimmed: TrimmedServices,
): Service {
  const ports =
    numbers === 'all' ? service.ports : service.ports.filter(({ number }) => numbers.has(number))
  const names = aliases ?? service.aliases ?? []
  const isWhole =
    ports.length === service.ports.length && names.length === (service.aliases ?? []).length
  if (isWhole) return service
  let known = trimmed.get(service)
  if (known === undefined) trimmed.set(service, (known = new Map()))
  const key = [...ports.map(({ number }) => number), ...names].join()
  let made = known.get(key)
  if (made === undefined) {
    made = { ...service, ports, ...(service.aliases !== undefined && { aliases: names }) }
    known.set(key, made)
  }
  return made
}
