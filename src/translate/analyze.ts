/**
 * What is wrong between resources: hosts and subsets that do not exist, hosts that two VirtualServices claim,
 * rules that apply to nothing. What is wrong inside one resource is the model's business.
 *
 * Codes and severities are those of Istio's analyzers.
 */
import { unreachable } from '../lib/assert.ts'
import type { Issue } from '../model/issue.ts'
import type { DestinationRuleSpec } from '../model/istio/destination-rule.ts'
import type { VirtualServiceSpec } from '../model/istio/virtual-service.ts'
import { describeResource, type Resource } from '../model/resource.ts'
import { analyzeSecurity } from './analyze-security.ts'
import { danglingReferences, type Reference } from './dangling.ts'
import { joinDelegates } from './delegate.ts'
import { isDestinationRule, type MergedRule } from './destination-rule-index.ts'
import { hasLabels } from './endpoint.ts'
import { issueOf } from './finding.ts'
import { isCoveredBy, resolveHost } from './host-name.ts'
import type { TranslationInput } from './input.ts'
import { destinationsOf } from './route-destination.ts'
import { isVirtualService, type VirtualService } from './virtual-service-index.ts'
import { buildWorld, endpointsOf, inferredSubsets, type World } from './world.ts'

/** Versions of VirtualServices that are not in force, because they name what does not exist. */
export type Held = ReadonlySet<Resource>

export function analyze(input: TranslationInput, held: Held = new Set()): Issue[] {
  const world = buildWorld(input)
  return [
    ...[...input.resources.values()]
      .filter(isVirtualService)
      .flatMap((resource) => [
        ...reportDangling(world, resource, held),
        ...reportMissingPorts(world, resource),
      ]),
    ...world.virtualServices.all.flatMap((entry) => reportDelegates(world, entry)),
    ...reportConflicts(world.virtualServices.all),
    ...reportInferred(world),
    ...[...input.resources.values()]
      .filter(isDestinationRule)
      .flatMap((resource) => [
        ...reportUnknownHost(world, resource),
        ...reportEmptySubsets(world, resource),
      ]),
    ...analyzeSecurity(world),
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
        remedy: `declare a Service or ServiceEntry for ${host}, or correct the host`,
      }
    case 'subset':
      return {
        path: `${path}.subset`,
        message: `referenced host+subset in destinationrule not found: "${host}+${subset}"; ${consequence}`,
        remedy: `add the subset ${subset} to a DestinationRule for ${host}, or correct the name`,
      }
    case 'delegate':
      return {
        path,
        message: `referenced delegate not found: "${host}"; ${consequence}`,
        remedy: `declare a VirtualService ${host} without hosts, or correct the name`,
      }
    default:
      return unreachable(kind)
  }
}

/** A destination whose service has several ports must say which. */
function reportMissingPorts(world: World, resource: Resource<VirtualServiceSpec>): Issue[] {
  return destinationsOf(resource).flatMap(({ path, destination }) => {
    const host = resolveHost(destination.host, resource.metadata.namespace)
    const ports = world.input.registry.services.get(host)?.ports ?? []
    if (destination.port?.number !== undefined || ports.length < 2) return []
    return issueOf(resource, {
      code: 'IST0112',
      severity: 'error',
      path,
      message:
        `destination "${destination.host}" has ${ports.length} ports ` +
        `(${ports.map(({ number }) => number).join(', ')}) and the route names none; ` +
        'the port that the request was for is used',
      remedy: 'name one with destination.port.number',
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
        remedy: `add ${resource.metadata.namespace} or "*" to the exportTo of ${problem.delegate}`,
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
        'narrow its matches to those of the delegating route; regular expressions never agree',
    })
  })
}

/** Of VirtualServices for one host, only the oldest is used. */
function reportConflicts(all: readonly VirtualService[]): Issue[] {
  const owners = new Map<string, VirtualService>()
  return all.flatMap((virtualService) =>
    virtualService.hosts.flatMap((host) => {
      const owner = owners.get(host)
      if (owner === undefined || !seeEachOther(owner, virtualService)) {
        owners.set(host, owner ?? virtualService)
        return []
      }
      const { resource } = virtualService
      return issueOf(resource, {
        code: 'IST0109',
        severity: 'error',
        path: 'spec.hosts',
        message:
          `host "${host}" is also claimed by ${describeResource(owner.resource)} ` +
          `(${owner.resource.origin.file}:${owner.resource.origin.line}), which is older and is used alone`,
        remedy: 'merge the routes into one VirtualService: the mesh does not',
      })
    }),
  )
}

/** Whether some client sees both. */
function seeEachOther(left: VirtualService, right: VirtualService): boolean {
  const namespacesOf = ({ exportTo, resource }: VirtualService) =>
    exportTo.map((target) => (target === '.' ? resource.metadata.namespace : target))
  const [one, other] = [namespacesOf(left), namespacesOf(right)]
  return one.includes('*') || other.includes('*') || one.some((name) => other.includes(name))
}

function reportInferred(world: World): Issue[] {
  return world.virtualServices.all.flatMap(({ resource }) =>
    destinationsOf(resource).flatMap(({ path, destination }) => {
      const host = resolveHost(destination.host, resource.metadata.namespace)
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
          `define the subset in a DestinationRule, as Istio requires, or switch this off with ` +
          'meshConfig.inferSubsets: false',
      })
    }),
  )
}

function isInferred(
  world: World,
  { host, subset, resource }: { host: string; subset: string; resource: Resource },
): boolean {
  const service = world.input.registry.services.get(host)
  if (service === undefined) return false
  const rule = ruleSeenFrom(world, resource.metadata.namespace, host)
  return inferredSubsets(world, service, rule).some(({ name }) => name === subset)
}

function ruleSeenFrom(world: World, namespace: string, host: string): MergedRule | undefined {
  return world.destinationRules.find({
    host,
    serviceNamespace: world.input.registry.services.get(host)?.namespace ?? '',
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
      remedy: `declare a Service or ServiceEntry for ${host}, or correct the host`,
    }),
  ]
}

/** A subset of labels that no endpoint of the service has. */
function reportEmptySubsets(world: World, resource: Resource<DestinationRuleSpec>): Issue[] {
  const host = resolveHost(resource.spec.host, resource.metadata.namespace)
  const service = world.input.registry.services.get(host)
  if (service === undefined || service.resolution === 'none') return []
  const endpoints = service.ports.flatMap((port) => endpointsOf(world, service, port))
  return (resource.spec.subsets ?? []).flatMap((subset, index) => {
    if (endpoints.some((endpoint) => hasLabels(endpoint, subset.labels))) return []
    return issueOf(resource, {
      code: 'IST0173',
      severity: 'error',
      path: `spec.subsets[${index}]`,
      message:
        `subset "${subset.name}" selects no workload of ${host} ` +
        `(labels ${JSON.stringify(subset.labels ?? {})})`,
      remedy: 'correct the labels, or start a workload that has them',
    })
  })
}
