/** How far the mesh lets the ServiceEntries of a namespace be seen (`meshConfig.serviceEntryVisibility`). */
import { namespaceNameLabel } from '../model/mesh/entry-visibility-shape.ts'
import type { LabelSelector, ServiceEntryVisibility } from '../model/mesh/mesh-config.ts'

export type EntryReach = 'NONE' | 'NAMESPACE' | 'PUBLIC'

/** Of the first policy of which every rule matches, else the default; what says nothing is for all. */
export function entryReach(
  { defaultVisibility, policies = [] }: ServiceEntryVisibility,
  namespace: string,
): EntryReach {
  const policy = policies.find(({ matchingRules = [] }) =>
    matchingRules.every(
      ({ namespaceSelector }) =>
        namespaceSelector !== undefined && isNamespaceSelected(namespaceSelector, namespace),
    ),
  )
  const visibility = policy === undefined ? defaultVisibility : policy.visibility
  return visibility === 'NONE' || visibility === 'NAMESPACE' ? visibility : 'PUBLIC'
}

function isNamespaceSelected(selector: LabelSelector, namespace: string): boolean {
  const { matchLabels = {}, matchExpressions = [] } = selector
  const valueOf = (key: string) => (key === namespaceNameLabel ? namespace : undefined)
  return (
    Object.entries(matchLabels).every(([key, value]) => valueOf(key) === value) &&
    matchExpressions.every(({ key, operator, values = [] }) => {
      const value = valueOf(key)
      const isAmong = value !== undefined && values.includes(value)
      switch (operator) {
        case 'In':
          return isAmong
        case 'NotIn':
          return !isAmong
        case 'Exists':
          return value !== undefined
        case 'DoesNotExist':
        default:
          return value === undefined
      }
    })
  )
}
