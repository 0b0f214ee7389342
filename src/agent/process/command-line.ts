/**
 * A command as people write it: a list of arguments, or one line that is split as a shell would split it.
 *
 * There is no shell: quotes and backslashes group words, `${NAME}` is replaced by a variable of the
 * environment that the command gets, and nothing else has a meaning (no globs, pipes or `$NAME`).
 */
import { MeshError } from '../../lib/mesh-error.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** Words with variables replaced; a `${NAME}` that is not set is an error, because it is a misspelling. */
export function parseCommand(
  command: string | readonly string[],
  environment: Environment,
): readonly string[] {
  const words = typeof command === 'string' ? splitCommand(command) : command
  if (words.length === 0 || words[0] === '') {
    throw new MeshError('MESH_COMMAND_FAILED', 'the command is empty', {
      remedy: 'name a program, as in command: [./service, --port, "${PORT}"]',
    })
  }
  return words.map((word) => expandVariables(word, environment))
}

export function expandVariables(text: string, environment: Environment): string {
  return text.replaceAll(/\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g, (_match, name: string) => {
    const value = environment[name]
    if (value === undefined) {
      throw new MeshError('MESH_COMMAND_FAILED', `\${${name}} is not set (in "${text}")`, {
        remedy: `set ${name} under env, or correct the name`,
      })
    }
    return value
  })
}

/** Splits at blanks; '…' is literal, inside "…" a backslash escapes `"` and `\`, outside it escapes any character. */
export function splitCommand(line: string): readonly string[] {
  const words: string[] = []
  const token = /\s*((?:[^\s'"\\]|\\[\s\S]|'[^']*'|"(?:[^"\\]|\\[\s\S])*")+)/y
  while (token.lastIndex < line.trimEnd().length) {
    const at = token.lastIndex
    const match = token.exec(line)
    if (match === null) {
      throw new MeshError(
        'MESH_COMMAND_FAILED',
        `a quote is not closed in: ${line.slice(at).trim()}`,
      )
    }
    words.push(unquote(match[1] ?? ''))
  }
  return words
}

function unquote(word: string): string {
  const quoted = /'[^']*'|"(?:[^"\\]|\\[\s\S])*"|\\[\s\S]/g
  return word.replaceAll(quoted, (part) => {
    if (part.startsWith("'")) return part.slice(1, -1)
    if (part.startsWith('"')) return part.slice(1, -1).replaceAll(/\\(["\\])/g, '$1')
    return part.slice(1)
  })
}
