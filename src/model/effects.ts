/**
 * Which fields have an effect in this version, and which are only understood.
 *
 * The rule is the longest pattern that a field's path begins with; a pattern may end in `=VALUE` for one value of
 * a text. `[]` stands for a list's index and for a key of a map. Fields without a pattern of their own follow
 * their parent. A field without effect gives an issue that names it, and an entry in the "not yet" column of
 * docs/reference/resources.md, which is made from this table.
 */
import {
  notYetInMesh,
  notYetInProxy,
  withoutMeaningInMesh,
  withoutMeaningInProxy,
} from './mesh/mesh-config-effect.ts'
import { unreadMeshConfigFields } from './mesh/mesh-config-shape.ts'
import { unreadProxyConfigFields } from './mesh/proxy-config-shape.ts'
import { clip } from './schema/shape.ts'
import type { Problem, Reading, Shape } from './schema/shape.ts'
import { fieldPath, isNull, itemPath, keyPath } from './schema/source-node.ts'
import type { SourceNode } from './schema/source-node.ts'

/**
 * `not-yet`: to be implemented. `cluster-only`: means something to Kubernetes only. `by-design`: nothing here that it
 * could change, now or later; `reasons` says why, where reading it does not.
 */
export type Effect = 'effective' | 'not-yet' | 'cluster-only' | 'by-design'

type EffectTable = Readonly<Record<string, Effect>>

/** Patterns of a traffic policy, below each place where one can stand. */
function trafficPolicy(path: string): EffectTable {
  const portLevel = `${path}.portLevelSettings[]`
  return {
    ...trafficBlocks(path),
    ...trafficBlocks(portLevel),
    [`${path}.portLevelSettings`]: 'effective',
  }
}

function trafficBlocks(path: string): EffectTable {
  return prefixed(path, trafficBlockEffects)
}

function prefixed(path: string, table: EffectTable): EffectTable {
  return Object.fromEntries(
    Object.entries(table).map(([pattern, effect]) => [`${path}.${pattern}`, effect]),
  )
}

function all(path: string, names: readonly string[], effect: Effect): EffectTable {
  return prefixed(path, Object.fromEntries(names.map((name) => [name, effect])))
}

const poolEffects: EffectTable = {
  connectionPool: 'effective',
  outlierDetection: 'effective',
}

/** Those of a connection pool that stands at `path`. */
function poolOf(path: string): EffectTable {
  const own = Object.entries(poolEffects).filter(([name]) => name.startsWith('connectionPool'))
  return Object.fromEntries(
    own.map(([name, effect]) => [name.replace('connectionPool', path), effect]),
  )
}

const trafficBlockEffects: EffectTable = {
  ...poolEffects,
  loadBalancer: 'effective',
  tls: 'effective',
}

