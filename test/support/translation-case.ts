/**
 * A scene for tests of the translation, read from YAML: resources as a user writes them, and one document of kind
 * `Scene` that says what runs, who asks and what to show. It needs neither the model's parser nor the registry,
 * so that a golden changes only when the translation does.
 */
import { parse, parseAllDocuments } from 'yaml'

import type { MeshConfig } from '../../src/model/mesh/mesh-config.ts'
import { resourceKey, type Resource } from '../../src/model/resource.ts'
import {
  endpointKey,
  type Endpoint,
  type RegistrySnapshot,
  type Service,
  type ServicePort,
} from '../../src/registry/service.ts'
import {
  meshSettingsOf,
  type InjectedFault,
  type TranslationInput,
} from '../../src/translate/input.ts'
import type { StreamNode } from '../../src/xds/resource-set.ts'

export type Shown = 'listeners' | 'routes' | 'virtualHosts' | 'clusters' | 'endpoints' | 'issues'

export interface TranslationCase {
  readonly input: TranslationInput
  readonly node: StreamNode
  /** Names of virtual hosts that a client on demand has asked for. */
  readonly asked: readonly string[] | undefined
  readonly show: readonly Shown[]
  /** Whether clusters and virtual hosts that every client has are shown too. */
  readonly showSystem: boolean
}

interface SceneEndpoint extends Partial<Omit<Endpoint, 'labels'>> {
  readonly labels?: Record<string, string>
  readonly version?: string
}

interface SceneService extends Partial<Omit<Service, 'ports'>> {
  readonly hostname: string
  readonly ports: readonly (Partial<ServicePort> & { readonly number: number })[]
  /** The same for each port, unless one says its servicePort. */
  readonly endpoints?: readonly SceneEndpoint[]
}

interface Scene {
  readonly show?: readonly Shown[]
  readonly showSystem?: boolean
  readonly meshConfig?: MeshConfig
  /** Whether the mesh's own defaults of mTLS hold; else it is off, for cases that are about something else. */
  readonly mtls?: boolean
  readonly services?: readonly SceneService[]
  /** Newest first. */
  readonly faults?: readonly (Pick<InjectedFault, 'host' | 'fault'> & Partial<InjectedFault>)[]
  readonly client?: SceneClient
  readonly asked?: readonly string[]
}

export interface SceneClient {
  readonly userAgent?: string
  /** That it joined with. */
  readonly address?: string
  readonly namespace?: string
  readonly workload?: string
  readonly labels?: Record<string, string>
  readonly metadata?: Record<string, unknown>
  /** `region/zone/subzone` */
  readonly locality?: string
}

const withoutMtls: MeshConfig = { enableAutoMtls: false, mtlsMode: 'DISABLE' }

export function readTranslationCase(text: string, file = 'input.yaml'): TranslationCase {
  const documents = parseAllDocuments(text).map((document) => {
    const value: unknown = document.toJS()
    return { value: value as Record<string, unknown>, offset: document.range[0] }
  })
  const resources = new Map<string, Resource>()
  let scene: Scene = {}
  for (const { value, offset } of documents) {
    if (value['kind'] === 'Scene') scene = value
    else {
      const line = text.slice(0, offset).split('\n').length
      const resource = resourceOf(value, { file, line })
      resources.set(resourceKey('networking.istio.io', resource.kind, resource.metadata), resource)
    }
  }
  return {
    input: {
      resources,
      registry: registryOf(scene.services ?? []),
      mesh: meshSettingsOf({ ...(scene.mtls !== true && withoutMtls), ...scene.meshConfig }),
      ...(scene.faults && {
        faults: scene.faults.map((fault, index) => ({
          name: `fault-${index}`,
          from: undefined,
          headers: {},
          ...fault,
        })),
      }),
    },
    node: nodeOf(scene.client ?? {}),
    asked: scene.asked,
    show: scene.show ?? ['clusters', 'routes'],
    showSystem: scene.showSystem ?? false,
  }
}

/** A resource from YAML text; positions are those of the document's first line. */
export function resourceFrom(text: string): Resource {
  const value: unknown = parse(text)
  return resourceOf(value as Record<string, unknown>, { file: 'input.yaml', line: 1 })
}

function resourceOf(
  value: Record<string, unknown>,
  place: { readonly file: string; readonly line: number },
): Resource {
  const { annotations, ...metadata } = value['metadata'] as Readonly<
    Record<string, string | undefined>
  > & { readonly annotations?: Readonly<Record<string, string>> }
  const position = { ...place, column: 1 }
  const created = metadata['creationTimestamp']
  return {
    apiVersion: String(value['apiVersion']),
    kind: String(value['kind']),
    metadata: {
      name: String(metadata['name']),
      namespace: metadata['namespace'] ?? 'default',
      labels: {},
      annotations: annotations ?? {},
      creationTimestampMs: created === undefined ? undefined : Date.parse(created),
    },
    spec: value['spec'],
    origin: { ...position, positionOf: () => position },
  }
}

