/**
 * The text of a bootstrap, JSON or YAML, as a value; and where in the text each of its fields stands.
 *
 * A parser of YAML is loaded when it is needed: for YAML, or to say where a mistake is. That is 17 ms of each start.
 */
import { createRequire } from 'node:module'

import type * as Yaml from 'yaml'

import { MeshError } from '../../lib/mesh-error.ts'

export interface BootstrapText {
  readonly text: string
  /** For messages. */
  readonly file: string
}

export interface BootstrapDocument {
  readonly value: unknown
  /** `file:line:column` of a field, by its path. */
  readonly placeOf: (path: string) => string
}

/** Throws MeshError MESH_BOOTSTRAP_INVALID when it is neither JSON nor YAML. */
export function readBootstrap(source: BootstrapText): BootstrapDocument {
  const json = readJson(source.text)
  if (json === undefined) {
    const document = readYaml(source)
    return { value: document.toJs(), placeOf: document.placeOf }
  }
  let document: YamlDocument | undefined
  return {
    value: json,
    placeOf: (path) => {
      document ??= readYaml(source)
      return document.placeOf(path)
    },
  }
}

/** The error for reasons that already say where they stand. */
export function invalid(reasons: readonly string[]): MeshError {
  return new MeshError('MESH_BOOTSTRAP_INVALID', `invalid bootstrap: ${reasons.join('\n  ')}`, {
    remedy: 'compare the file with docs/reference/envoy-fields.md',
  })
}

/** Undefined when it is not JSON, or when a key stands twice in an object: the parser of YAML says where. */
function readJson(text: string): unknown {
  if (!text.trimStart().startsWith('{')) return undefined
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  // In JSON a colon follows no text but a key.
  const keys = [...text.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?/g)].filter((match) => match[1])
  return keys.length === countKeys(value) ? value : undefined
}

function countKeys(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  const own = Array.isArray(value) ? 0 : Object.keys(value).length
  return Object.values(value).reduce((sum: number, item) => sum + countKeys(item), own)
}

interface YamlDocument {
  readonly toJs: () => unknown
  readonly placeOf: (path: string) => string
}

function readYaml(source: BootstrapText): YamlDocument {
  const yaml = createRequire(import.meta.url)('yaml') as typeof Yaml
  const lines = new yaml.LineCounter()
  const document = yaml.parseDocument(source.text, { ...yamlOptions, lineCounter: lines })
  const [syntax] = document.errors
  if (syntax !== undefined) {
    const { line, col } = lines.linePos(syntax.pos[0])
    throw invalid([`${source.file}:${line}:${col}: ${syntax.message.split('\n')[0] ?? ''}`])
  }
  return {
    toJs: () => document.toJS() as unknown,
    placeOf: (path) => placeOf({ document, lines, file: source.file, path }),
  }
}

/**
 * Envoy reads YAML 1.1: `yes` is true and `0600` is octal. Not taken over are times of the day and dates, which Envoy
 * leaves as text.
 */
const yamlOptions: Yaml.ParseOptions & Yaml.DocumentOptions & Yaml.SchemaOptions = {
  version: '1.1',
  customTags: (tags) => tags.filter((tag) => typeof tag === 'string' || !isTime(tag)),
}

function isTime(tag: { readonly tag: string; readonly format?: string }): boolean {
  return tag.format === 'TIME' || tag.tag === 'tag:yaml.org,2002:timestamp'
}

interface Sought {
  readonly document: Yaml.Document
  readonly lines: Yaml.LineCounter
  readonly file: string
  readonly path: string
}

/** `file:line:column` of the deepest part of a path that the file has; names may be in camelCase there. */
function placeOf(sought: Sought): string {
  const steps = sought.path.split(/[.[\]]+/).filter((step) => step !== '')
  for (let length = steps.length; length > 0; length -= 1) {
    const keys = steps.slice(0, length).map((step) => (/^\d+$/.test(step) ? Number(step) : step))
    const node =
      sought.document.getIn(keys, true) ?? sought.document.getIn(keys.map(camelCase), true)
    const range = rangeOf(node)
    if (range === undefined) continue
    const { line, col } = sought.lines.linePos(range)
    return `${sought.file}:${line}:${col}`
  }
  return sought.file
}

function rangeOf(node: unknown): number | undefined {
  if (typeof node !== 'object' || node === null || !('range' in node)) return undefined
  const { range } = node
  return Array.isArray(range) && typeof range[0] === 'number' ? range[0] : undefined
}

function camelCase(step: string | number): string | number {
  if (typeof step === 'number') return step
  return step.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
}
