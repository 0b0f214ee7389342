/** Makes two transcripts comparable: what is time or chance is hidden, and the fields of each head are sorted. */

const head =
  /((?:HTTP\/1\.[01] \d{3}[^\r\n]*)|(?:[A-Z]+ \S+ HTTP\/1\.[01]))\r\n((?:[^\r\n:]+:[^\r\n]*\r\n)*)\r\n/g

const volatile: ReadonlySet<string> = new Set([
  'date',
  'x-envoy-upstream-service-time',
  'x-envoy-expected-rq-timeout-ms',
])

export function readable(bytes: string): readonly string[] {
  return bytes
    .replaceAll(head, (_whole, first: string, fields: string) =>
      [first, ...sortedFields(fields.split('\r\n').slice(0, -1)), '', ''].join('\r\n'),
    )
    .split('\r\n')
}

function sortedFields(lines: readonly string[]): readonly string[] {
  return lines
    .map((line) => {
      const colon = line.indexOf(':')
      const name = line.slice(0, colon).toLowerCase()
      return maskedField(name, line.slice(colon + 1).trim())
    })
    .sort()
}

export function maskedField(name: string, value: string): string {
  return `${name}: ${volatile.has(name) ? '*' : value}`
}