/** By kind; a kind that is not here has no field with effect. */
export const effects: Readonly<Record<string, EffectTable>> = {
  VirtualService: {
    spec: 'effective',
    'spec.gateways[]': 'not-yet',
    'spec.gateways[]=mesh': 'effective',
    'spec.http[].match[].gateways[]': 'not-yet',
    'spec.http[].match[].gateways[]=mesh': 'effective',
    'spec.tls[].match[].gateways[]': 'not-yet',
    'spec.tls[].match[].gateways[]=mesh': 'effective',
    'spec.tcp[].match[].gateways[]': 'not-yet',
    'spec.tcp[].match[].gateways[]=mesh': 'effective',
    'spec.tcp[].match[].sourceSubnet': 'by-design',
  },
  DestinationRule: {
    spec: 'effective',
    ...trafficPolicy('spec.trafficPolicy'),
    ...trafficPolicy('spec.subsets[].trafficPolicy'),
  },
  // A network is a label of the endpoint, as in Istio where no network has a gateway.
  ServiceEntry: { spec: 'effective' },
  WorkloadEntry: { spec: 'effective' },
  WorkloadGroup: { spec: 'effective' },
  Sidecar: {
    spec: 'effective',
    'spec.ingress[].bind': 'by-design',
    'spec.ingress[].captureMode': 'by-design',
    'spec.ingress[].captureMode=DEFAULT': 'effective',
    'spec.ingress[].port.targetPort': 'by-design',
    'spec.egress[].captureMode=IPTABLES': 'by-design',
    'spec.egress[].port.targetPort': 'by-design',
    ...poolOf('spec.ingress[].connectionPool'),
    ...poolOf('spec.inboundConnectionPool'),
  },
  PeerAuthentication: { spec: 'effective' },
  ProxyConfig: { spec: 'effective', 'spec.image': 'by-design' },
  Service: {
    spec: 'effective',
    'spec.type=NodePort': 'cluster-only',
    'spec.type=LoadBalancer': 'cluster-only',
    'spec.ports[].nodePort': 'cluster-only',
    'spec.externalIPs': 'cluster-only',
    'spec.sessionAffinityConfig.clientIP.timeoutSeconds': 'by-design',
    'spec.externalTrafficPolicy': 'cluster-only',
    'spec.healthCheckNodePort': 'cluster-only',
    'spec.ipFamilies': 'cluster-only',
    'spec.ipFamilyPolicy': 'cluster-only',
    'spec.allocateLoadBalancerNodePorts': 'cluster-only',
    'spec.loadBalancerClass': 'cluster-only',
    'spec.loadBalancerIP': 'cluster-only',
    'spec.loadBalancerSourceRanges': 'cluster-only',
  },
  RouteTest: { spec: 'effective' },
  Mesh: {
    spec: 'effective',
    ...all('spec.meshConfig', unreadMeshConfigFields, 'not-yet'),
    ...all('spec.meshConfig', Object.keys(withoutMeaningInMesh), 'by-design'),
    ...all('spec.meshConfig.defaultConfig', unreadProxyConfigFields, 'not-yet'),
    ...all('spec.meshConfig.defaultConfig', Object.keys(withoutMeaningInProxy), 'by-design'),
    ...all('spec.meshConfig', Object.keys(notYetInMesh), 'not-yet'),
    ...prefixed('spec.meshConfig.defaultTrafficPolicy', poolEffects),
  },
}

function reasonsBelow(path: string, table: Readonly<Record<string, string>>) {
  return Object.fromEntries(
    Object.entries(table).map(([name, reason]) => [`${path}.${name.replace(/=.*/, '')}`, reason]),
  )
}

/** Why a field of `by-design` changes nothing; one that is not here is answered where it is read. */
const reasons: Readonly<Record<string, string>> = {
  ...reasonsBelow('spec.meshConfig', withoutMeaningInMesh),
  ...reasonsBelow('spec.meshConfig.defaultConfig', withoutMeaningInProxy),
  'spec.image': withoutMeaningInProxy['image'] ?? '',
  'spec.ingress[].bind':
    "callers come by the workload's mesh port, which is bound where the workload says",
  'spec.ingress[].captureMode':
    "callers come by the workload's mesh port, and no connection is captured",
  'spec.egress[].captureMode': 'no connection is captured',
  'spec.sessionAffinityConfig.clientIP.timeoutSeconds':
    'affinity is a hash over who calls, which is not forgotten',
}

/** What happens instead of the field's effect, where that is more than nothing. */
const consequences: Readonly<Record<string, string>> = {
  ...reasonsBelow('spec.meshConfig', notYetInMesh),
  ...reasonsBelow('spec.meshConfig.defaultConfig', notYetInProxy),
  'spec.ports[].protocol': 'our own proxy refuses the port, a real Envoy takes it',
  'spec.services[].ports[].protocol': 'our own proxy refuses the port, a real Envoy takes it',
}

/** What a field's pattern means; `value` is its text, when it is one. */
export function effectOf(kind: string, pattern: string, value?: string): Effect {
  const table = effects[kind] ?? {}
  const exact = value === undefined ? undefined : table[`${pattern}=${value}`]
  if (exact !== undefined) return exact
  for (let at = pattern; at !== ''; at = parentOf(at)) {
    const effect = table[at]
    if (effect !== undefined) return effect
  }
  return 'not-yet'
}

