/**
 * An explanation with the user's own files in it: what the sidecar's configuration decides, joined with the resource,
 * file and line of each rule, and with the rules that were left out for this client before any request came.
 */
import type { Issue } from '../../model/issue.ts'
import type { HttpMatchRequest, VirtualServiceSpec } from '../../model/istio/virtual-service.ts'
import { describeResource, type Resource } from '../../model/resource.ts'
import type {
  ExplainedAction,
  ExplainedListener,
  ExplainedRoute,
  Provenance,
  ProxyExplanation,
  Verdict,
} from '../../proxy/explain/explanation.ts'
import type { RequestLine } from '../../proxy/explain/request-target.ts'
import type { ExplainedCondition, ExplainedHost } from '../../proxy/route/explain-route.ts'
import { exclusionOf, type Exclusion, type MatchScope } from '../../translate/route-match.ts'
import { isVirtualService } from '../../translate/virtual-service-index.ts'
import type { ExplainedClient, ExplainSource } from './explain-source.ts'
import { passedOver, type PassedOver } from './passed-over.ts'

/** The JSON of `tulle explain -o json`; fields are added and never change their meaning. */
export interface ExplainReport {
  readonly apiVersion: 'tulle.dev/v1alpha1'
  readonly kind: 'Explanation'
  readonly mode: 'live' | 'offline'
  readonly request: RequestLine
  readonly from: ExplainedClient
  readonly listener?: ExplainedListener
  readonly virtualHost?: ExplainedHost
  /** The sidecar is on demand and has not called this: what follows is what the control plane would give it now. */
  readonly fetchedOnFirstCall?: true
  /** In the order in which they are tried, up to the one that matched. */
  readonly rules: readonly ExplainedRule[]
  /** VirtualServices that name the host and have no say. */
  readonly passedOver: readonly PassedOver[]
  readonly action?: ExplainedAction
  /** Where the resources stand that the action names. */
  readonly sources: readonly RuleSource[]
  readonly verdict: Verdict
  /** What is wrong with the resources that took part, and with those that cannot, because they are refused. */
  readonly issues: readonly Issue[]
  /** Of those, the resources of which no version is in force; the empty name stands for what is no resource at all. */
  readonly refused: readonly string[]
}

export interface ExplainedRule {
  readonly name: string
  readonly source?: RuleSource
  /** `excluded`: left out for this client, whatever the request. */
  readonly outcome: 'matched' | 'failed' | 'excluded'
  readonly conditions: readonly ExplainedCondition[]
}

export interface RuleSource {
  /** `VirtualService default/reviews` */
  readonly resource: string
  readonly file: string
  readonly line: number
  /** `spec.http[0].match[1]` */
  readonly path: string
}

export async function explainReport(
  source: ExplainSource,
  request: RequestLine,
): Promise<ExplainReport> {
  const now = source.explain(request)
  const fetched = isMissing(now) ? await source.explainFirstCall?.(request) : undefined
  const { listener, virtualHost, tried, action, verdict } = fetched ?? now
  const resources = await findResources(source, [
    ...tried.flatMap(({ provenance }) =>
      provenance === undefined ? [] : [provenance, rootOf(provenance)],
    ),
    ...rulesOf(action),
  ])
  const names = new Set([...resources.values()].map(describeResource))
  const all = await source.issues()
  const refused = await refusedIn(all, source)
  const issues = all.filter(({ resource }) => names.has(resource) || refused.has(resource))
  return {
    apiVersion: 'tulle.dev/v1alpha1',
    kind: 'Explanation',
    mode: source.mode,
    request,
    from: clientOnly(source.client),
    ...(listener && { listener }),
    ...(virtualHost && { virtualHost }),
    ...(fetched && { fetchedOnFirstCall: true as const }),
    rules: joinRules(tried, { resources, virtualHost, client: source.client }),
    // What decides inside a tunnel is asked when a request comes out of it.
    passedOver:
      action?.kind === 'tunnel' ? [] : await findPassedOver(source, { tried, virtualHost }),
    ...(action && { action }),
    sources: rulesOf(action).flatMap((provenance) => sourceOf(provenance, resources) ?? []),
    verdict,
    issues,
    refused: [...refused],
  }
}

