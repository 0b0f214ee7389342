/**
 * Services that stand before the same workloads and disagree about a port: a sidecar has one listener for a port of its
 * application, so one of them loses. Istio's analyzers speak of Deployments; so do we where one is known.
 */
import { flatMapInSteps, type Steps } from '../../lib/steps.ts'
import type { Issue } from '../../model/issue.ts'
import type { ServicePortSpec, ServiceSpec } from '../../model/kubernetes/service.ts'
import type { Resource } from '../../model/resource.ts'
import { issueOf, type Finding } from '../finding.ts'
import { selects, type DeclaredWorkload, type KnownWorkload } from './known-workload.ts'

type Service = Resource<ServiceSpec>

export function* reportSharedPorts(
  resources: ReadonlyMap<string, Resource>,
  workloads: readonly KnownWorkload[],
): Steps<Issue[]> {
  const services = [...resources.values()].filter(
    (resource): resource is Service => resource.kind === 'Service' && resource.apiVersion === 'v1',
  )
  const seen = new Set<string>()
  const byLabel = Map.groupBy(services, labelKeyOf)
  return yield* flatMapInSteps(workloads, (workload) => {
    const candidates = Object.entries(workload.labels).flatMap(
      (label) => byLabel.get(labelKey(workload.namespace, label)) ?? [],
    )
    const chosen = candidates.filter((service) => isBefore(service, workload))
    if (chosen.length < 2) return []
    const findings = [...conflictingProtocols(chosen), ...conflictingTargets(chosen)]
    return findings.flatMap((found) => {
      const issue = placed(found, workload)
      const key = `${issue.code} ${issue.resource} ${issue.message}`
      if (seen.has(key)) return []
      seen.add(key)
      return [issue]
    })
  })
}

/** By the first label of its selector: a workload looks under each of its own. */
function labelKeyOf({ metadata, spec }: Service): string {
  const [first] = Object.entries(spec.selector ?? {})
  return first === undefined ? '' : labelKey(metadata.namespace, first)
}

function labelKey(namespace: string, [key, value]: readonly [string, string]): string {
  return JSON.stringify([namespace, key, value])
}

function isBefore({ metadata, spec }: Service, workload: KnownWorkload): boolean {
  const selector = spec.selector ?? {}
  const isChosen = Object.keys(selector).length > 0 && selects(selector, workload)
  return metadata.namespace === workload.namespace && isChosen
}

interface PlacedPort {
  readonly service: Service
  readonly port: ServicePortSpec
  readonly index: number
}

interface SharedPort {
  readonly at: PlacedPort
  readonly finding: Omit<Finding, 'path'>
}

function portsOf(services: readonly Service[]): readonly PlacedPort[] {
  return services.flatMap((service) =>
    (service.spec.ports ?? []).map((port, index) => ({ service, port, index })),
  )
}

function conflictingProtocols(services: readonly Service[]): SharedPort[] {
  const byNumber = Map.groupBy(portsOf(services), ({ port }) => port.port)
  return [...byNumber].flatMap(([number, ports]) => {
    const protocols = new Set(ports.map(({ port }) => port.protocol ?? 'TCP'))
    const at = ports.at(-1)
    if (protocols.size < 2 || at === undefined) return []
    return {
      at,
      finding: {
        code: 'IST0116',
        severity: 'warning',
        message: `services ${namesOf(ports)} use port ${number} with different protocols: ${[...protocols].join(', ')}`,
        remedy: 'Give the port one protocol in all services of the workload.',
      },
    }
  })
}

function conflictingTargets(services: readonly Service[]): SharedPort[] {
  const byTarget = Map.groupBy(portsOf(services), ({ port }) =>
    String(port.targetPort ?? port.port),
  )
  return [...byTarget].flatMap(([target, ports]) => {
    const numbers = new Set(ports.map(({ port }) => port.port))
    const at = ports.at(-1)
    const isShared = new Set(ports.map(({ service }) => service)).size > 1
    if (numbers.size < 2 || !isShared || at === undefined) return []
    return {
      at,
      finding: {
        code: 'IST0137',
        severity: 'warning',
        message: `services ${namesOf(ports)} lead to target port ${target} from different ports: ${[...numbers].join(', ')}`,
        remedy: 'Use one port for a target port in all services of the workload.',
      },
    }
  })
}

function namesOf(ports: readonly PlacedPort[]): string {
  return [...new Set(ports.map(({ service }) => service.metadata.name))].join(', ')
}

function placed({ at, finding }: SharedPort, workload: KnownWorkload): Issue {
  if (!isDeclared(workload)) {
    return issueOf(at.service, { ...finding, path: `spec.ports[${at.index}]` })
  }
  const { kind, name, file, line, column } = workload
  return { ...finding, path: 'metadata.name', file, line, column, resource: `${kind} ${name}` }
}

function isDeclared(workload: KnownWorkload): workload is DeclaredWorkload {
  return 'file' in workload
}
