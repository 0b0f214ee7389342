/** The calls about injected faults (api/fault.ts), for the owner of the control plane's state. */
import type { FaultWish } from '../../api/fault.ts'
import type { VirtualServiceSpec } from '../../model/istio/virtual-service.ts'
import { servicesOf } from '../../registry/service.ts'
import { resolveHost } from '../../translate/host-name.ts'
import { isSource } from '../../translate/injected-fault.ts'
import type { TranslationInput } from '../../translate/input.ts'
import { isHttp } from '../../translate/virtual-host.ts'
import type { AdminRoute } from '../identity/admin-server.ts'
import type { FaultStore } from './fault-store.ts'
import { readWish, refuse } from './read-wish.ts'

export function createFaultRoutes(
  faults: FaultStore,
  input: () => TranslationInput,
): Readonly<Record<string, AdminRoute>> {
  return {
    'GET /faults': () => ({ items: faults.list() }),
    'POST /faults': async ({ body }) => {
      const wish = readWish(body)
      const now = input()
      const host = hostOf(wish, now)
      const warning = strangerWarning(wish, now)
      return { ...(await faults.add(wish, host)), ...(warning !== undefined && { warning }) }
    },
    'DELETE /faults/:id': ({ id }) => faults.remove(id),
  }
}

/** A fault for a host that nobody has would never be seen, and a typing error is the likely reason. */
function hostOf({ host, namespace }: FaultWish, input: TranslationInput): string {
  const lower = host.toLowerCase()
  const full = resolveHost(lower, namespace)
  const known = knownHosts(input)
  const found = [full, `${lower}.svc.cluster.local`].find((name) => known.has(name))
  if (found !== undefined) {
    requireRequests(found, input)
    return found
  }
  const names = [...known].sort().slice(0, 10).join(', ')
  return refuse(`no service or route is for the host ${full}`, `known are ${names || 'none'}`)
}

/** A caller that nobody is: it may come yet, or never, because its name is misspelt. */
function strangerWarning({ from }: FaultWish, { registry }: TranslationInput): string | undefined {
  if (from === undefined) return undefined
  const workloads = [...registry.workloads.values()]
  if (workloads.some((workload) => isSource({ from }, workload))) return undefined
  const names = [...new Set(workloads.map(({ name }) => name))].sort().slice(0, 10).join(', ')
  return `no workload ${from}, and none with the label app=${from}, is in the mesh now: there are ${names || 'none'}`
}

/** Where bytes are passed on as they are, nothing could be injected. */
function requireRequests(host: string, { registry }: TranslationInput): void {
  const ports = servicesOf(registry, host).flatMap((service) => service.ports)
  if (ports.length === 0 || ports.some(isHttp)) return
  const names = ports.map(({ number, protocol }) => `${number} (${protocol})`).join(', ')
  refuse(
    `${host} has no port of HTTP, and faults are injected into requests`,
    `its ports are ${names}; name one after its protocol, or set appProtocol, if it speaks HTTP`,
  )
}

function knownHosts(input: TranslationInput): ReadonlySet<string> {
  const hosts = new Set(input.registry.services.keys())
  for (const { kind, spec, metadata } of input.resources.values()) {
    if (kind !== 'VirtualService') continue
    // The kind says what its spec is.
    for (const host of (spec as VirtualServiceSpec).hosts ?? []) {
      hosts.add(resolveHost(host, metadata.namespace))
    }
  }
  return hosts
}
