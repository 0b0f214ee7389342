/**
 * Turns a mesh file into what has to be run: builds, then one workload plan for each replica.
 *
 * Pure: it reads no file and asks no clock, so that a test sees all of it. Services come before clients; the
 * order inside both is the file's.
 */
import { resolve } from 'node:path'

import type {
  IdentityPlan,
  MeshIdentity,
  PlannedPort,
  TerminationPlan,
  WorkloadPlan,
} from '../../agent/workload-plan.ts'
import { MeshError } from '../../lib/mesh-error.ts'
import { durationMs } from '../../model/duration.ts'
import { proxyConfigLevels, type ProxyConfigSpec } from '../../model/istio/proxy-config.ts'
import type { MeshService, MeshSpec, MeshWorkload } from '../../model/mesh/mesh.ts'
import { proxyConfigOfAnnotations } from '../../model/mesh/proxy-config-annotation.ts'
import { mergeProxyConfigs, type ProxyConfig } from '../../model/mesh/proxy-config.ts'
import { trustDomainOf } from '../../model/mesh/trust-domain.ts'
import type { Resource } from '../../model/resource.ts'
import { planProbe } from './probe-plan.ts'
import { planDrain, planProxy } from './proxy-plan.ts'

export interface MeshPlanOptions {
  readonly mesh: string
  /** Default namespace of what the file declares. */
  readonly namespace: string
  readonly spec: MeshSpec
  /** Folder of the mesh file: its paths are relative to it. */
  readonly folder: string
  readonly controlPlane: string
  /** Socket on which the control plane hands tokens over to the owner of its state. */
  readonly handOver: string
  readonly stateFolder: string
  readonly portFolder: string
  readonly proxy: Pick<WorkloadPlan['proxy'], 'kind' | 'program'>
  /** Resources of kind ProxyConfig. */
  readonly proxyConfigs?: readonly Resource<ProxyConfigSpec>[]
}

export interface MeshPlan {
  readonly builds: readonly Build[]
  readonly services: readonly WorkloadPlan[]
  readonly clients: readonly WorkloadPlan[]
}

/** A command to run before anything starts; the same one in the same folder is run once. */
export interface Build {
  readonly workload: string
  readonly command: string | readonly string[]
  readonly cwd: string
}

/** `tulle up` ends within five seconds of Ctrl-C, unless the mesh file gives a workload longer. */
const deadlineDefaultMs = 3_000
const drainDefaultMs = 1_000
const stopGraceMs = 2_000

export function planMesh(options: MeshPlanOptions): MeshPlan {
  const { spec } = options
  const services = (spec.services ?? []).flatMap((service) =>
    (service.workloads ?? []).map((workload) => ({ service, workload })),
  )
  const clients = (spec.workloads ?? []).map((workload) => ({ service: undefined, workload }))
  const all = [...services, ...clients]
  rejectDuplicates(options, all)
  return {
    builds: planBuilds(options, all),
    services: services.flatMap((member) => planReplicas(options, member)),
    clients: clients.flatMap((member) => planReplicas(options, member)),
  }
}

interface Member {
  readonly service: MeshService | undefined
  readonly workload: MeshWorkload
}

function namespaceOf({ namespace }: MeshPlanOptions, { service, workload }: Member): string {
  return workload.namespace ?? service?.namespace ?? namespace
}

/** Two workloads of one name would share a node id, a state folder and ports. */
function rejectDuplicates(options: MeshPlanOptions, members: readonly Member[]): void {
  const seen = new Set<string>()
  for (const member of members) {
    const key = `${namespaceOf(options, member)}/${member.workload.name}`
    if (seen.has(key)) {
      throw new MeshError('MESH_CONFIG_REJECTED', `the mesh file has two workloads named ${key}`, {
        remedy: 'give each workload of a namespace its own name',
      })
    }
    seen.add(key)
  }
}

function planBuilds({ folder }: MeshPlanOptions, members: readonly Member[]): readonly Build[] {
  const builds = new Map<string, Build>()
  for (const { workload } of members) {
    if (workload.build === undefined) continue
    const cwd = resolve(folder, workload.cwd ?? '.')
    const key = JSON.stringify([cwd, workload.build])
    if (!builds.has(key)) builds.set(key, { workload: workload.name, command: workload.build, cwd })
  }
  return [...builds.values()]
}

function planReplicas(options: MeshPlanOptions, member: Member): readonly WorkloadPlan[] {
  const replicas = member.workload.replicas ?? 1
  if (replicas > 1 && (member.workload.port ?? 0) !== 0) {
    throw new MeshError(
      'MESH_CONFIG_REJECTED',
      `workload ${member.workload.name}: ${replicas} replicas cannot share port ${member.workload.port} of one host`,
      { remedy: 'leave port out: each replica is then given a free one as $PORT' },
    )
  }
  return Array.from({ length: replicas }, (_, index) => {
    const suffix = replicas === 1 ? '' : `-${index + 1}`
    return planWorkload(options, member, `${member.workload.name}${suffix}`)
  })
}

