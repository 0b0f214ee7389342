/**
 * Workloads that join by opening an ADS stream, and leave some time after it has ended.
 *
 * ```
 *   join ──▶ connected ──leave──▶ gone ──grace period──▶ removed
 *                ▲                 │ │
 *                └──────join───────┘ └─▶ removals are throttled
 *   start ──▶ restored ──grace period──▶ removed
 * ```
 *
 * The registry must not believe too quickly that somebody is dead: a stream that ends may be a restart of the
 * sidecar, a network that hiccups, or our own restart. So a workload stays for a grace period, and within one
 * period at most `removalShareMax` of all workloads are removed (one at least); the others wait for the next.
 * Endpoints that are really dead are meanwhile taken out by callers' retries and outlier detection.
 *
 * Two streams of one id: the second takes over, by a higher generation; what the first still says does not count, unless
 * the second ends before it: a new sidecar that could not start leaves the old one in its place.
 * Bounds: `workloadsMax`, and those of parse-node.ts.
 */
import type { Clock, Timer } from '../lib/clock.ts'
import type { Issue, Parsed } from '../model/issue.ts'
import { hostnameOf } from './declaration.ts'
import type { Member } from './endpoint.ts'
import type { Labels } from './label.ts'
import { parseNode } from './parse-node.ts'
import type { ParsedNode } from './parse-node.ts'
import type { RegistrationLog } from './registration-log.ts'
import type { Workload } from './service.ts'
import type { WorkloadTemplate } from './workload-template.ts'

/** What a stream says of itself in its first request. */
export interface JoiningNode {
  readonly id: string
  readonly metadata: Readonly<Record<string, unknown>>
  readonly locality?: { readonly region: string; readonly zone: string; readonly subZone: string }
}

/** A stream's hold on its workload: to be given back with all that it says later. */
export interface Membership {
  readonly id: string
  readonly generation: number
  readonly workload: Workload
  /** Another stream of this id was still open, and no longer counts. */
  readonly hasTakenOver: boolean
}

export interface WorkloadSettings {
  /** How long a workload stays after its stream ended, or after a start without its stream. Default 10 s. */
  readonly gracePeriodMs: number
  /** Share of all workloads that may be removed within one grace period. Default 0.5. */
  readonly removalShareMax: number
  readonly workloadsMax: number
}

export const defaultWorkloadSettings: WorkloadSettings = {
  gracePeriodMs: 10_000,
  removalShareMax: 0.5,
  workloadsMax: 20_000,
}

/** Told of each change; the service index. */
export interface MemberSink {
  setMember(member: Member): void
  removeMember(id: string): void
}

export interface WorkloadRegistryOptions {
  readonly clock: Clock
  readonly registrations: RegistrationLog
  readonly sink: MemberSink
  readonly templateOf: (namespace: string, group: string) => WorkloadTemplate | undefined
  readonly settings?: Partial<WorkloadSettings>
}

interface Standing {
  readonly member: Member
  readonly generation: number
  /** Set while it has no stream. */
  readonly leavesAtMs: number | undefined
  /** Of streams that are open and do not count, the oldest first. */
  readonly older: readonly Held[]
}

interface Held {
  readonly member: Member
  readonly generation: number
}

export class WorkloadRegistry {
  readonly #options: WorkloadRegistryOptions
  #settings: WorkloadSettings
  readonly #standings = new Map<string, Standing>()
  /** Ids without a stream, in the order in which they lost it. */
  readonly #leaving = new Set<string>()
  #generations = 0
  #sweep: Timer | undefined
  #windowStartMs = -Infinity
  #removalsLeft = 0

  constructor(options: WorkloadRegistryOptions) {
    this.#options = options
    this.#settings = { ...defaultWorkloadSettings, ...options.settings }
  }

  get size(): number {
    return this.#standings.size
  }

  get gracePeriodMs(): number {
    return this.#settings.gracePeriodMs
  }

  set gracePeriodMs(gracePeriodMs: number) {
    this.#settings = { ...this.#settings, gracePeriodMs }
  }

