/**
 * `%START_TIME%` and its strftime formats, in UTC. The date and the second are formatted once per second: a busy
 * proxy writes thousands of lines in each.
 */
import { type Compiled, compiled, refused } from '../config/compiled.ts'

export type TimeFormat = (epochMs: number) => string

/** Envoy's default, `2026-01-02T03:04:05.678Z`. Dozens of requests share a millisecond, and get the same string. */
export function createIsoTime(): TimeFormat {
  let second = Number.NaN
  let prefix = ''
  let lastMs = Number.NaN
  let lastText = ''
  return (epochMs) => {
    if (epochMs === lastMs) return lastText
    lastMs = epochMs
    const whole = Math.floor(epochMs / 1000)
    if (whole !== second) {
      second = whole
      prefix = new Date(whole * 1000).toISOString().slice(0, 20)
    }
    const ms = Math.floor(epochMs) - whole * 1000
    lastText = `${prefix}${pad(ms, 3)}Z`
    return lastText
  }
}

type Piece = (date: Date, epochMs: number) => string

/** Specifiers that need no look at anything but the date. */
const pieces: Readonly<Record<string, Piece>> = {
  Y: (date) => String(date.getUTCFullYear()),
  m: (date) => pad(date.getUTCMonth() + 1, 2),
  d: (date) => pad(date.getUTCDate(), 2),
  e: (date) => String(date.getUTCDate()).padStart(2, ' '),
  H: (date) => pad(date.getUTCHours(), 2),
  I: (date) => pad(date.getUTCHours() % 12 || 12, 2),
  M: (date) => pad(date.getUTCMinutes(), 2),
  S: (date) => pad(date.getUTCSeconds(), 2),
  p: (date) => (date.getUTCHours() < 12 ? 'AM' : 'PM'),
  y: (date) => pad(date.getUTCFullYear() % 100, 2),
  j: (date) => pad(dayOfYear(date), 3),
  a: (date) => days[date.getUTCDay()] ?? '',
  b: (date) => months[date.getUTCMonth()] ?? '',
  T: (date) => date.toISOString().slice(11, 19),
  F: (date) => date.toISOString().slice(0, 10),
  z: () => '+0000',
  Ez: () => '+00:00',
  Z: () => 'UTC',
  s: (_date, epochMs) => String(Math.floor(epochMs / 1000)),
  f: (_date, epochMs) => fraction(epochMs, 9),
  n: () => '\n',
  t: () => '\t',
  '%': () => '%',
}

const days = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat']
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

export function compileTimeFormat(format: string): Compiled<TimeFormat> {
  if (format === '' || format === '%Y-%m-%dT%H:%M:%E3SZ') return compiled(createIsoTime())
  const found: Piece[] = []
  const specifier = /%(E\dS|Ez|\df|[a-zA-Z%])|%/g
  let end = 0
  for (const match of format.matchAll(specifier)) {
    const literal = format.slice(end, match.index)
    if (literal !== '') found.push(() => literal)
    end = match.index + match[0].length
    const piece = pieceOf(match[1] ?? '')
    if (piece === undefined) {
      return refused(`time format ${JSON.stringify(format)}: ${match[0]} is not implemented`)
    }
    found.push(piece)
  }
  const rest = format.slice(end)
  if (rest !== '') found.push(() => rest)
  return compiled((epochMs) => {
    const date = new Date(epochMs)
    let text = ''
    for (const piece of found) text += piece(date, epochMs)
    return text
  })
}

function pieceOf(name: string): Piece | undefined {
  const digits = /^(?:E(\d)S|(\d)f)$/.exec(name)
  if (digits === null) return pieces[name]
  if (digits[2] !== undefined) return (_date, epochMs) => fraction(epochMs, Number(digits[2]))
  const places = Number(digits[1])
  return (date, epochMs) =>
    places === 0
      ? pad(date.getUTCSeconds(), 2)
      : `${pad(date.getUTCSeconds(), 2)}.${fraction(epochMs, places)}`
}

/** Digits behind the second's point. */
function fraction(epochMs: number, places: number): string {
  const ms = ((epochMs % 1000) + 1000) % 1000
  return pad(Math.floor(ms * 1_000_000), 9).slice(0, places)
}

function dayOfYear(date: Date): number {
  return Math.floor((date.getTime() - Date.UTC(date.getUTCFullYear(), 0, 1)) / 86_400_000) + 1
}

function pad(value: number, width: number): string {
  return String(value).padStart(width, '0')
}
