/**
 * Spec of our own `Mesh` (tulle.dev/v1alpha1), the mesh file that `tulle up` reads: settings of the mesh, where
 * its configuration lies, which services it has and how their workloads are started.
 *
 * A service `S` means what Kubernetes' Service would: host `S.<namespace>.svc.cluster.local`, selector
 * `{ app: S }`; each of its workloads is an implicit WorkloadGroup of the workload's name.
 * Paths in it are relative to the mesh file. Durations stay text as written.
 */
import type { ReadinessProbe } from '../istio/workload-group.ts'
import type { MeshConfig } from './mesh-config.ts'

export type { MeshConfig } from './mesh-config.ts'

export interface MeshSpec {
  readonly trustDomain?: string
  readonly meshConfig?: MeshConfig
  /** Files or folders of YAML, watched. */
  readonly config?: readonly string[]
  /** Folder of the credentials that DestinationRules name, one folder for each. */
  readonly credentials?: string
  readonly services?: readonly MeshService[]
  /** Workloads that serve nothing: clients, jobs. */
  readonly workloads?: readonly MeshWorkload[]
}

export interface MeshService {
  readonly name: string
  readonly namespace?: string
  readonly ports?: readonly MeshServicePort[]
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly workloads?: readonly MeshWorkload[]
}

export interface MeshServicePort {
  readonly number: number
  readonly name?: string
  /** As in ServiceEntry; absent = by the port's name, else detected. */
  readonly protocol?: string
  readonly targetPort?: number
}

export interface MeshWorkload {
  readonly name: string
  readonly namespace?: string
  /** `app: <service>` is added when absent. */
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly serviceAccount?: string
  readonly replicas?: number
  /** Argument list, or one string that is split like a shell's line, with no expansion but `${NAME}`. */
  readonly command: string | readonly string[]
  /** Run once before the first start. */
  readonly build?: string | readonly string[]
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  /** The application's port; 0 or absent: a free one is picked and given as $PORT. */
  readonly port?: number
  /** `host:port`: localhost ports for clients that ignore proxy variables. */
  readonly upstreams?: readonly string[]
  readonly probe?: ReadinessProbe
  /** Instead of the mesh's. */
  readonly credentials?: string
  /** From the signal to the end of everything, as of a Kubernetes pod. Default 3. */
  readonly terminationGracePeriodSeconds?: number
  readonly locality?: string
  readonly weight?: number
}
