/** `serviceEntryVisibility` of meshConfig: who may see the ServiceEntries of which namespaces. */
import { labels } from '../schema/field-shape.ts'
import { labelKey, labelValue } from '../schema/name-format.ts'
import { bool, clip, list, object, oneOf, refine, required, text } from '../schema/shape.ts'
import type { Reading, Shape } from '../schema/shape.ts'
import type { LabelSelector, ServiceEntryVisibility } from './mesh-config.ts'

/** The only label of a namespace: namespaces are no objects here. Kubernetes gives it to each by itself. */
export const namespaceNameLabel = 'kubernetes.io/metadata.name'

type Policy = NonNullable<ServiceEntryVisibility['policies']>[number]
type MatchRule = NonNullable<Policy['matchingRules']>[number]
type Expression = NonNullable<LabelSelector['matchExpressions']>[number]

export function serviceEntryVisibility(): Shape<ServiceEntryVisibility> {
  return object<ServiceEntryVisibility>(
    {
      defaultVisibility: visibility(),
      policies: list(
        object<Policy>({
          visibility: visibility(),
          matchingRules: list(object<MatchRule>({ namespaceSelector: required(labelSelector()) })),
        }),
      ),
      applyToSidecars: bool(),
    },
    (value, path, reading) => {
      if (value.applyToSidecars === true) return
      reading.report(path, {
        code: 'TUL0011',
        severity: 'warning',
        message: 'has no effect without applyToSidecars: every proxy here is a sidecar',
        remedy: 'Set applyToSidecars: true.',
      })
    },
  )
}

function visibility() {
  return oneOf('VISIBILITY_UNSPECIFIED', 'NONE', 'NAMESPACE', 'PUBLIC')
}

function labelSelector(): Shape<LabelSelector> {
  const expression = object<Expression>(
    {
      key: required(text(labelKey)),
      operator: required(oneOf('In', 'NotIn', 'Exists', 'DoesNotExist')),
      values: list(text(labelValue)),
    },
    checkValues,
  )
  const selector = object<LabelSelector>({
    matchLabels: labels(),
    matchExpressions: list(expression),
  })
  return refine(selector, warnOfUnknownLabels)
}

/** Kubernetes' rule. */
function checkValues(
  { operator, values = [] }: Partial<Expression>,
  path: string,
  reading: Reading,
): void {
  const isOfValues = operator === 'In' || operator === 'NotIn'
  if (operator === undefined || isOfValues === values.length > 0) return
  reading.report(`${path}.values`, {
    message: isOfValues ? `must not be empty with ${operator}` : `must be empty with ${operator}`,
    remedy: isOfValues ? 'Name the values.' : 'Remove values.',
  })
}

function warnOfUnknownLabels(selector: LabelSelector, path: string, reading: Reading): void {
  const { matchLabels = {}, matchExpressions = [] } = selector
  const keys = [...Object.keys(matchLabels), ...matchExpressions.map(({ key }) => key)]
  for (const key of new Set(keys)) {
    if (key === namespaceNameLabel) continue
    reading.report(path, {
      code: 'IST0133',
      severity: 'warning',
      message: `no namespace has the label ${clip(key)}`,
      remedy: `Use ${namespaceNameLabel}, which is the namespace's name.`,
    })
  }
}