/** Kinds without which a request goes elsewhere. */
const deciding = new Set([
  'VirtualService',
  'DestinationRule',
  'ServiceEntry',
  'Sidecar',
  'Service',
])

/** Resources with errors of which no version is in force; the empty name stands for what is no resource at all. */
async function refusedIn(
  issues: readonly Issue[],
  source: ExplainSource,
): Promise<ReadonlySet<string>> {
  const errors = issues.filter(({ severity }) => severity === 'error')
  const refused = new Set<string>()
  for (const text of new Set(errors.map(({ resource }) => resource))) {
    const [, kind = '', namespace = '', name = ''] = /^(\S+) ([^/]*)\/(.+)$/.exec(text) ?? []
    if (text !== '' && !deciding.has(kind)) continue
    const known = text === '' ? undefined : await source.resource({ kind, namespace, name })
    if (known === undefined) refused.add(text)
  }
  return refused
}

/** A sidecar on demand may still fetch what it lacks: the host, or a cluster behind it. */
function isMissing({ listener, virtualHost, verdict }: ProxyExplanation): boolean {
  return listener !== undefined && (virtualHost === undefined || verdict.flag === 'NC')
}

async function findPassedOver(
  source: ExplainSource,
  { tried, virtualHost }: Pick<ProxyExplanation, 'tried' | 'virtualHost'>,
): Promise<readonly PassedOver[]> {
  // One that came on demand is named with its table: `http_proxy/reviews.default.svc.cluster.local:9080`.
  const [, host, port] = /^(?:.*\/)?(.*):(\d+)$/.exec(virtualHost?.name ?? '') ?? []
  if (host === undefined) return []
  const used = tried.flatMap(({ provenance }) => (provenance ? nameOf(rootOf(provenance)) : []))
  return passedOver({
    virtualServices: await source.virtualServices(),
    exportTo: source.exportTo,
    host,
    used: new Set(used),
    scope: scopeOf({ port: Number(port), client: source.client }),
  })
}

function clientOnly({ workload, namespace, labels }: ExplainedClient): ExplainedClient {
  return { workload, namespace, labels }
}

type Resources = ReadonlyMap<string, Resource>

async function findResources(
  source: ExplainSource,
  wanted: readonly Provenance[],
): Promise<Resources> {
  const found = new Map<string, Resource>()
  for (const reference of wanted) {
    const name = nameOf(reference)
    const resource = found.get(name) ?? (await source.resource(reference))
    if (resource !== undefined) found.set(name, resource)
  }
  return found
}

function nameOf({ kind, namespace, name }: Provenance): string {
  return `${kind} ${namespace}/${name}`
}

/** The VirtualService that names the host. */
function rootOf(provenance: Provenance): Provenance {
  return { ...provenance, ...provenance.delegatedBy }
}

/** DestinationRules of the destinations. */
function rulesOf(action: ExplainedAction | undefined): readonly Provenance[] {
  if (action === undefined || !('destinations' in action)) return []
  const inside = 'inside' in action ? (action.inside?.destinations ?? []) : []
  const all = [...action.destinations, ...inside].flatMap(
    ({ settings }) => settings?.destinationRule ?? [],
  )
  return [...new Map(all.map((one) => [nameOf(one), one])).values()]
}

function sourceOf(provenance: Provenance, resources: Resources): RuleSource | undefined {
  const resource = resources.get(nameOf(provenance))
  const { path } = provenance
  if (resource === undefined) return { resource: nameOf(provenance), file: '', line: 0, path }
  return placeOf(resource, path)
}

function placeOf(resource: Resource, path: string): RuleSource {
  const { file, line } = path === '' ? resource.origin : resource.origin.positionOf(path)
  return { resource: describeResource(resource), file, line, path }
}

interface JoinInput {
  readonly resources: Resources
  readonly virtualHost: ExplainedHost | undefined
  readonly client: ExplainedClient
}

