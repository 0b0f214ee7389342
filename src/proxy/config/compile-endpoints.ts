/**
 * ClusterLoadAssignment → the list of endpoints a cluster is to have. Pure: turning the list into `Host` objects, and
 * keeping those of addresses that stay, is the cluster's work (live-cluster.ts).
 */
import type { Metadata } from '../../xds/proto/generated/envoy/config/core/v3/base.ts'
import { HealthStatus } from '../../xds/proto/generated/envoy/config/core/v3/health_check.ts'
import type { ClusterLoadAssignment } from '../../xds/proto/generated/envoy/config/endpoint/v3/endpoint.ts'
import type {
  Endpoint as EndpointMessage,
  Endpoint_HealthCheckConfig,
  LbEndpoint,
} from '../../xds/proto/generated/envoy/config/endpoint/v3/endpoint_components.ts'
import type { HostHealth, HostMetadata } from '../upstream/host.ts'
import type { WireAddress } from '../wire/wire.ts'
import { type Compiled, compiled, refused } from './compiled.ts'
import { assignmentRule } from './endpoint-fields.ts'
import { type FieldReport, at, checkFields, refuse, showValue } from './field-rule.ts'
import { socketHostPort, wireAddress } from './message-value.ts'

export interface EndpointLocality {
  readonly region: string
  readonly zone: string
  readonly subZone: string
}

/** Where an endpoint is: an address, or a name that a DNS cluster resolves. */
export type EndpointTarget =
  | { readonly kind: 'address'; readonly address: WireAddress }
  | { readonly kind: 'name'; readonly host: string; readonly port: number }

export interface Endpoint {
  readonly target: EndpointTarget
  /** Where it can be reached too; absent: nowhere. */
  readonly otherAddresses?: readonly WireAddress[]
  readonly hostname: string
  readonly weight: number
  readonly health: HostHealth
  /** Envoy's word for the health in EDS, for /clusters. */
  readonly healthStatus: string
  readonly metadata: HostMetadata
  readonly locality: EndpointLocality
  readonly priority: number
  readonly localityWeight: number
  /** How active checks reach it; absent: as requests do. */
  readonly check?: EndpointCheck | undefined
}

/** Envoy `Endpoint.HealthCheckConfig`. */
export interface EndpointCheck {
  /** In place of the endpoint's own; undefined: its own. */
  readonly address: WireAddress | undefined
  /** In place of the address's own; 0: its own. */
  readonly port: number
  /** Whom checks are addressed to; empty: as the cluster's check says. */
  readonly hostname: string
  readonly isDisabled: boolean
}

export interface EndpointList {
  readonly clusterName: string
  readonly endpoints: readonly Endpoint[]
  /** Envoy `overprovisioning_factor`: 140 means that 72 % healthy hosts still take everything. */
  readonly overprovisioningPercent: number
}

/** Gaps are fine: a priority without endpoints takes nothing. */
function checkPriorities(assignment: ClusterLoadAssignment, report: FieldReport): void {
  for (const [index, { priority }] of assignment.endpoints.entries()) {
    if (priority <= 128) continue
    refuse(
      at(report, index, 'priority'),
      `value must be less than or equal to 128, got ${priority}`,
    )
  }
}

/** Whether names are addresses to resolve (DNS clusters) or an error (everything else). */
export type NameUse = 'resolve' | 'refuse'

export function compileEndpoints(
  assignment: ClusterLoadAssignment,
  names: NameUse,
): Compiled<EndpointList> {
  const report: FieldReport = { path: '', reasons: [] }
  checkFields(assignment, assignmentRule, report)
  if (assignment.clusterName === '') {
    refuse(at(report, 'cluster_name'), 'value length must be at least 1 characters')
  }
  const endpoints: Endpoint[] = []
  checkPriorities(assignment, at(report, 'endpoints'))
  const overprovisioningPercent = assignment.policy?.overprovisioningFactor ?? 140
  if (overprovisioningPercent < 1) {
    refuse(at(report, 'policy', 'overprovisioning_factor'), 'value must be greater than 0')
  }
  assignment.endpoints.forEach((group, groupIndex) => {
    const here = at(report, 'endpoints', groupIndex)
    const locality = {
      region: group.locality?.region ?? '',
      zone: group.locality?.zone ?? '',
      subZone: group.locality?.subZone ?? '',
    }
    const { priority } = group
    const localityWeight = group.loadBalancingWeight ?? 0
    group.lbEndpoints.forEach((endpoint, index) => {
      const one = compileEndpoint(endpoint, names, at(here, 'lb_endpoints', index))
      if (one !== undefined) endpoints.push({ ...one, locality, priority, localityWeight })
    })
  })
  if (report.reasons.length > 0) return refused(...report.reasons)
  return compiled({ clusterName: assignment.clusterName, endpoints, overprovisioningPercent })
}

/** What an endpoint says itself; the rest comes from its group. */
type OwnPart = Omit<Endpoint, 'locality' | 'priority' | 'localityWeight'>

