/**
 * Whether a `referer` may go on: an absolute URL without user and fragment, or a reference of what RFC 3986 allows in a
 * path and a query. Envoy removes all others, for they say more than they should or are read in several ways.
 */
import type { HeaderList } from './header-list.ts'

const absolute =
  /^[a-z][a-z0-9+.-]*:\/\/(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::(\d{1,5}))?(?:[/?][!-"$-~]*)?$/i
/** A colon before the first slash would end a scheme. */
const relative = /^[\w.~%!$&'()*+,;=?@-]*(?:\/[\w.~%!$&'()*+,;=?@:/-]*)?$/

const portMax = 65_535

export function isValidReferer(text: string): boolean {
  const url = absolute.exec(text)
  if (url !== null) return Number(url[1] ?? 0) <= portMax
  return relative.test(text)
}

/** Removes one that is not valid, and several of them. */
export function sanitizeReferer(headers: HeaderList): void {
  const { fields } = headers
  let seen = 0
  let isValid = true
  for (let index = 0; index < fields.length; index += 2) {
    if (fields[index] !== 'referer') continue
    seen += 1
    isValid &&= isValidReferer(fields[index + 1] as string) // names and values alternate
  }
  if (seen > 1 || !isValid) headers.remove('referer')
}
