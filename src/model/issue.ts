/**
 * A finding about somebody's configuration: always with its place and what to do about it.
 *
 * Issues are values. Parsing and validation return all of them at once; nothing is thrown. Codes starting
 * with IST are Istio's own analyzer codes, where Istio has one for the finding; ours start with TUL.
 * docs/reference/issues.md has a row for each code; a tidy test compares the two lists (model/issue-codes.ts).
 */

export type Severity = 'error' | 'warning' | 'info'

export interface Issue {
  /** `IST0101`, `TUL0001`. */
  readonly code: string
  readonly severity: Severity
  /** Path as the reader knows it; empty when the text came through the API. */
  readonly file: string
  /** From 1; 0 when unknown. */
  readonly line: number
  readonly column: number
  /** `VirtualService default/reviews`, or empty when the document names none. */
  readonly resource: string
  /** `spec.http[0].route[1].weight` */
  readonly path: string
  /** Lower-case start, no full stop; says what was expected and what was got. */
  readonly message: string
  /** One sentence: what to do. */
  readonly remedy: string
}

/** A result that is either a value (perhaps with warnings) or the whole list of what is wrong. */
export type Parsed<T> =
  | { readonly ok: true; readonly value: T; readonly warnings: readonly Issue[] }
  | { readonly ok: false; readonly issues: readonly Issue[] }
