/** Findings about configuration, as a person reads them: place, what is wrong, what to do. */
import { relative } from 'node:path'

import type { Issue } from '../model/issue.ts'
import { printable, printableColoured, type Colour, type Terminal } from './terminal.ts'

const colours: Readonly<Record<Issue['severity'], Colour>> = {
  error: 'red',
  warning: 'yellow',
  info: 'blue',
}

export interface IssueTextOptions {
  readonly terminal: Terminal
  /** Files below it are shown relative to it. */
  readonly cwd: string
}

/** Two or three lines each, in the order of files and lines. */
export function issuesText(issues: readonly Issue[], options: IssueTextOptions): string {
  return sortIssues(issues)
    .map((issue) => issueText(issue, options))
    .join('')
}

export function sortIssues(issues: readonly Issue[]): readonly Issue[] {
  return issues.toSorted(
    (a, b) =>
      compare(a.file, b.file) || a.line - b.line || a.column - b.column || compare(a.code, b.code),
  )
}

function compare(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}

function issueText(issue: Issue, { terminal, cwd }: IssueTextOptions): string {
  const severity = terminal.colour(colours[issue.severity], issue.severity)
  const place = placeText(issue, cwd)
  const subject = [issue.resource, issue.path].filter((part) => part !== '').join(' ')
  const lines = [
    `${place}${severity} ${issue.code}: ${subject === '' ? '' : `${subject}: `}${issue.message}`,
    ...(issue.remedy === '' ? [] : [`  next: ${issue.remedy}`]),
  ]
  return `${printableColoured(lines.join('\n'))}\n`
}

function placeText({ file, line, column }: Issue, cwd: string): string {
  if (file === '') return ''
  const short = relative(cwd, file)
  const shown = short === '' || short.startsWith('..') ? file : short
  return line === 0 ? `${shown}: ` : `${shown}:${line}:${column}: `
}

/** One line, as istioctl logs it: `Error [IST0101] (VirtualService default/reviews routes.yaml:8) …` */
export function issueLog({ severity, code, resource, file, line, message }: Issue): string {
  const level = severity.charAt(0).toUpperCase() + severity.slice(1)
  const place = [resource, `${file}:${line}`].filter((part) => part !== '').join(' ')
  return `${level} [${code}] (${place}) ${printable(message)}\n`
}

/** `2 errors, 1 warning`; empty when there is nothing. */
export function countIssues(issues: readonly Issue[]): string {
  const count = (severity: Issue['severity'], noun: string) => {
    const amount = issues.filter((issue) => issue.severity === severity).length
    return amount === 0 ? [] : [`${amount} ${noun}${amount === 1 ? '' : 's'}`]
  }
  return [
    ...count('error', 'error'),
    ...count('warning', 'warning'),
    ...count('info', 'note'),
  ].join(', ')
}
