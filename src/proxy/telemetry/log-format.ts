/**
 * Format strings: parsed once into pieces, then only joined. `%%` is a percent sign, `%NAME%`, `%NAME(argument)%` and
 * `%NAME(argument):length%` are operators (log-operator.ts); anything else with a percent sign is refused.
 */
import { type Compiled, compiled, refused } from '../config/compiled.ts'
import { type OperatorContext, compileOperator } from './log-operator.ts'
import { type LogOperator, type LogSource, valueText } from './log-source.ts'

export type LogPiece = string | LogOperator

const operatorPattern = /%([A-Z][A-Z0-9_]*)(?:\((.*?)\))?(?::(\d+))?%|%%|%/gs

/** Literal texts and operators in order. Every reason names the operator that it is about. */
export function compilePieces(
  format: string,
  context: OperatorContext,
): Compiled<readonly LogPiece[]> {
  const pieces: LogPiece[] = []
  const reasons: string[] = []
  let literal = ''
  let end = 0
  for (const match of format.matchAll(operatorPattern)) {
    literal += format.slice(end, match.index)
    end = match.index + match[0].length
    if (match[0] === '%%') {
      literal += '%'
      continue
    }
    const [, name, argument, length] = match
    if (name === undefined) {
      reasons.push(`format ${JSON.stringify(format)}: a single % at position ${match.index}`)
      continue
    }
    const lengthMax = length === undefined ? undefined : Number(length)
    const operator = compileOperator({ name, argument, lengthMax }, context)
    if (!operator.ok) {
      reasons.push(...operator.reasons)
      continue
    }
    if (literal !== '') pieces.push(literal)
    literal = ''
    pieces.push(operator.value)
  }
  literal += format.slice(end)
  if (literal !== '') pieces.push(literal)
  return reasons.length > 0 ? refused(...reasons) : compiled(pieces)
}

export type LogText = (source: LogSource) => string

/** A text; values that are missing appear as `missing`. */
export function joinPieces(pieces: readonly LogPiece[], missing: string): LogText {
  const [first] = pieces
  if (pieces.length === 0) return () => ''
  if (pieces.length === 1 && typeof first === 'string') return () => first
  return (source) => {
    let text = ''
    for (const piece of pieces) {
      text += typeof piece === 'string' ? piece : valueText(piece(source) ?? missing)
    }
    return text
  }
}
