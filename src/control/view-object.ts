/** What runs, as objects of our own API group (api/view.ts): made anew from the registry and the ADS streams. */
import { createHash } from 'node:crypto'

import type { ObjectMeta } from '../api/object.ts'
import {
  viewApiVersion,
  type IssueObject,
  type ProxyObject,
  type ProxyTypeStatus,
  type ServiceObject,
  type WorkloadObject,
} from '../api/view.ts'
import type { Issue } from '../model/issue.ts'
import {
  allServices,
  endpointKey,
  type Endpoint,
  type RegistrySnapshot,
  type Service,
  type Workload,
} from '../registry/service.ts'
import { typeNameOf } from '../xds/any.ts'
import { typeUrls, type StreamNode } from '../xds/resource-set.ts'
import type { StreamStatus, TypeStatus } from '../xds/server/stream-status.ts'

/** An object before the API gives it a resourceVersion. */
export type Unversioned<T extends { readonly metadata: ObjectMeta }> = Omit<T, 'metadata'> & {
  readonly metadata: Omit<ObjectMeta, 'resourceVersion' | 'uid'>
}

/** One object a node id: of two streams the newer one counts. */
export function proxyObjects(streams: readonly StreamStatus[]): Unversioned<ProxyObject>[] {
  const newest = new Map<string, StreamStatus>()
  for (const stream of streams) newest.set(stream.node.id, stream)
  return [...newest.values()].map(proxyObject)
}

export function serviceObjects(registry: RegistrySnapshot): Unversioned<ServiceObject>[] {
  const objects = new Map<string, Unversioned<ServiceObject>>()
  for (const service of allServices(registry)) {
    const name = `${service.namespace}/${service.hostname}`
    // Of several in one namespace the first is the one that clients see, unless it is a ServiceEntry beside a Service.
    if (!objects.has(name) || service.isServiceEntry !== true)
      objects.set(name, serviceObject(service, registry))
  }
  return [...objects.values()]
}

export function workloadObjects(registry: RegistrySnapshot): Unversioned<WorkloadObject>[] {
  return [...registry.workloads.values()].map(workloadObject)
}

export function issueObjects(issues: readonly Issue[]): Unversioned<IssueObject>[] {
  const objects = new Map<string, Unversioned<IssueObject>>()
  for (const issue of issues) {
    const name = createHash('sha256').update(JSON.stringify(issue)).digest('hex').slice(0, 16)
    objects.set(name, { apiVersion: viewApiVersion, kind: 'Issue', metadata: { name }, issue })
  }
  return [...objects.values()]
}

function proxyObject(stream: StreamStatus): Unversioned<ProxyObject> {
  const { node } = stream
  const { instance, namespace, address } = identityOf(node)
  const admin = node.metadata['ADMIN_ADDRESS']
  const workload = node.metadata['WORKLOAD_NAME']
  return {
    apiVersion: viewApiVersion,
    kind: 'Proxy',
    metadata: {
      name: instance,
      namespace,
      labels: labelsOf(node),
      creationTimestamp: secondsText(stream.connectedAtMs),
    },
    status: {
      nodeId: node.id,
      workload: typeof workload === 'string' ? workload : instance,
      address,
      ...(typeof admin === 'string' ? { adminAddress: admin } : {}),
      userAgent: [node.userAgentName, node.userAgentVersion]
        .filter((part) => part !== '')
        .join('/'),
      ...certificatePart(stream),
      variant: stream.variant,
      connectedSince: new Date(stream.connectedAtMs).toISOString(),
      isBehind: stream.isBehind,
      ...(stream.lastPushMs === undefined ? {} : { lastPushMs: Math.round(stream.lastPushMs) }),
      types: stream.types.map(proxyType),
    },
  }
}

function certificatePart({ identity }: StreamStatus): Pick<ProxyObject['status'], 'certificate'> {
  if (identity === undefined) return {}
  const { spiffeId, certificate, workloadGroup, notAfterMs } = identity
  return {
    certificate: {
      spiffeId,
      serial: certificate.serialNumber.toLowerCase(),
      notBefore: certificate.validFromDate.toISOString(),
      notAfter: new Date(notAfterMs).toISOString(),
      ...(workloadGroup === undefined ? {} : { workloadGroup }),
    },
  }
}

