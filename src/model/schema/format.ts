/**
 * What all formats of texts are made of: a format answers with what is wrong, or undefined.
 *
 * Names follow Kubernetes' validation (name-format.ts), hosts and header names Istio's (host-format.ts,
 * http-format.ts).
 */
import { clip } from './shape.ts'
import type { Check, Problem } from './shape.ts'

export function mismatch(expected: string, value: string, remedy: string): Problem {
  return { message: `must be ${expected}, got "${clip(value)}"`, remedy }
}

/** A check from a predicate. */
export function check(
  isGood: (value: string) => boolean,
  expected: string,
  remedy: string,
): Check<string> {
  return (value) => (isGood(value) ? undefined : mismatch(expected, value, remedy))
}

export const nonEmpty = check((value) => value !== '', 'text that is not empty', 'Write a value.')
