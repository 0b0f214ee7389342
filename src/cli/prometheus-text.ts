/** Reads Prometheus' text format as our sidecars and Envoy write it: samples with their labels. */

export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** Only samples whose name is in `names`: a scrape has thousands of lines and a reader wants a few. */
export function parsePrometheusText(text: string, names: ReadonlySet<string>): readonly Sample[] {
  const samples: Sample[] = []
  for (const line of text.split('\n')) {
    const end = line.search(/[{ ]/)
    const name = end === -1 ? '' : line.slice(0, end)
    if (!names.has(name)) continue
    const sample = parseSample(name, line)
    if (sample !== undefined) samples.push(sample)
  }
  return samples
}

function parseSample(name: string, line: string): Sample | undefined {
  const labels: Record<string, string> = {}
  const label = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)",?/y
  let at = name.length
  if (line[at] === '{') {
    label.lastIndex = at + 1
    let match = label.exec(line)
    at = label.lastIndex
    while (match !== null) {
      at = label.lastIndex
      labels[match[1] ?? ''] = unescape(match[2] ?? '')
      match = label.exec(line)
    }
    at = line.indexOf('}', Math.max(at, name.length)) + 1
    if (at === 0) return undefined
  }
  const value = parseValue(line.slice(at).trim().split(/\s+/)[0] ?? '')
  return value === undefined ? undefined : { name, labels, value }
}

function parseValue(text: string): number | undefined {
  if (text === '+Inf') return Number.POSITIVE_INFINITY
  if (text === '-Inf') return Number.NEGATIVE_INFINITY
  const value = Number(text)
  return text === '' || Number.isNaN(value) ? undefined : value
}

function unescape(text: string): string {
  return text.replaceAll(/\\(.)/g, (_match, escaped: string) => (escaped === 'n' ? '\n' : escaped))
}
