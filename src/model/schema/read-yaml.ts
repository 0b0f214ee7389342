/**
 * YAML or JSON text to source trees, one a document, so that a broken document never hides the others.
 *
 * The text is cut at the lines that begin with `---`, which YAML forbids inside a document, and each piece is
 * parsed alone. What has no JSON form is refused: tags of an application, keys that are not plain. Aliases and
 * merge keys (`<<`) are followed within a budget. Nothing is thrown.
 */
import { isAlias, isMap, isScalar, isSeq, parseAllDocuments } from 'yaml'
import type { Document, Pair, YAMLError } from 'yaml'

import type { Problem } from './shape.ts'
import { fieldPath, itemPath } from './source-node.ts'
import type { ListNode, MapNode, ScalarNode, SourceField, SourceNode } from './source-node.ts'

/** Kubernetes' API server takes 3 MiB, etcd 1.5 MiB an object. */
export const documentCharsMax = 1 << 20
export const textCharsMax = 16 << 20
const depthMax = 64
/** Nodes that aliases may add to a document. */
const aliasNodesMax = 20_000
const syntaxErrorsMax = 5

export interface PlacedProblem extends Problem {
  readonly offset: number
  readonly path: string
}

export interface SourceDocument {
  /** Absent when the text could not be read at all. */
  readonly root: SourceNode | undefined
  readonly problems: readonly PlacedProblem[]
  /** The tree is not to be trusted beyond the names in it. */
  readonly isBroken: boolean
  readonly offset: number
}

/** Every document that is not empty, in order: a piece of the text at a time. */
export function* readYaml(text: string): Generator<readonly SourceDocument[], void> {
  if (text.length > textCharsMax) yield [tooLarge(0, 'the text', text.length, textCharsMax)]
  else for (const piece of piecesOf(text)) yield readPiece(piece)
}

interface Piece {
  readonly text: string
  readonly offset: number
}

