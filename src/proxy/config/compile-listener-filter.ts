/** `listener_filters` → what is looked at before a filter chain is chosen. */
import { typeNameOf } from '../../xds/any.ts'
import { ProxyProtocolConfig_Version as ProxyVersion } from '../../xds/proto/generated/envoy/config/core/v3/proxy_protocol.ts'
import type { Listener } from '../../xds/proto/generated/envoy/config/listener/v3/listener.ts'
import type { ListenerFilter } from '../../xds/proto/generated/envoy/config/listener/v3/listener_components.ts'
import { ProxyProtocol } from '../../xds/proto/generated/envoy/extensions/filters/listener/proxy_protocol/v3/proxy_protocol.ts'
import { TlsInspector } from '../../xds/proto/generated/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector.ts'
import type { ConnectionInspection } from '../listener/listener-config.ts'
import type { ProxyProtocolSettings } from '../tls/inspect-socket.ts'
import {
  type FieldReport,
  type MessageRule,
  at,
  checkFields,
  ignored,
  refuse,
  refusedField,
  used,
} from './field-rule.ts'
import type { ChainPlan } from './listener-plan.ts'
import { decodeTyped, durationMs } from './message-value.ts'

const tlsInspector = 'envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector'
const httpInspector = 'envoy.extensions.filters.listener.http_inspector.v3.HttpInspector'

export const tlsInspectorRule: MessageRule = {
  type: tlsInspector,
  fields: {
    enableJa3Fingerprinting: refusedField('fingerprints of clients are not implemented', false),
    initialReadBufferSize: ignored('what has come is read at once'),
  },
}

export const proxyProtocolRule: MessageRule = {
  type: 'envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol',
  fields: {
    rules: refusedField('metadata from TLVs is not implemented'),
    allowRequestsWithoutProxyProtocol: used(),
    passThroughTlvs: refusedField('passing TLVs on is not implemented'),
    disallowedVersions: used(),
    statPrefix: ignored('errors are counted by listener'),
  },
}

const timeoutDefaultMs = 15_000

export interface FilteredListener {
  readonly listener: Listener
  readonly isInternal: boolean
  /** The default chain among them. */
  readonly chains: readonly ChainPlan[]
}

/** Undefined: the first chain takes every connection as it comes. */
export function compileInspection(
  { listener, isInternal, chains }: FilteredListener,
  report: FieldReport,
): ConnectionInspection | undefined {
  const types = new Set(listener.listenerFilters.map(filterType))
  listener.listenerFilters.forEach((filter, index) => {
    checkFilter(filter, at(report, 'listener_filters', index))
  })
  const proxyProtocol = compileProxyProtocol(listener, isInternal, report)
  const [first] = chains
  const isAlone = chains.length === 1 && first !== undefined && first.key === ''
  const isChosen = !isAlone || first.tls !== undefined
  const http = types.has(httpInspector)
  // Envoy puts its inspector in where a chain needs it; TLS itself is never spoken without a look at the hello.
  const tls = isChosen || types.has(tlsInspector)
  if (!tls && !(http && isChosen) && proxyProtocol === undefined) return undefined
  return {
    tls,
    http: http && isChosen,
    timeoutMs: durationMs(
      listener.listenerFiltersTimeout,
      { absentMs: timeoutDefaultMs },
      at(report, 'listener_filters_timeout'),
    ),
    continuesOnTimeout: listener.continueOnListenerFiltersTimeout,
    proxyProtocol,
  }
}

function compileProxyProtocol(
  { listenerFilters }: Listener,
  isInternal: boolean,
  report: FieldReport,
): ProxyProtocolSettings | undefined {
  const index = listenerFilters.findIndex((filter) => filterType(filter) === proxyProtocolRule.type)
  const filter = listenerFilters[index]
  if (filter === undefined) return undefined
  const here = at(report, 'listener_filters', index)
  if (index !== 0) {
    refuse(here, 'the PROXY protocol is implemented as the first listener filter only')
  }
  if (isInternal) refuse(here, 'the PROXY protocol on an internal listener is not implemented')
  const any = filter.configType?.$case === 'typedConfig' ? filter.configType.value : undefined
  const config = any && decodeTyped(any, ProxyProtocol, at(here, 'typed_config'))
  if (config === undefined) return undefined
  checkFields(config, proxyProtocolRule, at(here, 'typed_config'))
  const allowed = ([1, 2] as const).filter(
    (version) =>
      !config.disallowedVersions.includes(version === 1 ? ProxyVersion.V1 : ProxyVersion.V2),
  )
  return {
    isOptional: config.allowRequestsWithoutProxyProtocol,
    versions: new Set(allowed),
  }
}

function checkFilter(filter: ListenerFilter, report: FieldReport): void {
  if (filter.filterDisabled !== undefined) {
    refuse(at(report, 'filter_disabled'), 'switching listener filters off is not implemented')
  }
  const name = filterType(filter)
  if (name === tlsInspector) {
    const any = filter.configType?.$case === 'typedConfig' ? filter.configType.value : undefined
    const here = at(report, 'typed_config')
    const config = any && decodeTyped(any, TlsInspector, here)
    if (config !== undefined) checkFields(config, tlsInspectorRule, here)
    return
  }
  if (name === httpInspector || name === proxyProtocolRule.type) return
  refuse(report, `listener filter ${filter.name} (${name || 'no typed_config'}) is not implemented`)
}

function filterType(filter: ListenerFilter): string {
  const any = filter.configType?.$case === 'typedConfig' ? filter.configType.value : undefined
  return typeNameOf(any?.typeUrl ?? '')
}
