/**
 * The registry put together: resources and joining workloads in, immutable snapshots of what runs out.
 *
 * Changes of one turn of the event loop are one snapshot. Listeners get each with what it changed.
 */
import type { Clock } from '../lib/clock.ts'
import { durationMs } from '../model/duration.ts'
import type { Issue, Parsed } from '../model/issue.ts'
import type { ServiceEntrySpec } from '../model/istio/service-entry.ts'
import type { WorkloadEntrySpec } from '../model/istio/workload-entry.ts'
import type { WorkloadGroupSpec } from '../model/istio/workload-group.ts'
import type { ServiceSpec } from '../model/kubernetes/service.ts'
import type { MeshSpec } from '../model/mesh/mesh.ts'
import { describeResource } from '../model/resource.ts'
import type { Resource } from '../model/resource.ts'
import type { StoredResource } from '../store/source.ts'
import type { Declared } from './declaration.ts'
import { declareServiceEntry } from './declare-service-entry.ts'
import { declareMesh, declareService } from './declare-service.ts'
import { indexIssues } from './index-issue.ts'
import type { RegistrationLog } from './registration-log.ts'
import { ServiceIndex } from './service-index.ts'
import type { RegistryChange } from './service-index.ts'
import type { RegistrySnapshot } from './service.ts'
import { workloadEntryMember } from './workload-entry.ts'
import { WorkloadRegistry } from './workload-registry.ts'
import type { JoiningNode, Membership, WorkloadSettings } from './workload-registry.ts'
import { groupTemplate, meshTemplates } from './workload-template.ts'
import type { WorkloadTemplate } from './workload-template.ts'

export interface RegistryOptions {
  readonly clock: Clock
  readonly registrations: RegistrationLog
  /** Settings that the mesh file does not make. */
  readonly settings?: Partial<WorkloadSettings>
  /** Cluster id of what joins by no stream of its own. Istio's default: `Kubernetes`. */
  readonly clusterId?: string
}

export type { RegistryChange } from './service-index.ts'

/** Resolves when those who had joined before a restart are back. Does not close `registrations`. */
export async function openRegistry(options: RegistryOptions): Promise<Registry> {
  const registry = new Registry(options)
  registry.restore(await options.registrations.read())
  return registry
}

interface Loaded {
  readonly stored: StoredResource
  readonly declared: Declared | undefined
}

const nothingDeclared: Declared = { declarations: [], issues: [] }

export class Registry implements Disposable {
  readonly #index = new ServiceIndex()
  readonly #workloads: WorkloadRegistry
  readonly #clusterId: string
  readonly #defaultGraceMs: number | undefined
  readonly #listeners = new Set<(change: RegistryChange) => void>()
  readonly #loaded = new Map<string, Loaded>()
  /** By resource key: `namespace/name` → template. */
  readonly #templates = new Map<string, ReadonlyMap<string, WorkloadTemplate>>()
  #isFlushPending = false
  #issues: readonly Issue[] | undefined

