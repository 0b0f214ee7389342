/**
 * Which PeerAuthentication holds for a workload, by Istio's precedence.
 *
 * A policy whose selector has labels is a workload's; one without is its namespace's, or the mesh's when it stands
 * in the root namespace. The workload's goes before the namespace's, and that before the mesh's; UNSET passes the
 * question on, and the mesh's setting answers it at the end. Of two on one level the oldest counts, alone. In the
 * root namespace a policy with a selector counts for nothing, and ports are read in a workload's policy only.
 */
import type { MutualTls, PeerAuthenticationSpec } from '../model/istio/peer-authentication.ts'
import type { Resource } from '../model/resource.ts'
import { byAge, type MtlsMode, type TranslationInput } from './input.ts'

export type PeerAuthentication = Resource<PeerAuthenticationSpec>

type Labels = Readonly<Record<string, string>>

/** What a workload takes, and what on ports of its own. */
export interface PeerModes {
  readonly mode: MtlsMode
  readonly byPort: ReadonlyMap<number, MtlsMode>
}

interface NamespacePolicies {
  /** Without a selector. */
  common: PeerAuthentication | undefined
  /** Oldest first. */
  readonly selecting: PeerAuthentication[]
}

const noPorts: ReadonlyMap<number, MtlsMode> = new Map()

export class PeerAuthentications {
  /** Oldest first. */
  readonly all: readonly PeerAuthentication[]
  readonly #rootNamespace: string
  readonly #default: MtlsMode
  readonly #byNamespace = new Map<string, NamespacePolicies>()
  readonly #plain = new Map<MtlsMode, PeerModes>()

  constructor({ resources, mesh }: Pick<TranslationInput, 'resources' | 'mesh'>) {
    this.all = [...resources.values()].filter(isPeerAuthentication).sort(byAge)
    this.#rootNamespace = mesh.rootNamespace
    this.#default = mesh.mtlsMode
    for (const policy of this.all) this.#add(policy)
  }

  #add(policy: PeerAuthentication): void {
    const { namespace } = policy.metadata
    let policies = this.#byNamespace.get(namespace)
    if (policies === undefined) {
      policies = { common: undefined, selecting: [] }
      this.#byNamespace.set(namespace, policies)
    }
    if (!hasSelector(policy)) policies.common ??= policy
    else if (namespace !== this.#rootNamespace) policies.selecting.push(policy)
  }

  modesOf(namespace: string, labels: Labels): PeerModes {
    const policies = this.#byNamespace.get(namespace)
    const own = policies?.selecting.find((policy) => isSelecting(policy, labels))
    const inherited = this.#namespaceMode(namespace)
    if (own === undefined) return this.#plainModes(inherited)
    const mode = modeOf(own.spec.mtls) ?? inherited
    const ports = Object.entries(own.spec.portLevelMtls ?? {})
    if (ports.length === 0) return this.#plainModes(mode)
    return {
      mode,
      byPort: new Map(ports.map(([port, mtls]) => [Number(port), modeOf(mtls) ?? mode])),
    }
  }

  isRoot({ metadata }: PeerAuthentication): boolean {
    return metadata.namespace === this.#rootNamespace
  }

  #namespaceMode(namespace: string): MtlsMode {
    const own = namespace === this.#rootNamespace ? undefined : this.#commonMode(namespace)
    return own ?? this.#commonMode(this.#rootNamespace) ?? this.#default
  }

  #commonMode(namespace: string): MtlsMode | undefined {
    return modeOf(this.#byNamespace.get(namespace)?.common?.spec.mtls)
  }

  /** One object for each mode: most workloads have no policy of their own. */
  #plainModes(mode: MtlsMode): PeerModes {
    let modes = this.#plain.get(mode)
    if (modes === undefined) {
      modes = { mode, byPort: noPorts }
      this.#plain.set(mode, modes)
    }
    return modes
  }
}

/** The first of the ports that has a mode of its own decides. */
export function modeOfPort(
  { mode, byPort }: PeerModes,
  ports: readonly (number | undefined)[],
): MtlsMode {
  for (const port of ports) {
    const own = port === undefined ? undefined : byPort.get(port)
    if (own !== undefined) return own
  }
  return mode
}

export function isPeerAuthentication(resource: Resource): resource is PeerAuthentication {
  return resource.kind === 'PeerAuthentication'
}

export function hasSelector({ spec }: PeerAuthentication): boolean {
  return Object.keys(spec.selector?.matchLabels ?? {}).length > 0
}

export function isSelecting({ spec }: PeerAuthentication, labels: Labels): boolean {
  const wanted = spec.selector?.matchLabels ?? {}
  for (const key in wanted) if (labels[key] !== wanted[key]) return false
  return true
}

function modeOf(mtls: MutualTls | undefined): MtlsMode | undefined {
  return mtls?.mode === undefined || mtls.mode === 'UNSET' ? undefined : mtls.mode
}
