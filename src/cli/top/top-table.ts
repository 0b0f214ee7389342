/** The table of `tulle top`. */
import type { Cell, Table } from '../output.ts'
import type { EndpointCount } from './ejection.ts'
import type { TrafficRow } from './traffic.ts'

export interface TopRow extends TrafficRow {
  readonly endpoints: EndpointCount | undefined
}

export function topTable(rows: readonly TopRow[]): Table {
  return {
    columns: ['SERVICE', 'VERSION', 'RATE/S', 'SHARE', 'SUCCESS', 'P50 MS', 'P99 MS', 'EJECTED'],
    rows: rows.map((row) => [
      row.namespace === 'default' ? row.service : `${row.service}.${row.namespace}`,
      row.version === '' ? '-' : row.version,
      row.requestsPerSecond.toFixed(1),
      percent(row.share),
      successCell(row.success),
      milliseconds(row.p50Ms),
      milliseconds(row.p99Ms),
      ejectedCell(row.endpoints),
    ]),
    empty: 'no traffic between these two looks',
  }
}

function percent(part: number): string {
  return `${(part * 100).toFixed(1)} %`
}

function successCell(success: number | undefined): Cell {
  if (success === undefined) return '-'
  return success < 0.99 ? { text: percent(success), colour: 'red' } : percent(success)
}

function milliseconds(value: number | undefined): string {
  if (value === undefined) return '-'
  return value < 10 ? value.toFixed(1) : value.toFixed(0)
}

function ejectedCell(count: EndpointCount | undefined): Cell {
  if (count === undefined) return '-'
  const text = `${count.ejected}/${count.total}`
  return count.ejected > 0 ? { text, colour: 'yellow' } : text
}
