/** Prints what a command returned: as a table for people, as JSON or YAML for programs. */
import { stringify } from 'yaml'

import { printable, type Colour, type Terminal } from './terminal.ts'

export type OutputFormat = 'table' | 'json' | 'yaml'

export interface Output {
  /** What JSON and YAML show. */
  readonly data: unknown
  /** What a person sees. */
  readonly view: View
}

export type View =
  | { readonly kind: 'table'; readonly table: Table }
  | { readonly kind: 'text'; readonly text: string }
  /** The same as the data, as YAML: for things that have no good table. */
  | { readonly kind: 'data' }

export interface Table {
  readonly columns: readonly string[]
  readonly rows: readonly (readonly Cell[])[]
  /** Said instead of an empty table. */
  readonly empty: string
  /** Said below the table, for people. */
  readonly note?: string
}

export type Cell = string | { readonly text: string; readonly colour: Colour }

export function printOutput(output: Output, format: OutputFormat, terminal: Terminal): void {
  terminal.write(renderOutput(output, format, terminal))
}

export function renderOutput(output: Output, format: OutputFormat, terminal: Terminal): string {
  if (format === 'json') return `${JSON.stringify(output.data, undefined, 2)}\n`
  if (format === 'yaml' || output.view.kind === 'data') return stringify(output.data)
  if (output.view.kind === 'text') return withNewline(output.view.text)
  return renderTable(output.view.table, terminal)
}

/** Columns as wide as their widest cell, two blanks apart, nothing after the last. */
export function renderTable(table: Table, terminal: Terminal): string {
  const note = table.note === undefined ? '' : `\n${withNewline(table.note)}`
  if (table.rows.length === 0) return withNewline(table.empty) + note
  const header = table.columns.map((name) => ({ text: name, colour: 'bold' as const }))
  const lines = [header, ...table.rows]
  const widths = table.columns.map((_name, index) =>
    Math.max(...lines.map((cells) => plainText(cells[index]).length)),
  )
  const rows = lines
    .map((cells) => {
      const parts = cells.map((cell, index) => {
        const text = plainText(cell)
        const padding =
          index === cells.length - 1 ? '' : ' '.repeat((widths[index] ?? 0) - text.length + 2)
        return `${typeof cell === 'string' ? text : terminal.colour(cell.colour, text)}${padding}`
      })
      return `${parts.join('').trimEnd()}\n`
    })
    .join('')
  return rows + note
}

function plainText(cell: Cell | undefined): string {
  const text = typeof cell === 'string' ? cell : (cell?.text ?? '')
  return printable(text).replaceAll('\n', ' ')
}

function withNewline(text: string): string {
  return text === '' || text.endsWith('\n') ? text : `${text}\n`
}
