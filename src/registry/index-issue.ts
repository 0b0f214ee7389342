/**
 * What can only be said about services when all declarations and workloads are seen together. A resource's own
 * mistakes are the model's business; what one declaration alone shows is said where it is declared.
 */
import { isDeepStrictEqual } from 'node:util'

import type { Issue } from '../model/issue.ts'
import { issueAt, placeOf } from './declaration.ts'
import type { Declaration } from './declaration.ts'
import { isMeshHost } from './declare-service.ts'
import { memberEndpoint } from './endpoint.ts'
import { groupDeclarations, isOverruled } from './join-service.ts'
import type { Group } from './join-service.ts'
import type { ServiceIndex } from './service-index.ts'

export function indexIssues(index: ServiceIndex): Issue[] {
  const issues: Issue[] = []
  for (const declared of index.declared()) {
    const inForce = declared.filter((declaration) => !isOverruled(declaration, declared))
    issues.push(...overruled(declared), ...conflictingProtocols(declared), ...shadowed(inForce))
    for (const declaration of inForce) {
      issues.push(...unservedPorts(declaration, index), ...lostAlias(declaration, index))
      issues.push(...withoutEndpoints(declaration, inForce))
    }
  }
  return issues
}

/** Services that the mesh file declares too. */
function overruled(declared: readonly Declaration[]): Issue[] {
  return declared.flatMap((declaration) => {
    const { resource, namespace, hostname, path } = declaration
    if (resource === undefined || !isOverruled(declaration, declared)) return []
    const mesh = declared.find((one) => one.kind === 'mesh' && one.namespace === namespace)
    if (mesh === undefined) return []
    return issueAt(resource, path, {
      code: 'TUL0301',
      severity: 'warning',
      message: `${hostname} is declared by ${placeOf(mesh)} too; that one is used`,
      remedy: 'Keep one of the two, or give them different hosts.',
    })
  })
}

/** Declarations in one namespace that do not join: who sees an earlier one does not see these. */
function shadowed(declared: readonly Declaration[]): Issue[] {
  const groups = groupDeclarations(declared)
  if (groups.length < 2) return []
  return groups.flatMap((group) => {
    const [own] = group
    const rivals = groups.filter(
      (other) =>
        other !== group && other[0].namespace === own.namespace && isBefore(other, group, groups),
    )
    const first = rivals.find(([rival]) => areVisibleTogether(rival, own))?.[0]
    // It gives the Service its endpoints, and is there for that.
    if (first === undefined || first.withoutEndpoints !== undefined) return []
    return group.flatMap(({ resource, hostname, path }) => {
      if (resource === undefined) return []
      return issueAt(resource, path, {
        code: 'TUL0301',
        severity: 'warning',
        message: `${hostname} is declared by ${placeOf(first)} ${differenceOf(own, first)}; who sees both uses that one, with the endpoints of both`,
        remedy:
          'Make them agree on all but their ports, keep one of the two, or give them different hosts.',
      })
    })
  })
}

/** Whether a client that sees both takes the first. */
function isBefore(one: Group, other: Group, groups: readonly Group[]): boolean {
  const [isOneEntry, isOtherEntry] = [
    one[0].kind === 'ServiceEntry',
    other[0].kind === 'ServiceEntry',
  ]
  if (isOneEntry !== isOtherEntry) return isOtherEntry
  return groups.indexOf(one) < groups.indexOf(other)
}

function differenceOf(declaration: Declaration, first: Declaration): string {
  if (first.kind !== 'ServiceEntry') return 'too'
  if (declaration.resolution !== first.resolution) return 'with another resolution'
  if (!isDeepStrictEqual(declaration.selector, first.selector))
    return 'with another workloadSelector'
  if (!isDeepStrictEqual(new Set(declaration.exportTo), new Set(first.exportTo))) {
    return 'with another exportTo'
  }
  return 'with other labels'
}

/** An ExternalName that names a service of the mesh which is not there. */
function lostAlias({ aliasOf, resource, hostname }: Declaration, index: ServiceIndex): Issue[] {
  if (aliasOf === undefined || resource === undefined) return []
  const target = index.targetOf(hostname)
  if (target !== undefined && (target.isService || !isMeshHost(target.host))) return []
  const issue = issueAt(resource, 'spec.externalName', {
    code: 'IST0101',
    severity: 'warning',
    message:
      target === undefined
        ? `${hostname} is another name for ${aliasOf}, which leads back to it; nobody is reached by it`
        : `${hostname} is another name for ${target.host}, and there is no such service; nobody is reached by it`,
    remedy: 'Correct externalName, or declare the service.',
  })
  return [issue]
}

/** A Service without selector, unless a ServiceEntry for its host gives it endpoints. */
function withoutEndpoints(
  declaration: Declaration,
  inForce: readonly Declaration[],
): readonly Issue[] {
  const isGiven = inForce.some(
    ({ kind, namespace }) => kind === 'ServiceEntry' && namespace === declaration.namespace,
  )
  return isGiven ? [] : (declaration.withoutEndpoints ?? [])
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
