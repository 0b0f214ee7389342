/** Medians, and rows printed as a Markdown table or as JSON. */

export type Row = Readonly<Record<string, string | number>>

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  if (sorted.length === 0) return 0
  if (sorted.length % 2 === 1) return sorted[middle] ?? 0
  return ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2
}

/** What the middle half of the values lies between. */
export function quartiles(values: readonly number[]): readonly [low: number, high: number] {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (share: number): number => sorted[Math.floor((sorted.length - 1) * share)] ?? 0
  return [at(0.25), at(0.75)]
}

/** The median of the ratios to what was measured in the same turn. */
export function medianRatio(values: readonly number[], to: readonly number[] | undefined): string {
  if (to === undefined) return '–'
  return median(values.map((value, turn) => value / (to[turn] ?? value))).toFixed(2)
}

export function printTable(rows: readonly Row[], format: 'table' | 'json'): void {
  if (format === 'json') {
    process.stdout.write(`${JSON.stringify(rows, undefined, 2)}\n`)
    return
  }
  const columns = Object.keys(rows[0] ?? {})
  const lines = rows.map((row) => columns.map((column) => cell(row[column])))
  process.stdout.write(`| ${columns.join(' | ')} |\n| ${columns.map(() => '---').join(' | ')} |\n`)
  for (const line of lines) process.stdout.write(`| ${line.join(' | ')} |\n`)
}

function cell(value: string | number | undefined): string {
  if (typeof value !== 'number') return value ?? ''
  return Number.isInteger(value) ? String(value) : value.toFixed(1)
}
