/** The results of route tests for people, for TAP (version 14) and for JUnit's XML, which CI systems read. */
import { relative } from 'node:path'

import { stringify } from 'yaml'

import type { Issue } from '../../model/issue.ts'
import { issuesText } from '../issue-text.ts'
import { printable, printableColoured, type Terminal } from '../terminal.ts'
import type { CaseResult, RouteTestRun } from './run-route-tests.ts'

export interface ReportOptions {
  readonly terminal: Terminal
  readonly cwd: string
}

export function humanReport({ results, errors }: RouteTestRun, options: ReportOptions): string {
  const { terminal, cwd } = options
  const lines: string[] = []
  let file = ''
  for (const result of results) {
    if (result.file !== file) lines.push(terminal.colour('bold', shortPath(result.file, cwd)))
    file = result.file
    const isGood = result.mismatches.length === 0
    const mark = isGood ? terminal.colour('green', 'ok  ') : terminal.colour('red', 'FAIL')
    lines.push(`  ${mark} ${String(result.line).padStart(4)}  ${result.name}`)
    lines.push(...failureLines(result, cwd).map((line) => `              ${line}`))
  }
  const failed = results.filter(({ mismatches }) => mismatches.length > 0).length
  const counts = [
    `${results.length - failed} passed`,
    ...(failed === 0 ? [] : [`${failed} failed`]),
    ...(errors.length === 0 ? [] : [`${errors.length} errors in the files`]),
  ]
  const issues = errors.length === 0 ? '' : `${issuesText(errors, options)}\n`
  const summary = terminal.colour(failed + errors.length === 0 ? 'green' : 'red', counts.join(', '))
  return `${issues}${[...lines.map(printableColoured), summary].join('\n')}\n`
}

/** What differs, and which rule decided. */
function failureLines({ mismatches, report }: CaseResult, cwd: string): readonly string[] {
  if (mismatches.length === 0) return []
  const matched = report?.rules.find(({ outcome }) => outcome === 'matched')
  const source = matched?.source
  const tried = (report?.rules ?? []).filter((rule) => rule.outcome !== 'matched' && rule.source)
  const reasons = tried.map(({ source: place, conditions }) => {
    const unmet = conditions.find(({ isMet }) => !isMet)
    const where = place === undefined ? '' : `${shortPath(place.file, cwd)}:${place.line}`
    return `not by ${where}: ${unmet?.subject ?? ''} wanted ${unmet?.wanted ?? ''}, got ${unmet?.got ?? 'nothing'}`
  })
  return [
    ...mismatches,
    ...reasons,
    ...(source === undefined ? [] : [`decided by ${shortPath(source.file, cwd)}:${source.line}`]),
  ]
}

export function tapReport({ results, errors }: RouteTestRun, { cwd }: ReportOptions): string {
  const lines = ['TAP version 14', `1..${results.length + (errors.length === 0 ? 0 : 1)}`]
  results.forEach((result, index) => {
    const isGood = result.mismatches.length === 0
    lines.push(`${isGood ? 'ok' : 'not ok'} ${index + 1} - ${tapText(result.name)}`)
    if (!isGood) lines.push(...diagnostic(result, cwd))
  })
  if (errors.length > 0) {
    lines.push(`not ok ${results.length + 1} - the files have no errors`)
    lines.push(...yamlBlock({ errors: errors.map(issueLine) }))
  }
  return `${lines.join('\n')}\n`
}

function diagnostic(result: CaseResult, cwd: string): readonly string[] {
  return yamlBlock({
    at: `${shortPath(result.file, cwd)}:${result.line}`,
    details: failureLines(result, cwd),
  })
}

function yamlBlock(value: object): readonly string[] {
  const text = stringify(value, { lineWidth: 0 }).trimEnd()
  return ['  ---', ...text.split('\n').map((line) => `  ${line}`), '  ...']
}

/** `#` begins a directive, and a backslash escapes it. */
function tapText(text: string): string {
  return printable(text)
    .replaceAll('\n', ' ')
    .replaceAll(/[\\#]/g, String.raw`\$&`)
}

export function junitReport({ results, errors }: RouteTestRun, { cwd }: ReportOptions): string {
  const files = Map.groupBy(results, ({ file }) => file)
  const failed = results.filter(({ mismatches }) => mismatches.length > 0).length
  const lines = [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="tulle test" tests="${results.length}" failures="${failed}" errors="${errors.length}">`,
    ...[...files].flatMap(([file, cases]) => suiteLines(file, cases, cwd)),
    ...(errors.length === 0 ? [] : errorLines(errors)),
    '</testsuites>',
  ]
  return `${lines.join('\n')}\n`
}

function suiteLines(file: string, cases: readonly CaseResult[], cwd: string): readonly string[] {
  const failed = cases.filter(({ mismatches }) => mismatches.length > 0).length
  const path = xmlText(shortPath(file, cwd))
  return [
    `  <testsuite name="${path}" tests="${cases.length}" failures="${failed}" errors="0">`,
    ...cases.flatMap((one) => {
      const start = `    <testcase name="${xmlText(one.name)}" classname="${xmlText(one.resource)}" file="${path}" line="${one.line}"`
      const first = one.mismatches[0]?.replaceAll(/\s+/g, ' ')
      if (first === undefined) return [`${start}/>`]
      const details = xmlText(failureLines(one, cwd).join('\n'))
      return [
        `${start}>`,
        `      <failure message="${xmlText(first)}">${details}</failure>`,
        '    </testcase>',
      ]
    }),
    '  </testsuite>',
  ]
}

function errorLines(errors: readonly Issue[]): readonly string[] {
  return [
    `  <testsuite name="files" tests="${errors.length}" failures="0" errors="${errors.length}">`,
    ...errors.flatMap((issue) => [
      `    <testcase name="${xmlText(issue.resource || issue.file)}" classname="${issue.code}">`,
      `      <error message="${xmlText(issue.message)}">${xmlText(issueLine(issue))}</error>`,
      '    </testcase>',
    ]),
    '  </testsuite>',
  ]
}

function issueLine({ file, line, column, code, message }: Issue): string {
  return `${file}:${line}:${column} ${code} ${message}`
}

/** XML 1.0 has no place for control characters, not even escaped. */
function xmlText(text: string): string {
  return printable(text)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}

function shortPath(file: string, cwd: string): string {
  const short = relative(cwd, file)
  return short === '' || short.startsWith('..') ? file : short
}
