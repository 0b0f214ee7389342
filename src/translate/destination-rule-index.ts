/**
 * Which DestinationRule applies when a client in one namespace calls a service of another.
 *
 * Istio's order: rules of the client's own namespace, then those that the service's namespace exports, then
 * those that the root namespace exports. The first group with a matching host decides; groups do not merge.
 * Inside a group the most specific host wins, and rules for the same host merge, oldest first: subsets are
 * added up (the first of a name stays), the traffic policy is that of the first rule that has one.
 */
import { invariant } from '../lib/assert.ts'
import type { DestinationRuleSpec, Subset, TrafficPolicy } from '../model/istio/destination-rule.ts'
import type { Resource } from '../model/resource.ts'
import { bySpecificity, isCoveredBy, isExportedTo, isWildcard, resolveHost } from './host-name.ts'
import { byAge, compareText, type TranslationInput } from './input.ts'

/** Rules for one host that became one. The same parts give the same object from one run to the next. */
export interface MergedRule {
  readonly host: string
  readonly namespace: string
  readonly parts: readonly Resource<DestinationRuleSpec>[]
  readonly exportTo: readonly string[]
  /** Labels of the only client workloads that it is for; undefined: all. */
  readonly selector: Readonly<Record<string, string>> | undefined
  readonly trafficPolicy: TrafficPolicy | undefined
  readonly subsets: readonly Subset[]
}

export interface RuleQuery {
  readonly host: string
  readonly serviceNamespace: string
  readonly clientNamespace: string
  /** Whether the client's labels satisfy a selector. */
  readonly isSelected: (selector: Readonly<Record<string, string>>) => boolean
}

interface NamespaceRules {
  readonly byHost: Map<string, MergedRule[]>
  wildcards: string[]
}

export class DestinationRules {
  readonly #byNamespace = new Map<string, NamespaceRules>()
  readonly #rootNamespace: string
  readonly all: readonly MergedRule[]
  readonly #keys = new Map<Resource, string>()
  readonly #fallback: readonly string[]

  constructor(input: TranslationInput, previous?: DestinationRules) {
    this.#rootNamespace = input.mesh.rootNamespace
    const resources = [...input.resources.values()].filter(isDestinationRule).sort(byAge)
    const groups = new Map<string, Resource<DestinationRuleSpec>[]>()
    this.#fallback = input.mesh.destinationRuleExportTo
    const isSameFallback = previous !== undefined && previous.#fallback === this.#fallback
    const keys = isSameFallback ? previous.#keys : undefined
    for (const resource of resources) {
      const key = keys?.get(resource) ?? groupKey(resource, this.#fallback)
      this.#keys.set(resource, key)
      const group = groups.get(key)
      if (group === undefined) groups.set(key, [resource])
      else group.push(resource)
    }
    const known = new Map(previous?.all.map((rule) => [rule.parts[0], rule]))
    this.all = [...groups.values()].map((parts) => mergeRules(parts, { input, known }))
    for (const rule of this.all) this.#add(rule)
    for (const rules of this.#byNamespace.values()) rules.wildcards.sort(bySpecificity)
  }

  #add(rule: MergedRule): void {
    let rules = this.#byNamespace.get(rule.namespace)
    if (rules === undefined) {
      rules = { byHost: new Map(), wildcards: [] }
      this.#byNamespace.set(rule.namespace, rules)
    }
    const list = rules.byHost.get(rule.host)
    if (list !== undefined) list.push(rule)
    else {
      rules.byHost.set(rule.host, [rule])
      if (isWildcard(rule.host)) rules.wildcards.push(rule.host)
    }
  }

  find(query: RuleQuery): MergedRule | undefined {
    const { clientNamespace, serviceNamespace } = query
    const namespaces =
      clientNamespace === this.#rootNamespace
        ? [serviceNamespace, clientNamespace]
        : [clientNamespace, serviceNamespace, this.#rootNamespace]
    for (const namespace of new Set(namespaces)) {
      const matching = this.#matching(namespace, query)
      if (matching.length > 0) return chooseRule(matching, query)
    }
    return undefined
  }

  /** Rules of a namespace for the most specific host that covers the service, visible to the client. */
  #matching(namespace: string, query: RuleQuery): readonly MergedRule[] {
    const rules = this.#byNamespace.get(namespace)
    if (rules === undefined) return []
    const scope = { own: namespace, client: query.clientNamespace }
    const covering = rules.wildcards.filter((wildcard) => isCoveredBy(query.host, wildcard))
    for (const host of rules.byHost.has(query.host) ? [query.host, ...covering] : covering) {
      const list = rules.byHost.get(host) ?? []
      const visible = list.filter(({ exportTo }) => isExportedTo(exportTo, scope))
      // As in Istio, another namespace's most specific rule hides its wider ones even when it is not exported.
      if (visible.length > 0 || namespace !== query.clientNamespace) return visible
    }
    return []
  }
}

/** A rule for chosen workloads counts in its own namespace only, and goes before one for all. */
function chooseRule(matching: readonly MergedRule[], query: RuleQuery): MergedRule | undefined {
  const chosen = matching.find(
    ({ selector, namespace }) =>
      selector !== undefined && namespace === query.clientNamespace && query.isSelected(selector),
  )
  return chosen ?? matching.find(({ selector }) => selector === undefined)
}

export function isDestinationRule(resource: Resource): resource is Resource<DestinationRuleSpec> {
  return resource.kind === 'DestinationRule'
}

function exportToOf(spec: DestinationRuleSpec, fallback: readonly string[]): readonly string[] {
  return (spec.exportTo ?? []).length > 0 ? (spec.exportTo ?? []) : fallback
}

function groupKey(resource: Resource<DestinationRuleSpec>, fallback: readonly string[]): string {
  const { spec, metadata } = resource
  const selector = spec.workloadSelector?.matchLabels
  const labels = Object.entries(selector ?? {}).sort(([left], [right]) => compareText(left, right))
  return JSON.stringify([
    metadata.namespace,
    resolveHost(spec.host, metadata.namespace),
    spec.workloadSelector === undefined ? null : labels,
    [...exportToOf(spec, fallback)].sort(),
  ])
}

function isSameRule(
  rule: MergedRule,
  parts: readonly object[],
  exportTo: readonly string[],
): boolean {
  return (
    rule.parts.length === parts.length &&
    rule.parts.every((part, index) => part === parts[index]) &&
    rule.exportTo.join() === exportTo.join()
  )
}

function mergeRules(
  parts: readonly Resource<DestinationRuleSpec>[],
  context: {
    readonly input: TranslationInput
    readonly known: ReadonlyMap<object | undefined, MergedRule>
  },
): MergedRule {
  const [first] = parts
  invariant(first !== undefined, 'a group of rules has a first one')
  const exportTo = exportToOf(first.spec, context.input.mesh.destinationRuleExportTo)
  const known = context.known.get(first)
  if (known !== undefined && isSameRule(known, parts, exportTo)) return known
  const subsets = new Map<string, Subset>()
  for (const subset of parts.flatMap(({ spec }) => spec.subsets ?? [])) {
    if (!subsets.has(subset.name)) subsets.set(subset.name, subset)
  }
  return {
    host: resolveHost(first.spec.host, first.metadata.namespace),
    namespace: first.metadata.namespace,
    parts,
    exportTo,
    selector:
      first.spec.workloadSelector === undefined
        ? undefined
        : (first.spec.workloadSelector.matchLabels ?? {}),
    trafficPolicy: parts.find(({ spec }) => spec.trafficPolicy !== undefined)?.spec.trafficPolicy,
    subsets: [...subsets.values()],
  }
}
