/**
 * `%START_TIME%` and its strftime formats, in UTC. The date and the second are formatted once per second: a busy
 * proxy writes thousands of lines in each.
 */
import { type Compiled, compiled, refused } from '../config/compiled.ts'

export type TimeFormat = (epochMs: number) => string

export type TimeZone = 'utc' | 'local'

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
  A: (date) => longDays[date.getUTCDay()] ?? '',
  B: (date) => longMonths[date.getUTCMonth()] ?? '',
  h: (date) => months[date.getUTCMonth()] ?? '',
  C: (date) => pad(Math.floor(date.getUTCFullYear() / 100), 2),
  u: (date) => String(date.getUTCDay() || 7),
  w: (date) => String(date.getUTCDay()),
  k: (date) => String(date.getUTCHours()).padStart(2, ' '),
  l: (date) => String(date.getUTCHours() % 12 || 12).padStart(2, ' '),
  G: (date) => String(isoWeek(date).year),
  g: (date) => pad(isoWeek(date).year % 100, 2),
  V: (date) => pad(isoWeek(date).week, 2),
  U: (date) => pad(weekOfYear(date, date.getUTCDay()), 2),
  W: (date) => pad(weekOfYear(date, (date.getUTCDay() + 6) % 7), 2),
  E4Y: (date) => pad(date.getUTCFullYear(), 4),
  ET: () => 'T',
  P: (date) => (date.getUTCHours() < 12 ? 'am' : 'pm'),
  'E*S': (date, epochMs) => `${pad(date.getUTCSeconds(), 2)}${wholeFraction(epochMs)}`,
  'E*f': (_date, epochMs) => wholeFraction(epochMs).slice(1) || '0',
  s: (_date, epochMs) => String(Math.floor(epochMs / 1000)),
  f: (_date, epochMs) => fraction(epochMs, 9),
  t: () => '\t',
  '%': () => '%',
}

/** Those that stand for others. */
const compound: Readonly<Record<string, string>> = {
  D: '%m/%d/%y',
  R: '%H:%M',
  c: '%a %b %e %H:%M:%S %Y',
  x: '%m/%d/%y',
  X: '%H:%M:%S',
  r: '%I:%M:%S %p',
}

