/**
 * What is wrong between resources: hosts and subsets that do not exist, hosts that two VirtualServices claim,
 * rules that apply to nothing. What is wrong inside one resource is the model's business.
 *
 * Codes and severities are those of Istio's analyzers; docs/reference/issues.md names the exceptions.
 */
import { unreachable } from '../lib/assert.ts'
import { flatMapInSteps, runToEnd, type Steps } from '../lib/steps.ts'
import type { Issue } from '../model/issue.ts'
import type { DestinationRuleSpec } from '../model/istio/destination-rule.ts'
import type { VirtualServiceSpec } from '../model/istio/virtual-service.ts'
import type { ServiceSpec } from '../model/kubernetes/service.ts'
import { describeResource, type Resource } from '../model/resource.ts'
import type { Service } from '../registry/service.ts'
import { reportAnnotations } from './analysis/annotation.ts'
import { reportConflicts } from './analysis/conflict.ts'
import { reportGateways } from './analysis/gateway.ts'
import {
  knownWorkloads,
  labelsText,
  selects,
  type DeclaredWorkload,
  type KnownWorkload,
  type Labels,
} from './analysis/known-workload.ts'
import { reportNamespaces } from './analysis/policy-namespace.ts'
import { destinationReferences } from './analysis/reference.ts'
import { reportSelectors } from './analysis/selector.ts'
import { reportSharedPorts } from './analysis/shared-port.ts'
import { withoutSuppressed } from './analysis/suppress.ts'
import { analyzeSecurity } from './analyze-security.ts'
import { calledHost } from './called-host.ts'
import { danglingReferences, type Reference } from './dangling.ts'
import { joinDelegates } from './delegate.ts'
import { isDestinationRule, type MergedRule } from './destination-rule-index.ts'
import { hasLabels } from './endpoint.ts'
import { issueOf } from './finding.ts'
import { healthCheckFindings } from './health-check.ts'
import { isCoveredBy, resolveHost } from './host-name.ts'
import type { TranslationInput } from './input.ts'
import { destinationsOf } from './route-destination.ts'
import { isVirtualService, type VirtualService } from './virtual-service-index.ts'
import {
  buildWorld,
  endpointsOf,
  inferredSubsets,
  namedSubsets,
  serviceSeenFrom,
  type World,
} from './world.ts'

/** Versions of VirtualServices that are not in force, because they name what does not exist. */
export type Held = ReadonlySet<Resource>

export interface AnalyzeOptions {
  readonly held?: Held
  /** What files for a cluster say of workloads, beside what the registry knows. */
  readonly declared?: readonly DeclaredWorkload[]
  /** Those that files for a cluster declare. */
  readonly namespaces?: readonly string[]
  /** Of the input, for whoever has it. */
  readonly world?: World
}

export function analyze(input: TranslationInput, options: AnalyzeOptions = {}): readonly Issue[] {
  return runToEnd(analyzeInSteps(input, options))
}

/** The same, for a control plane that has others to serve meanwhile. */
export function* analyzeInSteps(
  input: TranslationInput,
  options: AnalyzeOptions = {},
): Steps<readonly Issue[]> {
  const { held = new Set(), declared = [], namespaces = [] } = options
  const world = options.world ?? buildWorld(input)
  yield
  const { resources, mesh } = input
  const workloads = knownWorkloads(world, declared)
  yield
  const issues = [
    ...(yield* analyzeRouting(world, { held, workloads, declared })),
    ...(yield* analyzeSecurity(world)),
    ...reportGateways(resources),
  ]
  yield
  issues.push(...(yield* reportSelectors(resources, workloads, mesh.rootNamespace)))
  issues.push(...(yield* reportSharedPorts(resources, workloads)))
  issues.push(...reportAnnotations(resources))
  yield
  issues.push(...reportNamespaces(resources, { workloads, namespaces }))
  yield
  return withoutSuppressed(issues, resources.values())
}

interface RoutingOptions extends Required<Pick<AnalyzeOptions, 'held' | 'declared'>> {
  readonly workloads: readonly KnownWorkload[]
}

function* analyzeRouting(world: World, options: RoutingOptions): Steps<Issue[]> {
  const { held } = options
  const { resources } = world.input
  const { all } = world.virtualServices
  return [
    ...(yield* flatMapInSteps([...resources.values()].filter(isVirtualService), (resource) => [
      ...reportDangling(world, resource, held),
      ...reportPorts(world, resource),
    ])),
    ...(yield* flatMapInSteps(all, (entry) => reportDelegates(world, entry))),
    ...(yield* reportConflicts(all)),
    ...(yield* flatMapInSteps(all, (entry) => reportInferred(world, entry))),
    ...(yield* flatMapInSteps([...resources.values()].filter(isDestinationRule), (resource) => [
      ...reportUnknownHost(world, resource),
      ...healthCheckFindings(resource).map((finding) => issueOf(resource, finding)),
      ...reportEmptySubsets(world, resource, options),
    ])),
  ]
}