function compileEndpoint(
  value: LbEndpoint,
  names: NameUse,
  report: FieldReport,
): OwnPart | undefined {
  const identifier = value.hostIdentifier
  if (identifier?.$case !== 'endpoint') {
    refuse(report, 'endpoint is required')
    return undefined
  }
  const target = compileTarget(value, names, at(report, 'endpoint', 'address'))
  if (target === undefined) return undefined
  const weight = value.loadBalancingWeight ?? 1
  if (weight < 1) {
    refuse(
      at(report, 'load_balancing_weight'),
      `value must be greater than or equal to 1, got ${weight}`,
    )
  }
  const otherAddresses = compileOthers(identifier.value, target, at(report, 'endpoint'))
  const named = target.kind === 'name' ? target.host : ''
  return {
    target,
    ...(otherAddresses.length > 0 && { otherAddresses }),
    hostname: identifier.value.hostname || named,
    weight,
    health: healths[value.healthStatus] ?? 'healthy',
    healthStatus: healthName(value.healthStatus),
    metadata: hostMetadata(value.metadata),
    ...endpointCheck(identifier.value.healthCheckConfig, target, at(report, 'endpoint')),
  }
}

/** Envoy takes no notice of them where the first is a name. */
function compileOthers(
  { additionalAddresses }: EndpointMessage,
  target: EndpointTarget,
  report: FieldReport,
): readonly WireAddress[] {
  return additionalAddresses.flatMap(({ address }, index) => {
    const here = at(report, 'additional_addresses', index, 'address')
    if (target.kind === 'name') refuse(here, 'does not fit an address that is a name')
    return wireAddress(address, here) ?? []
  })
}

function endpointCheck(
  value: Endpoint_HealthCheckConfig | undefined,
  target: EndpointTarget,
  report: FieldReport,
): Pick<OwnPart, 'check'> {
  if (value === undefined) return {}
  const here = at(report, 'health_check_config')
  const { portValue: port, hostname, disableActiveHealthCheck: isDisabled } = value
  if (port !== 0 && target.kind === 'address' && target.address.kind !== 'ip') {
    refuse(at(here, 'port_value'), 'Invalid host configuration: non-zero port for non-IP address')
  }
  if (port > 65_535) {
    refuse(at(here, 'port_value'), `value must be less than or equal to 65535, got ${port}`)
  }
  const address = value.address && wireAddress(value.address, at(here, 'address'))
  return { check: { address, port, hostname, isDisabled } }
}

function compileTarget(
  value: LbEndpoint,
  names: NameUse,
  report: FieldReport,
): EndpointTarget | undefined {
  const address =
    value.hostIdentifier?.$case === 'endpoint' ? value.hostIdentifier.value.address : undefined
  if (names === 'refuse' || address?.address?.$case !== 'socketAddress') {
    const wire = wireAddress(address, report)
    return wire && { kind: 'address', address: wire }
  }
  const target = socketHostPort(address.address.value, at(report, 'socket_address'))
  return target && { kind: 'name', ...target }
}

const healths: Readonly<Record<number, HostHealth>> = {
  [HealthStatus.UNHEALTHY]: 'unhealthy',
  [HealthStatus.TIMEOUT]: 'unhealthy',
  [HealthStatus.DRAINING]: 'draining',
  [HealthStatus.DEGRADED]: 'degraded',
}

function healthName(status: HealthStatus): string {
  const found = Object.entries(HealthStatus).find(([, value]) => value === status)
  return found === undefined || found[0] === 'UNKNOWN' ? 'HEALTHY' : found[0]
}

/** Istio's endpoint metadata; an endpoint without it gets empty strings, which metrics print as `unknown`. */
export function hostMetadata(metadata: Metadata | undefined): HostMetadata {
  const istio = metadata?.filterMetadata['istio']
  const workload: unknown = istio?.['workload']
  const parts = typeof workload === 'string' ? workload.split(';') : []
  const socketMatch = metadata?.filterMetadata['envoy.transport_socket_match']
  const tlsMode: unknown = socketMatch?.['tlsMode']
  return {
    workload: parts[0] ?? '',
    namespace: parts[1] ?? '',
    canonicalName: parts[2] ?? '',
    canonicalRevision: parts[3] ?? '',
    cluster: parts[4] ?? '',
    tlsMode: typeof tlsMode === 'string' ? tlsMode : undefined,
    socketMatch,
    ...whole(metadata),
  }
}

/** All of it, and what Envoy's hashing balancers know an endpoint by, instead of its address. */
function whole(metadata: Metadata | undefined): Pick<HostMetadata, 'hashKey' | 'filterMetadata'> {
  if (metadata === undefined) return {}
  const { filterMetadata } = metadata
  const key: unknown = filterMetadata['envoy.lb']?.['hash_key']
  return { filterMetadata, ...(typeof key === 'string' && { hashKey: key }) }
}

/** Says that an assignment is for another cluster than the one that asked. */
export function wrongAssignment(expected: string, got: string): string {
  return `cluster_name: expected ${showValue(expected)}, got ${showValue(got)}`
}
