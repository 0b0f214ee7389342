/** A source of one text that does not change, such as what came on standard input: read as a file is, once. */
import type { Source, SourceSnapshot } from '../source.ts'
import { LoadedFile, type ParseText } from './loaded-file.ts'

export interface FixedText {
  /** What messages call it, in place of a path. */
  readonly name: string
  readonly text: string
}

export function createTextSource({ name, text }: FixedText, parse: ParseText): Source {
  const file = new LoadedFile(name, parse, neverAwaited)
  file.observe({ kind: 'text', text }, 0)
  file.believe()
  const { resources, issues, stale } = file
  const snapshot: SourceSnapshot = { revision: 'text', resources, issues, stale }
  return { name, list: () => snapshot, watch: () => ({ [Symbol.dispose]() {} }) }
}

const neverAwaited = { stableMs: 0, suspectMs: 0, missingMs: 0, emptyMs: 0 }