const longDays = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']
const longMonths = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
]
const days = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat']
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** Capitals by `^` and `#`, widths, and rarer ways to write a zone. */
const notImplemented = /%(?:[-_0^#]*[\^#][-_0^#]*[a-zA-Z]|[-_0]*[1-9]\d*[a-eg-zA-Z]|:{2,3}z|E\*z)/
const specifier = /%([-_0]?)(E\d+[Sf]|E\*[Sf]|E4Y|ET|Ez|\df|[EO]?[a-zA-Z%])|%/g

export function compileTimeFormat(format: string, zone: TimeZone = 'utc'): Compiled<TimeFormat> {
  const here = `time format ${JSON.stringify(format)}`
  if (/%[-_0^#]*[1-9]*[EO]?n/.test(format)) return refused(`${here}: a line feed is not allowed`)
  const [other] = notImplemented.exec(format) ?? []
  if (other !== undefined) return refused(`${here}: ${other} is not implemented`)
  if (zone === 'local') return compileLocal(format)
  if (format === '' || format === '%Y-%m-%dT%H:%M:%E3SZ') return compiled(createIsoTime())
  const found: Piece[] = []
  const whole = plainFormat(format)
  let end = 0
  for (const match of whole.matchAll(specifier)) {
    const literal = whole.slice(end, match.index)
    if (literal !== '') found.push(() => literal)
    end = match.index + match[0].length
    const piece = compileSpecifier(match)
    if (piece === undefined) return refused(`${here}: ${match[0]} is not implemented`)
    found.push(piece)
  }
  const rest = whole.slice(end)
  if (rest !== '') found.push(() => rest)
  return compiled((epochMs) => {
    const date = new Date(epochMs)
    let text = ''
    for (const piece of found) text += piece(date, epochMs)
    return text
  })
}

/** What strftime does not know is written as it stands; undefined for what it knows and we do not. */
function compileSpecifier([text, flag = '', name = '']: readonly string[]): Piece | undefined {
  const piece = pieceOf(name)
  if (flag !== '') return piece && isDecimal(name) ? repadded(piece, flag) : undefined
  if (piece !== undefined) return piece
  const isVariant = /^[EO]./.test(name) && pieces[name.slice(1)] !== undefined
  return isVariant ? undefined : () => text ?? ''
}

/** The clock on the wall of this machine: its hours are those of a moment in UTC that lies as far off as the zone does. */
function compileLocal(format: string): Compiled<TimeFormat> {
  const whole = format === '' ? '%Y-%m-%dT%H:%M:%E3S%z' : format
  // What tells the zone, and what counts from the epoch, is not shifted.
  const fixed = whole.split(/(%Ez|%z|%Z|%s)/)
  const parts: TimeFormat[] = []
  for (const part of fixed) {
    if (part === '%Ez' || part === '%z') parts.push((ms) => offsetText(ms, part === '%Ez'))
    else if (part === '%Z') parts.push((ms) => zoneName(ms))
    else if (part === '%s') parts.push((ms) => String(Math.floor(ms / 1000)))
    else if (part !== '') {
      const time = compileTimeFormat(part)
      if (!time.ok) return time
      parts.push((ms) => time.value(ms - offsetMinutes(ms) * 60_000))
    }
  }
  return compiled((ms) => parts.map((part) => part(ms)).join(''))
}

/** Minutes that UTC is ahead. */
function offsetMinutes(epochMs: number): number {
  return new Date(epochMs).getTimezoneOffset()
}

function offsetText(epochMs: number, hasColon: boolean): string {
  const minutes = -offsetMinutes(epochMs)
  const absolute = Math.abs(minutes)
  const colon = hasColon ? ':' : ''
  const sign = minutes < 0 ? '-' : '+'
  return `${sign}${pad(Math.floor(absolute / 60), 2)}${colon}${pad(absolute % 60, 2)}`
}

function zoneName(epochMs: number): string {
  const parts = new Intl.DateTimeFormat('en-US', { timeZoneName: 'short' }).formatToParts(epochMs)
  return parts.find(({ type }) => type === 'timeZoneName')?.value ?? 'UTC'
}

/** With what stands for others written out. Other calendars and digits (`%Ey`, `%Od`) are the same in the locale "C". */
function plainFormat(format: string): string {
  return format
    .replaceAll(
      /%E([cCxXyY])|%O([deHImMSuUVwWy])/g,
      (_all, era = '', digit = '') => `%${era}${digit}`,
    )
    .replaceAll('%:z', '%Ez')
    .replaceAll(/%([DRcxXr%])/g, (same, name: string) => compound[name] ?? same)
}

/** Numbers that strftime pads. */
function isDecimal(name: string): boolean {
  return /^[CdegGHIjklmMSUVWy]$/.test(name)
}

/** `%-d` without padding, `%_d` with spaces, `%0e` with zeros. */
function repadded(piece: Piece, flag: string): Piece {
  const pads: Readonly<Record<string, string>> = { _: ' ', '0': '0' }
  return (date, epochMs) => {
    const text = piece(date, epochMs)
    const digits = text.replace(/^[ 0]+(?=\d)/, '')
    return digits.padStart(text.length, pads[flag] ?? '').slice(flag === '-' ? -digits.length : 0)
  }
}

function pieceOf(name: string): Piece | undefined {
  const digits = /^(?:E(\d+)([Sf])|(\d)f)$/.exec(name)
  if (digits === null) return pieces[name]
  if (digits[3] !== undefined) return (_date, epochMs) => fraction(epochMs, Number(digits[3]))
  const places = Number(digits[1])
  if (digits[2] === 'f') return (_date, epochMs) => fraction(epochMs, places)
  return (date, epochMs) =>
    places === 0
      ? pad(date.getUTCSeconds(), 2)
      : `${pad(date.getUTCSeconds(), 2)}.${fraction(epochMs, places)}`
}

/** Digits behind the second's point. */
function fraction(epochMs: number, places: number): string {
  const ms = ((epochMs % 1000) + 1000) % 1000
  return pad(Math.floor(ms * 1_000_000), 9)
    .padEnd(places, '0')
    .slice(0, places)
}

/** With its point, and without zeros at its end. */
function wholeFraction(epochMs: number): string {
  const digits = fraction(epochMs, 9).replace(/0+$/, '')
  return digits === '' ? '' : `.${digits}`
}

/** `weekday` counts from the day that a week begins with. */
function weekOfYear(date: Date, weekday: number): number {
  return Math.floor((dayOfYear(date) + 6 - weekday) / 7)
}

/** ISO 8601: the week of the year that its Thursday lies in. */
function isoWeek(date: Date): { readonly year: number; readonly week: number } {
  const thursday = new Date(date.getTime() + (4 - (date.getUTCDay() || 7)) * 86_400_000)
  return { year: thursday.getUTCFullYear(), week: Math.ceil(dayOfYear(thursday) / 7) }
}

function dayOfYear(date: Date): number {
  return Math.floor((date.getTime() - Date.UTC(date.getUTCFullYear(), 0, 1)) / 86_400_000) + 1
}

function pad(value: number, width: number): string {
  return String(value).padStart(width, '0')
}
