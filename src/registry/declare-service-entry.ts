/** ServiceEntry as declarations: one service for each of its hosts. */
import { isIP } from 'node:net'

import type { Issue } from '../model/issue.ts'
import type { ServiceEntryPort, ServiceEntrySpec } from '../model/istio/service-entry.ts'
import type { WorkloadEntrySpec } from '../model/istio/workload-entry.ts'
import { describeResource } from '../model/resource.ts'
import type { Resource } from '../model/resource.ts'
import { issueAt } from './declaration.ts'
import type { Declaration, Declared, FixedEndpoint } from './declaration.ts'
import { distributionOf } from './declare-service.ts'
import { localityOf } from './label.ts'
import { parseProtocol } from './protocol.ts'
import type { Resolution, ServicePort } from './service.ts'

const resolutions: Readonly<Record<string, Resolution>> = {
  NONE: 'none',
  STATIC: 'static',
  DNS: 'dns',
  DNS_ROUND_ROBIN: 'dns-round-robin',
  DYNAMIC_DNS: 'dynamic-dns',
}

export function declareServiceEntry(resource: Resource<ServiceEntrySpec>): Declared {
  const { metadata, spec } = resource
  const resolution = resolutions[spec.resolution ?? 'NONE'] ?? 'none'
  const ports = (spec.ports ?? []).map(portOf)
  // A literal host may be written in any case; `addresses` holds CIDRs too, a whole one is an address.
  const hosts = [...new Set(spec.hosts.map((host) => host.toLowerCase()))]
  const declarations = hosts.map((hostname): Declaration => ({
    kind: 'ServiceEntry',
    hostname,
    name: hostname,
    namespace: metadata.namespace,
    ports,
    selector: spec.workloadSelector?.labels,
    fixed: fixedEndpoints(spec, resolution, hostname),
    addresses: (spec.addresses ?? []).map(wholeAddress),
    resolution,
    isMeshExternal: spec.location !== 'MESH_INTERNAL',
    exportTo: spec.exportTo ?? [],
    subjectAltNames: spec.subjectAltNames ?? [],
    ...distributionOf(undefined, metadata.annotations),
    declaredBy: describeResource(resource),
    resource,
    path: 'spec.hosts',
  }))
  return { declarations, issues: addressIssues(resource, resolution) }
}

function portOf(written: ServiceEntryPort): ServicePort {
  return {
    number: written.number,
    name: written.name,
    protocol: parseProtocol(written.protocol ?? '') ?? 'auto',
    targetPort: written.targetPort ?? written.number,
  }
}

/** DNS without endpoints resolves the host itself; NONE has none: it goes where the client wanted to go. */
function fixedEndpoints(
  spec: ServiceEntrySpec,
  resolution: Resolution,
  hostname: string,
): readonly FixedEndpoint[] {
  if (resolution === 'none' || resolution === 'dynamic-dns') return []
  const written = spec.endpoints ?? []
  const resolvesHost = resolution === 'dns' || resolution === 'dns-round-robin'
  if (written.length === 0 && spec.workloadSelector === undefined && resolvesHost) {
    return [fixedEndpoint({ address: hostname })]
  }
  return written.map(fixedEndpoint)
}

function fixedEndpoint(written: WorkloadEntrySpec): FixedEndpoint {
  const labels = written.labels ?? {}
  return {
    address: written.address ?? '',
    ports: written.ports ?? {},
    labels,
    serviceAccount: written.serviceAccount ?? '',
    network: written.network ?? '',
    locality: localityOf(written.locality, labels),
    weight: written.weight ?? 0,
  }
}

/** `10.0.0.1/32` → `10.0.0.1` */
function wholeAddress(address: string): string {
  const [ip = '', bits] = address.split('/')
  const isWhole = (isIP(ip) === 4 && bits === '32') || (isIP(ip) === 6 && bits === '128')
  return isWhole ? ip : address
}

function addressIssues(resource: Resource<ServiceEntrySpec>, resolution: Resolution): Issue[] {
  if (resolution !== 'static') return []
  return (resource.spec.endpoints ?? []).flatMap(({ address, network }, index) => {
    if (address !== undefined && isDialable(address)) return []
    const isRemote = address === undefined && network !== undefined
    return issueAt(resource, `spec.endpoints[${index}].address`, {
      code: isRemote ? 'TUL0011' : 'IST0133',
      severity: 'warning',
      message: isRemote
        ? 'an endpoint without address is reached through the gateway of its network, which is not implemented yet'
        : `"${address ?? ''}" is no IP address, which resolution STATIC needs; the endpoint is left out`,
      remedy: isRemote ? 'Give the endpoint an address.' : 'Use an IP address, or resolution DNS.',
    })
  })
}

/** Whether an address needs no DNS: an IP or a Unix socket. */
export function isDialable(address: string): boolean {
  return isIP(address) !== 0 || address.startsWith('unix://')
}
