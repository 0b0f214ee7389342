/**
 * What clients with a Sidecar see of one world, worked out once for each Sidecar: services, some with a part of their
 * ports, and VirtualServices. Without a Sidecar it is what is exported to their namespace.
 *
 * As in Istio each egress listener chooses among the services of a host by itself, and an earlier listener's choice
 * stays: a later one adds ports of the same service, and only a service that is no ServiceEntry takes the place of one.
 */
import type { RouteDestination } from '../model/istio/virtual-service.ts'
import type { Service } from '../registry/service.ts'
import { calledHost, type OtherNames } from './called-host.ts'
import { resolveHost } from './host-name.ts'
import type { TranslationInput } from './input.ts'
import { destinationsOfRoute } from './route-destination.ts'
import type { Scope } from './scope.ts'
import {
  chooseService,
  inferredService,
  isEntry,
  visibleServices,
  type Visibility,
} from './service-choice.ts'
import {
  importedAliases,
  importedPorts,
  importsVirtualService,
  trimmedService,
  type ClientSidecar,
  type EgressImports,
  type Sidecars,
} from './sidecar-index.ts'
import {
  indexOf,
  type VirtualService,
  type VirtualServiceIndex,
  type VirtualServices,
} from './virtual-service-index.ts'

export interface ImportSources {
  readonly input: TranslationInput
  readonly virtualServices: VirtualServices
  readonly sidecars: Sidecars
  readonly otherNames: OtherNames
}

export interface Imports {
  /** By host: those that requests can be sent to, if only by a route. */
  readonly services: ReadonlyMap<string, Service>
  /** Of these what clients call by its name: as far as listeners without a place of their own import it. */
  readonly named: ReadonlyMap<string, Service>
}

export class ImportCache {
  readonly #sources: ImportSources
  readonly #imports = new Map<string, Imports>()
  readonly #indexes = new Map<string, VirtualServiceIndex>()
  readonly visibility: Visibility

  constructor(sources: ImportSources) {
    this.#sources = sources
    const { registry, mesh } = sources.input
    const { serviceExportTo: exportTo, entryVisibility: entries } = mesh
    this.visibility = { registry, exportTo, entries }
  }

  /** Those that rule what is sent through the sidecar's proxy. */
  virtualServices({ namespace, sidecar }: Scope): VirtualServiceIndex {
    const visible = this.#sources.virtualServices.visibleIn(namespace)
    if (sidecar === undefined) return visible
    let index = this.#indexes.get(sidecar.key)
    if (index === undefined) {
      index = indexOf(
        visible.all.filter((entry) =>
          sidecar.shared.some((imports) => importsVirtualService(imports, entry)),
        ),
      )
      this.#indexes.set(sidecar.key, index)
    }
    return index
  }

  /** Undefined where no Sidecar says what is seen. */
  of(scope: Scope): Imports | undefined {
    const { sidecar } = scope
    if (sidecar === undefined) return undefined
    let imports = this.#imports.get(sidecar.key)
    if (imports === undefined) {
      imports = this.#import(scope, sidecar)
      this.#imports.set(sidecar.key, imports)
    }
    return imports
  }

  #import(scope: Scope, sidecar: ClientSidecar): Imports {
    const { trimmed } = this.#sources.sidecars
    const routes = this.#sources.virtualServices.visibleIn(scope.namespace).all
    const reachable = new Found()
    const named = new Found()
    for (const imports of sidecar.listeners) {
      const isShared = sidecar.shared.includes(imports)
      for (const [service, ports] of this.#chosen(scope, imports)) {
        if (isShared) named.add(service, ports)
        reachable.add(service, ports)
      }
      // Where routes lead must be reachable, whatever the Sidecar names.
      for (const entry of routes) {
        if (importsVirtualService(imports, entry)) this.#infer(scope, entry, { imports, reachable })
      }
    }
    return {
      services: reachable.map(({ service, ports }) =>
        trimmedService(service, { ports, aliases: undefined }, trimmed),
      ),
      named: named.map(({ service, ports }) => {
        const aliases = importedAliases(sidecar.shared, service)
        return trimmedService(service, { ports, aliases }, trimmed)
      }),
    }
  }

  /** What one listener imports: for each host one service, with the ports that it has there. */
  *#chosen(
    { namespace }: Scope,
    imports: EgressImports,
  ): Generator<readonly [Service, Ports], void> {
    for (const host of this.#sources.input.registry.services.keys()) {
      const ports = new Map<Service, Ports>()
      for (const service of visibleServices(this.visibility, host, namespace)) {
        const own = importedPorts(imports, service)
        if (own !== undefined) ports.set(service, own)
      }
      const service = chooseService([...ports.keys()], namespace)
      if (service !== undefined) yield [service, ports.get(service) ?? 'all']
    }
  }

  #infer(
    { namespace }: Scope,
    entry: VirtualService,
    { imports, reachable }: { imports: EgressImports; reachable: Found },
  ): void {
    const ofListener = imports.hosts.find(({ port }) => port !== undefined)?.port
    for (const [name, numbers] of destinationsFor(entry, namespace)) {
      const host = calledHost(this.#sources, name)
      const service = inferredService(this.visibility, host, namespace)
      const wanted = ofListener === undefined ? numbers : new Set([ofListener])
      if (service === undefined) continue
      if (wanted !== 'all' && !service.ports.some(({ number }) => wanted.has(number))) continue
      reachable.add(service, wanted)
    }
  }
}

type Ports = ReadonlySet<number> | 'all'

interface FoundService {
  readonly service: Service
  readonly ports: Ports
}

/** By host, what listeners have imported so far. */
class Found {
  readonly #byHost = new Map<string, FoundService>()

  add(service: Service, ports: Ports): void {
    const known = this.#byHost.get(service.hostname)
    if (known === undefined || (isEntry(known.service) && !isEntry(service))) {
      this.#byHost.set(service.hostname, { service, ports })
    } else if (known.service === service) {
      this.#byHost.set(service.hostname, { service, ports: union(known.ports, ports) })
    }
  }

  map(make: (found: FoundService) => Service): ReadonlyMap<string, Service> {
    return new Map([...this.#byHost].map(([host, found]) => [host, make(found)]))
  }
}

function union(left: Ports, right: Ports): Ports {
  return left === 'all' || right === 'all' ? 'all' : new Set([...left, ...right])
}

/** Hosts that a VirtualService can send clients of a namespace to, with the ports that it names: all, where one says none. */
function destinationsFor(
  { routes, resource }: VirtualService,
  client: string,
): ReadonlyMap<string, Ports> {
  const found = new Map<string, Ports>()
  const add = ({ destination }: RouteDestination, namespace: string) => {
    const host = resolveHost(destination.host, namespace)
    const number = destination.port?.number
    const ports: Ports = number === undefined ? 'all' : new Set([number])
    found.set(host, union(found.get(host) ?? new Set(), ports))
  }
  for (const { http, path, resource: owner } of routes) {
    const sources = (http.match ?? []).map(({ sourceNamespace = '' }) => sourceNamespace)
    if (sources.length > 0 && !sources.some((source) => source === '' || source === client))
      continue
    for (const one of destinationsOfRoute(http, path)) add(one, owner.metadata.namespace)
  }
  const { tcp = [], tls = [] } = resource.spec
  for (const one of [...tcp, ...tls].flatMap(({ route = [] }) => route)) {
    add(one, resource.metadata.namespace)
  }
  return found
}
