/**
 * What clients with a Sidecar see of one world, worked out once for each Sidecar: services, some with a part of their
 * ports, and VirtualServices. Without a Sidecar it is what is exported to their namespace.
 */
import type { Service } from '../registry/service.ts'
import { isExportedTo } from './host-name.ts'
import type { TranslationInput } from './input.ts'
import type { Scope } from './scope.ts'
import {
  importedService,
  importsVirtualService,
  type ClientSidecar,
  type Sidecars,
} from './sidecar-index.ts'
import { indexOf, type VirtualServiceIndex, type VirtualServices } from './virtual-service-index.ts'

export interface ImportSources {
  readonly input: TranslationInput
  readonly virtualServices: VirtualServices
  readonly sidecars: Sidecars
}

export interface Imports {
  /** By host. */
  readonly services: ReadonlyMap<string, Service>
  /** Of these, the ones that only routes lead to: they have clusters, and no virtual hosts of their own. */
  readonly inferred: ReadonlySet<string>
}

export class ImportCache {
  readonly #sources: ImportSources
  readonly #imports = new Map<string, Imports>()
  readonly #indexes = new Map<string, VirtualServiceIndex>()

  constructor(sources: ImportSources) {
    this.#sources = sources
  }

  virtualServices({ namespace, sidecar }: Scope): VirtualServiceIndex {
    const visible = this.#sources.virtualServices.visibleIn(namespace)
    if (sidecar === undefined) return visible
    let index = this.#indexes.get(sidecar.key)
    if (index === undefined) {
      index = indexOf(visible.all.filter((entry) => importsVirtualService(sidecar, entry)))
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
    const { input, sidecars } = this.#sources
    const found = new Map<string, Service>()
    for (const service of input.registry.services.values()) {
      if (!this.isExported(scope, service)) continue
      const imported = importedService(sidecar, service, sidecars.trimmed)
      if (imported !== undefined) found.set(service.hostname, imported)
    }
    const inferred = new Set<string>()
    // Where routes lead must be reachable, whatever the Sidecar names.
    for (const { destinationHosts } of this.virtualServices(scope).all) {
      for (const host of destinationHosts) {
        const service = input.registry.services.get(host)
        if (service === undefined || found.has(host)) continue
        if (!this.isExported(scope, service)) continue
        found.set(host, service)
        inferred.add(host)
      }
    }
    return { services: found, inferred }
  }

  isExported({ namespace }: Pick<Scope, 'namespace'>, service: Service): boolean {
    const { mesh } = this.#sources.input
    const exportTo = service.exportTo.length > 0 ? service.exportTo : mesh.serviceExportTo
    return isExportedTo(exportTo, { own: service.namespace, client: namespace })
  }
}
