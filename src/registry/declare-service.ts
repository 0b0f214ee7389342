/**
 * Services of Kubernetes' `Service` and of the mesh file, as declarations.
 *
 * A headless Service keeps its endpoints: where Istio sends to the original destination, there is none behind an
 * explicit proxy, so its endpoints are balanced like any other's.
 */
import type { Issue } from '../model/issue.ts'
import type { ServicePortSpec, ServiceSpec } from '../model/kubernetes/service.ts'
import type { MeshService, MeshServicePort, MeshSpec } from '../model/mesh/mesh.ts'
import { describeResource } from '../model/resource.ts'
import type { Resource } from '../model/resource.ts'
import { hostnameOf, issueAt, serviceDomain } from './declaration.ts'
import type { Declaration, Declared, FixedEndpoint } from './declaration.ts'
import { selectProtocol } from './protocol.ts'
import type { ServicePort, TrafficDistribution } from './service.ts'

export function declareService(resource: Resource<ServiceSpec>): Declared {
  const { metadata, spec } = resource
  const issues: Issue[] = []
  const unselected: Issue[] = []
  if (spec.type === 'ExternalName') return declareExternalName(resource)
  const hasSelector = Object.keys(spec.selector ?? {}).length > 0
  if (!hasSelector) {
    // Not told where a ServiceEntry gives the endpoints (index-issue.ts).
    unselected.push(
      issueAt(resource, 'spec.selector', {
        code: 'TUL0011',
        severity: 'warning',
        message:
          'a Service without selector gets its endpoints by hand, and Kubernetes’ Endpoints and EndpointSlice are not read',
        remedy: `Give it a selector, or declare a ServiceEntry for ${hostnameOf(metadata.name, metadata.namespace)} in this namespace with the endpoints and with ports of the same names.`,
      }),
    )
  }
  const ports = (spec.ports ?? []).map(servicePortOf)
  for (const [index, port] of ports.entries()) {
    if (port.protocol === 'auto') issues.push(undetected(resource, index, port))
  }
  const declaration: Declaration = {
    kind: 'Service',
    hostname: hostnameOf(metadata.name, metadata.namespace),
    name: metadata.name,
    namespace: metadata.namespace,
    ports,
    selector: hasSelector ? spec.selector : undefined,
    fixed: [],
    addresses: virtualAddresses(spec),
    resolution: 'static',
    isMeshExternal: false,
    publishesUnready: spec.publishNotReadyAddresses === true,
    exportTo: exportToOf(metadata.annotations),
    subjectAltNames: [],
    ...distributionOf(spec.trafficDistribution, metadata.annotations),
    ...(spec.sessionAffinity === 'ClientIP' && { hasClientAffinity: true }),
    ...(spec.internalTrafficPolicy === 'Local' && { isNodeLocal: true }),
    declaredBy: describeResource(resource),
    resource,
    path: 'metadata.name',
    ...(unselected.length > 0 && { withoutEndpoints: unselected }),
  }
  return { declarations: [declaration], issues }
}

/**
 * Another name for a host. If that is a service of the mesh, the name is one more of that service's, on its ports. Else it
 * is outside: resolved by DNS, called on the ports that are written.
 */
function declareExternalName(resource: Resource<ServiceSpec>): Declared {
  const { metadata, spec } = resource
  const host = (spec.externalName ?? '').toLowerCase().replace(/\.$/, '')
  const ports = (spec.ports ?? []).map((port) => ({
    ...servicePortOf(port),
    targetPort: port.port,
  }))
  const declaration: Declaration = {
    kind: 'Service',
    hostname: hostnameOf(metadata.name, metadata.namespace),
    name: metadata.name,
    namespace: metadata.namespace,
    ports,
    selector: undefined,
    fixed: [hostEndpoint(host)],
    addresses: [],
    resolution: 'dns',
    isMeshExternal: true,
    exportTo: exportToOf(metadata.annotations),
    subjectAltNames: [],
    aliasOf: host,
    declaredBy: describeResource(resource),
    resource,
    path: 'metadata.name',
  }
  return { declarations: [declaration], issues: [] }
}

