/**
 * One file of configuration: what is in force from it, and what it seems to have become.
 *
 * What a look finds is first a *candidate*. It is believed, and comes into force, once looks have found it
 * unchanged for a while; how long depends on how much it resembles a file caught in the middle of being
 * written. So neither truncate-then-write, nor delete-and-recreate, nor a slow writer is mistaken for what the
 * person meant:
 *
 * | what the look found | settles after |
 * | --- | --- |
 * | text in which nothing is wrong and nothing went away | `stableMs` |
 * | errors; no newline at its end; a beginning of what it was; resources that went away | `suspectMs` |
 * | no file | `missingMs` |
 * | nothing but blanks where there were resources | `emptyMs` |
 *
 * A file that is believed and has errors keeps the last good version of what is broken in it.
 */
import { describeError } from '../../lib/mesh-error.ts'
import { runToEnd } from '../../lib/steps.ts'
import type { Steps } from '../../lib/steps.ts'
import type { Issue } from '../../model/issue.ts'
import { describeResource } from '../../model/resource.ts'
import type { Resource } from '../../model/resource.ts'
import { contentRevision, keyOf } from '../identity.ts'
import type { StoredResource } from '../source.ts'
import type { Content } from './scan.ts'

export interface SettleTimes {
  readonly stableMs: number
  readonly suspectMs: number
  readonly missingMs: number
  readonly emptyMs: number
}

/** Every document that is fit for use, and what is wrong with the others. */
export interface ParsedText {
  readonly resources: readonly Resource[]
  readonly issues: readonly Issue[]
  /** Keys of documents that are broken, as far as they can be read; errors that name a resource count as well. */
  readonly brokenKeys?: readonly string[]
  /** Some of the text is no YAML: any of the resources may have been in there. */
  readonly isUnreadable?: boolean
}

/** All at once, or in steps: a file may hold thousands of documents. */
export type ParseText = (text: string, file: string) => ParsedText | Steps<ParsedText>

/** What was found in a file, worked out as far as it can be before it is believed. */
export interface Prepared {
  readonly content: Content
  readonly parsed: ParsedText
  readonly revisions: ReadonlyMap<Resource, string>
}

interface Candidate extends Prepared {
  readonly sinceMs: number
  readonly settleMs: number
}

const nothing: ParsedText = { resources: [], issues: [] }

const noRevisions: ReadonlyMap<Resource, string> = new Map()

export class LoadedFile {
  readonly path: string
  readonly #parse: ParseText
  readonly #times: SettleTimes
  #content: Content = { kind: 'missing' }
  #resources: ReadonlyMap<string, StoredResource> = new Map()
  #stale: ReadonlySet<string> = new Set()
  #issues: readonly Issue[] = []
  #candidate: Candidate | undefined

  constructor(path: string, parse: ParseText, times: SettleTimes) {
    this.path = path
    this.#parse = parse
    this.#times = times
  }

  /** In force, in the order of the file. */
  get resources(): ReadonlyMap<string, StoredResource> {
    return this.#resources
  }

  get stale(): ReadonlySet<string> {
    return this.#stale
  }

  get issues(): readonly Issue[] {
    return this.#issues
  }

  /** Nothing is in force from it and there is nothing to wait for: it can be forgotten. */
  get isGone(): boolean {
    return this.#content.kind === 'missing' && this.#candidate === undefined
  }

  /** What is in force is all that the file says, and nothing is wrong in it. */
  get goodText(): string | undefined {
    const isGood = this.#stale.size === 0 && !this.#issues.some(isError)
    return isGood && this.#content.kind === 'text' ? this.#content.text : undefined
  }

  /** What it seems to have become has errors, or cannot be read. */
  get isBroken(): boolean {
    const found = this.#candidate
    if (found === undefined) return false
    return found.content.kind === 'unreadable' || found.parsed.issues.some(isError)
  }

