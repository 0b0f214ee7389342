/** A host that lives: made from one endpoint, updated in place while its address stays. */
import type { Endpoint, EndpointLocality } from '../config/compile-endpoints.ts'
import { addressText } from '../config/message-value.ts'
import type { HostStats } from '../telemetry/cluster-stats.ts'
import type { Host, HostHealth, HostMetadata } from '../upstream/host.ts'
import type { WireAddress } from '../wire/wire.ts'

/** An endpoint whose address is known. */
export type ResolvedEndpoint = Omit<Endpoint, 'target'> & { readonly address: WireAddress }

export class LiveHost implements Host {
  readonly address: WireAddress
  readonly addressText: string
  readonly hostname: string
  readonly stats: HostStats
  weight: number
  health: HostHealth
  /** Envoy's word for the health that EDS gave. */
  healthStatus: string
  metadata: HostMetadata
  locality: EndpointLocality
  isEjected = false

  constructor(endpoint: ResolvedEndpoint, stats: HostStats) {
    this.address = endpoint.address
    this.addressText = addressText(endpoint.address)
    this.hostname = endpoint.hostname
    this.stats = stats
    this.weight = endpoint.weight
    this.health = endpoint.health
    this.healthStatus = endpoint.healthStatus
    this.metadata = endpoint.metadata
    this.locality = endpoint.locality
  }

  isAvailable(): boolean {
    return !this.isEjected && (this.health === 'healthy' || this.health === 'degraded')
  }

  /** Takes over what may change while the address stays; true when the balancer must know. */
  update(endpoint: ResolvedEndpoint): boolean {
    const changed = this.weight !== endpoint.weight || this.health !== endpoint.health
    this.weight = endpoint.weight
    this.health = endpoint.health
    this.healthStatus = endpoint.healthStatus
    this.metadata = endpoint.metadata
    this.locality = endpoint.locality
    return changed
  }
}

/** What makes two endpoints the same host. */
export function hostKey(endpoint: {
  readonly address: WireAddress
  readonly hostname: string
}): string {
  return `${addressText(endpoint.address)} ${endpoint.hostname}`
}