  constructor(options: RegistryOptions) {
    this.#clusterId = options.clusterId ?? 'Kubernetes'
    this.#defaultGraceMs = options.settings?.gracePeriodMs
    this.#workloads = new WorkloadRegistry({
      ...options,
      templateOf: (namespace, group) => this.templateOf(namespace, group),
      sink: {
        setMember: (member) => this.#changed(() => this.#index.setMember(member)),
        removeMember: (id) => this.#changed(() => this.#index.removeMember(id)),
      },
    })
  }

  /** What runs, as of the last flush. */
  get snapshot(): RegistrySnapshot {
    return this.#index.snapshot
  }

  /** How long a workload stays after its stream ended, and after a restart until it is back. */
  get gracePeriodMs(): number {
    return this.#workloads.gracePeriodMs
  }

  /** False at a first start, and when the list of who had joined is lost: then nobody is known who may come back. */
  knowsWhoWasThere = false

  restore(members: Parameters<WorkloadRegistry['restore']>[0]): void {
    this.knowsWhoWasThere = members.length > 0
    this.#workloads.restore(members)
    this.flush()
  }

  /** Takes a source's resources; only what differs from the last call costs anything. */
  setResources(resources: ReadonlyMap<string, StoredResource>): void {
    for (const key of this.#loaded.keys()) if (!resources.has(key)) this.#unload(key)
    for (const [key, stored] of resources) {
      if (this.#loaded.get(key)?.stored !== stored) this.#load(key, stored)
    }
  }

  join(node: JoiningNode): Parsed<Membership> {
    return this.#workloads.join(node)
  }

  /** What a workload inherits that joins this group; undefined when there is no such group. */
  templateOf(namespace: string, group: string): WorkloadTemplate | undefined {
    return this.#templateOf(`${namespace}/${group}`)
  }

  leave(membership: Pick<Membership, 'id' | 'generation'>): void {
    this.#workloads.leave(membership)
  }

  reportHealth(
    membership: Pick<Membership, 'id' | 'generation'>,
    isHealthy: boolean,
    message = '',
  ): void {
    this.#workloads.reportHealth(membership, isHealthy, message)
  }

  /** What is wrong, or likely wrong, about the services as a whole. */
  issues(): readonly Issue[] {
    this.#issues ??= [
      ...[...this.#loaded.values()].flatMap(({ declared }) => declared?.issues ?? []),
      ...indexIssues(this.#index),
    ]
    return this.#issues
  }

  /** Never called during this call. */
  onChange(listener: (change: RegistryChange) => void): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) }
  }

  /** Brings the snapshot up to date now, and tells the listeners. */
  flush(): void {
    const change = this.#index.flush()
    if (change === undefined) return
    for (const listener of this.#listeners) listener(change)
  }

  [Symbol.dispose](): void {
    this.#workloads.close()
    this.#listeners.clear()
  }

  #changed(apply: () => void): void {
    apply()
    this.#issues = undefined
    if (this.#isFlushPending) return
    this.#isFlushPending = true
    queueMicrotask(() => {
      this.#isFlushPending = false
      this.flush()
    })
  }

  #load(key: string, stored: StoredResource): void {
    const declared = this.#declare(key, stored.resource)
    this.#loaded.set(key, { stored, declared })
    this.#changed(() => this.#index.setDeclarations(key, declared?.declarations ?? []))
  }

  #unload(key: string): void {
    const { resource } = this.#loaded.get(key)?.stored ?? {}
    this.#loaded.delete(key)
    this.#templates.delete(key)
    this.#changed(() => {
      this.#index.setDeclarations(key, [])
      if (resource?.kind === 'WorkloadEntry') this.#index.removeMember(describeResource(resource))
      if (resource?.kind === 'Mesh') this.#applyMesh(undefined)
    })
  }

  /** The model has checked that a resource of a kind has that kind's spec: hence the casts. */
  #declare(key: string, resource: Resource): Declared | undefined {
    switch (`${resource.apiVersion.split('/')[0] ?? ''}/${resource.kind}`) {
      case 'v1/Service':
        return declareService(resource as Resource<ServiceSpec>)
      case 'networking.istio.io/ServiceEntry':
        return declareServiceEntry(resource as Resource<ServiceEntrySpec>)
      case 'networking.istio.io/WorkloadEntry': {
        const entry = resource as Resource<WorkloadEntrySpec>
        this.#changed(() => this.#index.setMember(workloadEntryMember(entry, this.#clusterId)))
        return nothingDeclared
      }
      case 'networking.istio.io/WorkloadGroup': {
        const { namespace, name } = resource.metadata
        const template = groupTemplate(resource as Resource<WorkloadGroupSpec>)
        this.#templates.set(key, new Map([[`${namespace}/${name}`, template]]))
        return nothingDeclared
      }
      case 'tulle.dev/Mesh': {
        const mesh = resource as Resource<MeshSpec>
        this.#templates.set(key, meshTemplates(mesh))
        this.#applyMesh(mesh)
        return declareMesh(mesh)
      }
      default:
        return undefined
    }
  }

  #applyMesh(mesh: Resource<MeshSpec> | undefined): void {
    const written = mesh?.spec.meshConfig?.workloadGracePeriod
    this.#workloads.gracePeriodMs =
      written === undefined ? (this.#defaultGraceMs ?? 10_000) : durationMs(written)
  }

  /** A WorkloadGroup wins over a workload of the mesh file that has its name. */
  #templateOf(name: string): WorkloadTemplate | undefined {
    let implicit: WorkloadTemplate | undefined
    for (const [key, templates] of this.#templates) {
      const template = templates.get(name)
      if (template === undefined) continue
      if (key.includes('/WorkloadGroup/')) return template
      implicit ??= template
    }
    return implicit
  }
}