function reportDangling(world: World, resource: Resource<VirtualServiceSpec>, held: Held): Issue[] {
  const isHeld = held.has(resource)
  return danglingReferences(world, resource).map((reference) => {
    const kept = 'the last good version of this VirtualService stays in force'
    const isCopy = /\.mirrors?\b/.test(reference.path)
    const otherwise = isCopy
      ? 'copies that the route sends there are lost'
      : consequences[reference.kind]
    const consequence = isHeld ? kept : otherwise
    return issueOf(resource, {
      code: 'IST0101',
      severity: 'error',
      ...describeDangling(reference, consequence),
    })
  })
}

const consequences: Readonly<Record<Reference['kind'], string>> = {
  host: 'requests that the route sends there get 503 (NC)',
  subset: 'requests that the route sends there get 503 (NC)',
  delegate: 'the route is left out, and later routes get its requests',
}

function describeDangling({ kind, path, host, subset }: Reference, consequence: string) {
  switch (kind) {
    case 'host':
      return {
        path: `${path}.host`,
        message: `referenced host not found: "${host}"; ${consequence}`,
        remedy: `Declare a Service or ServiceEntry for ${host}, export it to this namespace, or correct the host.`,
      }
    case 'subset':
      return {
        path: `${path}.subset`,
        message: `referenced host+subset in destinationrule not found: "${host}+${subset}"; ${consequence}`,
        remedy: `Add the subset ${subset} to a DestinationRule for ${host}, or correct the name.`,
      }
    case 'delegate':
      return {
        path,
        message: `referenced delegate not found: "${host}"; ${consequence}`,
        remedy: `Declare a VirtualService ${host} without hosts, or correct the name.`,
      }
    default:
      return unreachable(kind)
  }
}

/** A destination whose service has several ports must say which, and it must be one of them. */
function reportPorts(world: World, resource: Resource<VirtualServiceSpec>): Issue[] {
  return destinationReferences(resource).flatMap(({ path, destination }) => {
    const host = calledHost(world, resolveHost(destination.host, resource.metadata.namespace))
    const ports = serviceSeenFrom(world, resource.metadata.namespace, host)?.ports ?? []
    const numbers = ports.map(({ number }) => number)
    const wanted = destination.port?.number ?? 0
    if (wanted !== 0 && numbers.length > 0 && !numbers.includes(wanted)) {
      return issueOf(resource, {
        code: 'IST0101',
        severity: 'error',
        path: `${path}.port.number`,
        message:
          `referenced host:port not found: "${destination.host}:${wanted}"; ` +
          `the service has ${numbers.join(', ')}`,
        remedy: 'Name one of the ports of the service, or add the port to it.',
      })
    }
    if (wanted !== 0 || numbers.length < 2) return []
    return issueOf(resource, {
      code: 'IST0112',
      severity: 'error',
      path,
      message:
        `destination "${destination.host}" has ${ports.length} ports (${numbers.join(', ')}) ` +
        'and the route names none; the port that the request was for is used',
      remedy: 'Name one with destination.port.number.',
    })
  })
}

/** Delegates that are there and cannot be used, whole or in part. */
function reportDelegates(world: World, { resource, fallback }: VirtualService): Issue[] {
  const { problems } = joinDelegates(resource, world.virtualServices.delegates, fallback)
  return problems.flatMap((problem) => {
    if (problem.kind === 'missing') return []
    if (problem.kind === 'hidden') {
      return issueOf(resource, {
        code: 'IST0101',
        severity: 'error',
        path: problem.path,
        message:
          `delegate "${problem.delegate}" is not exported to namespace ${resource.metadata.namespace}; ` +
          consequences.delegate,
        remedy: `Add ${resource.metadata.namespace} or "*" to the exportTo of ${problem.delegate}.`,
      })
    }
    return issueOf(problem.resource, {
      code: 'TUL0015',
      severity: 'warning',
      path: problem.path,
      message:
        `this route is left out: it matches requests that ${describeResource(resource)} does not delegate ` +
        `(${resource.origin.file}:${String(resource.origin.positionOf(problem.from).line)})`,
      remedy:
        'Narrow its matches to those of the delegating route; regular expressions never agree.',
    })
  })
}

