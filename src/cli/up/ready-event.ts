/** The event that says a mesh is up, with every address in it. */
import type { RunningMesh } from '../home.ts'
import type { WorkloadState } from './mesh-supervisor.ts'

export interface ReadyEvent {
  readonly event: 'ready'
  readonly mesh: string
  readonly pid: number
  /** `http://127.0.0.1:15014` */
  readonly api: string
  readonly xds: string
  readonly file: string
  readonly workloads: readonly ReadyWorkload[]
}

export interface ReadyWorkload {
  readonly name: string
  readonly workload: string
  readonly namespace: string
  /** Undefined for a client. */
  readonly service: string | undefined
  readonly labels: Readonly<Record<string, string>>
  /** Of its agent and sidecar. */
  readonly pid: number | undefined
  readonly isHealthy: boolean
  readonly admin: string | undefined
  /** For HTTP_PROXY. */
  readonly proxy: string | undefined
  readonly ports: readonly {
    readonly name: string
    readonly servicePort: number | undefined
    /** Where the application listens, past its sidecar. */
    readonly app: string
    /** Where its sidecar accepts for it. */
    readonly mesh: string
  }[]
  readonly upstreams: readonly { readonly to: string; readonly address: string }[]
}

export function readyEvent(mesh: RunningMesh, workloads: readonly WorkloadState[]): ReadyEvent {
  return {
    event: 'ready',
    mesh: mesh.name,
    pid: mesh.pid,
    api: mesh.api,
    xds: mesh.xds,
    file: mesh.file,
    workloads: workloads.map(readyWorkload),
  }
}

function readyWorkload({ plan, process, addresses, isHealthy }: WorkloadState): ReadyWorkload {
  return {
    name: plan.instance,
    workload: plan.workload,
    namespace: plan.namespace,
    service: plan.ports.length === 0 ? undefined : plan.labels['app'],
    labels: plan.labels,
    pid: process.pid,
    isHealthy,
    admin: addresses === undefined ? undefined : addresses.admin,
    proxy: addresses === undefined ? undefined : `http://127.0.0.1:${addresses.httpProxyPort}`,
    ports: (addresses?.ports ?? []).map(({ name, servicePort, appPort, meshPort }) => ({
      name,
      servicePort,
      app: `127.0.0.1:${appPort}`,
      mesh: `${plan.bindAddress}:${meshPort}`,
    })),
    upstreams: (addresses?.upstreams ?? []).map(({ host, port, localPort }) => ({
      to: `${host}:${port}`,
      address: `127.0.0.1:${localPort}`,
    })),
  }
}
