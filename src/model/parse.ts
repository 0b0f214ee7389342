/**
 * Text to resources: the door of the model. Past it, specs are what their types say.
 *
 * `parseText` reads YAML (many documents) or JSON and gives one result a document: the resource when nothing in it
 * is wrong, else none; every issue at its file, line and column. One bad document never hides the others, and
 * nothing is thrown, whatever the text. `parseFile` reads a file first. `validate` takes a JSON value that came
 * through the API, where issues have no place in a text.
 *
 * For a store: call `parseText(text, path, { namespace })` for each file that changed. Put in each `resource`. A
 * document with a `key` and no `resource` is broken: keep the last good version of that key, and mark it stale. A
 * document without a key (broken beyond its name, or a kind that is skipped) only adds issues; when one of a
 * file's documents `isUnreadable`, keep every key that the file had before, for nobody can say which of them it
 * was. A warning never removes a resource.
 */
import { readFileSync } from 'node:fs'

import { runToEnd } from '../lib/steps.ts'
import type { Steps } from '../lib/steps.ts'
import { reportUnimplemented } from './effects.ts'
import { lookUpKind, readMetadata } from './envelope.ts'
import { Findings } from './findings.ts'
import type { Issue, Parsed } from './issue.ts'
import { shapeOfKind } from './kind-shape.ts'
import { kinds } from './kinds.ts'
import type { Kind } from './kinds.ts'
import { resourceKey } from './resource.ts'
import type { Resource, ResourceMetadata, SourcePosition } from './resource.ts'
import { nearestName } from './schema/nearest.ts'
import { readYaml } from './schema/read-yaml.ts'
import type { SourceDocument } from './schema/read-yaml.ts'
import { clip, wrongType } from './schema/shape.ts'
import type { Problem } from './schema/shape.ts'
import { isNull, nodeAt, nodeOfValue, valueOf } from './schema/source-node.ts'
import type { MapNode, SourceNode } from './schema/source-node.ts'
import { TextIndex } from './schema/text-index.ts'

export interface ParseOptions {
  /** Namespace of resources that name none. Default `default`. */
  readonly namespace?: string
}

export interface ParsedDocument {
  /** Absent when an issue is an error, or the kind is not one that we read. */
  readonly resource: Resource | undefined
  /** `resourceKey` of the resource, also of one with errors, when its kind and name could be read. */
  readonly key: string | undefined
  /** The text is not YAML, so that the key, if there is one, is a guess. */
  readonly isUnreadable: boolean
  /** Errors, warnings and notes, in the order of the text. */
  readonly issues: readonly Issue[]
  readonly position: SourcePosition
}

export function parseText(
  text: string,
  file: string,
  options: ParseOptions = {},
): readonly ParsedDocument[] {
  return runToEnd(parseTextInSteps(text, file, options))
}

/** The same, document by document, for whoever has others to serve meanwhile. */
export function* parseTextInSteps(
  text: string,
  file: string,
  options: ParseOptions = {},
): Steps<readonly ParsedDocument[]> {
  const source = { file, index: new TextIndex(text), namespace: options.namespace ?? 'default' }
  const parsed: ParsedDocument[] = []
  for (const documents of readYaml(text)) {
    for (const document of documents) parsed.push(...parseDocument(document, source))
    yield
  }
  return parsed
}

export function parseFile(path: string, options: ParseOptions = {}): readonly ParsedDocument[] {
  try {
    return parseText(readFileSync(path, 'utf8'), path, options)
  } catch (thrown) {
    // Only reading the file can fail: that is a finding on the file like any other.
    const reason = thrown instanceof Error ? thrown.message : String(thrown)
    const findings = new Findings(path, new TextIndex(''))
    findings.addAt(0, '', {
      code: 'TUL0201',
      message: `the file could not be read: ${reason}`,
      remedy: 'Check that the file is there and may be read.',
    })
    return [resultOf(findings, { isUnreadable: true, offset: 0 })]
  }
}

/** A resource from a JSON value. */
export function validate(value: unknown, options: ParseOptions = {}): Parsed<Resource> {
  const source = { file: '', index: new TextIndex(''), namespace: options.namespace ?? 'default' }
  const root = isTooDeep(value, 0) ? undefined : nodeOfValue(value)
  const parsed =
    root === undefined ? tooDeep(source) : parseResource(root, { ...source, problems: [] })
  if (parsed.resource !== undefined) {
    return { ok: true, value: parsed.resource, warnings: parsed.issues }
  }
  return { ok: false, issues: parsed.issues }
}

interface Source {
  readonly file: string
  readonly index: TextIndex
  readonly namespace: string
}

interface ResourceSource extends Source {
  readonly problems: SourceDocument['problems']
}

