/** Listener → ListenerPlan, or every reason why it is refused. */
import { TrafficDirection } from '../../xds/proto/generated/envoy/config/core/v3/base.ts'
import type { Listener } from '../../xds/proto/generated/envoy/config/listener/v3/listener.ts'
import type {
  Filter,
  FilterChain,
  ListenerFilter,
} from '../../xds/proto/generated/envoy/config/listener/v3/listener_components.ts'
import type { TcpObserver } from '../telemetry/request-record.ts'
import type { WireAddress } from '../wire/wire.ts'
import { rawBuffer } from './compile-cluster.ts'
import { compileConnectionManager } from './compile-connection-manager.ts'
import { compileIstioTcpStats } from './compile-istio-stats.ts'
import type { CompileScope } from './compile-scope.ts'
import { compileTcpProxy } from './compile-tcp-proxy.ts'
import { type Compiled, compiled, refused } from './compiled.ts'
import { type FieldReport, at, checkFields, refuse } from './field-rule.ts'
import { connectionManagerRule, listenerRule, tcpProxyRule } from './listener-fields.ts'
import type { HttpPlan, ListenerPlan, Opener, TcpPlan } from './listener-plan.ts'
import { typeName, wireAddress } from './message-value.ts'

export function compileListener(listener: Listener, scope: CompileScope): Compiled<ListenerPlan> {
  const report: FieldReport = { path: '', reasons: [] }
  checkFields(listener, listenerRule, report)
  if (listener.name === '') {
    refuse(at(report, 'name'), 'value length must be at least 1 characters')
  }
  const address = listenerAddress(listener, report)
  listener.listenerFilters.forEach((filter, index) => {
    checkListenerFilter(filter, at(report, 'listener_filters', index))
  })
  const found = onlyChain(listener, report)
  const network = found && compileChain(found, scope)
  if (report.reasons.length > 0 || address === undefined || network === undefined) {
    return refused(...report.reasons)
  }
  return compiled({
    ...settings(listener),
    address,
    connectionsMax: scope.runtime.listenerConnectionsMax(listener.name),
    chainName: found?.chain.name ?? '',
    network,
  })
}

type Settings = Pick<
  ListenerPlan,
  'name' | 'pipeMode' | 'bindToPort' | 'bufferLimitBytes' | 'trafficDirection'
>

function settings(listener: Listener): Settings {
  const address = listener.address?.address
  return {
    name: listener.name,
    pipeMode: address?.$case === 'pipe' ? address.value.mode : 0,
    bindToPort: listener.bindToPort ?? true,
    bufferLimitBytes: listener.perConnectionBufferLimitBytes ?? 1_048_576,
    trafficDirection: directions[listener.trafficDirection] ?? 'unspecified',
  }
}

const directions: Readonly<Record<number, ListenerPlan['trafficDirection']>> = {
  [TrafficDirection.INBOUND]: 'inbound',
  [TrafficDirection.OUTBOUND]: 'outbound',
}

function listenerAddress(listener: Listener, report: FieldReport): WireAddress | undefined {
  const here = at(report, 'address')
  if (listener.listenerSpecifier?.$case === 'internalListener') {
    if (listener.address !== undefined) refuse(here, 'must be absent for an internal listener')
    return { kind: 'internal', listener: listener.name }
  }
  const address = wireAddress(listener.address, here)
  if (address?.kind === 'internal') {
    refuse(here, 'an internal address is written as internal_listener')
    return undefined
  }
  return address
}

/** They look at the first bytes to choose among chains; with one chain there is nothing to choose. */
const inspectors = new Set([
  'envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector',
  'envoy.extensions.filters.listener.http_inspector.v3.HttpInspector',
])

function checkListenerFilter(filter: ListenerFilter, report: FieldReport): void {
  const any = filter.configType?.$case === 'typedConfig' ? filter.configType.value : undefined
  const name = typeName(any?.typeUrl ?? '')
  if (inspectors.has(name)) return
  refuse(report, `listener filter ${filter.name} (${name || 'no typed_config'}) is not implemented`)
}

interface ChainAt {
  readonly chain: FilterChain
  readonly report: FieldReport
}

function onlyChain(listener: Listener, report: FieldReport): ChainAt | undefined {
  const [first, second] = listener.filterChains
  const fallback = listener.defaultFilterChain
  if (second !== undefined || (first !== undefined && fallback !== undefined)) {
    refuse(at(report, 'filter_chains'), 'several filter chains are not implemented yet')
    return undefined
  }
  if (first !== undefined) return { chain: first, report: at(report, 'filter_chains', 0) }
  if (fallback !== undefined) return { chain: fallback, report: at(report, 'default_filter_chain') }
  refuse(report, `error adding listener '${listener.name}': no filter chains specified`)
  return undefined
}

function compileChain(
  { chain, report }: ChainAt,
  scope: CompileScope,
): HttpPlan | TcpPlan | undefined {
  checkTransportSocket(chain, report)
  const before = chain.filters.slice(0, -1)
  const last = chain.filters.at(-1)
  if (last === undefined) {
    refuse(at(report, 'filters'), 'needs http_connection_manager or tcp_proxy')
    return undefined
  }
  const observers = before.flatMap((filter, index) => {
    const observer = compileObserver(filter, at(report, 'filters', index))
    return observer === undefined ? [] : [observer]
  })
  const here = at(report, 'filters', before.length, 'typed_config')
  const any = typedConfig(last)
  switch (typeName(any?.typeUrl ?? '')) {
    case connectionManagerRule.type:
      if (observers.length > 0) {
        refuse(
          at(report, 'filters'),
          'network filters before an HTTP connection manager are not implemented',
        )
      }
      return any && compileConnectionManager(any, scope, here)
    case tcpProxyRule.type:
      return any && compileTcpProxy(any, { scope, observers }, here)
    default:
      refuse(at(report, 'filters', before.length), `${filterText(last)} is not implemented`)
      return undefined
  }
}

function compileObserver(filter: Filter, report: FieldReport): Opener<TcpObserver> | undefined {
  const any = typedConfig(filter)
  const isTerminal = [connectionManagerRule.type, tcpProxyRule.type].includes(
    typeName(any?.typeUrl ?? ''),
  )
  if (isTerminal) {
    refuse(
      report,
      `terminal filter named ${filter.name} must be the last filter in a network filter chain`,
    )
    return undefined
  }
  const stats = any && compileIstioTcpStats(any, report)
  if (stats === undefined) refuse(report, `${filterText(filter)} is not implemented`)
  return stats
}

function typedConfig(filter: Filter) {
  return filter.configType?.$case === 'typedConfig' ? filter.configType.value : undefined
}

function filterText(filter: Filter): string {
  return `network filter ${filter.name} (${typeName(typedConfig(filter)?.typeUrl ?? '') || 'no typed_config'})`
}

function checkTransportSocket(chain: FilterChain, report: FieldReport): void {
  if (chain.transportSocket === undefined) return
  const name = typeName(chain.transportSocket.configType?.value.typeUrl ?? '')
  if (name === rawBuffer) return
  const what = `${chain.transportSocket.name} (${name || 'no typed_config'})`
  const isTls = name.endsWith('.DownstreamTlsContext')
  refuse(
    at(report, 'transport_socket'),
    isTls ? `${what}: TLS is not implemented yet` : `${what} is not implemented`,
  )
}
