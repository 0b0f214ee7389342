/**
 * Which DestinationRule applies when a client in one namespace calls a service of another.
 *
 * Istio's order: rules of the client's own namespace, then those that the service's namespace exports, then
 * those that the root namespace exports. The first group with a matching host decides; groups do not merge.
 * Inside a group the most specific host wins, and rules for the same host merge, oldest first: subsets are
 * added up (the first of a name stays), the traffic policy is that of the first rule that has one.
 *
 * Only rules for the same workloads and with the same `exportTo`, as written, merge. One that is exported further
 * adds to the narrower one too, and stands beside it for the namespaces that only it names. A rule for chosen
 * workloads is one with `exportTo: ['.']`, to which rules for all that name `.` add. Of several for all workloads
 * the youngest counts.
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
  readonly #keys = new Map<Resource, RuleKey>()

  constructor(input: TranslationInput, previous?: DestinationRules) {
    this.#rootNamespace = input.mesh.rootNamespace
    const resources = [...input.resources.values()].filter(isDestinationRule).sort(bySelectorAndAge)
    const keys = previous === undefined ? undefined : previous.#keys
    const places = new Map<string, RuleGroup[]>()
    const groups: RuleGroup[] = []
    for (const resource of resources) {
      const key = keys?.get(resource) ?? keyOf(resource)
      this.#keys.set(resource, key)
      let place = places.get(key.place)
      if (place === undefined) places.set(key.place, (place = []))
      if (joinGroups(place, resource, key)) continue
      const group = { key, parts: [resource] }
      place.push(group)
      groups.push(group)
    }
    const known = new Map(previous?.all.map((rule) => [rule.parts[0], rule]))
    this.all = groups.map(({ parts }) => mergeRules(parts, { input, known }))
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
    const root = this.#rootNamespace
    // Rules that the root namespace has for everybody would hide those of services from its own clients.
    const own = clientNamespace === root ? isPrivate : isForOwn
    return (
      this.#findIn(clientNamespace, query, { counts: own, sees: always }) ??
      this.#findIn(serviceNamespace, query, { counts: isExported, sees: isVisible }) ??
      this.#findIn(root, query, { counts: isExported, sees: isVisible })
    )
  }

  /**
   * In one namespace, the rule for the most specific host among those that count. Whether the client sees it is asked
   * after that: as in Istio, a rule that is exported to others hides the wider ones.
   */
  #findIn(
    namespace: string,
    query: RuleQuery,
    { counts, sees }: { readonly counts: RuleTest; readonly sees: RuleTest },
  ): MergedRule | undefined {
    const rules = this.#byNamespace.get(namespace)
    if (rules === undefined) return undefined
    const covering = rules.wildcards.filter((wildcard) => isCoveredBy(query.host, wildcard))
    for (const host of [query.host, ...covering]) {
      const list = (rules.byHost.get(host) ?? []).filter((rule) => counts(rule, query))
      if (list.length === 0) continue
      return chooseRule(
        list.filter((rule) => sees(rule, query)),
        query,
      )
    }
    return undefined
  }
}

type RuleTest = (rule: MergedRule, query: RuleQuery) => boolean

const always: RuleTest = () => true

/** For clients of its own namespace, among others perhaps. */
const isForOwn: RuleTest = ({ exportTo, namespace }) =>
  isExportedTo(exportTo, { own: namespace, client: namespace })

/** For clients of its own namespace, and nobody else. */
const isPrivate: RuleTest = ({ exportTo, namespace }) =>
  exportTo.length > 0 && exportTo.every((target) => target === '.' || target === namespace)

const isExported: RuleTest = (rule, query) => !isPrivate(rule, query)

const isVisible: RuleTest = ({ exportTo, namespace }, { clientNamespace }) =>
  isExportedTo(exportTo, { own: namespace, client: clientNamespace })

/** A rule for chosen workloads counts in its own namespace only, and goes before one for all. */
function chooseRule(matching: readonly MergedRule[], query: RuleQuery): MergedRule | undefined {
  const chosen = matching.find(
    ({ selector, namespace }) =>
      selector !== undefined && namespace === query.clientNamespace && query.isSelected(selector),
  )
  if (chosen !== undefined) return chosen
  const forAll = matching.filter(({ selector }) => selector === undefined)
  // One that a narrower rule has taken in says nothing more here.
  return forAll.findLast(
    ({ parts: [first] }, index) =>
      first === undefined || !forAll.slice(0, index).some(({ parts }) => parts.includes(first)),
  )
}

export function isDestinationRule(resource: Resource): resource is Resource<DestinationRuleSpec> {
  return resource.kind === 'DestinationRule'
}

/** A rule for chosen workloads is for those of its own namespace, whatever it says. */
function exportToOf(spec: DestinationRuleSpec, fallback: readonly string[]): readonly string[] {
  if (spec.workloadSelector !== undefined) return ['.']
  return (spec.exportTo ?? []).length > 0 ? (spec.exportTo ?? []) : fallback
}

/** What must agree for two rules to merge. */
interface RuleKey {
  /** Namespace and host. */
  readonly place: string
  readonly selector: string
  /** As written. */
  readonly exportTo: ReadonlySet<string>
}

interface RuleGroup {
  readonly key: RuleKey
  readonly parts: Resource<DestinationRuleSpec>[]
}

function keyOf({ spec, metadata }: Resource<DestinationRuleSpec>): RuleKey {
  const { workloadSelector } = spec
  const labels = Object.entries(workloadSelector?.matchLabels ?? {}).sort(([left], [right]) =>
    compareText(left, right),
  )
  return {
    place: `${metadata.namespace} ${resolveHost(spec.host, metadata.namespace)}`,
    selector: workloadSelector === undefined ? '' : JSON.stringify(labels),
    exportTo: new Set(exportToOf(spec, [])),
  }
}

/** Adds a rule to those that take it in; whether it needs no group of its own then. */
function joinGroups(
  groups: readonly RuleGroup[],
  resource: Resource<DestinationRuleSpec>,
  { selector, exportTo }: RuleKey,
): boolean {
  let isJoined = false
  for (const { key, parts } of groups) {
    const isOther = key.selector !== selector
    // Rules for chosen workloads take those for all in, and these stand for the others besides.
    if (isOther && selector !== '') continue
    const isWithin = [...key.exportTo].every((target) => exportTo.has(target))
    const isSame = isWithin && key.exportTo.size === exportTo.size
    if (isSame || (isWithin && key.exportTo.size > 0)) parts.push(resource)
    isJoined ||= isSame && !isOther
  }
  return isJoined
}

/** As Istio sorts them: rules for chosen workloads first. */
function bySelectorAndAge(
  left: Resource<DestinationRuleSpec>,
  right: Resource<DestinationRuleSpec>,
): number {
  const isForAll = ({ spec }: Resource<DestinationRuleSpec>) =>
    spec.workloadSelector === undefined ? 1 : 0
  return isForAll(left) - isForAll(right) || byAge(left, right)
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
