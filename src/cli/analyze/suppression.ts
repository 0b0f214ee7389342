/**
 * `-S CODE=RESOURCE`: findings that are not wanted in one run. A resource is `Kind name.namespace`, as istioctl writes
 * it, or `Kind namespace/name`, as we do; a star stands for any text in it. A code alone suppresses it everywhere.
 */
import type { Issue } from '../../model/issue.ts'
import { usageError } from '../command.ts'

export type Suppression = (issue: Issue) => boolean

/** Rejections: MESH_USAGE. */
export function parseSuppression(text: string): Suppression {
  const [, code = '', resource] = /^((?:IST|TUL)\d{4}|\*)(?:=(.*))?$/.exec(text.trim()) ?? []
  if (code === '') {
    throw usageError(
      `-S ${JSON.stringify(text)} names no code`,
      "write -S IST0101, or -S 'IST0101=VirtualService reviews.default'",
    )
  }
  const isCode = (issue: Issue) => code === '*' || issue.code === code
  if (resource === undefined) return isCode
  const pattern = patternOf(resource)
  return (issue) => isCode(issue) && namesOf(issue).some((name) => pattern.test(name))
}

function patternOf(text: string): RegExp {
  const parts = text
    .trim()
    .split('*')
    .map((part) => part.replaceAll(/[\\^$.|?+()[\]{}]/g, String.raw`\$&`))
  return new RegExp(`^${parts.join('.*')}$`)
}

/** `VirtualService default/reviews` also as `VirtualService reviews.default`. */
function namesOf({ resource }: Issue): readonly string[] {
  const [, kind, namespace, name] = /^(\S+) ([^/]*)\/(.*)$/.exec(resource) ?? []
  if (kind === undefined) return [resource]
  return [
    resource,
    `${kind} ${name}.${namespace}`,
    ...(namespace === '' ? [`${kind} ${name}`] : []),
  ]
}
