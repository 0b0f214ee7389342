/**
 * The log of a mesh's processes on one terminal: each line with its process's name, in its own colour, or as one
 * JSON object. Our own processes log JSON (lib/log.ts); for people it is turned into words.
 */
import { printableColoured, type Colour, type Terminal } from '../terminal.ts'

const colours: readonly Colour[] = ['cyan', 'magenta', 'green', 'yellow', 'blue']

export interface ProcessLog {
  line(process: string, text: string): void
  /** A step of `tulle up` itself. */
  say(text: string): void
  /** What happened, for programs; people get it only when `text` says it in words. */
  event(event: MeshEvent, text?: string): void
}

/** `event` names it; the rest are its fields. */
export type MeshEvent = { readonly event: string } & Readonly<Record<string, unknown>>

/** For people: `name  | line`. */
export function createTextLog(terminal: Terminal, names: readonly string[]): ProcessLog {
  const width = Math.max(5, ...names.map((name) => name.length))
  const colourOf = new Map(names.map((name, index) => [name, colours[index % colours.length]]))
  const write = (name: string, text: string) => {
    const prefix = `${name.padEnd(width)} |`
    const colour = colourOf.get(name) ?? 'bold'
    for (const line of text.split('\n')) {
      terminal.write(`${terminal.colour(colour, prefix)} ${printableColoured(line)}\n`)
    }
  }
  return {
    line: (process, text) => write(process, readableLine(text)),
    say: (text) => write('tulle', text),
    event: (_event, text) => {
      if (text !== undefined) write('tulle', text)
    },
  }
}

/** For programs: one JSON object a line. */
export function createJsonLog(terminal: Terminal): ProcessLog {
  const write = (event: MeshEvent) => terminal.write(`${JSON.stringify(event)}\n`)
  return {
    line: (process, line) => write({ event: 'log', process, line }),
    say: (message) => write({ event: 'message', message }),
    event: (event) => write(event),
  }
}

/** A line of pino as `level message key=value`; any other line as it is. */
export function readableLine(line: string): string {
  const fields = parseLogLine(line)
  if (fields === undefined) return line
  const { level, msg, time: _time, pid: _pid, name: _name, ...rest } = fields
  const values = Object.entries(rest).map(([key, value]) => {
    const text = typeof value === 'string' ? value : JSON.stringify(value)
    return `${key}=${/\s/.test(text) ? JSON.stringify(text) : text}`
  })
  return [String(level), String(msg), ...values].join(' ')
}

function parseLogLine(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith('{"level":')) return undefined
  try {
    const parsed = JSON.parse(line) as Record<string, unknown>
    return typeof parsed['msg'] === 'string' ? parsed : undefined
  } catch {
    // An application's own line that only looks like ours.
    return undefined
  }
}