function planWorkload(options: MeshPlanOptions, member: Member, instance: string): WorkloadPlan {
  const { workload } = member
  const namespace = namespaceOf(options, member)
  const config = proxyConfigOf(options, member)
  const labels = labelsOf(member)
  const probe = workload.probe ?? config.readinessProbe
  const own = identityPlanOf(options.spec)
  return {
    mesh: meshIdentityOf(options.mesh, options.spec),
    instance,
    workload: workload.name,
    namespace,
    serviceAccount: workload.serviceAccount ?? 'default',
    labels,
    group: workload.name,
    service: undefined,
    ports: planPorts(member),
    upstreams: (workload.upstreams ?? []).map((text) => parseUpstream(workload.name, text)),
    locality: workload.locality ?? '',
    bindAddress: '127.0.0.1',
    application: {
      command: workload.command,
      isExpanded: true,
      cwd: resolve(options.folder, workload.cwd ?? '.'),
      env: { INSTANCE: instance, ...workload.env },
      probe: probe === undefined ? undefined : planProbe(workload.name, probe),
      restart: 'always',
      stopGraceMs,
      isHeldUntilProxyStarts: config.holdApplicationUntilProxyStarts ?? true,
    },
    controlPlane: options.controlPlane,
    identity: {
      ...own,
      tokenFile: undefined,
      rootsFile: undefined,
      handOver: options.handOver,
      ...withRoots(own, config),
    },
    credentials: credentialsOf(options, member),
    stateFolder: resolve(options.stateFolder, namespace, instance),
    isStateKept: true,
    portFolder: options.portFolder,
    proxy: {
      ...options.proxy,
      ...planProxy(config, { workload: workload.name, namespace, labels }),
    },
    termination: terminationOf(config, workload),
  }
}

/** The workload's own folder goes before the mesh's. */
function credentialsOf(
  { spec, folder }: MeshPlanOptions,
  { workload }: Member,
): string | undefined {
  const path = workload.credentials ?? spec.credentials
  return path === undefined ? undefined : resolve(folder, path)
}

/** As Istio lays them: a resource that selects the workload goes before its annotations, they before the namespace's. */
function proxyConfigOf(options: MeshPlanOptions, member: Member): ProxyConfig {
  const { spec, proxyConfigs = [] } = options
  const levels = proxyConfigLevels(proxyConfigs, {
    labels: labelsOf(member),
    namespace: namespaceOf(options, member),
    rootNamespace: spec.meshConfig?.rootNamespace ?? 'istio-system',
  })
  return mergeProxyConfigs([
    spec.meshConfig?.defaultConfig,
    levels.root,
    levels.namespace,
    proxyConfigOfAnnotations(member.workload.annotations),
    levels.workload,
  ])
}

function labelsOf({ service, workload }: Member): Readonly<Record<string, string>> {
  return { app: service?.name ?? workload.name, ...workload.labels }
}

function terminationOf(config: ProxyConfig, workload: MeshWorkload): TerminationPlan {
  const seconds = workload.terminationGracePeriodSeconds
  const deadlineMs = seconds === undefined ? deadlineDefaultMs : seconds * 1_000
  return planDrain(config, { deadlineMs, drainMs: drainDefaultMs })
}

/** The roots of a ProxyConfig beside those of the mesh. */
export function withRoots(
  { moreRootsPem = [] }: Pick<IdentityPlan, 'moreRootsPem'>,
  { caCertificatesPem = [] }: ProxyConfig,
): Pick<IdentityPlan, 'moreRootsPem'> {
  const all = [...moreRootsPem, ...caCertificatesPem]
  return all.length === 0 ? {} : { moreRootsPem: all }
}

export function meshIdentityOf(name: string, spec: MeshSpec | undefined): MeshIdentity {
  return { name, trustDomain: trustDomainOf(spec) }
}

/** What the mesh file says of certificates. */
export function identityPlanOf(
  spec: MeshSpec | undefined,
): Pick<IdentityPlan, 'trustDomainAliases' | 'ttlMs' | 'moreRootsPem'> {
  const {
    trustDomainAliases = [],
    certificateLifetime,
    caCertificates = [],
  } = spec?.meshConfig ?? {}
  const names = new Set([trustDomainOf(spec), ...trustDomainAliases])
  const moreRootsPem = caCertificates.flatMap(({ pem, trustDomains = [] }) =>
    pem !== undefined && (trustDomains.length === 0 || trustDomains.some((name) => names.has(name)))
      ? [pem]
      : [],
  )
  const ttlMs = certificateLifetime === undefined ? undefined : durationMs(certificateLifetime)
  return { trustDomainAliases, ttlMs, ...(moreRootsPem.length > 0 && { moreRootsPem }) }
}

/** `port` is the application's port for the service's first one; further ones are picked. */
function planPorts({ service, workload }: Member): readonly PlannedPort[] {
  return (service?.ports ?? []).map((port, index) => ({
    name: port.name ?? `port-${port.number}`,
    servicePort: port.number,
    appPort: index === 0 ? (workload.port ?? 0) : 0,
  }))
}

export function parseUpstream(
  workload: string,
  text: string,
): { readonly host: string; readonly port: number } {
  const match = /^([^\s:]+):(\d{1,5})$/.exec(text)
  const port = Number(match?.[2])
  if (match === null || port < 1 || port > 65_535) {
    throw new MeshError(
      'MESH_CONFIG_REJECTED',
      `workload ${workload}: upstream ${JSON.stringify(text)} is not of the form host:port`,
      { remedy: 'write it as postgres:5432' },
    )
  }
  return { host: match[1] ?? '', port }
}
