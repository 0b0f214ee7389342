/**
 * Takes keys and passwords out of a message's JSON before it is shown, as Envoy's admin interface does: what stands inside a
 * field that is marked sensitive becomes `[redacted]`, bytes in base64.
 */
import type { JsonValue } from '../../xds/json.ts'

/** Fields of Envoy's API with the annotation `sensitive`, by name; none of these names has another meaning in it. */
const sensitive = new Set([
  'private_key',
  'password',
  'pkcs12',
  'session_ticket_keys',
  'generic_secret',
  'private_key_provider',
])

const mark = '[redacted]'
const markBytes = Buffer.from(mark).toString('base64')

export function redact(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(redact)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, held]) => [
      name,
      sensitive.has(name) ? hide(held) : redact(held),
    ]),
  )
}

/** Texts go, and the structure stays, so that a reader sees that there is a key and in which form. */
function hide(value: JsonValue, name = ''): JsonValue {
  if (Array.isArray(value)) return value.map((item) => hide(item, name))
  if (typeof value === 'string') return name === 'inline_bytes' ? markBytes : mark
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([field, held]) => [
      field,
      field === '@type' ? held : hide(held, field),
    ]),
  )
}
