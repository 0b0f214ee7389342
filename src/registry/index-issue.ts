/**
 * What can only be said about services when all declarations and workloads are seen together. A resource's own
 * mistakes are the model's business; what one declaration alone shows is said where it is declared.
 */
import type { Issue } from '../model/issue.ts'
import { issueAt, placeOf } from './declaration.ts'
import type { Declaration } from './declaration.ts'
import { memberEndpoint } from './endpoint.ts'
import { isJoined } from './service-index.ts'
import type { ServiceIndex } from './service-index.ts'

export function indexIssues(index: ServiceIndex): Issue[] {
  const issues: Issue[] = []
  for (const ranked of index.declared()) {
    issues.push(...overruled(ranked), ...conflictingProtocols(ranked))
    const wrapped = ranked.map((declaration) => ({ declaration }))
    for (const declaration of ranked) {
      if (isJoined(declaration, wrapped)) issues.push(...unservedPorts(declaration, index))
    }
  }
  return issues
}

/** Declarations that the first one of their host leaves without effect. */
function overruled(ranked: readonly Declaration[]): Issue[] {
  const [first] = ranked
  if (first === undefined) return []
  const wrapped = ranked.map((declaration) => ({ declaration }))
  return ranked.flatMap((declaration) => {
    if (declaration.resource === undefined || isJoined(declaration, wrapped)) return []
    return issueAt(declaration.resource, declaration.path, {
      code: 'TUL0301',
      severity: 'warning',
      message: `${declaration.hostname} is declared by ${placeOf(first)} ${differenceOf(declaration, first)}; that one is used`,
      remedy: 'Keep one of the two, or give them different hosts.',
    })
  })
}

function differenceOf(declaration: Declaration, first: Declaration): string {
  if (declaration.namespace !== first.namespace) {
    return `in namespace ${first.namespace} (services of one host in several namespaces are not implemented yet)`
  }
  if (declaration.resolution !== first.resolution) return 'with another resolution'
  return 'too'
}

/** IST0177: ServiceEntries that are visible together give one port different protocols. One issue for each. */
function conflictingProtocols(ranked: readonly Declaration[]): Issue[] {
  const entries = ranked.filter(({ kind }) => kind === 'ServiceEntry')
  const numbers = new Set(entries.flatMap(({ ports }) => ports.map(({ number }) => number)))
  const issues = new Map<Declaration, Issue>()
  for (const number of numbers) {
    for (const entry of entries) {
      const protocol = protocolOf(entry, number)
      if (protocol === undefined || entry.resource === undefined || issues.has(entry)) continue
      const others = entries.filter((other) => {
        const otherProtocol = protocolOf(other, number)
        const isOther = otherProtocol !== undefined && otherProtocol !== protocol
        return isOther && areVisibleTogether(entry, other)
      })
      if (others.length === 0) continue
      const said = [entry, ...others].map(
        (other) => `${placeOf(other)} says ${protocolOf(other, number) ?? ''}`,
      )
      issues.set(
        entry,
        issueAt(entry.resource, `spec.ports[${portIndex(entry, number)}].protocol`, {
          code: 'IST0177',
          severity: 'warning',
          message: `port ${number} of ${entry.hostname} has conflicting protocols: ${said.join(', ')}`,
          remedy: 'Give the port one protocol in all ServiceEntries of the host.',
        }),
      )
    }
  }
  return [...issues.values()]
}

function portIndex({ ports }: Declaration, number: number): number {
  return ports.findIndex((port) => port.number === number)
}

function protocolOf(declaration: Declaration, number: number): string | undefined {
  return declaration.ports.find((port) => port.number === number)?.protocol
}

function areVisibleTogether(a: Declaration, b: Declaration): boolean {
  const [one, other] = [scopesOf(a), scopesOf(b)]
  if (one.has('*') || other.has('*')) return true
  return [...one].some((scope) => other.has(scope))
}

function scopesOf({ exportTo, namespace }: Declaration): Set<string> {
  if (exportTo.length === 0) return new Set(['*'])
  return new Set(exportTo.map((target) => (target === '.' ? namespace : target)))
}

/** A port that none of the service's workloads serves, though it has some: most likely a wrong target port. */
function unservedPorts(declaration: Declaration, index: ServiceIndex): Issue[] {
  const { resource, fixed, resolution } = declaration
  if (resource === undefined || fixed.length > 0 || resolution === 'none') return []
  const members = index.membersOf(declaration)
  if (members.length === 0) return []
  return declaration.ports.flatMap((port, position) => {
    if (members.some((member) => memberEndpoint(member, declaration, port) !== undefined)) return []
    const path = declaration.kind === 'mesh' ? declaration.path : 'spec'
    return issueAt(resource, `${path}.ports[${position}]`, {
      code: 'TUL0302',
      severity: 'warning',
      message: `none of the ${members.length} workloads of ${declaration.hostname} serves port ${port.number} (target port ${port.targetPort})`,
      remedy: 'Correct targetPort, or name the port as the workloads do.',
    })
  })
}
