/** Finds the admin address of a workload's sidecar: the control plane knows what each said when it joined. */
import type { ObjectList } from '../../api/object.ts'
import { viewPath, type ProxyObject } from '../../api/view.ts'
import { MeshError } from '../../lib/mesh-error.ts'
import { apiClient } from '../api-client.ts'
import { usageError, type CommandInput } from '../command.ts'

export async function adminAddressOf(
  { flags, context }: CommandInput,
  name: string | undefined,
): Promise<string> {
  const api = apiClient(flags, context)
  const { items } = await api.get<ObjectList<ProxyObject>>(viewPath('proxies'))
  const proxy = pickProxy(items, name, flags.text('namespace'))
  const { adminAddress } = proxy.status
  if (adminAddress !== undefined) return adminAddress
  throw new MeshError('MESH_API_FAILED', `${proxy.metadata.name} did not say where its admin is`, {
    remedy: 'give it with --admin ADDRESS',
  })
}

/** By instance, or by workload when only one instance of it is connected. */
export function pickProxy(
  proxies: readonly ProxyObject[],
  name: string | undefined,
  namespace: string | undefined,
): ProxyObject {
  const here = proxies.filter(
    ({ metadata }) => namespace === undefined || metadata.namespace === namespace,
  )
  const names = here.map(({ metadata }) => metadata.name).sort()
  const known = names.length === 0 ? 'no sidecar is connected' : `one of ${names.join(', ')}`
  if (name === undefined) throw usageError('which workload?', known)
  const exact = here.filter(({ metadata }) => metadata.name === name)
  const found = exact.length > 0 ? exact : here.filter(({ status }) => status.workload === name)
  const [proxy, ...others] = found
  if (proxy === undefined) throw usageError(`no sidecar of ${name} is connected`, known)
  if (others.length === 0) return proxy
  const instances = found.map(({ metadata }) => metadata.name).join(', ')
  throw usageError(`${name} has ${found.length} instances`, `choose one of ${instances}`)
}
