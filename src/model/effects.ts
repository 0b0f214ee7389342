/**
 * Which fields have an effect in this version, and which are only understood. The rule is the longest pattern
 * that a field's path begins with; a pattern may end in `=VALUE` for one value of a text. `[]` stands for a list's
 * index and for a key of a map. Fields without a pattern of their own follow their parent.
 *
 * A field without effect gives a warning that names it, and an entry in the "not yet" column of
 * docs/reference/resources.md, which is made from this table.
 */
import type { Reading, Shape } from './schema/shape.ts'
import { fieldPath, isNull, itemPath, keyPath } from './schema/source-node.ts'
import type { SourceNode } from './schema/source-node.ts'

export type Effect = 'effective' | 'not-yet'

type EffectTable = Readonly<Record<string, Effect>>

/** Patterns of a traffic policy, below each place where one can stand. */
function trafficPolicy(path: string): EffectTable {
  const portLevel = `${path}.portLevelSettings[]`
  return {
    ...trafficBlocks(path),
    ...trafficBlocks(portLevel),
    [`${path}.portLevelSettings`]: 'effective',
    [`${path}.tunnel`]: 'not-yet',
    [`${path}.proxyProtocol`]: 'not-yet',
    [`${path}.retryBudget`]: 'effective',
  }
}

function trafficBlocks(path: string): EffectTable {
  return Object.fromEntries(
    Object.entries(trafficBlockEffects).map(([pattern, effect]) => [`${path}.${pattern}`, effect]),
  )
}

const trafficBlockEffects: EffectTable = {
  loadBalancer: 'effective',
  'loadBalancer.simple': 'effective',
  'loadBalancer.simple=PASSTHROUGH': 'not-yet',
  'loadBalancer.consistentHash': 'not-yet',
  'loadBalancer.localityLbSetting': 'not-yet',
  'loadBalancer.zoneAwareLbSetting': 'not-yet',
  'loadBalancer.warmup': 'not-yet',
  'loadBalancer.warmupDurationSecs': 'not-yet',
  connectionPool: 'effective',
  'connectionPool.tcp.tcpKeepalive': 'not-yet',
  'connectionPool.tcp.maxConnectionDuration': 'not-yet',
  'connectionPool.http.h2UpgradePolicy': 'not-yet',
  'connectionPool.http.useClientProtocol': 'not-yet',
  'connectionPool.http.maxConcurrentStreams': 'not-yet',
  'connectionPool.http.http2KeepAlive': 'not-yet',
  outlierDetection: 'effective',
  'outlierDetection.outlierDetectionHttpErrorCodes': 'not-yet',
  tls: 'not-yet',
}

/** By kind; a kind that is not here has no field with effect. */
export const effects: Readonly<Record<string, EffectTable>> = {
  VirtualService: {
    spec: 'effective',
    'spec.gateways[]': 'not-yet',
    'spec.gateways[]=mesh': 'effective',
    'spec.http[].match[].gateways[]': 'not-yet',
    'spec.http[].match[].gateways[]=mesh': 'effective',
    'spec.http[].match[].statPrefix': 'not-yet',
    'spec.http[].fault': 'not-yet',
    'spec.http[].mirror': 'not-yet',
    'spec.http[].mirrors': 'not-yet',
    'spec.http[].mirrorPercent': 'not-yet',
    'spec.http[].mirror_percent': 'not-yet',
    'spec.http[].mirrorPercentage': 'not-yet',
    'spec.http[].corsPolicy': 'not-yet',
    'spec.http[].delegate': 'not-yet',
    'spec.tls': 'not-yet',
    'spec.tcp[].match[].destinationSubnets': 'not-yet',
    'spec.tcp[].match[].gateways[]': 'not-yet',
    'spec.tcp[].match[].gateways[]=mesh': 'effective',
  },
  DestinationRule: {
    spec: 'effective',
    ...trafficPolicy('spec.trafficPolicy'),
    ...trafficPolicy('spec.subsets[].trafficPolicy'),
    'spec.workloadSelector': 'not-yet',
  },
  ServiceEntry: {
    spec: 'effective',
    'spec.addresses': 'not-yet',
    'spec.resolution=NONE': 'not-yet',
    'spec.resolution=DNS': 'not-yet',
    'spec.resolution=DNS_ROUND_ROBIN': 'not-yet',
    'spec.resolution=DYNAMIC_DNS': 'not-yet',
    'spec.subjectAltNames': 'not-yet',
    'spec.endpoints[].network': 'not-yet',
  },
  WorkloadEntry: { spec: 'effective', 'spec.network': 'not-yet' },
  WorkloadGroup: {
    spec: 'effective',
    'spec.probe.grpc': 'not-yet',
    'spec.template.network': 'not-yet',
  },
  Service: { spec: 'effective' },
  Mesh: { spec: 'effective' },
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
  walk(spec, { path: 'spec', pattern: 'spec' })

  function walk({ node, shape }: Written, at: { path: string; pattern: string }): void {
    if (isNull(node)) return
    const value = node.type === 'scalar' ? node.text : undefined
    if (effectOf(kind, at.pattern, value) === 'not-yet') {
      // A deprecated field that nothing reads has told so already.
      if (shape.isDeprecated !== true) reading.report(at.path, notYet(at.path, value))
    } else {
      for (const child of childrenOf(node, shape, at)) walk(child, child)
    }
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

function notYet(path: string, value: string | undefined): Parameters<Reading['report']>[1] {
  const name = /[^.]+$/.exec(path)?.[0] ?? path
  const what = value === undefined ? name : `${name}: ${value}`
  return {
    code: 'TUL0011',
    severity: 'warning',
    message: `${what} is understood and has no effect in this version`,
    remedy: 'Do not rely on it: it is not implemented yet.',
  }
}
