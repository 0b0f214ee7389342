/** Listener → ListenerPlan, or every reason why it is refused. */
import { typeNameOf } from '../../xds/any.ts'
import { TrafficDirection } from '../../xds/proto/generated/envoy/config/core/v3/base.ts'
import {
  type Listener,
  Listener_DrainType,
} from '../../xds/proto/generated/envoy/config/listener/v3/listener.ts'
import type {
  Filter,
  FilterChain,
} from '../../xds/proto/generated/envoy/config/listener/v3/listener_components.ts'
import type { ConnectionGate } from '../listener/connection-gate.ts'
import type { FilterState } from '../listener/listener-config.ts'
import type { TcpObserver } from '../telemetry/request-record.ts'
import type { WireAddress } from '../wire/wire.ts'
import { compileChainMatch, matchKey } from './compile-chain-match.ts'
import { compileConnectionManager } from './compile-connection-manager.ts'
import { compileFilterState, isFilterState } from './compile-filter-state.ts'
import { compileGate, isGate } from './compile-gate.ts'
import { compileIstioTcpStats } from './compile-istio-stats.ts'
import { compileInspection } from './compile-listener-filter.ts'
import { type CompileScope, noSecrets } from './compile-scope.ts'
import { compileTcpProxy } from './compile-tcp-proxy.ts'
import { compileDownstreamTls } from './compile-tls.ts'
import { type Compiled, compiled, refused } from './compiled.ts'
import { type FieldReport, at, checkFields, refuse } from './field-rule.ts'
import { connectionManagerRule, listenerRule, tcpProxyRule } from './listener-fields.ts'
import type { ChainPlan, HttpPlan, ListenerPlan, Opener, TcpPlan } from './listener-plan.ts'
import { durationMs, wireAddress } from './message-value.ts'

export function compileListener(listener: Listener, scope: CompileScope): Compiled<ListenerPlan> {
  const report: FieldReport = { path: '', reasons: [] }
  checkFields(listener, listenerRule, report)
  if (listener.name === '') {
    refuse(at(report, 'name'), 'value length must be at least 1 characters')
  }
  const address = listenerAddress(listener, report)
  const chains = compileChains(listener, scope, report)
  const fallback =
    listener.defaultFilterChain &&
    compileChain(
      { chain: listener.defaultFilterChain, report: at(report, 'default_filter_chain') },
      scope,
    )
  const all = fallback === undefined ? chains : [...chains, fallback]
  const isInternal = address?.kind === 'internal'
  if (isInternal) checkInternal(all, report)
  const inspection = compileInspection({ listener, isInternal, chains: all }, report)
  if (report.reasons.length > 0 || address === undefined) return refused(...report.reasons)
  return compiled({
    ...settings(listener),
    address,
    connectionsMax: scope.runtime.listenerConnectionsMax(listener.name),
    chains,
    defaultChain: fallback && { ...fallback, key: 'default' },
    inspection,
  })
}

/** Connections inside the process may carry TLS of the application's; it is never ended here. */
function checkInternal(chains: readonly ChainPlan[], report: FieldReport): void {
  if (chains.every(({ tls }) => tls === undefined)) return
  refuse(at(report, 'filter_chains'), 'TLS on an internal listener is not implemented')
}

type Settings = Pick<
  ListenerPlan,
  | 'name'
  | 'pipeMode'
  | 'bindToPort'
  | 'bufferLimitBytes'
  | 'trafficDirection'
  | 'statPrefix'
  | 'drainsWithHealth'
  | 'ignoresGlobalLimit'
  | 'bypassesOverload'
>

