/**
 * Findings that somebody has seen and does not want to see again: by the annotation of a resource,
 * `galley.istio.io/analyze-suppress: IST0101,IST0118` or `*`, as in Istio.
 */
import type { Issue } from '../../model/issue.ts'
import { describeResource, type Resource } from '../../model/resource.ts'

export const suppressAnnotation = 'galley.istio.io/analyze-suppress'

/** Errors that keep a resource out cannot be suppressed by it: it is not there to say so. */
export function withoutSuppressed(
  issues: readonly Issue[],
  resources: Iterable<Resource>,
): readonly Issue[] {
  const codes = new Map<string, ReadonlySet<string>>()
  for (const resource of resources) {
    const text = resource.metadata.annotations[suppressAnnotation]
    if (text === undefined) continue
    codes.set(describeResource(resource), new Set(text.split(',').map((code) => code.trim())))
  }
  if (codes.size === 0) return issues
  return issues.filter(({ code, resource }) => {
    const suppressed = codes.get(resource)
    return suppressed === undefined || !(suppressed.has(code) || suppressed.has('*'))
  })
}
