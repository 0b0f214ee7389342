/**
 * Whether a cluster leads from sidecar to sidecar only, over mTLS, and to ports that the far sidecars take for HTTP:
 * then HTTP/1.1 may travel as HTTP/2 streams there, because the far side gives its application what that speaks. A port
 * that the far side takes for bytes, or looks into, gives the application what came.
 *
 * Endpoints count whatever their health, so that a probe that fails does not change how the others are called. Of a
 * cluster without endpoints the answer is what it would be for the mesh's own, so that it need not change when the
 * first ones come.
 */
import type { ClientTlsSettings } from '../model/istio/destination-rule.ts'
import { parseProtocol } from '../registry/protocol.ts'
import type { Endpoint, PortProtocol, Service, ServicePort } from '../registry/service.ts'
import { hasLabels } from './endpoint.ts'
import type { MeshSettings } from './input.ts'
import { firstServed, takesMtls, type World } from './world.ts'

export interface HopInput {
  readonly service: Service
  /** Undefined: the whole service. */
  readonly subset: { readonly labels?: Readonly<Record<string, string>> } | undefined
  /** All endpoints of the port. */
  readonly endpoints: readonly Endpoint[]
  readonly mesh: MeshSettings
  readonly takesStreams: (endpoint: Endpoint) => boolean
}

export function isBetweenSidecars(input: HopInput, tls: ClientTlsSettings | undefined): boolean {
  const { service, mesh, subset, endpoints, takesStreams } = input
  if (tls !== undefined && tls.mode !== 'ISTIO_MUTUAL') return false
  if (tls === undefined && !isAutomatic(service, mesh)) return false
  return endpoints.every(
    (endpoint) => !hasLabels(endpoint, subset?.labels) || takesStreams(endpoint),
  )
}

/** Whether mTLS is chosen for each endpoint by what it takes. */
export function isAutomatic(service: Service, mesh: MeshSettings): boolean {
  const hasEndpoints = service.resolution !== 'none' && service.resolution !== 'dynamic-dns'
  return mesh.isAutoMtls && !service.isMeshExternal && hasEndpoints
}

/** What of a world decides on `takesStreams`. */
export type HopWorld = Pick<World, 'peerAuthentications' | 'sidecars' | 'served'>

/** Whether the sidecar before an endpoint takes HTTP of either version over mTLS. */
export function takesStreams(world: HopWorld, port: ServicePort, endpoint: Endpoint): boolean {
  if (!takesMtls(world, port, endpoint)) return false
  const { namespace, labels } = endpoint
  const said = (world.sidecars.of({ namespace, labels })?.ingress ?? [])
    .filter(({ port: { number } }) => isNumberOf(number, port, endpoint))
    .flatMap((listener) => parseProtocol(listener.port.protocol ?? '') ?? [])
  const protocol = firstServed(world, endpoint)?.port.protocol ?? port.protocol
  return said.length > 0 ? said.every(isKnownHttp) : isKnownHttp(protocol)
}

/** Of the application, or those by which a service means it. */
function isNumberOf(number: number | undefined, port: ServicePort, endpoint: Endpoint): boolean {
  return [endpoint.appPort, port.targetPort, port.number].includes(number)
}

function isKnownHttp(protocol: PortProtocol): boolean {
  return ['http', 'http2', 'grpc', 'grpc-web'].includes(protocol)
}