function settings(listener: Listener): Settings {
  const address = listener.address?.address
  return {
    name: listener.name,
    statPrefix: listener.statPrefix,
    drainsWithHealth: listener.drainType !== Listener_DrainType.MODIFY_ONLY,
    ignoresGlobalLimit: listener.ignoreGlobalConnLimit,
    bypassesOverload: listener.bypassOverloadManager,
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

function compileChains(
  listener: Listener,
  scope: CompileScope,
  report: FieldReport,
): readonly ChainPlan[] {
  if (listener.filterChains.length === 0 && listener.defaultFilterChain === undefined) {
    refuse(report, `error adding listener '${listener.name}': no filter chains specified`)
  }
  const seen = new Map<string, string>()
  return listener.filterChains.flatMap((chain, index) => {
    const here = at(report, 'filter_chains', index)
    const key = matchKey(chain.filterChainMatch)
    const other = seen.get(key)
    if (other !== undefined) {
      const text = `filter chain '${chain.name}' has the same matching rules defined as '${other}'`
      refuse(here, `error adding listener '${listener.name}': ${text}`)
    }
    seen.set(key, chain.name)
    const plan = compileChain({ chain, report: here }, scope)
    return plan === undefined ? [] : [plan]
  })
}

interface ChainAt {
  readonly chain: FilterChain
  readonly report: FieldReport
}

/** Envoy waits for ever unless told; a handshake that nobody finishes must not. */
const handshakeTimeoutDefaultMs = 15_000

function compileChain(place: ChainAt, scope: CompileScope): ChainPlan | undefined {
  const { chain, report } = place
  const network = named(compileNetwork(place, scope), chain.name)
  const gates = compileGates(place)
  const secrets = scope.secrets ?? noSecrets
  const tls = compileDownstreamTls(chain.transportSocket, secrets, at(report, 'transport_socket'))
  const handshakeTimeoutMs = durationMs(
    chain.transportSocketConnectTimeout,
    { absentMs: handshakeTimeoutDefaultMs },
    at(report, 'transport_socket_connect_timeout'),
  )
  const match = compileChainMatch(chain.filterChainMatch, at(report, 'filter_chain_match'))
  if (network === undefined) return undefined
  return {
    name: chain.name,
    key: matchKey(chain.filterChainMatch),
    match,
    tls,
    handshakeTimeoutMs: handshakeTimeoutMs || handshakeTimeoutDefaultMs,
    network,
    gates,
  }
}

/** Logs tell the chain. */
function named(plan: HttpPlan | TcpPlan | undefined, name: string): HttpPlan | TcpPlan | undefined {
  if (plan === undefined || name === '') return plan
  if (plan.kind === 'tcp') return { ...plan, settings: { ...plan.settings, filterChainName: name } }
  return { ...plan, settings: { ...plan.settings, filterChainName: name } }
}

/** What stands before the terminal filter and lets connections in; compiled with its place for reasons. */
function compileGates({ chain, report }: ChainAt): readonly Opener<ConnectionGate>[] {
  return chain.filters.flatMap((filter, index) => {
    const any = typedConfig(filter)
    if (any === undefined || !isGate(any)) return []
    const gate = compileGate(any, at(report, 'filters', index, 'typed_config'))
    return gate === undefined ? [] : [gate]
  })
}

function compileNetwork(
  { chain, report }: ChainAt,
  scope: CompileScope,
): HttpPlan | TcpPlan | undefined {
  const before = chain.filters.slice(0, -1)
  const last = chain.filters.at(-1)
  if (last === undefined) {
    refuse(at(report, 'filters'), 'needs http_connection_manager or tcp_proxy')
    return undefined
  }
  const observers = before.flatMap((filter, index) => {
    if (isGate(typedConfig(filter)) || isFilterState(typedConfig(filter))) return []
    const observer = compileObserver(filter, at(report, 'filters', index))
    return observer === undefined ? [] : [observer]
  })
  const state = compileState({ chain, report })
  const here = at(report, 'filters', before.length, 'typed_config')
  const any = typedConfig(last)
  switch (typeNameOf(any?.typeUrl ?? '')) {
    case connectionManagerRule.type:
      if (observers.length > 0) {
        refuse(
          at(report, 'filters'),
          'network filters before an HTTP connection manager are not implemented',
        )
      }
      return withState(any && compileConnectionManager(any, scope, here), state)
    case tcpProxyRule.type:
      return any && compileTcpProxy(any, { scope, observers, state }, here)
    default:
      refuse(at(report, 'filters', before.length), `${filterText(last)} is not implemented`)
      return undefined
  }
}

/** What the filters before the last one say of a connection. */
function compileState({ chain, report }: ChainAt): FilterState {
  const states = chain.filters.slice(0, -1).map((filter, index) => {
    const any = typedConfig(filter)
    if (any === undefined || !isFilterState(any)) return {}
    return compileFilterState(any, at(report, 'filters', index, 'typed_config'))
  })
  return Object.assign({}, ...states)
}

/** Plans of chains whose filters say nothing stay as they are. */
function withState(plan: HttpPlan | undefined, filterState: FilterState): HttpPlan | undefined {
  if (plan === undefined || Object.keys(filterState).length === 0) return plan
  return { ...plan, settings: { ...plan.settings, filterState } }
}

function compileObserver(filter: Filter, report: FieldReport): Opener<TcpObserver> | undefined {
  const any = typedConfig(filter)
  const isTerminal = [connectionManagerRule.type, tcpProxyRule.type].includes(
    typeNameOf(any?.typeUrl ?? ''),
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
  return `network filter ${filter.name} (${typeNameOf(typedConfig(filter)?.typeUrl ?? '') || 'no typed_config'})`
}
