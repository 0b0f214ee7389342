/**
 * Renders docs/reference/resources.md from the tables of kinds, shapes and effects, so that the page says what the
 * code does. A test compares the committed page; UPDATE_DOCS=1 rewrites it.
 */
import { effectOf, effects } from './effects.ts'
import { shapeOfKind } from './kind-shape.ts'
import { kinds } from './kinds.ts'
import type { Kind } from './kinds.ts'
import type { Shape } from './schema/shape.ts'

const introduction = `# Resources

The kinds that Tulle knows, and every field of those that it reads in full. This page is made from the code
(\`src/model\`).

A kind that is *known* is recognised and stored, and has no effect in this version: loading it gives a warning. In the
tables of fields:

- **yes**: the field has the effect that Istio or Kubernetes documents.
- **not yet**: the field is checked, and has no effect in this version: writing it gives a warning that names it.
- **not yet, refused**: as before, but ignoring it would be dangerous or misleading. It is an error or takes the resource out.
- **Kubernetes only**: harmless here.
- **never**: there is nothing here that it could change, now or later; writing it gives a warning that says why.

Fields are checked as Istio and Kubernetes check them; an unknown field is an error. Durations are written \`10s\`, \`250ms\`,
\`1h30m\`. A *string match* has one of \`exact\`, \`prefix\` and \`regex\` (RE2, matching the whole value).
`

export function renderResourceReference(): string {
  const read = kinds.filter((kind) => shapeOfKind(kind) !== undefined)
  return [
    introduction,
    '## Kinds\n',
    '| Kind | apiVersion | Versions | Short names | Read |',
    '| --- | --- | --- | --- | --- |',
    ...kinds.map(kindRow),
    '',
    ...read.flatMap((kind) => kindSection(kind)),
  ]
    .join('\n')
    .trimEnd()
    .concat('\n')
}

function kindRow(kind: Kind): string {
  const best = kind.versions[0] ?? ''
  return row([
    kind.kind,
    code(kind.group === '' ? best : `${kind.group}/${best}`),
    kind.versions.join(', '),
    kind.shortNames.join(', '),
    kind.supported === 'full' ? 'in full' : 'known',
  ])
}

function kindSection(kind: Kind): readonly string[] {
  const shape = shapeOfKind(kind)
  if (shape === undefined) return []
  return [
    `## ${kind.kind}\n`,
    '| Field | Type | Effect |',
    '| --- | --- | --- |',
    ...fieldRows(kind.kind, shape),
    '',
  ]
}

interface FieldPlace {
  readonly pattern: string
  readonly shape: Shape<unknown>
}

function fieldRows(kind: string, spec: Shape<unknown>): readonly string[] {
  const rows: string[] = []
  const shown = new Map<Shape<unknown>['fields'], string>()
  visit({ pattern: 'spec', shape: spec })
  return rows

  function visit({ pattern, shape }: FieldPlace): void {
    const inner = innermost(pattern, shape)
    const { fields } = inner.shape
    const before = shown.get(fields)
    if (pattern !== 'spec') rows.push(fieldRow(kind, { pattern, shape }, before))
    // What is named has its own explanation; what was shown is not shown again.
    if (fields === undefined || before !== undefined || inner.shape.type !== 'object') return
    shown.set(fields, inner.pattern)
    for (const [name, field] of Object.entries(fields)) {
      visit({ pattern: `${inner.pattern}.${name}`, shape: field })
    }
  }
}

/** A list's items, a map's values. */
function innermost(pattern: string, shape: Shape<unknown>): FieldPlace {
  return shape.item === undefined ? { pattern, shape } : innermost(`${pattern}[]`, shape.item)
}

function fieldRow(
  kind: string,
  { pattern, shape }: FieldPlace,
  before: string | undefined,
): string {
  const type = [
    before === undefined ? shape.type : `${shape.type}, as \`${before}\``,
    ...(shape.isRequired === true ? ['required'] : []),
    ...(shape.isDeprecated === true ? ['deprecated'] : []),
  ]
  return row([code(pattern), type.join(', '), effectText(kind, pattern)])
}

const words = {
  effective: 'yes',
  'not-yet': 'not yet',
  refused: 'not yet, refused',
  'cluster-only': 'Kubernetes only',
  'by-design': 'never',
} as const

function effectText(kind: string, pattern: string): string {
  const table = effects[kind] ?? {}
  // Of a list of texts, the items have the effect.
  const effect = table[`${pattern}[]`] ?? effectOf(kind, pattern)
  const exceptions = Object.entries(table).flatMap(([key, value]) => {
    const [place = '', text] = key.split('=')
    const isHere = place === pattern || place === `${pattern}[]`
    if (!isHere || text === undefined || value === effect) return []
    // Words that count in any case are shown once.
    const isTwin = text !== text.toUpperCase() && `${place}=${text.toUpperCase()}` in table
    return isTwin ? [] : [`${text}: ${words[value]}`]
  })
  return [words[effect], ...exceptions].join('; ')
}

function row(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
}

function code(text: string): string {
  return `\`${text}\``
}
