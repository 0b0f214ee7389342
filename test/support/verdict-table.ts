/**
 * Tables of verdicts: what validation says of a spec as a whole. The tables that use them are the cases of Istio's own
 * validation tests that a sidecar's configuration can have, with what Istio says of each: names are ours, the facts
 * are Istio's. Findings of ours (TUL…) about what has no effect yet do not count.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Issue } from '../../src/model/issue.ts'
import { parseText } from '../../src/model/parse.ts'
import { describe, expectWellSaid, wrapSpec } from './issue-table.ts'

/**
 * `warning` is accepted with a finding. `noted` is what Istio accepts without a word, and we with one: the page of
 * differences says why.
 */
export type Verdict = 'valid' | 'noted' | 'warning' | 'invalid'
export type VerdictRow = readonly [title: string, verdict: Verdict, spec: string]

export interface Subject {
  readonly kind: string
  readonly group?: string
  readonly namespace?: string
  /** Puts the row's text where it belongs in a spec that is valid otherwise. */
  readonly around?: (part: string) => string
}

export function testVerdicts(about: string, subject: Subject, rows: readonly VerdictRow[]): void {
  const { kind, group = 'networking.istio.io', namespace = 'bar', around } = subject
  for (const [title, verdict, part] of rows) {
    test(`${kind}, ${about}: ${title}: ${verdict}`, () => {
      const spec = around === undefined ? part : around(part)
      const text = wrapSpec({ apiVersion: `${group}/v1`, kind, namespace }, spec)
      const [document] = parseText(text, 'table.yaml')
      assert.ok(document)
      expectWellSaid(document)
      const wanted = verdict === 'noted' ? 'warning' : verdict
      assert.equal(verdictOf(document.issues), wanted, `${text}\n${describe(document.issues)}`)
    })
  }
}

function verdictOf(issues: readonly Issue[]): Verdict {
  if (issues.some(({ severity }) => severity === 'error')) return 'invalid'
  return issues.some(({ code }) => code.startsWith('IST')) ? 'warning' : 'valid'
}
