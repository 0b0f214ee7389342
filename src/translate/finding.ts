/** An issue about a field of a resource, at the place where it was written. */
import type { Issue } from '../model/issue.ts'
import { describeResource, type Resource } from '../model/resource.ts'

export interface Finding {
  readonly code: string
  readonly severity: Issue['severity']
  readonly path: string
  readonly message: string
  readonly remedy: string
}

export function issueOf(resource: Resource, finding: Finding): Issue {
  const { file, line, column } = resource.origin.positionOf(finding.path)
  return { ...finding, file, line, column, resource: describeResource(resource) }
}
