/**
 * Tables of what validation says: each row is a title, the code and path of the one issue that is expected, and the
 * spec, in which the comment `# HERE` marks the line where the issue must point.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Issue } from '../../src/model/issue.ts'
import { parseText } from '../../src/model/parse.ts'
import type { ParsedDocument } from '../../src/model/parse.ts'

export type IssueRow = readonly [title: string, code: string, path: string, text: string]

export interface Envelope {
  readonly apiVersion: string
  readonly kind: string
  readonly namespace?: string
}

/** A document around a spec whose lines begin at the margin. */
export function wrapSpec(
  { apiVersion, kind, namespace = 'default' }: Envelope,
  spec: string,
): string {
  const lines = spec.trim().split('\n')
  return [
    `apiVersion: ${apiVersion}`,
    `kind: ${kind}`,
    'metadata:',
    '  name: x',
    `  namespace: ${namespace}`,
    `spec:${lines[0] === '# HERE' ? ' # HERE' : ''}`,
    ...(lines[0] === '# HERE' ? lines.slice(1) : lines).map((line) => `  ${line}`),
    '',
  ].join('\n')
}

/** One test a row. */
export function testIssues(envelope: Envelope, rows: readonly IssueRow[]): void {
  for (const row of rows) {
    const [title, code, path, spec] = row
    test(`${envelope.kind}: ${title}`, () => {
      expectIssue(wrapSpec(envelope, spec), code, path)
    })
  }
}

/** The text has one document, and in it one error, or one finding of this code, at this path and the marked line. */
export function expectIssue(text: string, code: string, path: string): void {
  const [document, ...others] = parseText(text, 'table.yaml')
  assert.ok(document, 'no document')
  assert.equal(others.length, 0)
  const found = document.issues.filter((issue) => issue.severity === 'error' || issue.code === code)
  assert.deepEqual(
    found.map((issue) => ({ code: issue.code, path: issue.path, line: issue.line })),
    [{ code, path, line: markedLine(text) }],
    describe(document.issues),
  )
  expectWellSaid(document)
}

function markedLine(text: string): number {
  const line = text.split('\n').findIndex((candidate) => candidate.includes('# HERE')) + 1
  assert.ok(line > 0, 'no line is marked # HERE')
  return line
}

/** Every issue says what and what to do, and an error keeps the resource out. */
export function expectWellSaid(document: ParsedDocument): void {
  for (const issue of document.issues) {
    assert.notEqual(issue.message, '')
    assert.doesNotMatch(issue.message, /[.]$|undefined|\[object/)
    assert.match(issue.remedy, /^[A-Z].*[.…]$/s)
    assert.ok(issue.line >= 1 && issue.column >= 1)
  }
  const hasError = document.issues.some(({ severity }) => severity === 'error')
  if (hasError) assert.equal(document.resource, undefined)
}

export function describe(issues: readonly Issue[]): string {
  return issues
    .map(
      ({ severity, code, line, path, message }) =>
        `${severity} ${code} ${String(line)} ${path}: ${message}`,
    )
    .join('\n')
}