  /** Brings back those who had joined before a restart. Call once, before the first join. */
  restore(members: readonly Member[]): void {
    for (const { workload, ...rest } of members.slice(0, this.#settings.workloadsMax)) {
      const member = { ...rest, workload: { ...workload, presence: 'restored' as const } }
      this.#setWithoutStream(member, 0)
    }
    this.#scheduleSweep()
  }

  join(node: JoiningNode): Parsed<Membership> {
    const parsed = parseNode(node.id, node.metadata)
    if (!parsed.ok) return parsed
    const { namespace, autoRegisterGroup } = parsed.value.metadata
    const template =
      autoRegisterGroup === undefined
        ? undefined
        : this.#options.templateOf(namespace, autoRegisterGroup)
    const refusal = this.#refusal(parsed.value, template)
    if (refusal !== undefined) return { ok: false, issues: [refusal] }
    const previous = this.#standings.get(node.id)
    const generation = ++this.#generations
    const member = withHealth(memberOf(parsed.value, template, node), template, previous?.member)
    const hasTakenOver = previous !== undefined && previous.leavesAtMs === undefined
    const older = hasTakenOver ? [...previous.older, previous] : []
    this.#stand({ member, generation, leavesAtMs: undefined, older: older.map(heldOf) })
    this.#leaving.delete(node.id)
    const value = { id: node.id, generation, workload: member.workload, hasTakenOver }
    return { ok: true, value, warnings: [] }
  }

  /** The stream has ended. Nothing changes when another stream of the id has taken over. */
  leave({ id, generation }: Pick<Membership, 'id' | 'generation'>): void {
    const standing = this.#standings.get(id)
    if (standing === undefined) return
    if (standing.generation !== generation) {
      const older = standing.older.filter((held) => held.generation !== generation)
      this.#standings.set(id, { ...standing, older })
      return
    }
    if (standing.leavesAtMs !== undefined) return
    const before = standing.older.at(-1)
    if (before !== undefined) {
      this.#stand({ ...before, leavesAtMs: undefined, older: standing.older.slice(0, -1) })
      return
    }
    const workload = { ...standing.member.workload, presence: 'gone' as const }
    this.#setWithoutStream({ ...standing.member, workload }, generation)
    this.#scheduleSweep()
  }

  reportHealth(
    { id, generation }: Pick<Membership, 'id' | 'generation'>,
    isHealthy: boolean,
    message = '',
  ): void {
    const standing = this.#standings.get(id)
    if (standing === undefined) return
    const held = [...standing.older, standing].find((one) => one.generation === generation)
    if (held === undefined) return
    const health = isHealthy ? 'healthy' : 'unhealthy'
    // A message that cannot end would be kept in memory and on disk.
    const healthMessage = isHealthy ? '' : message.slice(0, 1_024)
    const { workload } = held.member
    if (workload.health === health && workload.healthMessage === healthMessage) return
    const member = { ...held.member, workload: { ...workload, health, healthMessage } as const }
    if (held === standing) {
      this.#stand({ ...standing, member })
      return
    }
    const older = standing.older.map((one) => (one === held ? { member, generation } : one))
    this.#standings.set(id, { ...standing, older })
  }

  close(): void {
    this.#sweep?.cancel()
    this.#sweep = undefined
  }

  #stand(standing: Standing): void {
    const { member } = standing
    this.#standings.set(member.workload.id, standing)
    this.#options.sink.setMember(member)
    this.#note()
  }

