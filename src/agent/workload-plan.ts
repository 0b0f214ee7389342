/**
 * All that the agent needs to know to put a workload into the mesh: who it is, what it serves, how its
 * application is started, and where the control plane is. `tulle up` makes one for each replica of the mesh file,
 * `tulle run` makes one from its command line; it crosses a process boundary as JSON.
 */
import type { ProbeConfig } from './probe/probe.ts'

export interface WorkloadPlan {
  readonly mesh: MeshIdentity
  /** Unique in its namespace: the workload's name, with `-1`, `-2` for replicas. */
  readonly instance: string
  /** Name of the workload (a Deployment's, in Kubernetes), shared by its replicas. */
  readonly workload: string
  readonly namespace: string
  readonly serviceAccount: string
  readonly labels: Readonly<Record<string, string>>
  /** WorkloadGroup that it belongs to; undefined for an ad-hoc workload. */
  readonly group: string | undefined
  /** Service that an ad-hoc workload serves. */
  readonly service: string | undefined
  readonly ports: readonly PlannedPort[]
  readonly upstreams: readonly { readonly host: string; readonly port: number }[]
  /** `region/zone/subzone`, parts may be empty. */
  readonly locality: string
  /** Address that inbound listeners bind. */
  readonly bindAddress: string
  readonly application: ApplicationPlan
  /** `host:port` of the control plane's xDS and certificate authority. */
  readonly controlPlane: string
  /** Undefined: no certificate and plaintext, to a control plane on loopback that allows it. */
  readonly identity: IdentityPlan | undefined
  /** Folder of the credentials that its DestinationRules name, on this host; undefined: it has none. */
  readonly credentials?: string | undefined
  /** This workload's own folder: last accepted resources, sockets. */
  readonly stateFolder: string
  /** False for a workload that never comes back under its name: its folder and ports are given up at its end. */
  readonly isStateKept: boolean
  /** Shared by all workloads of the user on this host. */
  readonly portFolder: string
  readonly proxy: ProxyPlan
  readonly termination: TerminationPlan
}

/** How the workload ends: everything within one deadline. */
export interface TerminationPlan {
  /** From the signal to the end of everything; what still lives then is killed. */
  readonly deadlineMs: number
  /** Ceiling of the time that a draining sidecar waits for what is under way (Istio's `terminationDrainDuration`). */
  readonly drainMs: number
  /** The drain waits for the last connection, and no less than so long; undefined: for what is under way only. */
  readonly zeroConnectionsMinMs: number | undefined
}

export interface MeshIdentity {
  readonly name: string
  readonly trustDomain: string
}

/** How the workload comes to a certificate. No secret stands here: a plan is logged and dumped. */
export interface IdentityPlan {
  /** Former names of the trust domain, believed by the same roots. */
  readonly trustDomainAliases: readonly string[]
  /** Lifetime to ask for; undefined: the authority's own. */
  readonly ttlMs: number | undefined
  /** File with a join token or a JWT. */
  readonly tokenFile: string | undefined
  /** File with the roots of the mesh, for a token that does not name them. */
  readonly rootsFile: string | undefined
  /** Socket of the control plane on this host that hands tokens over to its owner. */
  readonly handOver: string | undefined
  /** PEM of more roots that the trust domain is believed by. */
  readonly moreRootsPem?: readonly string[]
}

export interface PlannedPort {
  readonly name: string
  readonly servicePort: number | undefined
  /** 0 = the agent picks a free one. */
  readonly appPort: number
}

export interface ApplicationPlan {
  /** One line or words. */
  readonly command: string | readonly string[]
  /** Whether `${NAME}` in it stands for a variable of the application's environment. */
  readonly isExpanded: boolean
  readonly cwd: string
  /** Added to the agent's own environment. */
  readonly env: Readonly<Record<string, string>>
  /** Undefined: healthy when its first port accepts connections; without ports, while it runs. */
  readonly probe: PlannedProbe | undefined
  /** `never`: its end is the workload's end, and its exit code is passed on. */
  readonly restart: 'never' | 'always'
  /** From its SIGTERM to its SIGKILL, at least: a drain that takes long leaves it so much. */
  readonly stopGraceMs: number
  /** Start it only once its sidecar can route (Istio's holdApplicationUntilProxyStarts). */
  readonly isHeldUntilProxyStarts: boolean
}

/** A probe whose port may still be the application's own, which is known only when it has been picked. */
export type PlannedProbe = Omit<ProbeConfig, 'action'> & {
  readonly action:
    | Exclude<ProbeConfig['action'], { kind: 'http' | 'tcp' | 'grpc' }>
    | WithOptionalPort<Extract<ProbeConfig['action'], { kind: 'http' }>>
    | WithOptionalPort<Extract<ProbeConfig['action'], { kind: 'tcp' }>>
    | WithOptionalPort<Extract<ProbeConfig['action'], { kind: 'grpc' }>>
}

type WithOptionalPort<Action> = Omit<Action, 'port'> & { readonly port: number | undefined }

export interface ProxyPlan {
  readonly kind: 'tulle' | 'envoy'
  /** Path of the program, for `envoy`. */
  readonly program: string | undefined
  /** Threads that carry traffic; 1 unless given, 0: as many as the machine has cores. */
  readonly concurrency?: number
  /** Whether it fetches virtual hosts and clusters when it first calls them; `auto`, unless given: as the mesh says. */
  readonly onDemand?: 'auto' | 'on' | 'off'
  /** How long connections of a listener that has gone, or of a sidecar that was replaced, may go on (Istio's `drainDuration`). */
  readonly drainTimeMs: number
  /** Port of the admin interface; one that is free unless given. */
  readonly adminPort?: number
  /** Where the agent says on loopback whether the workload is ready; only on its own socket unless given. */
  readonly statusPort?: number
  /** Its whole ProxyConfig, by Istio's names: part of its metadata. */
  readonly config?: Readonly<Record<string, unknown>>
  /** More of its metadata. */
  readonly metadata?: Readonly<Record<string, string>>
  /** Added to the environment of a real Envoy. */
  readonly environment?: Readonly<Record<string, string>>
  /** What is shown of its statistics; all unless given. */
  readonly stats?: StatsPlan
  /** Keys of Envoy's runtime; an empty text takes a default away. */
  readonly runtime?: Readonly<Record<string, string>>
  /** `node.cluster`; the label `app` and the namespace unless given. */
  readonly cluster?: string
}

export interface StatsPlan {
  /** Undefined: all. */
  readonly inclusion:
    | {
        readonly prefixes: readonly string[]
        readonly suffixes: readonly string[]
        readonly regexps: readonly string[]
      }
    | undefined
  /** Taken from names of statistics. */
  readonly tags: readonly string[]
}

/** Addresses that the agent has assigned; told to whoever started it. */
export interface WorkloadAddresses {
  readonly admin: string
  readonly httpProxyPort: number
  readonly ports: readonly {
    readonly name: string
    readonly servicePort: number | undefined
    readonly appPort: number
    readonly meshPort: number
  }[]
  readonly upstreams: readonly {
    readonly host: string
    readonly port: number
    readonly localPort: number
  }[]
}
