/**
 * What becomes of a connection at a listener: the chain that the proxy would choose by its first bytes, and whether that
 * one routes requests or passes bytes on.
 */
import { MeshError } from '../../lib/mesh-error.ts'
import type { Listener } from '../../xds/proto/generated/envoy/config/listener/v3/listener.ts'
import type { FilterChain } from '../../xds/proto/generated/envoy/config/listener/v3/listener_components.ts'
import { TcpProxy } from '../../xds/proto/generated/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.ts'
import type { Any } from '../../xds/proto/generated/google/protobuf/any.ts'
import { compileListener } from '../config/compile-listener.ts'
import type { CompileScope } from '../config/compile-scope.ts'
import type { HttpPlan } from '../config/listener-plan.ts'
import { noRuntime } from '../config/runtime-values.ts'
import { chooseChain } from '../listener/choose-chain.ts'

/** What the first bytes say. */
export type FirstBytes =
  | { readonly kind: 'tls'; readonly serverName: string }
  | { readonly kind: 'http' }

export type PickedChain =
  | { readonly kind: 'http'; readonly plan: HttpPlan; readonly config: Any }
  | { readonly kind: 'bytes'; readonly by: string; readonly clusters: readonly ShareOfBytes[] }

export interface ShareOfBytes {
  readonly cluster: string
  /** Per cent. */
  readonly share: number
}

const scope: CompileScope = { random: () => 0, hostname: '', runtime: noRuntime }

/** Undefined: no chain takes it, and the connection ends. Rejections: MESH_CONFIG_REJECTED. */
export function pickChain(listener: Listener, bytes: FirstBytes): PickedChain | undefined {
  const compiled = compileListener(listener, scope)
  if (!compiled.ok) {
    throw new MeshError(
      'MESH_CONFIG_REJECTED',
      `listener ${listener.name}: ${compiled.reasons.join('; ')}`,
    )
  }
  const { chains, defaultChain } = compiled.value
  const chosen = chooseChain(chains, factsOf(bytes))
  const plan = chosen ?? defaultChain
  if (plan === undefined) return undefined
  const message =
    chosen === undefined
      ? listener.defaultFilterChain
      : listener.filterChains[chains.indexOf(chosen)]
  const config = lastFilterOf(message)
  if (config === undefined) return undefined
  if (plan.network.kind === 'http') return { kind: 'http', plan: plan.network, config }
  return {
    kind: 'bytes',
    by: chainText(chosen === undefined ? undefined : message),
    clusters: clustersOf(config),
  }
}

function factsOf(bytes: FirstBytes) {
  return {
    transportProtocol: bytes.kind === 'tls' ? ('tls' as const) : ('raw_buffer' as const),
    serverName: bytes.kind === 'tls' ? bytes.serverName : undefined,
    applicationProtocols: bytes.kind === 'tls' ? [] : ['http/1.1'],
    localAddress: '127.0.0.1',
    localPort: 0,
    remoteAddress: '127.0.0.1',
    remotePort: 0,
  }
}

function lastFilterOf(chain: FilterChain | undefined): Any | undefined {
  const type = chain?.filters.at(-1)?.configType
  return type?.$case === 'typedConfig' ? type.value : undefined
}

function chainText(chain: FilterChain | undefined): string {
  const names = chain?.filterChainMatch?.serverNames ?? []
  if (names.length > 0) return `server name ${names.join(', ')}`
  return chain === undefined ? 'no other chain fits' : 'every connection'
}

function clustersOf(config: Any): readonly ShareOfBytes[] {
  const specifier = TcpProxy.decode(config.value).clusterSpecifier
  if (specifier === undefined) return []
  if (specifier.$case === 'cluster') return [{ cluster: specifier.value, share: 100 }]
  const { clusters } = specifier.value
  const sum = clusters.reduce((total, { weight }) => total + weight, 0)
  return clusters
    .filter(({ weight }) => weight > 0)
    .map(({ name, weight }) => ({ cluster: name, share: (weight / sum) * 100 }))
}
