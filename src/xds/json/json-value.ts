/** JSON as a type, and questions about it. */

export type JsonValue =
  | null
  | boolean
  | number
  | string
  | JsonValue[]
  | { [key: string]: JsonValue }

export function isObject(json: unknown): json is Record<string, unknown> {
  return typeof json === 'object' && json !== null && !Array.isArray(json)
}

/** For messages. */
export function showJson(json: unknown): string {
  if (Array.isArray(json)) return `a list of ${json.length}`
  if (typeof json === 'object' && json !== null) return 'an object'
  if (typeof json !== 'string') return String(json)
  return JSON.stringify(json.length > 60 ? `${json.slice(0, 60)}…` : json)
}
