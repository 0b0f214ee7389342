/** The calls about injected faults (api/fault.ts), for the owner of the control plane's state. */
import type { FaultWish } from '../../api/fault.ts'
import type { VirtualServiceSpec } from '../../model/istio/virtual-service.ts'
import { resolveHost } from '../../translate/host-name.ts'
import type { TranslationInput } from '../../translate/input.ts'
import type { AdminRoute } from '../identity/admin-server.ts'
import type { FaultStore } from './fault-store.ts'
import { readWish, refuse } from './read-wish.ts'

export function createFaultRoutes(
  faults: FaultStore,
  input: () => TranslationInput,
): Readonly<Record<string, AdminRoute>> {
  return {
    'GET /faults': () => ({ items: faults.list() }),
    'POST /faults': ({ body }) => {
      const wish = readWish(body)
      return faults.add(wish, hostOf(wish, input()))
    },
    'DELETE /faults/:id': ({ id }) => faults.remove(id),
  }
}

/** A fault for a host that nobody has would never be seen, and a typing error is the likely reason. */
function hostOf({ host, namespace }: FaultWish, input: TranslationInput): string {
  const lower = host.toLowerCase()
  const full = resolveHost(lower, namespace)
  const known = knownHosts(input)
  if (known.has(full)) return full
  if (known.has(`${lower}.svc.cluster.local`)) return `${lower}.svc.cluster.local`
  const names = [...known].sort().slice(0, 10).join(', ')
  return refuse(`no service or route is for the host ${full}`, `known are ${names || 'none'}`)
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