/** Deeper than any resource, and shallow enough to walk by recursion. */
const depthMax = 64

function isTooDeep(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  return depth >= depthMax || Object.values(value).some((field) => isTooDeep(field, depth + 1))
}

function tooDeep(source: Source): ParsedDocument {
  const findings = new Findings(source.file, source.index)
  findings.addAt(-1, '', {
    code: 'TUL0004',
    message: `must nest at most ${String(depthMax)} levels deep`,
    remedy: 'Write a resource with fewer levels.',
  })
  return resultOf(findings, { isUnreadable: true, offset: -1 })
}

function parseDocument(document: SourceDocument, source: Source): readonly ParsedDocument[] {
  const { root, problems } = document
  if (document.isBroken || root === undefined) return [parseBroken(document, source)]
  const items = itemsOfList(root)
  if (items === undefined) return [parseResource(root, { ...source, problems })]
  const [first, ...others] = items.map((item) => parseResource(item, { ...source, problems: [] }))
  if (first === undefined || problems.length === 0) {
    return first === undefined ? [] : [first, ...others]
  }
  // What is wrong with the list's own text is told once.
  const findings = new Findings(source.file, source.index)
  for (const problem of problems) findings.addAt(problem.offset, problem.path, problem)
  return [resultOf(findings, { isUnreadable: true, offset: document.offset }), first, ...others]
}

/** Of `kind: List`, and of a typed list such as VirtualServiceList, whose items may leave out their kind. */
function itemsOfList(root: SourceNode): readonly SourceNode[] | undefined {
  const kind = textAt(root, 'kind') ?? ''
  const items = nodeAt(root, 'items')
  if (!kind.endsWith('List') || items?.type !== 'list') return undefined
  const itemKind = kind.slice(0, -'List'.length)
  const isTyped = kinds.some((entry) => entry.kind === itemKind)
  const apiVersion = textAt(root, 'apiVersion')
  if (!isTyped || apiVersion === undefined) return items.items
  return items.items.map((item) => withKind(item, apiVersion, itemKind))
}

function withKind(item: SourceNode, apiVersion: string, kind: string): SourceNode {
  if (item.type !== 'map') return item
  const scalar = (text: string): { keyOffset: number; node: SourceNode } => ({
    keyOffset: item.offset,
    node: { type: 'scalar', value: text, text, isPlain: true, offset: item.offset },
  })
  const implied: [string, ReturnType<typeof scalar>][] = [
    ['apiVersion', scalar(apiVersion)],
    ['kind', scalar(kind)],
  ]
  return { ...item, fields: new Map([...implied, ...item.fields]) }
}

/** Text that is no YAML: say so, and name the resource as well as can be guessed. */
function parseBroken(document: SourceDocument, source: Source): ParsedDocument {
  const findings = new Findings(source.file, source.index)
  for (const problem of document.problems) findings.addAt(problem.offset, problem.path, problem)
  const guessed = document.root === undefined ? undefined : guessIdentity(document.root, source)
  findings.name(guessed?.resource ?? '')
  return resultOf(findings, { key: guessed?.key, isUnreadable: true, offset: document.offset })
}

function guessIdentity(
  root: SourceNode,
  source: Source,
): { readonly key: string; readonly resource: string } | undefined {
  const lookup = lookUpKind(textAt(root, 'apiVersion') ?? '', textAt(root, 'kind') ?? '')
  const name = textAt(root, 'metadata.name')
  if (!lookup.found || name === undefined) return undefined
  const namespace = textAt(root, 'metadata.namespace') ?? source.namespace
  return identityOf(lookup.kind, { name, namespace })
}

function identityOf(
  kind: Kind,
  metadata: { readonly name: string; readonly namespace: string },
): { readonly key: string; readonly resource: string } {
  return {
    key: resourceKey(kind.group, kind.kind, metadata),
    resource: `${kind.kind} ${metadata.namespace}/${metadata.name}`,
  }
}

function parseResource(root: SourceNode, source: ResourceSource): ParsedDocument {
  const findings = new Findings(source.file, source.index, root)
  for (const problem of source.problems) findings.addAt(problem.offset, problem.path, problem)
  const place = { isUnreadable: false, offset: root.offset }
  if (root.type !== 'map') {
    findings.add('', { ...wrongType('an object', root), code: 'TUL0005' })
    return resultOf(findings, { ...place, isUnreadable: true })
  }
  const kind = readKind(root, findings)
  if (kind === undefined) return resultOf(findings, place)
  const reading = findings.reading(textAt(root, 'metadata.namespace') ?? source.namespace)
  const metadata = readMetadata(root, kind.entry, reading)
  const identity = metadata === undefined ? undefined : identityOf(kind.entry, metadata)
  findings.name(identity?.resource ?? '')
  reportUnknownFields(root, findings)
  const spec = readSpec(root, kind.entry, findings, reading.namespace)
  const result = { ...place, key: identity?.key }
  if (metadata === undefined || findings.hasErrors) return resultOf(findings, result)
  return resultOf(findings, {
    ...result,
    resource: resourceOf(kind, metadata, spec, { root, source, findings }),
  })
}

