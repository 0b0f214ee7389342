/**
 * What compiling a resource gives: the form that the request path uses, or every reason why the resource is
 * refused. Reasons become the NACK's message, so each names the field and its value.
 */
export type Compiled<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly reasons: readonly string[] }

export function refused<T>(...reasons: readonly string[]): Compiled<T> {
  return { ok: false, reasons }
}

export function compiled<T>(value: T): Compiled<T> {
  return { ok: true, value }
}
