/**
 * Which listener of a sidecar an application's request arrives at: the one whose loopback port the URL names (a TCP
 * client's upstream), else the HTTP proxy that its environment names.
 */
import { MeshError } from '../../lib/mesh-error.ts'
import type { Listener } from '../../xds/proto/generated/envoy/config/listener/v3/listener.ts'
import type { RouteConfiguration } from '../../xds/proto/generated/envoy/config/route/v3/route.ts'
import { HttpConnectionManager } from '../../xds/proto/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts'
import type { Any } from '../../xds/proto/generated/google/protobuf/any.ts'
import { compileConnectionManager } from '../config/compile-connection-manager.ts'
import type { FieldReport } from '../config/field-rule.ts'
import type { HttpSettings } from '../config/listener-plan.ts'
import { typeName } from '../config/message-value.ts'
import { noRuntime } from '../config/runtime-values.ts'
import type { ConfigMessages } from './config-messages.ts'
import { addressText } from './explain-cluster.ts'
import type { ExplainedListener } from './explanation.ts'
import type { RequestForm, RequestTarget } from './request-target.ts'

export interface PickedListener {
  readonly listener: ExplainedListener
  readonly localPort: number
  readonly form: RequestForm
  readonly settings: HttpSettings
  readonly routes: RouteConfiguration | undefined
}

const httpProxyName = 'http_proxy'
const loopbackHosts = new Set(['localhost', '127.0.0.1', '[::1]'])

/** Undefined: nobody listens. Rejections: MESH_NOT_IMPLEMENTED for a listener that routes bytes, not requests. */
export function pickListener(
  messages: ConfigMessages,
  target: RequestTarget,
): PickedListener | undefined {
  const own = loopbackHosts.has(target.host)
    ? messages.listeners.find((listener) => portOf(listener) === target.port)
    : undefined
  const message = own ?? messages.listeners.find(({ name }) => name === httpProxyName)
  if (message === undefined) return undefined
  const config = managerOf(message)
  if (config === undefined) {
    throw new MeshError(
      'MESH_NOT_IMPLEMENTED',
      `listener ${message.name} passes bytes on and routes no requests`,
      { remedy: 'explain a URL of a service that speaks HTTP' },
    )
  }
  return {
    ...readManager(message, config, messages),
    form: own === undefined ? 'absolute' : 'origin',
  }
}

function portOf({ address }: Listener): number | undefined {
  const one = address?.address
  if (one?.$case !== 'socketAddress') return undefined
  const specifier = one.value.portSpecifier
  return specifier?.$case === 'portValue' ? specifier.value : undefined
}

function managerOf({ filterChains }: Listener): Any | undefined {
  const filter = filterChains[0]?.filters.at(-1)
  const any = filter?.configType?.$case === 'typedConfig' ? filter.configType.value : undefined
  return any !== undefined && typeName(any.typeUrl).endsWith('.HttpConnectionManager')
    ? any
    : undefined
}

function readManager(
  message: Listener,
  config: Any,
  messages: ConfigMessages,
): Omit<PickedListener, 'form'> {
  const report: FieldReport = { path: `listener ${message.name}`, reasons: [] }
  const scope = { random: () => 0, hostname: '', runtime: noRuntime }
  const plan = compileConnectionManager(config, scope, report)
  if (plan === undefined || report.reasons.length > 0) {
    throw new MeshError('MESH_CONFIG_REJECTED', report.reasons.join('; '))
  }
  const specifier = HttpConnectionManager.decode(config.value).routeSpecifier
  const inline = specifier?.$case === 'routeConfig' ? specifier.value : undefined
  const name = specifier?.$case === 'rds' ? specifier.value.routeConfigName : ''
  return {
    listener: {
      name: message.name,
      address: addressText(message.address),
      routes: inline?.name ?? name,
    },
    localPort: portOf(message) ?? 0,
    settings: plan.settings,
    routes: inline ?? messages.route(name),
  }
}
