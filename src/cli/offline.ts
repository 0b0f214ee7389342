/**
 * A mesh without a running one: files are read, the mesh file's workloads are thought to have joined, and the
 * control plane's own functions translate and analyze. What it says is what the mesh would say.
 */
import { dirname, isAbsolute, join } from 'node:path'

import { createBootstrap } from '../agent/bootstrap-file.ts'
import type { WorkloadAddresses, WorkloadPlan } from '../agent/workload-plan.ts'
import { systemClock } from '../lib/clock.ts'
import { MeshError } from '../lib/mesh-error.ts'
import type { Issue } from '../model/issue.ts'
import type { MeshSpec } from '../model/mesh/mesh.ts'
import type { Resource } from '../model/resource.ts'
import { createMemoryRegistrationLog } from '../registry/registration-log.ts'
import { openRegistry } from '../registry/registry.ts'
import { openFileSource } from '../store/files/file-source.ts'
import { createDocumentParser } from '../store/files/parse-documents.ts'
import { createTextSource } from '../store/files/text-source.ts'
import { mergeSources } from '../store/merge.ts'
import type { SourceSnapshot } from '../store/source.ts'
import { translateAll } from '../translate/full.ts'
import { meshSettingsOfSpec, type TranslationInput } from '../translate/input.ts'
import { usageError, type CliContext } from './command.ts'
import { isMesh } from './up/mesh-file.ts'
import { planMesh } from './up/mesh-plan.ts'
import { proxyConfigsIn } from './up/read-proxy-configs.ts'

export interface OfflineMesh {
  readonly input: TranslationInput
  /** Of the files and of the services; not yet of the resources among each other. */
  readonly issues: readonly Issue[]
  readonly bootstraps: ReadonlyMap<string, OfflineBootstrap>
  /** Text of every file that was read, by its path. */
  readonly texts: ReadonlyMap<string, string>
}

/** What a workload of the mesh file would say of itself; its ports are stand-ins. */
export interface OfflineBootstrap {
  readonly plan: WorkloadPlan
  readonly bootstrap: Readonly<Record<string, unknown>>
}

export interface OfflineOptions {
  /** `-` is standard input. */
  readonly paths: readonly string[]
  /** Namespace of resources that name none, when no mesh file says it. */
  readonly namespace: string | undefined
  readonly readInput: CliContext['readInput']
}

export async function loadOffline(options: OfflineOptions): Promise<OfflineMesh> {
  // As they were given: messages repeat these paths.
  const { paths } = options
  const input = paths.includes('-') ? await options.readInput() : undefined
  const first = await readOnce({ paths, input }, options.namespace ?? 'default')
  const mesh = meshOf(first.snapshot)
  const own = mesh?.spec.config ?? []
  const namespace = options.namespace ?? mesh?.metadata.namespace ?? 'default'
  const folder = mesh === undefined ? '.' : dirname(mesh.origin.file)
  const all = [...paths, ...own.map((path) => (isAbsolute(path) ? path : join(folder, path)))]
  const isComplete = own.length === 0 && namespace === 'default'
  const { snapshot, texts } = isComplete ? first : await readOnce({ paths: all, input }, namespace)
  const bootstraps =
    mesh === undefined
      ? new Map<string, OfflineBootstrap>()
      : bootstrapsOf(mesh, { folder, snapshot })
  return joinAll(snapshot, { mesh, bootstraps, texts })
}

interface ReadFiles extends Pick<OfflineMesh, 'texts'> {
  readonly snapshot: SourceSnapshot
}

interface Texts {
  readonly paths: readonly string[]
  /** Of standard input, which is named `-` among the paths. */
  readonly input: string | undefined
}

async function readOnce({ paths, input }: Texts, namespace: string): Promise<ReadFiles> {
  const texts = new Map<string, string>()
  const parseDocuments = createDocumentParser(namespace)
  const parse = (text: string, file: string) => {
    texts.set(file, text)
    return parseDocuments(text, file)
  }
  await using files = await openFileSource({ paths: paths.filter((path) => path !== '-'), parse })
  if (input === undefined) return { snapshot: files.list(), texts }
  using all = mergeSources([files, createTextSource({ name: '-', text: input }, parse)])
  return { snapshot: all.list(), texts }
}

function meshOf(snapshot: SourceSnapshot): Resource<MeshSpec> | undefined {
  for (const { resource } of snapshot.resources.values()) if (isMesh(resource)) return resource
  return undefined
}