/** Istio's names; `istioctl proxy-status` shows them. */
const shortTypeNames: Readonly<Record<string, string>> = {
  [typeUrls.cluster]: 'CDS',
  [typeUrls.endpoint]: 'EDS',
  [typeUrls.listener]: 'LDS',
  [typeUrls.route]: 'RDS',
  [typeUrls.secret]: 'SDS',
  [typeUrls.extensionConfig]: 'ECDS',
}

export function shortTypeName(typeUrl: string): string {
  return shortTypeNames[typeUrl] ?? typeNameOf(typeUrl).split('.').at(-1) ?? typeUrl
}

function proxyType(type: TypeStatus): ProxyTypeStatus {
  const { rejection } = type
  return {
    typeUrl: type.typeUrl,
    name: shortTypeName(type.typeUrl),
    status: type.status,
    sentVersion: type.sentVersion,
    ackedVersion: type.ackedVersion,
    ...(type.sentAtMs === 0 ? {} : { sentAt: new Date(type.sentAtMs).toISOString() }),
    ...(type.ackedAtMs === 0 ? {} : { ackedAt: new Date(type.ackedAtMs).toISOString() }),
    ...(rejection === undefined
      ? {}
      : {
          rejection: {
            reason: rejection.reason,
            at: new Date(rejection.atMs).toISOString(),
            version: rejection.version,
          },
        }),
  }
}

function serviceObject(service: Service, registry: RegistrySnapshot): Unversioned<ServiceObject> {
  const endpoints = service.ports.flatMap((port) =>
    (registry.endpoints.get(endpointKey(service, port.number)) ?? []).map(serviceEndpoint),
  )
  return {
    apiVersion: viewApiVersion,
    kind: 'Service',
    metadata: { name: service.hostname, namespace: service.namespace },
    spec: {
      hostname: service.hostname,
      addresses: service.addresses,
      resolution: service.resolution,
      isMeshExternal: service.isMeshExternal,
      exportTo: service.exportTo,
      ports: service.ports.map(({ name, number, protocol, targetPort }) => ({
        name,
        number,
        protocol,
        targetPort,
      })),
      declaredBy: service.declaredBy,
    },
    status: { endpoints },
  }
}

function serviceEndpoint(endpoint: Endpoint) {
  const { servicePort, address, port, workload, namespace, health, weight, locality, labels } =
    endpoint
  return { servicePort, address, port, workload, namespace, health, weight, locality, labels }
}

function workloadObject(workload: Workload): Unversioned<WorkloadObject> {
  return {
    apiVersion: viewApiVersion,
    kind: 'Workload',
    metadata: {
      name: instanceOf(workload.id),
      namespace: workload.namespace,
      labels: workload.labels,
    },
    status: {
      id: workload.id,
      workload: workload.name,
      serviceAccount: workload.serviceAccount,
      address: workload.address,
      ports: workload.ports.map(({ name, appPort, meshPort, servicePort }) => ({
        name,
        appPort,
        meshPort,
        ...(servicePort === undefined ? {} : { servicePort }),
      })),
      health: workload.health,
      healthMessage: workload.healthMessage,
      presence: workload.presence,
      locality: workload.locality,
      network: workload.network,
      cluster: workload.cluster,
    },
  }
}

/** `sidecar~IP~name.namespace~domain` → name; `WorkloadEntry namespace/name` → name. */
function instanceOf(id: string): string {
  const [, , named] = id.split('~')
  if (named === undefined) return id.slice(id.lastIndexOf('/') + 1)
  const dot = named.lastIndexOf('.')
  return dot < 0 ? named : named.slice(0, dot)
}

export function identityOf(node: StreamNode) {
  const [, address = '', named = ''] = node.id.split('~')
  const said = node.metadata['NAMESPACE']
  const own = named.slice(named.lastIndexOf('.') + 1) || 'default'
  return {
    instance: instanceOf(node.id),
    namespace: typeof said === 'string' ? said : own,
    address,
  }
}

function labelsOf(node: StreamNode): Record<string, string> {
  const labels = node.metadata['LABELS']
  if (typeof labels !== 'object' || labels === null) return {}
  const entries = Object.entries(labels)
  return Object.fromEntries(
    entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  )
}

export function secondsText(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z')
}
