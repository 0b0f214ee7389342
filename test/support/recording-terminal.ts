/** A terminal that keeps what is written, without colours, as wide as a test says. */
import type { Terminal } from '../../src/cli/terminal.ts'

export interface RecordingTerminal extends Terminal {
  readonly out: () => string
  readonly error: () => string
}

export function recordingTerminal(width?: number): RecordingTerminal {
  let out = ''
  let error = ''
  return {
    width,
    write: (text) => {
      out += text
    },
    writeError: (text) => {
      error += text
    },
    colour: (_colour, text) => text,
    out: () => out,
    error: () => error,
  }
}