/** Rules that were left out stand where they stand in their VirtualService, before the first later one. */
function joinRules(tried: readonly ExplainedRoute[], input: JoinInput): readonly ExplainedRule[] {
  let left = excludedRules(tried, input)
  const joined: ExplainedRule[] = []
  for (const route of tried) {
    const source = route.provenance && sourceOf(route.provenance, input.resources)
    const before = left.filter((rule) => isBefore(rule.source, source))
    left = left.filter((rule) => !before.includes(rule))
    joined.push(...before, {
      name: route.name,
      ...(source && { source }),
      outcome: route.isMatch ? 'matched' : 'failed',
      conditions: route.conditions,
    })
  }
  return tried.at(-1)?.isMatch === true ? joined : [...joined, ...left]
}

function isBefore(one: RuleSource | undefined, other: RuleSource | undefined): boolean {
  if (one === undefined || one.resource !== other?.resource) return false
  const [left, right] = [one.path, other.path].map(positionsIn)
  const [leftHttp = 0, leftMatch = 0] = left ?? []
  const [rightHttp = 0, rightMatch = 0] = right ?? []
  return leftHttp === rightHttp ? leftMatch < rightMatch : leftHttp < rightHttp
}

/** `spec.http[2].match[1]` → 2, 1 */
function positionsIn(path: string): readonly number[] {
  return [...path.matchAll(/\[(\d+)\]/g)].map(([, index]) => Number(index))
}

function excludedRules(tried: readonly ExplainedRoute[], input: JoinInput): ExplainedRule[] {
  const named = tried.flatMap(({ provenance }) =>
    provenance === undefined ? [] : [nameOf(rootOf(provenance)), nameOf(provenance)],
  )
  const port = Number(/:(\d+)$/.exec(input.virtualHost?.name ?? '')?.[1] ?? 80)
  return [...new Set(named)].flatMap((name) => {
    const resource = input.resources.get(name)
    if (resource === undefined || !isVirtualService(resource)) return []
    return excludedBlocks(resource, { port, client: input.client })
  })
}

interface Asker {
  readonly port: number
  readonly client: ExplainedClient
}

function excludedBlocks(resource: Resource<VirtualServiceSpec>, asker: Asker): ExplainedRule[] {
  const scope = scopeOf(asker)
  return (resource.spec.http ?? []).flatMap(({ name = '', match }, http) =>
    (match ?? []).flatMap((block, index): ExplainedRule[] => {
      const exclusion = exclusionOf(block, scope)
      if (exclusion === undefined) return []
      const source = placeOf(resource, `spec.http[${http}].match[${index}]`)
      const condition = { ...exclusionText(exclusion, block, asker), isMet: false }
      return [{ name, source, outcome: 'excluded', conditions: [condition] }]
    }),
  )
}

function scopeOf({ port, client: { namespace, labels } }: Asker): MatchScope {
  return {
    port,
    clientNamespace: namespace,
    isSelected: (selector) =>
      Object.entries(selector).every(([key, value]) => labels[key] === value),
  }
}

function exclusionText(exclusion: Exclusion, block: HttpMatchRequest, { port, client }: Asker) {
  switch (exclusion) {
    case 'port':
      return { subject: 'port', wanted: String(block.port), got: String(port) }
    case 'sourceLabels': {
      const { sourceLabels = {} } = block
      const own = Object.keys(sourceLabels).filter((key) => client.labels[key] !== undefined)
      const got = labelsText(Object.fromEntries(own.map((key) => [key, client.labels[key] ?? ''])))
      return {
        subject: 'sourceLabels',
        wanted: labelsText(sourceLabels),
        got: got === '' ? undefined : got,
      }
    }
    case 'sourceNamespace':
      return {
        subject: 'sourceNamespace',
        wanted: block.sourceNamespace ?? '',
        got: client.namespace,
      }
    case 'gateways':
      return { subject: 'gateways', wanted: (block.gateways ?? []).join(', '), got: 'mesh' }
    case 'claims':
    default:
      return { subject: 'claims of a token', wanted: 'a gateway', got: 'a sidecar' }
  }
}

function labelsText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(', ')
}
