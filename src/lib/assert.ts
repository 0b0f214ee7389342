/** Assertions for what can only be our own bug. The message names the broken promise. */

export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`broken invariant: ${message}`)
}

/** For the default branch of an exhaustive switch. */
export function unreachable(value: never, message = 'unexpected value'): never {
  throw new Error(`broken invariant: ${message}: ${String(value)}`)
}
