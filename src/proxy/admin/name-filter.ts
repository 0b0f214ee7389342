/** `?filter=` and `?name_regex=`: RE2 as in Envoy, so that a query can never hold the process. */
import { RE2JS } from 're2js'

export type NameFilter =
  | { readonly ok: true; readonly matches: (name: string) => boolean }
  | { readonly ok: false; readonly message: string }

/** `part`: somewhere in the name (stats); `whole`: the whole name (config dumps). */
export function nameFilter(expression: string | null, extent: 'part' | 'whole'): NameFilter {
  if (expression === null || expression === '') return { ok: true, matches: () => true }
  try {
    const pattern = RE2JS.compile(expression)
    const matches = (name: string): boolean =>
      extent === 'whole' ? pattern.matches(name) : pattern.matcher(name).find()
    return { ok: true, matches }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return { ok: false, message: `Invalid regex: "${expression}": ${reason}` }
  }
}