function reportInferred(world: World, { resource }: VirtualService): Issue[] {
  return destinationsOf(resource).flatMap(({ path, destination }) => {
    const host = calledHost(world, resolveHost(destination.host, resource.metadata.namespace))
    const { subset } = destination
    if (subset === undefined || !isInferred(world, { host, subset, resource })) return []
    return issueOf(resource, {
      code: 'TUL0013',
      severity: 'warning',
      path: `${path}.subset`,
      message:
        `no DestinationRule defines subset "${subset}" of ${host}; ` +
        `its workloads with the label version=${subset} are meant`,
      remedy:
        `Define the subset in a DestinationRule, as Istio requires, or switch this off with ` +
        'meshConfig.inferSubsets: false.',
    })
  })
}

function isInferred(
  world: World,
  { host, subset, resource }: { host: string; subset: string; resource: Resource },
): boolean {
  const service = serviceSeenFrom(world, resource.metadata.namespace, host)
  if (service === undefined) return false
  const rule = ruleSeenFrom(world, resource.metadata.namespace, host)
  return inferredSubsets(world, service, rule).some(({ name }) => name === subset)
}

function ruleSeenFrom(world: World, namespace: string, host: string): MergedRule | undefined {
  return world.destinationRules.find({
    host,
    serviceNamespace: serviceSeenFrom(world, namespace, host)?.namespace ?? '',
    clientNamespace: namespace,
    isSelected: () => true,
  })
}

function reportUnknownHost(world: World, resource: Resource<DestinationRuleSpec>): Issue[] {
  const host = resolveHost(resource.spec.host, resource.metadata.namespace)
  const { services } = world.input.registry
  if (services.has(host) || [...services.keys()].some((name) => isCoveredBy(name, host))) return []
  if ([...services.keys()].some((name) => isCoveredBy(host, name))) return []
  return [
    issueOf(resource, {
      code: 'IST0174',
      severity: 'warning',
      path: 'spec.host',
      message: `host "${resource.spec.host}" matches no service of the mesh`,
      remedy: `Declare a Service or ServiceEntry for ${host}, or correct the host.`,
    }),
  ]
}

/** A subset of labels that no workload of the service has, as far as anybody knows of workloads. */
function reportEmptySubsets(
  world: World,
  resource: Resource<DestinationRuleSpec>,
  { workloads, declared }: RoutingOptions,
): Issue[] {
  const host = resolveHost(resource.spec.host, resource.metadata.namespace)
  const service = serviceSeenFrom(world, resource.metadata.namespace, host)
  if (service === undefined || service.resolution === 'none' || workloads.length === 0) return []
  const endpoints = service.ports.flatMap((port) => endpointsOf(world, service, port))
  return (resource.spec.subsets ?? []).flatMap((subset, index) => {
    if (endpoints.some((endpoint) => hasLabels(endpoint, subset.labels))) return []
    if (chosenBy(world, service, declared).some((one) => hasLabels(one, subset.labels))) return []
    const isUsed = namedSubsets(world, service).has(subset.name)
    return issueOf(resource, {
      code: 'IST0173',
      // Rules often define what is not there yet; nobody is hurt until a route leads there.
      severity: isUsed ? 'error' : 'info',
      path: `spec.subsets[${index}]`,
      message:
        `subset "${subset.name}" selects no workload of ${host} ` +
        `(labels ${labelsText(subset.labels ?? {}) || 'none'})${isUsed ? '' : ', and no route leads to it'}`,
      remedy: 'Correct the labels, or start a workload that has them.',
    })
  })
}

function chosenBy(
  world: World,
  service: Service,
  workloads: readonly KnownWorkload[],
): readonly KnownWorkload[] {
  // What has joined has an endpoint.
  const selector = workloads.length === 0 ? undefined : selectorOf(world, service)
  if (selector === undefined) return []
  return workloads.filter(
    (workload) => workload.namespace === service.namespace && selects(selector, workload),
  )
}

/** Of the Service resource, for workloads that have not joined. */
function selectorOf({ input }: World, { hostname }: Service): Labels | undefined {
  for (const { kind, metadata, spec } of input.resources.values()) {
    if (kind !== 'Service') continue
    if (resolveHost(metadata.name, metadata.namespace) !== hostname) continue
    const { selector } = spec as ServiceSpec // the model has read it
    return Object.keys(selector ?? {}).length > 0 ? selector : undefined
  }
  return undefined
}
