/** A host that lives: made from one endpoint, updated in place while its address stays. */
import type { Endpoint, EndpointCheck, EndpointLocality } from '../config/compile-endpoints.ts'
import { addressText } from '../config/message-value.ts'
import type { HostStats } from '../telemetry/cluster-stats.ts'
import { createHostStats } from '../telemetry/create-stats.ts'
import type { Slots } from '../telemetry/slots.ts'
import type { ActiveHealth, Host, HostHealth, HostMetadata } from '../upstream/host.ts'
import type { WireAddress } from '../wire/wire.ts'

/** An endpoint whose address is known. */
export type ResolvedEndpoint = Omit<Endpoint, 'target'> & { readonly address: WireAddress }

/** What a cluster's endpoint source gives: always the whole. */
export interface ResolvedList {
  readonly endpoints: readonly ResolvedEndpoint[]
  readonly overprovisioningPercent: number
}

export const emptyList: ResolvedList = { endpoints: [], overprovisioningPercent: 140 }

export class LiveHost implements Host {
  readonly address: WireAddress
  readonly addressText: string
  otherAddresses: readonly WireAddress[]
  readonly hostname: string
  /** How active checks reach it. */
  check: EndpointCheck | undefined
  readonly #scope: { readonly slots: Slots; readonly cluster: string }
  #stats: HostStats | undefined
  weight: number
  health: HostHealth
  /** What EDS says alone. */
  edsHealth: HostHealth
  /** Envoy's word for the health that EDS gave. */
  healthStatus: string
  metadata: HostMetadata
  locality: EndpointLocality
  priority: number
  localityWeight: number
  isEjected = false
  active: ActiveHealth | undefined
  /** It served before it was checked: its checks count from their first result on. */
  isTrusted = false
  /** It left its source, and is kept because its checks pass (Envoy PENDING_DYNAMIC_REMOVAL). */
  isPendingRemoval = false
  /** What ends when the host turns unhealthy, where the cluster asks for that. */
  closers: Set<() => void> | undefined

  /** `cluster` and the host's address are what threads that count its active requests together know it by. */
  constructor(
    endpoint: ResolvedEndpoint,
    scope: { readonly slots: Slots; readonly cluster: string },
  ) {
    this.address = endpoint.address
    this.addressText = addressText(endpoint.address)
    this.otherAddresses = endpoint.otherAddresses ?? []
    this.hostname = endpoint.hostname
    this.#scope = scope
    this.weight = endpoint.weight
    this.check = endpoint.check
    this.health = endpoint.health
    this.edsHealth = endpoint.health
    this.healthStatus = endpoint.healthStatus
    this.metadata = endpoint.metadata
    this.locality = endpoint.locality
    this.priority = endpoint.priority
    this.localityWeight = endpoint.localityWeight
  }

  /** Made when first asked for: most hosts of a mesh are never called from here. */
  get stats(): HostStats {
    const { slots, cluster } = this.#scope
    return (this.#stats ??= createHostStats(
      slots,
      `${cluster} ${this.addressText} ${this.hostname}`,
    ))
  }

  get isIdle(): boolean {
    const stats = this.#stats
    return stats === undefined || (stats.rqActive.value() === 0 && stats.cxActive.value() === 0)
  }

  /** The host is gone: its slots may be used again. */
  close(): void {
    this.#stats?.close()
  }

  isAvailable(): boolean {
    return !this.isEjected && (this.health === 'healthy' || this.health === 'degraded')
  }

  /** Takes over what may change while the address stays. */
  update(endpoint: ResolvedEndpoint): void {
    this.otherAddresses = endpoint.otherAddresses ?? []
    this.check = endpoint.check
    this.weight = endpoint.weight
    this.edsHealth = endpoint.health
    this.healthStatus = endpoint.healthStatus
    this.metadata = endpoint.metadata
    this.locality = endpoint.locality
    this.priority = endpoint.priority
    this.localityWeight = endpoint.localityWeight
    this.isPendingRemoval = false
    this.refreshHealth()
  }

  /** Works out `health` of what EDS and active checks say. */
  refreshHealth(): void {
    const { active, edsHealth } = this
    const isOutInEds = edsHealth === 'unhealthy' || edsHealth === 'draining'
    if (isOutInEds || active === undefined) this.health = edsHealth
    else if (active.isFailed && !this.isTrusted) this.health = 'unhealthy'
    else this.health = active.isDegraded ? 'degraded' : edsHealth
  }
}

export type CheckedLiveHost = LiveHost & { active: ActiveHealth }

export function isChecked(host: LiveHost): host is CheckedLiveHost {
  return host.active !== undefined
}

interface Checkable {
  readonly address: WireAddress
  readonly check?: EndpointCheck | undefined
}

/** Where checks go: the endpoint may have a port, or an address, for them. */
export function checkAddress({ address, check }: Checkable): WireAddress {
  return atPort(check?.address ?? address, check?.port ?? 0)
}

/** Where else: as requests do, an endpoint of several addresses is well at any of them. */
export function otherCheckAddresses({ otherAddresses, check }: LiveHost): readonly WireAddress[] {
  if (check?.address !== undefined) return []
  return otherAddresses.map((address) => atPort(address, check?.port ?? 0))
}

function atPort(address: WireAddress, port: number): WireAddress {
  return port !== 0 && address.kind === 'ip' ? { ...address, port } : address
}

/**
 * What makes two endpoints the same host. Where hosts are checked, one that is checked at another address is another, whose
 * first check is waited for.
 */
export function hostKey(
  endpoint: Checkable & { readonly hostname: string },
  isChecked: boolean,
): string {
  const key = `${addressText(endpoint.address)} ${endpoint.hostname}`
  if (!isChecked) return key
  return `${key} ${isCheckDisabled(endpoint)} ${addressText(checkAddress(endpoint))}`
}

export function isCheckDisabled({ check }: Checkable): boolean {
  return check?.isDisabled === true
}
