/** One difference as a line. */
export function different(
  what: string,
  wanted: string | number | undefined,
  got: string | number | undefined,
): string {
  return `${what}: expected ${show(wanted)}, got ${show(got)}`
}

function show(value: string | number | undefined): string {
  if (value === undefined) return 'none'
  return typeof value === 'string' ? JSON.stringify(value) : String(value)
}
