/** A property of a value of which nothing is known, such as parsed JSON. */

/** Undefined where the value is no object, or has no such property of its own. */
export function memberOf(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined
  return (value as Readonly<Record<string, unknown>>)[key]
}