interface JoinParts extends Pick<OfflineMesh, 'bootstraps' | 'texts'> {
  readonly mesh: Resource<MeshSpec> | undefined
}

async function joinAll(
  snapshot: SourceSnapshot,
  { mesh, bootstraps, texts }: JoinParts,
): Promise<OfflineMesh> {
  await using registrations = createMemoryRegistrationLog()
  using registry = await openRegistry({ clock: systemClock, registrations })
  registry.setResources(snapshot.resources)
  for (const { bootstrap } of bootstraps.values()) {
    const joined = registry.join(nodeOf(bootstrap))
    if (joined.ok) registry.reportHealth(joined.value, true)
  }
  registry.flush()
  const resources = new Map([...snapshot.resources].map(([key, { resource }]) => [key, resource]))
  return {
    input: {
      resources,
      registry: registry.snapshot,
      mesh: meshSettingsOfSpec(mesh?.spec),
    },
    issues: [...snapshot.issues, ...registry.issues()],
    bootstraps,
    texts,
  }
}

/** What a workload says of itself when it opens its stream. */
export interface OfflineNode {
  readonly id: string
  readonly cluster: string
  readonly metadata: Readonly<Record<string, unknown>>
}

/** All that the control plane would send to it. */
export function viewOf({ input }: OfflineMesh, node: OfflineNode): ReturnType<typeof translateAll> {
  return translateAll(input, {
    ...node,
    userAgentName: 'tulle',
    userAgentVersion: '',
    clientFeatures: [],
    locality: { region: '', zone: '', subZone: '' },
  })
}

/** By instance or workload. Rejections: MESH_USAGE with the names that there are. */
export function pickWorkload(
  bootstraps: ReadonlyMap<string, OfflineBootstrap>,
  name: string | undefined,
): OfflineBootstrap {
  const names = [...bootstraps.keys()]
  if (names.length === 0) {
    throw new MeshError('MESH_USAGE', 'the files have no mesh file, so no workload to look from', {
      remedy: 'give -f a mesh file (kind: Mesh)',
    })
  }
  const found = [...bootstraps.values()].find(
    ({ plan }) => plan.instance === name || plan.workload === name,
  )
  if (found !== undefined) return found
  throw usageError(
    name === undefined ? 'which workload?' : `no workload ${name}`,
    `one of ${names.join(', ')}`,
  )
}

/** A node of a bootstrap, as its stream would bring it. */
export function nodeOf(bootstrap: Readonly<Record<string, unknown>>): OfflineNode {
  // Made by createBootstrap.
  return bootstrap['node'] as ReturnType<typeof nodeOf>
}

function bootstrapsOf(
  mesh: Resource<MeshSpec>,
  { folder, snapshot }: { readonly folder: string; readonly snapshot: SourceSnapshot },
): Map<string, OfflineBootstrap> {
  const resources = [...snapshot.resources.values()].map(({ resource }) => resource)
  const plan = planMesh({
    proxyConfigs: proxyConfigsIn(resources),
    mesh: mesh.metadata.name,
    namespace: mesh.metadata.namespace,
    spec: mesh.spec,
    folder,
    controlPlane: '127.0.0.1:15012',
    handOver: join(folder, 'hand-over.sock'),
    stateFolder: folder,
    portFolder: folder,
    proxy: { kind: 'tulle', program: undefined },
  })
  let lastPort = 20_000
  const nextPort = () => (lastPort += 1)
  return new Map(
    [...plan.services, ...plan.clients].map((workload) => {
      const addresses = standInAddresses(workload, nextPort)
      const relayAddress = 'unix:/tulle/relay.sock'
      const bootstrap = createBootstrap({
        plan: workload,
        addresses,
        relayAddress,
        node: 'localhost',
      })
      return [workload.instance, { plan: workload, bootstrap }] as const
    }),
  )
}

/** Ports in the order of the file, so that the same files give the same output. */
function standInAddresses(plan: WorkloadPlan, nextPort: () => number): WorkloadAddresses {
  return {
    admin: `127.0.0.1:${nextPort()}`,
    httpProxyPort: nextPort(),
    ports: plan.ports.map((port) => ({
      name: port.name,
      servicePort: port.servicePort,
      appPort: port.appPort === 0 ? nextPort() : port.appPort,
      meshPort: nextPort(),
    })),
    upstreams: plan.upstreams.map(({ host, port }) => ({ host, port, localPort: nextPort() })),
  }
}
