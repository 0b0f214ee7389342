/**
 * Which listener of a sidecar an application's request arrives at: the one whose loopback port the URL names (a TCP
 * client's upstream), else the HTTP proxy that its environment names.
 */
import type { Listener } from '../../xds/proto/generated/envoy/config/listener/v3/listener.ts'
import type { RouteConfiguration } from '../../xds/proto/generated/envoy/config/route/v3/route.ts'
import { HttpConnectionManager } from '../../xds/proto/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts'
import type { Any } from '../../xds/proto/generated/google/protobuf/any.ts'
import type { HttpSettings } from '../config/listener-plan.ts'
import type { ConfigMessages } from './config-messages.ts'
import { addressText } from './explain-cluster.ts'
import type { ExplainedListener } from './explanation.ts'
import { pickChain, type PickedChain } from './pick-chain.ts'
import type { RequestForm, RequestTarget } from './request-target.ts'

/** Routes requests, or passes bytes on. */
export type PickedListener = RequestListener | ByteListener

export interface RequestListener {
  readonly kind: 'http'
  readonly listener: ExplainedListener
  readonly localPort: number
  readonly form: RequestForm
  readonly settings: HttpSettings
  readonly routes: RouteConfiguration | undefined
}

export interface ByteListener {
  readonly kind: 'bytes'
  readonly listener: ExplainedListener
  readonly chain: Extract<PickedChain, { kind: 'bytes' }>
}

const httpProxyName = 'http_proxy'
const loopbackHosts = new Set(['localhost', '127.0.0.1', '[::1]'])

/** Undefined: nobody listens, or takes such a connection. Rejections: MESH_CONFIG_REJECTED. */
export function pickListener(
  messages: ConfigMessages,
  target: RequestTarget,
): PickedListener | undefined {
  const own = loopbackHosts.has(target.host)
    ? messages.listeners.find((listener) => portOf(listener) === target.port)
    : undefined
  const message = own ?? messages.listeners.find(({ name }) => name === httpProxyName)
  if (message === undefined) return undefined
  const isTls = own !== undefined && target.isTls
  const chain = pickChain(
    message,
    isTls ? { kind: 'tls', serverName: target.host } : { kind: 'http' },
  )
  const address = addressText(message.address)
  if (chain?.kind === 'bytes') {
    return { kind: 'bytes', listener: { name: message.name, address, routes: '' }, chain }
  }
  if (chain === undefined) return undefined
  const { routes, name } = routesOf(chain.config, messages)
  return {
    kind: 'http',
    listener: { name: message.name, address, routes: name },
    localPort: portOf(message) ?? 0,
    form: own === undefined ? 'absolute' : 'origin',
    settings: chain.plan.settings,
    routes,
  }
}

function portOf({ address }: Listener): number | undefined {
  const one = address?.address
  if (one?.$case !== 'socketAddress') return undefined
  const specifier = one.value.portSpecifier
  return specifier?.$case === 'portValue' ? specifier.value : undefined
}

function routesOf(config: Any, messages: ConfigMessages) {
  const specifier = HttpConnectionManager.decode(config.value).routeSpecifier
  if (specifier?.$case === 'routeConfig') {
    return { routes: specifier.value, name: specifier.value.name }
  }
  const name = specifier?.$case === 'rds' ? specifier.value.routeConfigName : ''
  return { routes: messages.route(name), name }
}
