/** Where output goes and whether it may be coloured: standard output and error, behind one small interface. */
import { styleText } from 'node:util'

export type Colour = 'red' | 'green' | 'yellow' | 'blue' | 'magenta' | 'cyan' | 'gray' | 'bold'

export interface Terminal {
  /** Characters in a line; undefined when output goes to a file or a pipe. */
  readonly width: number | undefined
  write(text: string): void
  writeError(text: string): void
  colour(colour: Colour, text: string): string
}

export interface TerminalStreams {
  readonly stdout: NodeJS.WriteStream
  readonly stderr: NodeJS.WriteStream
  readonly env: Readonly<Record<string, string | undefined>>
}

/** Colours only on a terminal, and never when NO_COLOR is set (no-color.org) or the terminal is dumb. */
export function createTerminal({ stdout, stderr, env }: TerminalStreams): Terminal {
  const isPlain = !stdout.isTTY || (env['NO_COLOR'] ?? '') !== '' || env['TERM'] === 'dumb'
  // A reader that has gone (`tulle get … | head`) is no error of ours; what is owed elsewhere still gets done.
  for (const stream of [stdout, stderr]) stream.on('error', () => {})
  return {
    width: stdout.isTTY ? stdout.columns : undefined,
    write: (text) => void stdout.write(text),
    writeError: (text) => void stderr.write(text),
    colour: (colour, text) => (isPlain ? text : styleText(colour, text, { validateStream: false })),
  }
}

/** Control characters of text that comes from elsewhere must not steer the reader's terminal. */
export function printable(text: string): string {
  return text.replaceAll(control, '\ufffd')
}

/** The same of a text that was coloured before: colours stay, and all that somebody else could do with them is to colour. */
export function printableColoured(text: string): string {
  return text.replaceAll(colourOrControl, (found) => (found.length === 1 ? '\ufffd' : found))
}

/* oxlint-disable no-control-regex -- finding control characters is the point */
const control = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g
/** What `colour` writes, or one control character. */
const colourOrControl = /\u001b\[(?:1|22|3[1-6]|39|90)m|[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g
/* oxlint-enable no-control-regex */
