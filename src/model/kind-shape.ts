/** Shape of the spec of each kind that is read in full. */
import { destinationRuleShape } from './istio/destination-rule-shape.ts'
import { peerAuthenticationShape } from './istio/peer-authentication-shape.ts'
import { proxyConfigResourceShape } from './istio/proxy-config-shape.ts'
import { serviceEntryShape } from './istio/service-entry-shape.ts'
import { sidecarShape } from './istio/sidecar-shape.ts'
import { virtualServiceShape } from './istio/virtual-service-shape.ts'
import { workloadEntryShape } from './istio/workload-entry-shape.ts'
import { workloadGroupShape } from './istio/workload-group-shape.ts'
import type { Kind } from './kinds.ts'
import { serviceShape } from './kubernetes/service-shape.ts'
import { meshShape } from './mesh/mesh-shape.ts'
import { routeTestShape } from './mesh/route-test-shape.ts'
import type { Shape } from './schema/shape.ts'

const shapes: ReadonlyMap<string, Shape<unknown>> = new Map<string, Shape<unknown>>([
  ['VirtualService', virtualServiceShape],
  ['DestinationRule', destinationRuleShape],
  ['ServiceEntry', serviceEntryShape],
  ['WorkloadEntry', workloadEntryShape],
  ['WorkloadGroup', workloadGroupShape],
  ['PeerAuthentication', peerAuthenticationShape],
  ['Sidecar', sidecarShape],
  ['ProxyConfig', proxyConfigResourceShape],
  ['Service', serviceShape],
  ['Mesh', meshShape],
  ['RouteTest', routeTestShape],
])

/** Undefined for a kind that is known by name only. */
export function shapeOfKind(kind: Kind): Shape<unknown> | undefined {
  return kind.supported === 'full' ? shapes.get(kind.kind) : undefined
}