/** Whether a host can only be one of the mesh. */
export function isMeshHost(host: string): boolean {
  return host.endsWith(`.svc.${serviceDomain}`)
}

export function hostEndpoint(address: string): FixedEndpoint {
  return {
    address,
    ports: {},
    labels: {},
    serviceAccount: '',
    network: '',
    locality: '',
    weight: 0,
  }
}

function servicePortOf(written: ServicePortSpec): ServicePort {
  const name = written.name ?? ''
  return {
    number: written.port,
    name,
    protocol: selectProtocol({
      port: written.port,
      name,
      ...(written.protocol !== undefined && { transport: written.protocol }),
      ...(written.appProtocol !== undefined && { appProtocol: written.appProtocol }),
    }),
    targetPort: written.targetPort ?? written.port,
  }
}

function undetected(resource: Resource, index: number, port: ServicePort): Issue {
  const name = port.name === '' ? 'has no name' : `is named "${port.name}"`
  return issueAt(resource, `spec.ports[${index}].name`, {
    code: 'IST0118',
    severity: 'info',
    message: `port ${port.number} ${name}, which says no protocol; it is detected`,
    remedy: 'Begin the name with the protocol (`http`, `http-web`, `tcp-db`), or set appProtocol.',
  })
}

function virtualAddresses(spec: ServiceSpec): readonly string[] {
  const addresses = spec.clusterIPs ?? (spec.clusterIP === undefined ? [] : [spec.clusterIP])
  return addresses.filter((address) => address !== '' && address !== 'None')
}

/** Istio reads a Service's exportTo from an annotation. */
function exportToOf(annotations: Readonly<Record<string, string>>): readonly string[] {
  const written = annotations['networking.istio.io/exportTo'] ?? ''
  return written
    .split(',')
    .map((target) => target.trim())
    .filter((target) => target !== '')
}

/** The field, or the annotation that came before it. Words that nobody knows are no preference, as in Istio. */
export function distributionOf(
  field: string | undefined,
  annotations: Readonly<Record<string, string>>,
): Pick<Declaration, 'trafficDistribution'> {
  const written = field ?? annotations['networking.istio.io/traffic-distribution'] ?? ''
  const trafficDistribution = distributions[written.toLowerCase()]
  return trafficDistribution === undefined ? {} : { trafficDistribution }
}

const distributions: Readonly<Record<string, TrafficDistribution>> = {
  preferclose: 'same-zone',
  prefersamezone: 'same-zone',
  prefersamenode: 'same-node',
}

export function declareMesh(resource: Resource<MeshSpec>): Declared {
  const services = resource.spec.services ?? []
  return {
    declarations: services.map((service, index) =>
      meshDeclaration(resource, service, `spec.services[${index}]`),
    ),
    issues: [],
  }
}

function meshDeclaration(
  resource: Resource<MeshSpec>,
  service: MeshService,
  path: string,
): Declaration {
  const namespace = service.namespace ?? resource.metadata.namespace
  return {
    kind: 'mesh',
    hostname: hostnameOf(service.name, namespace),
    name: service.name,
    namespace,
    ports: (service.ports ?? []).map(meshPortOf),
    selector: { app: service.name },
    fixed: [],
    addresses: [],
    resolution: 'static',
    isMeshExternal: false,
    exportTo: exportToOf(service.annotations ?? {}),
    subjectAltNames: [],
    ...distributionOf(undefined, service.annotations ?? {}),
    declaredBy: `service ${namespace}/${service.name} of ${describeResource(resource)}`,
    resource,
    path,
  }
}

function meshPortOf(written: MeshServicePort): ServicePort {
  const name = written.name ?? ''
  return {
    number: written.number,
    name,
    protocol: selectProtocol({
      port: written.number,
      name,
      ...(written.protocol !== undefined && { appProtocol: written.protocol }),
    }),
    targetPort: written.targetPort ?? written.number,
  }
}