  /** Before anything is believed: what was in force from the file when another process read it. */
  restore(text: string): void {
    const parsed = runToEnd(this.#parsed(text))
    this.#load({ content: { kind: 'text', text }, parsed, revisions: noRevisions })
  }

  /** When the candidate will have settled, if it does not change again; undefined without one. */
  get settlesAtMs(): number | undefined {
    return this.#candidate && this.#candidate.sinceMs + this.#candidate.settleMs
  }

  /** The work that a look at the file is, without effect yet; a text that is known already costs none. */
  *prepare(content: Content): Steps<Prepared> {
    const { content: known, parsed, revisions } = this.#candidate ?? unprepared
    if (content.kind === 'text' && isSameContent(content, known))
      return { content, parsed, revisions }
    const isNew = content.kind === 'text' && !isSameContent(content, this.#content)
    if (!isNew) return { content, parsed: nothing, revisions: noRevisions }
    const made = yield* this.#parsed(content.text)
    const found = new Map<Resource, string>()
    for (const resource of made.resources) {
      found.set(resource, contentRevision(resource))
      yield
    }
    return { content, parsed: made, revisions: found }
  }

  observe(found: Content, nowMs: number, prepared = runToEnd(this.prepare(found))): void {
    if (isSameContent(found, this.#content)) {
      this.#candidate = undefined
      return
    }
    if (this.#candidate !== undefined && isSameContent(found, this.#candidate.content)) return
    const settleMs = this.#settleMs(found, prepared.parsed)
    this.#candidate = { ...prepared, sinceMs: nowMs, settleMs }
  }

  /** Brings the candidate into force, settled or not. */
  believe(): void {
    const candidate = this.#candidate
    if (candidate === undefined) return
    this.#candidate = undefined
    this.#content = candidate.content
    if (candidate.content.kind === 'unreadable') {
      this.#stale = new Set(this.#resources.keys())
      this.#issues = withConsequence([candidate.content.issue], this.#resources, this.#stale)
      return
    }
    this.#load(candidate)
  }

  *#parsed(text: string): Steps<ParsedText> {
    try {
      const parsed = this.#parse(text, this.path)
      return 'resources' in parsed ? parsed : yield* parsed
    } catch (error) {
      // A parser that throws is our bug; a file must not be able to end the control plane by it.
      return { resources: [], issues: [parserFailed(this.path, error)] }
    }
  }

  #settleMs(content: Content, parsed: ParsedText): number {
    if (content.kind === 'missing') return this.#times.missingMs
    if (content.kind === 'unreadable') return this.#times.suspectMs
    const wasEmpty = this.#resources.size === 0
    if (content.text.trim() === '') return wasEmpty ? this.#times.stableMs : this.#times.emptyMs
    const isSuspect =
      parsed.issues.some(isError) ||
      !content.text.endsWith('\n') ||
      (this.#content.kind === 'text' && this.#content.text.startsWith(content.text)) ||
      this.#loses(parsed)
    return isSuspect ? this.#times.suspectMs : this.#times.stableMs
  }

  #loses(parsed: ParsedText): boolean {
    const keys = new Set(parsed.resources.map(keyOf))
    return [...this.#resources.keys()].some((key) => !keys.has(key))
  }

  #load({ parsed, revisions }: Prepared): void {
    const resources = new Map<string, StoredResource>()
    const issues = [...parsed.issues]
    for (const resource of parsed.resources) {
      const key = keyOf(resource)
      const first = resources.get(key)
      if (first === undefined)
        resources.set(key, this.#stored(key, resource, revisions.get(resource)))
      else issues.push(declaredTwice(first.resource, resource))
    }
    const stale = new Set<string>()
    const isBroken = brokenBy(parsed, this.#resources)
    for (const [key, last] of this.#resources) {
      if (resources.has(key) || !isBroken(last.resource)) continue
      resources.set(key, last)
      stale.add(key)
    }
    this.#resources = resources
    this.#stale = stale
    this.#issues = withConsequence(issues, resources, stale)
  }

  #stored(key: string, resource: Resource, known: string | undefined): StoredResource {
    const revision = known ?? contentRevision(resource)
    const last = this.#resources.get(key)
    const isSame =
      last?.revision === revision &&
      last.resource.origin.line === resource.origin.line &&
      last.resource.origin.column === resource.origin.column
    return isSame ? last : { resource, revision }
  }
}

function isError({ severity }: Issue): boolean {
  return severity === 'error'
}

const unprepared: Prepared = {
  content: { kind: 'missing' },
  parsed: nothing,
  revisions: noRevisions,
}

/** Errors that keep a resource's last good version in force say so; one that names no resource speaks of the file's. */
function withConsequence(
  issues: readonly Issue[],
  resources: ReadonlyMap<string, StoredResource>,
  stale: ReadonlySet<string>,
): readonly Issue[] {
  if (stale.size === 0) return issues
  const kept = new Set<string>()
  const good = new Set<string>()
  for (const [key, { resource }] of resources) {
    const names = stale.has(key) ? kept : good
    names.add(describeResource(resource))
  }
  return issues.map((issue) => {
    if (issue.severity !== 'error' || good.has(issue.resource)) return issue
    const what = kept.has(issue.resource)
      ? `of this ${issue.resource.split(' ')[0] ?? ''}`
      : 'of what this file declared'
    return { ...issue, message: `${issue.message}; the last good version ${what} stays in force` }
  })
}

function parserFailed(file: string, error: unknown): Issue {
  return {
    code: 'TUL0206',
    severity: 'error',
    file,
    line: 0,
    column: 0,
    resource: '',
    path: '',
    message: `our parser failed on this file: ${describeError(error)}`,
    remedy: 'Report it with the file; until then take out what was added last.',
  }
}

/**
 * Tells of a resource that is no longer among the good ones whether it is broken, or was taken out. In doubt it
 * is broken: a document whose kind or name is misspelt looks like another one.
 */
function brokenBy(
  parsed: ParsedText,
  before: ReadonlyMap<string, StoredResource>,
): (resource: Resource) => boolean {
  const known = new Map([...before].map(([key, { resource }]) => [describeResource(resource), key]))
  const named = parsed.issues
    .filter(({ severity }) => severity === 'error')
    .map(({ resource }) => known.get(resource))
  const keys = new Set([...named, ...(parsed.brokenKeys ?? [])])
  const isInDoubt = parsed.isUnreadable === true || [...keys].some((key) => !before.has(key ?? ''))
  return (resource) => isInDoubt || keys.has(keyOf(resource))
}

/** The first by path order, and by order in its file, is the one in force. */
export function declaredTwice(first: Resource, second: Resource): Issue {
  const { file, line, column } = second.origin
  return {
    code: 'TUL0202',
    severity: 'error',
    file,
    line,
    column,
    resource: describeResource(second),
    path: 'metadata.name',
    message:
      `declared in ${first.origin.file}:${first.origin.line} and again in ${file}:${line}; ` +
      'the first is in force',
    remedy: 'Delete one of the two, or give it another name or namespace.',
  }
}

function isSameContent(a: Content, b: Content): boolean {
  if (a.kind === 'text') return b.kind === 'text' && a.text === b.text
  if (a.kind === 'missing') return b.kind === 'missing'
  return b.kind === 'unreadable' && a.issue.message === b.issue.message
}