function* piecesOf(text: string): Generator<Piece, void> {
  const cuts = [0, ...Array.from(text.matchAll(/^---(?=\s|$)/gm), (match) => match.index)]
  for (const [index, start] of cuts.entries()) {
    const piece = text.slice(start, cuts[index + 1] ?? text.length)
    // Comments, blank lines and directives alone are no document.
    const isEmpty = piece.split('\n').every((line) => /^\uFEFF?\s*(?:[#%]|$)/.test(line))
    if (!isEmpty) yield { text: piece, offset: start }
  }
}

function readPiece(piece: Piece): readonly SourceDocument[] {
  if (piece.text.length > documentCharsMax) {
    return [tooLarge(piece.offset, 'the document', piece.text.length, documentCharsMax)]
  }
  try {
    const documents = parseAllDocuments(withoutJsonTabs(piece.text), {
      version: '1.2',
      schema: 'core',
      uniqueKeys: false,
      prettyErrors: false,
      logLevel: 'silent',
    })
    return Array.from(documents).flatMap((document) => readDocument(document, piece))
  } catch (thrown) {
    // The parser's recursion overflows on text that nests thousands of levels deep.
    const reason = thrown instanceof Error ? thrown.message : String(thrown)
    return [brokenDocument(piece.offset, { code: 'TUL0004', ...nestedTooDeep(reason) })]
  }
}

/** JSON may be indented with tabs, YAML may not; both count one character. */
function withoutJsonTabs(text: string): string {
  if (!text.includes('\t') || !/^\s*\{/.test(text)) return text
  try {
    JSON.parse(text)
    return text.replaceAll('\t', ' ')
  } catch {
    // Not JSON: YAML's own rules hold.
    return text
  }
}

function readDocument(document: Document, piece: Piece): readonly SourceDocument[] {
  const base = piece.offset
  const { contents } = document
  const converter = new Converter(base)
  const start = base + (contents?.range?.[0] ?? 0)
  const root = contents === null ? undefined : converter.convert(contents, '', 0)
  const syntax = document.errors
    .slice(0, syntaxErrorsMax)
    .map((error) => syntaxProblem(error, piece))
  if (syntax.length === 0 && (root === undefined || isEmptyScalar(root))) return []
  return [
    {
      root,
      problems: syntax.length > 0 ? syntax : converter.problems,
      isBroken: syntax.length > 0,
      offset: start,
    },
  ]
}

function isEmptyScalar(root: SourceNode): boolean {
  return root.type === 'scalar' && root.value === null
}

/** Turns the parser's nodes into ours, and collects what JSON could not say. */
class Converter {
  readonly problems: PlacedProblem[] = []
  readonly #base: number
  readonly #anchors = new Map<string, { readonly node: SourceNode; readonly nodes: number }>()
  #nodes = 0
  #aliasNodes = 0

  constructor(base: number) {
    this.#base = base
  }

  convert(node: unknown, path: string, depth: number): SourceNode {
    const before = this.#nodes
    this.#nodes++
    const offset = this.#offsetOf(node)
    if (isAlias(node)) return this.#follow(node.source, path, offset)
    this.#checkTag(node, path, offset)
    const converted = this.#convertPlain(node, path, depth)
    // Null where the text is broken: a key of a map without its colon has no value.
    const anchor = (node as { anchor?: string } | null)?.anchor
    if (anchor !== undefined) {
      this.#anchors.set(anchor, { node: converted, nodes: this.#nodes - before })
    }
    return converted
  }

  #convertPlain(node: unknown, path: string, depth: number): SourceNode {
    const offset = this.#offsetOf(node)
    if (depth >= depthMax) {
      this.#report(path, offset, { code: 'TUL0004', ...nestedTooDeep('too many levels') })
      return nothing(offset)
    }
    if (isSeq(node)) return this.#convertList(node.items, path, { depth, offset })
    if (isMap(node)) return this.#convertMap(node.items, path, { depth, offset })
    return isScalar(node) ? scalarOf(node, offset) : nothing(offset)
  }

  #convertList(items: readonly unknown[], path: string, at: Level): ListNode {
    const converted = items.map((item, index) =>
      this.convert(item, itemPath(path, index), at.depth + 1),
    )
    return { type: 'list', items: converted, offset: at.offset }
  }

  #convertMap(pairs: readonly Pair[], path: string, at: Level): MapNode {
    const fields = new Map<string, SourceField>()
    const merged: SourceNode[] = []
    for (const { key, value } of pairs) {
      const keyOffset = this.#offsetOf(key, at.offset)
      const name = this.#nameOf(key, path, keyOffset)
      if (name === undefined) continue
      const node = this.convert(value, fieldPath(path, name), at.depth + 1)
      const placed = node.offset < 0 ? { ...node, offset: keyOffset } : node
      if (name === '<<' && isScalar(key) && key.type === 'PLAIN') merged.push(node)
      else if (fields.has(name)) this.#report(fieldPath(path, name), keyOffset, duplicate(name))
      else fields.set(name, { keyOffset, node: placed })
    }
    for (const node of merged) this.#merge(fields, node, path)
    return { type: 'map', fields, offset: at.offset }
  }

  /** What the object says itself wins over what is merged into it; earlier maps win over later ones. */
  #merge(fields: Map<string, SourceField>, node: SourceNode, path: string): void {
    const maps = node.type === 'list' ? node.items : [node]
    for (const map of maps) {
      if (map.type !== 'map') {
        this.#report(fieldPath(path, '<<'), map.offset, {
          code: 'TUL0003',
          message: 'a merge key (<<) must name an object or a list of objects',
          remedy: 'Merge an object, or remove the merge key.',
        })
        continue
      }
      for (const [name, field] of map.fields) if (!fields.has(name)) fields.set(name, field)
    }
  }

  #nameOf(key: unknown, path: string, offset: number): string | undefined {
    if (isScalar(key) && (typeof key.value === 'string' || key.source !== undefined)) {
      return typeof key.value === 'string' ? key.value : key.source
    }
    const isNullKey = isScalar(key) && key.value === null
    this.#report(path, offset, {
      code: 'TUL0003',
      message: `a key must be plain text, got ${isNullKey ? 'nothing' : 'a list, an object or an alias'}`,
      remedy: 'Write the key as text.',
    })
    return undefined
  }

  #follow(name: string, path: string, offset: number): SourceNode {
    const target = this.#anchors.get(name)
    if (target === undefined) {
      this.#report(path, offset, {
        code: 'TUL0003',
        message: `alias *${name} has no anchor &${name} before it`,
        remedy: 'Define the anchor earlier in this document, or write the value.',
      })
      return nothing(offset)
    }
    this.#aliasNodes += target.nodes
    this.#nodes += target.nodes
    if (this.#aliasNodes <= aliasNodesMax) return target.node
    this.#report(path, offset, {
      code: 'TUL0003',
      message: `aliases add more than ${String(aliasNodesMax)} values to this document`,
      remedy: 'Write the values out, or use fewer aliases.',
    })
    return nothing(offset)
  }

  #checkTag(node: unknown, path: string, offset: number): void {
    const tag = (node as { tag?: string } | null)?.tag
    if (
      tag === undefined ||
      /^(?:!|tag:yaml\.org,2002:(?:str|int|float|bool|null|map|seq))$/.test(tag)
    ) {
      return
    }
    this.#report(path, offset, {
      code: 'TUL0003',
      message: `tag ${tag.replace('tag:yaml.org,2002:', '!!')} has no JSON form`,
      remedy: 'Remove the tag and write the plain value.',
    })
  }

  #offsetOf(node: unknown, otherwise = -1): number {
    const range = (node as { range?: readonly number[] | null } | null)?.range
    const start = range?.[0]
    return start === undefined ? otherwise : this.#base + start
  }

  #report(path: string, offset: number, problem: Problem): void {
    this.problems.push({ ...problem, path, offset: Math.max(offset, this.#base) })
  }
}

interface Level {
  readonly depth: number
  readonly offset: number
}

function scalarOf(
  node: { value: unknown; source?: string | undefined; type?: string | undefined },
  offset: number,
): ScalarNode {
  const { value } = node
  const text = typeof value === 'string' ? value : (node.source ?? String(value))
  return {
    type: 'scalar',
    value: isJsonScalar(value) ? value : text,
    text,
    isPlain: node.type === 'PLAIN',
    offset,
  }
}

/** What a tag made of a scalar (bytes, a date) is not; the tag has been reported. */
function isJsonScalar(value: unknown): value is string | number | boolean | null {
  return value === null || ['string', 'number', 'boolean'].includes(typeof value)
}

function nothing(offset: number): ScalarNode {
  return { type: 'scalar', value: null, text: '', isPlain: true, offset }
}

function duplicate(name: string): Problem {
  return {
    code: 'TUL0002',
    message: `"${name}" is written twice in this object`,
    remedy: 'Keep one of the two.',
  }
}

function nestedTooDeep(reason: string): Problem {
  return {
    message: `must nest at most ${String(depthMax)} levels deep (${reason})`,
    remedy: 'Write a document with fewer levels.',
  }
}

const syntaxRemedies: Readonly<Record<string, string>> = {
  TAB_AS_INDENT: 'Indent with spaces.',
  BAD_INDENT: 'Correct the indentation, or close the bracket.',
  MISSING_CHAR: 'Close the quote or the bracket.',
  BLOCK_AS_IMPLICIT_KEY: 'Put text with ": " in quotes, or correct the indentation.',
}

/** What a file that is being written often ends with. */
const lineWithoutColon: Problem = {
  code: 'TUL0001',
  message: 'not YAML: this line has a name without a value',
  remedy: 'Write "name: value", or finish the line.',
}

function syntaxProblem(error: YAMLError, piece: Piece): PlacedProblem {
  // What is missing at the end is missing on the last line with text.
  const at = Math.min(error.pos[0], Math.max(0, piece.text.trimEnd().length - 1))
  const place = { offset: piece.offset + at, path: '' }
  if (error.message.startsWith('Implicit map keys')) return { ...lineWithoutColon, ...place }
  const message = error.message.charAt(0).toLowerCase() + error.message.slice(1)
  return {
    code: 'TUL0001',
    message: `not YAML: ${message}`,
    remedy: syntaxRemedies[error.code] ?? 'Correct the YAML at this place.',
    ...place,
  }
}

function tooLarge(offset: number, what: string, ...[chars, max]: [number, number]): SourceDocument {
  return brokenDocument(offset, {
    code: 'TUL0004',
    message: `${what} must have at most ${String(max)} characters, got ${String(chars)}`,
    remedy: 'Split it into smaller ones.',
  })
}

function brokenDocument(offset: number, problem: Problem): SourceDocument {
  return { root: undefined, problems: [{ ...problem, offset, path: '' }], isBroken: true, offset }
}
