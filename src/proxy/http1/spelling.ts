/**
 * How header names are spelt where somebody minds (Envoy `header_key_format`): in proper case, or as they came in. Names are
 * lower case everywhere else; a head is written as always and respelt line by line, so that nobody else pays for it.
 */
import type { HeaderList, Spelling } from '../http/header-list.ts'

export interface HeaderSpelling {
  /** Spellings of what is read are kept, and used wherever the message goes. */
  readonly keepsReceived: boolean
  /** Of names that did not come with the message. */
  readonly others: Spelling | undefined
}

/** `x-my-header` → `X-My-Header`, as Envoy: after anything that is neither a letter nor a digit. */
export function properCase(name: string): string {
  return name.replaceAll(
    /(^|[^a-z0-9])([a-z])/g,
    (_whole, before: string, letter: string) => before + letter.toUpperCase(),
  )
}

/** The first spelling of a name counts. */
export function noteSpelling(
  headers: HeaderList,
  name: { readonly lower: string; readonly raw: string },
  spelling: HeaderSpelling,
): void {
  const received = (headers.spelling ??= { names: new Map(), others: spelling.others })
  if (!received.names.has(name.lower)) received.names.set(name.lower, name.raw)
}

/** The text of a head or of trailers with its names spelt anew; the first line holds none. */
export function respell(
  text: string,
  headers: HeaderList | undefined,
  spelling: HeaderSpelling | undefined,
): string {
  // A message that brought its spelling keeps to it, wherever it goes.
  const received = headers?.spelling
  const others = received === undefined ? spelling?.others : received.others
  if (received === undefined && others === undefined) return text
  const [first = '', ...lines] = text.split('\r\n')
  const spelt = lines.map((line) => {
    const colon = line.indexOf(':')
    if (colon <= 0) return line
    const name = line.slice(0, colon)
    return (received?.names.get(name) ?? others?.(name) ?? name) + line.slice(colon)
  })
  return [first, ...spelt].join('\r\n')
}
