/**
 * Namespaces that AuthorizationPolicies speak of and that nobody knows. Namespaces are those of files for a cluster,
 * of workloads and of resources; where none is known to run or is declared, nothing is said.
 */
import type { Issue } from '../../model/issue.ts'
import type { Resource } from '../../model/resource.ts'
import { issueOf } from '../finding.ts'
import { listOf, objectOf } from './gateway.ts'
import type { KnownWorkload } from './known-workload.ts'

export interface NamespaceFacts {
  readonly workloads: readonly KnownWorkload[]
  readonly namespaces: readonly string[]
}

export function reportNamespaces(
  resources: ReadonlyMap<string, Resource>,
  { workloads, namespaces }: NamespaceFacts,
): Issue[] {
  if (workloads.length === 0 && namespaces.length === 0) return []
  const known = new Set([
    ...namespaces,
    ...workloads.map(({ namespace }) => namespace),
    ...[...resources.values()].map(({ metadata }) => metadata.namespace),
  ])
  // Without a list of all, one that is not seen may be there all the same.
  const severity = namespaces.length === 0 ? 'warning' : 'error'
  return [...resources.values()]
    .filter(({ kind }) => kind === 'AuthorizationPolicy')
    .flatMap((resource) =>
      namedIn(resource)
        .filter(({ name }) => !isKnown(name, known))
        .map(({ name, path }) =>
          issueOf(resource, {
            code: 'IST0101',
            severity,
            path,
            message: `referenced namespace not found: "${name}"`,
            remedy: 'Correct the name, or declare the namespace.',
          }),
        ),
    )
}

interface NamedNamespace {
  readonly name: string
  readonly path: string
}

/** The spec is kept as written. */
function namedIn({ spec }: Resource): readonly NamedNamespace[] {
  return listOf(objectOf(spec)['rules']).flatMap((rule, ruleIndex) =>
    listOf(rule['from']).flatMap((from, fromIndex) =>
      (['namespaces', 'notNamespaces'] as const).flatMap((field) => {
        const names = objectOf(from['source'])[field]
        const path = `spec.rules[${ruleIndex}].from[${fromIndex}].source.${field}`
        return (Array.isArray(names) ? names : []).map((name, index) => ({
          name: String(name),
          path: `${path}[${index}]`,
        }))
      }),
    ),
  )
}

/** A star stands at the beginning or the end. */
function isKnown(written: string, known: ReadonlySet<string>): boolean {
  if (written === '*') return true
  const names = [...known]
  if (written.startsWith('*')) return names.some((name) => name.endsWith(written.slice(1)))
  if (written.endsWith('*')) return names.some((name) => name.startsWith(written.slice(0, -1)))
  return known.has(written)
}
