/**
 * The operators of format strings that read metadata of clusters and endpoints, by a namespace and the path of a value in
 * it: `%CLUSTER_METADATA(NAMESPACE:KEY)%`, `%UPSTREAM_METADATA(…)%` and `%METADATA(KIND:NAMESPACE:KEY)%`.
 */
import { memberOf } from '../../lib/member.ts'
import { type Compiled, compiled, refused } from '../config/compiled.ts'
import type { FilterMetadata } from '../upstream/host.ts'
import type { LogOperator, LogSource, LogValue, OperatorCall } from './log-source.ts'

type MetadataOf = (source: LogSource) => FilterMetadata | undefined

/** No filter here keeps dynamic metadata: as in an Envoy whose filters set none, there is never a value. */
const dynamic: MetadataOf = () => undefined
const ofCluster: MetadataOf = ({ cluster }) => cluster?.filterMetadata
const ofHost: MetadataOf = ({ host }) => host?.metadata.filterMetadata

const operators: Readonly<Record<string, MetadataOf>> = {
  DYNAMIC_METADATA: dynamic,
  CLUSTER_METADATA: ofCluster,
  UPSTREAM_METADATA: ofHost,
}

const kinds: Readonly<Record<string, MetadataOf>> = {
  DYNAMIC: dynamic,
  CLUSTER: ofCluster,
  UPSTREAM_HOST: ofHost,
}

export const metadataOperatorNames = [...Object.keys(operators), 'METADATA']

/** Undefined for a name that is none of them. */
export function metadataOperator(call: OperatorCall): Compiled<LogOperator> | undefined {
  const { name, argument = '', lengthMax } = call
  if (name === 'METADATA') {
    const [kind = '', ...path] = argument.split(':')
    const of = kinds[kind]
    const known = Object.keys(kinds).join(', ')
    if (of === undefined) return refused(`%METADATA(${argument})%: only ${known} are implemented`)
    return compiled(reader(of, path, lengthMax))
  }
  const of = operators[name]
  if (of === undefined) return undefined
  if (argument === '') return refused(`%${name}()%: a namespace is required`)
  if (lengthMax !== undefined && of !== dynamic) return refused(`%${name}%: takes no length`)
  return compiled(reader(of, argument.split(':'), lengthMax))
}

function reader(
  of: MetadataOf,
  [namespace = '', ...keys]: readonly string[],
  lengthMax = Number.POSITIVE_INFINITY,
): LogOperator {
  return (source) => {
    let value: unknown = of(source)?.[namespace]
    for (const key of keys) value = memberOf(value, key)
    return shown(value, lengthMax)
  }
}

/** Numbers and texts as they are; what else there is, as JSON. In texts it may be cut, in structures it may not. */
function shown(value: unknown, lengthMax: number): LogValue {
  if (value === undefined || value === null) return undefined
  if (typeof value === 'string') {
    return value.length > lengthMax ? value.slice(0, lengthMax) : value
  }
  if (typeof value === 'number') return value
  const json = JSON.stringify(sorted(value))
  return { json, text: json.slice(0, lengthMax) }
}

/** Keys in order, as Envoy writes them. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).map(([key, held]) => [key, sorted(held)] as const)
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)))
}