  #setWithoutStream(member: Member, generation: number): void {
    const { id } = member.workload
    const leavesAtMs = this.#options.clock.monotonicMs() + this.#settings.gracePeriodMs
    this.#standings.set(id, { member, generation, leavesAtMs, older: [] })
    this.#leaving.add(id)
    this.#options.sink.setMember(member)
  }

  #note(): void {
    this.#options.registrations.write(() =>
      [...this.#standings.values()].map(({ member }) => member),
    )
  }

  #refusal(node: ParsedNode, template: WorkloadTemplate | undefined): Issue | undefined {
    const { namespace, autoRegisterGroup: group } = node.metadata
    if (group !== undefined && template === undefined) {
      return joinIssue(node, {
        code: 'TUL0304',
        path: 'node.metadata.AUTO_REGISTER_GROUP',
        message: `there is no WorkloadGroup ${namespace}/${group}, nor a workload of that name in the mesh file`,
        remedy: 'Create the WorkloadGroup in that namespace, or correct the name.',
      })
    }
    const { workloadsMax } = this.#settings
    if (this.#standings.has(node.id) || this.#standings.size < workloadsMax) return undefined
    return joinIssue(node, {
      code: 'TUL0305',
      path: 'node.id',
      message: `${workloadsMax} workloads have joined, which is the ceiling`,
      remedy: 'Stop workloads that are not needed, or raise workloadsMax.',
    })
  }

  #scheduleSweep(): void {
    const [first] = this.#leaving
    const leavesAtMs = first === undefined ? undefined : this.#standings.get(first)?.leavesAtMs
    if (this.#sweep !== undefined || leavesAtMs === undefined) return
    const windowEndMs = this.#windowStartMs + this.#settings.gracePeriodMs
    const atMs = this.#removalsLeft > 0 ? leavesAtMs : Math.max(leavesAtMs, windowEndMs)
    this.#sweep = this.#options.clock.setTimer(
      Math.max(0, atMs - this.#options.clock.monotonicMs()),
      () => {
        this.#sweep = undefined
        this.#removeDue()
        this.#scheduleSweep()
      },
    )
  }

  #removeDue(): void {
    const nowMs = this.#options.clock.monotonicMs()
    if (nowMs >= this.#windowStartMs + this.#settings.gracePeriodMs) {
      this.#windowStartMs = nowMs
      const share = Math.floor(this.#standings.size * this.#settings.removalShareMax)
      this.#removalsLeft = Math.max(1, share)
    }
    let isChanged = false
    for (const id of this.#leaving) {
      const leavesAtMs = this.#standings.get(id)?.leavesAtMs ?? Infinity
      if (this.#removalsLeft === 0 || leavesAtMs > nowMs) break
      this.#removalsLeft -= 1
      this.#leaving.delete(id)
      this.#standings.delete(id)
      this.#options.sink.removeMember(id)
      isChanged = true
    }
    if (isChanged) this.#note()
  }
}

function heldOf({ member, generation }: Held): Held {
  return { member, generation }
}

const noTemplate: WorkloadTemplate = {
  labels: {},
  serviceAccount: '',
  network: '',
  locality: '',
  weight: 0,
  ports: {},
  hasProbe: false,
  declaredBy: '',
}

function memberOf(
  node: ParsedNode,
  template: WorkloadTemplate = noTemplate,
  { metadata: raw, locality }: JoiningNode,
): Member {
  const { namespace, service, ...metadata } = node.metadata
  const workload: Workload = {
    id: node.id,
    name: metadata.workloadName,
    namespace,
    serviceAccount: template.serviceAccount || metadata.serviceAccount,
    address: node.address,
    labels: { ...adHocLabels(service), ...template.labels, ...metadata.labels },
    ports: metadata.meshPorts,
    health: 'healthy',
    healthMessage: '',
    presence: 'connected',
    locality: localityText(locality) || template.locality,
    network: metadata.network || template.network,
    cluster: metadata.clusterId,
    weight: template.weight,
  }
  return {
    workload,
    portMap: template.ports,
    // A sidecar of Istio's own on a host of its own lists no ports: they follow from the service.
    hasOwnPorts: Array.isArray(raw['MESH_PORTS']) || template === noTemplate,
    directHost: service === undefined ? undefined : hostnameOf(service, namespace),
  }
}

/** What the mesh file adds to a service's workloads, so that its name is the canonical one here too. */
function adHocLabels(service: string | undefined): Labels {
  return service === undefined ? {} : { app: service.split('.')[0] ?? service }
}

/** What was last known of it; else unhealthy until the first report when it is probed, healthy when it is not. */
function withHealth(
  member: Member,
  template: WorkloadTemplate | undefined,
  previous: Member | undefined,
): Member {
  const { workload } = member
  if (previous !== undefined) {
    const { health, healthMessage } = previous.workload
    return { ...member, workload: { ...workload, health, healthMessage } }
  }
  if (template?.hasProbe !== true) return member
  const healthMessage = 'waiting for the first health report'
  return { ...member, workload: { ...workload, health: 'unhealthy', healthMessage } }
}

function localityText(locality: JoiningNode['locality']): string {
  if (locality === undefined) return ''
  const { region, zone, subZone } = locality
  return [region, zone, subZone].join('/').replace(/\/+$/, '')
}

function joinIssue(
  node: ParsedNode,
  finding: Pick<Issue, 'code' | 'path' | 'message' | 'remedy'>,
): Issue {
  return { ...finding, severity: 'error', file: '', line: 0, column: 0, resource: node.id }
}
