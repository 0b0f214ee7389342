/**
 * Names of a service that belong to somebody else. As in Istio, a VirtualService whose host is no service has it on the
 * ports of the services beside it, or on 80, and leaves it to the service that it is a name of on others.
 */
import type { Service } from '../registry/service.ts'
import type { Scope } from './scope.ts'
import { namesOf } from './service-name.ts'
import { isHttp } from './virtual-host.ts'
import type { VirtualService } from './virtual-service-index.ts'
import { visibleService, type World } from './world.ts'

/** `name`, or `name|port` where it is so on one port only: what the service's virtual hosts depend on. */
export function takenNames(world: World, scope: Scope, service: Service): readonly string[] {
  return namesOf(service, scope.namespace)
    .filter((name) => name !== service.hostname)
    .flatMap((name) =>
      isOthers(world, scope, { name, by: service.hostname })
        ? [name]
        : claimedPorts(world, scope, name).map((port) => `${name}|${port}`),
    )
}

function isOthers(world: World, scope: Scope, { name, by }: { name: string; by: string }): boolean {
  if (visibleService(world, scope, name) !== undefined) return true
  const owner = world.addressOwners.get(name)
  return owner !== undefined && owner !== by
}

function claimedPorts(world: World, scope: Scope, name: string): number[] {
  const claims = world.imports.virtualServices(scope).byHost.get(name) ?? []
  return [...new Set(claims.flatMap((claim) => portsBeside(world, scope, claim)))]
}

/** Ports of those of its hosts that are no services. */
export function portsBeside(world: World, scope: Scope, virtualService: VirtualService): number[] {
  const ports = new Set<number>()
  for (const host of virtualService.hosts) {
    const service = visibleService(world, scope, host)
    for (const port of service?.ports ?? []) if (isHttp(port)) ports.add(port.number)
  }
  return ports.size > 0 ? [...ports].sort((left, right) => left - right) : [80]
}
