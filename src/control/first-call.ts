/**
 * What a sidecar on demand would be given if it called a host for the first time now, for people who ask before it does:
 * `/apis/tulle.dev/v1alpha1/namespaces/NS/proxies/NAME/firstcall?host=reviews:9080`. Nothing is sent to the sidecar.
 */
import { viewApiVersion, type FirstCall } from '../api/view.ts'
import type { Translation } from '../translate/driver.ts'
import { httpProxyName } from '../translate/outbound-listener.ts'
import type { DiscoveryService } from '../xds/ads-server.ts'
import { MessageJson } from '../xds/json.ts'
import { Any } from '../xds/proto/generated/google/protobuf/any.ts'
import { typeUrls, type EncodedResource, type ResourceView } from '../xds/resource-set.ts'
import { ApiError } from './api-server/status.ts'
import { identityOf } from './view-object.ts'

const path = new RegExp(`^/apis/${viewApiVersion}/namespaces/([^/]+)/proxies/([^/]+)/firstcall$`)

export interface FirstCallSources {
  readonly ads: Pick<DiscoveryService, 'statuses'>
  readonly translation: Pick<Translation, 'foresee'>
}

/** Undefined for another path. Rejections: ApiError. */
export function readFirstCall(
  { ads, translation }: FirstCallSources,
  { pathname, searchParams }: URL,
): FirstCall | undefined {
  const [, namespace, name] = path.exec(pathname)?.map(decodeURIComponent) ?? []
  if (name === undefined) return undefined
  const host = searchParams.get('host') ?? ''
  if (host === '' || /[*/\s]/.test(host)) {
    throw new ApiError('BadRequest', `host: expected a host, with a port or without, got "${host}"`)
  }
  const stream = ads.statuses().findLast(({ node }) => {
    const identity = identityOf(node)
    return identity.instance === name && identity.namespace === namespace
  })
  if (stream === undefined) throw new ApiError('NotFound', `proxies.tulle.dev "${name}" not found`)
  const alias = `${httpProxyName}/${host.toLowerCase()}`
  const view = stream.variant === 'delta' ? translation.foresee(stream.node, alias) : undefined
  const head = { apiVersion: viewApiVersion, kind: 'FirstCall' } as const
  if (view === undefined) {
    const none = { virtualHosts: [], clusters: [], assignments: [], listeners: [] }
    return { ...head, isOnDemand: false, ...none }
  }
  return { ...head, isOnDemand: true, ...resourcesOf(view, alias) }
}

function resourcesOf(
  view: ResourceView,
  alias: string,
): Pick<FirstCall, 'virtualHosts' | 'clusters' | 'assignments' | 'listeners'> {
  const json = new MessageJson()
  const listOf = (typeUrl: string, keep: (resource: EncodedResource) => boolean) =>
    [...view.resources(typeUrl).values()]
      .filter(keep)
      .map(({ any }) => json.bytesToJson(typeUrl, Any.decode(any).value))
  const clusters = view.resources(typeUrls.cluster)
  return {
    virtualHosts: listOf(typeUrls.virtualHost, ({ aliases }) => aliases?.includes(alias) === true),
    clusters: listOf(typeUrls.cluster, () => true),
    assignments: listOf(typeUrls.endpoint, ({ name }) => clusters.has(name)),
    listeners: listOf(typeUrls.listener, () => true),
  }
}