/** Of several services of one host the first leads. */
export function registryOf(scene: readonly SceneService[], revision = 1): RegistrySnapshot {
  const services = new Map<string, Service>()
  const namesakes = new Map<string, readonly Service[]>()
  const endpoints = new Map<string, readonly Endpoint[]>()
  for (const [at, entry] of scene.entries()) {
    const leading = services.get(entry.hostname)
    const service = serviceOf(entry, leading === undefined ? undefined : `scene ${at}`)
    const { hostname } = service
    if (leading === undefined) services.set(hostname, service)
    else namesakes.set(hostname, [...(namesakes.get(hostname) ?? [leading]), service])
    for (const port of service.ports) {
      const own = (entry.endpoints ?? []).filter(
        ({ servicePort }) => servicePort === undefined || servicePort === port.number,
      )
      endpoints.set(
        endpointKey(service, port.number),
        own.map((endpoint, index) => endpointOf(service, port, { endpoint, index })),
      )
    }
  }
  return { revision, services, namesakes, endpoints, workloads: new Map() }
}

function serviceOf(entry: SceneService, variant: string | undefined): Service {
  return {
    ...namesOf(entry),
    ports: entry.ports.map((port) => ({
      number: port.number,
      name: port.name ?? `port-${port.number}`,
      protocol: port.protocol ?? 'http',
      targetPort: port.targetPort ?? port.number,
    })),
    addresses: entry.addresses ?? [],
    resolution: entry.resolution ?? 'static',
    isMeshExternal: entry.isMeshExternal ?? false,
    exportTo: entry.exportTo ?? [],
    subjectAltNames: entry.subjectAltNames ?? [],
    ...(entry.trafficDistribution && { trafficDistribution: entry.trafficDistribution }),
    ...(entry.hasClientAffinity && { hasClientAffinity: true }),
    ...(entry.isNodeLocal && { isNodeLocal: true }),
    declaredBy: 'scene',
    ...onlyPresent(entry),
    ...(variant !== undefined && { variant }),
  }
}

function namesOf({ hostname, ...entry }: SceneService) {
  const [name = hostname, namespace = 'default'] = hostname.endsWith('.svc.cluster.local')
    ? hostname.split('.')
    : [hostname]
  return { hostname, name: entry.name ?? name, namespace: entry.namespace ?? namespace }
}

function onlyPresent({
  isServiceEntry,
  aliases,
  aliasPorts,
}: SceneService): Pick<Service, 'isServiceEntry' | 'aliases' | 'aliasPorts'> {
  return {
    ...(isServiceEntry === true && { isServiceEntry }),
    ...(aliases && { aliases }),
    ...(aliasPorts && { aliasPorts }),
  }
}

function endpointOf(
  service: Service,
  port: ServicePort,
  { endpoint, index }: { readonly endpoint: SceneEndpoint; readonly index: number },
): Endpoint {
  const version = endpoint.version ?? endpoint.labels?.['version']
  const labels = {
    app: service.name,
    ...endpoint.labels,
    ...(version !== undefined && { version }),
  }
  return {
    address: '127.0.0.1',
    port: 20_000 + index,
    servicePort: port.number,
    workload: version === undefined ? service.name : `${service.name}-${version}`,
    namespace: service.namespace,
    serviceAccount: 'default',
    canonicalName: service.name,
    canonicalRevision: version ?? 'latest',
    cluster: '',
    network: '',
    locality: '',
    weight: 0,
    health: 'healthy',
    tlsMode: undefined,
    ...endpoint,
    labels,
  }
}

function localityOf(text: string): StreamNode['locality'] {
  const [region = '', zone = '', subZone = ''] = text.split('/')
  return { region, zone, subZone }
}

export function nodeOf(client: SceneClient): StreamNode {
  const namespace = client.namespace ?? 'default'
  const workload = client.workload ?? 'client'
  return {
    id: `sidecar~${client.address ?? '127.0.0.1'}~${workload}.${namespace}~${namespace}.svc.cluster.local`,
    cluster: `${workload}.${namespace}`,
    metadata: {
      NAMESPACE: namespace,
      WORKLOAD_NAME: workload,
      LABELS: client.labels ?? { app: workload },
      ...client.metadata,
    },
    userAgentName: client.userAgent ?? 'envoy',
    userAgentVersion: '1',
    clientFeatures: [],
    locality: localityOf(client.locality ?? ''),
  }
}