interface ReadKind {
  readonly apiVersion: string
  readonly entry: Kind
}

function readKind(root: MapNode, findings: Findings): ReadKind | undefined {
  const apiVersion = textAt(root, 'apiVersion')
  const kind = textAt(root, 'kind')
  if (apiVersion === undefined || kind === undefined) {
    for (const name of ['apiVersion', 'kind']) {
      if (textAt(root, name) === undefined) findings.add(name, missingEnvelope(root, name))
    }
    return undefined
  }
  const lookup = lookUpKind(apiVersion, kind)
  if (lookup.found) return { apiVersion, entry: lookup.kind }
  findings.add(lookup.path, lookup.problem)
  return undefined
}

function missingEnvelope(root: MapNode, name: string): Problem {
  const node = root.fields.get(name)?.node
  const isWritten = node !== undefined && !isNull(node)
  return {
    code: 'TUL0005',
    message: isWritten ? `${name} must be a string` : `${name} is required`,
    remedy:
      name === 'kind'
        ? 'Add a kind, for example VirtualService.'
        : 'Add an apiVersion, for example networking.istio.io/v1.',
  }
}

const envelopeFields = ['apiVersion', 'kind', 'metadata', 'spec', 'status']

function reportUnknownFields(root: MapNode, findings: Findings): void {
  for (const name of root.fields.keys()) {
    if (envelopeFields.includes(name)) continue
    const nearest = nearestName(name, envelopeFields)
    findings.add(name, {
      code: 'TUL0010',
      message: `unknown field "${clip(name)}"${nearest === undefined ? '' : `, did you mean "${nearest}"?`}`,
      remedy: nearest === undefined ? 'Move it under spec, or remove it.' : `Write "${nearest}".`,
    })
  }
}

function readSpec(
  ...[root, kind, findings, namespace]: [MapNode, Kind, Findings, string]
): unknown {
  const node = root.fields.get('spec')?.node
  const shape = shapeOfKind(kind)
  if (shape === undefined) {
    findings.add('kind', notImplemented(kind))
    const isObject = node === undefined || isNull(node) || node.type === 'map'
    if (!isObject) findings.add('spec', wrongType('an object', node))
    return node === undefined || isNull(node) ? {} : valueOf(node)
  }
  if (node === undefined || isNull(node)) {
    findings.add('spec', {
      message: 'spec is required',
      remedy: `Add the spec of the ${kind.kind}.`,
    })
    return undefined
  }
  const reading = findings.reading(namespace)
  const spec = shape.read(node, 'spec', reading)
  reportUnimplemented(kind.kind, { node, shape }, reading)
  return spec
}

function notImplemented(kind: Kind): Problem {
  const danger = kind.isSecurity ? ': what it should forbid is NOT forbidden' : ''
  return {
    code: 'TUL0009',
    severity: 'warning',
    message: `${kind.kind} is known and has no effect in this version${danger}`,
    remedy: 'Do not rely on it: the kind is not implemented yet.',
  }
}

interface Origin {
  readonly root: SourceNode
  readonly source: Source
  readonly findings: Findings
}

function resourceOf(
  ...[kind, metadata, spec, origin]: [ReadKind, ResourceMetadata, unknown, Origin]
): Resource {
  const { findings, root } = origin
  return {
    apiVersion: kind.apiVersion,
    kind: kind.entry.kind,
    metadata,
    spec,
    origin: {
      ...findings.positionAt(root.offset),
      positionOf: (path) => findings.positionOf(path),
    },
  }
}

interface ResultPlace {
  readonly resource?: Resource
  readonly key?: string | undefined
  readonly isUnreadable: boolean
  readonly offset: number
}

function resultOf(findings: Findings, place: ResultPlace): ParsedDocument {
  return {
    resource: place.resource,
    key: place.key,
    isUnreadable: place.isUnreadable,
    issues: findings.issues(),
    position: findings.positionAt(place.offset),
  }
}

/** Text that is not empty, at a path; undefined when anything else is there. */
function textAt(root: SourceNode, path: string): string | undefined {
  const node = nodeAt(root, path)
  if (node?.type !== 'scalar' || typeof node.value !== 'string') return undefined
  return node.value === '' ? undefined : node.value
}
