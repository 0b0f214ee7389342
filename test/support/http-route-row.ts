/** Rows about one HTTP route of a VirtualService: the rest of the spec is always the same. */
import type { IssueRow } from './issue-table.ts'

/** A spec with one HTTP route to host a; `lines` are further lines of the route. */
export function route(title: string, code: string, ...[path, lines]: [string, string]): IssueRow {
  const body = lines.trim().split('\n').join('\n  ')
  return [
    title,
    code,
    `spec.http[0].${path}`,
    `hosts: [a]\nhttp:\n- route:\n  - destination: {host: a}\n  ${body}`,
  ]
}

/** A spec with one match block. */
export function match(title: string, code: string, ...[path, lines]: [string, string]): IssueRow {
  const body = lines.trim().split('\n').join('\n    ')
  const text = `hosts: [a]\nhttp:\n- match:\n  - ${body}\n  route:\n  - destination: {host: a}`
  return [title, code, `spec.http[0].match[0].${path}`, text]
}

/** A spec whose one route is only this. */
export function action(title: string, code: string, ...[path, lines]: [string, string]): IssueRow {
  const body = lines.trim().split('\n').join('\n  ')
  return [title, code, `spec.http[0]${path}`, `hosts: [a]\nhttp:\n- ${body}`]
}

export const destination = (title: string, ...[path, lines]: [string, string]): IssueRow =>
  action(title, 'IST0106', `.route[0]${path}`, `route:\n- ${lines}`)