function parentOf(pattern: string): string {
  if (pattern.endsWith('[]')) return pattern.slice(0, -2)
  return pattern.slice(0, Math.max(0, pattern.lastIndexOf('.')))
}

interface Written {
  readonly node: SourceNode
  readonly shape: Shape<unknown>
}

/** Warns of each field that is written and has no effect; of the topmost only, not of what lies in it. */
export function reportUnimplemented(kind: string, spec: Written, reading: Reading): void {
  reportBelow({ kind, path: 'spec', pattern: 'spec' }, spec, reading)
}

export interface EffectPlace {
  readonly kind: string
  /** Where it is written. */
  readonly path: string
  /** What it is to the table of effects. */
  readonly pattern: string
}

/** The same of what is written elsewhere than in a spec. */
export function reportBelow(place: EffectPlace, written: Written, reading: Reading): void {
  const { kind, path, pattern } = place
  walk(written, { path, pattern })

  function walk({ node, shape }: Written, at: { path: string; pattern: string }): void {
    if (isNull(node)) return
    const value = node.type === 'scalar' ? node.text : undefined
    const effect = effectOf(kind, at.pattern, value)
    if (effect !== 'effective') {
      const problem = withoutEffect(effect, at, value)
      if (problem !== undefined) reading.report(at.path, problem)
    }
    if (effect === 'effective') for (const child of childrenOf(node, shape, at)) walk(child, child)
  }
}

type Child = Written & { readonly path: string; readonly pattern: string }

function childrenOf(
  node: SourceNode,
  shape: Shape<unknown>,
  at: { readonly path: string; readonly pattern: string },
): readonly Child[] {
  const { item } = shape
  if (node.type === 'list' && item !== undefined) {
    return node.items.map((child, index) => ({
      node: child,
      shape: item,
      path: itemPath(at.path, index),
      pattern: `${at.pattern}[]`,
    }))
  }
  if (node.type !== 'map') return []
  return Array.from(node.fields).flatMap(([name, field]): readonly Child[] => {
    const known = shape.fields === undefined ? item : ownField(shape.fields, name)
    if (known === undefined) return []
    const isField = shape.fields !== undefined
    return [
      {
        node: field.node,
        shape: known,
        path: isField ? fieldPath(at.path, name) : keyPath(at.path, name),
        pattern: isField ? fieldPath(at.pattern, name) : `${at.pattern}[]`,
      },
    ]
  })
}

function ownField(
  fields: Readonly<Record<string, Shape<unknown>>>,
  name: string,
): Shape<unknown> | undefined {
  return Object.hasOwn(fields, name) ? fields[name] : undefined
}

function withoutEffect(
  effect: Exclude<Effect, 'effective'>,
  at: { readonly path: string; readonly pattern: string },
  value: string | undefined,
): Problem | undefined {
  const name = /[^.]+$/.exec(at.path)?.[0] ?? at.path
  const what = value === undefined ? name : clip(value)
  if (effect === 'cluster-only') {
    return {
      code: 'TUL0011',
      severity: 'info',
      message: `${what} has an effect in a Kubernetes cluster only`,
      remedy: 'Nothing: it is harmless here.',
    }
  }
  if (effect === 'by-design') {
    const reason = reasons[at.pattern]
    return reason === undefined
      ? undefined
      : {
          code: 'TUL0011',
          severity: 'warning',
          message: `${what} has no effect: ${reason}`,
          remedy: 'Remove it.',
        }
  }
  const consequence = consequences[at.pattern]
  return {
    code: 'TUL0011',
    severity: 'warning',
    message:
      consequence === undefined
        ? `${what} is understood and has no effect in this version`
        : `${what} is understood and not implemented yet: ${consequence}`,
    remedy: 'Do not rely on it: it is not implemented yet.',
  }
}
