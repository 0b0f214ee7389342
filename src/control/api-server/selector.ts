/** Label and field selectors, as Kubernetes writes them in query strings. */
import type { ApiObject } from '../../api/object.ts'
import { ApiError } from './status.ts'

export type Matches = (object: ApiObject) => boolean

export interface Selection {
  readonly namespace: string | undefined
  readonly labelSelector: string
  readonly fieldSelector: string
}

/** Selects among the objects of a kind. Rejections: ApiError BadRequest. */
export function compileSelection(selection: Selection): Matches {
  const { namespace } = selection
  const labels = compileLabelSelector(selection.labelSelector)
  const fields = compileFieldSelector(selection.fieldSelector)
  return (object) =>
    (namespace === undefined || object.metadata.namespace === namespace) &&
    labels(object) &&
    fields(object)
}

export function compileLabelSelector(text: string): Matches {
  const requirements = splitOutsideParentheses(text).map(compileRequirement)
  return (object) => requirements.every((isMet) => isMet(object.metadata.labels ?? {}))
}

type Labels = Readonly<Record<string, string>>

const key = String.raw`([A-Za-z0-9](?:[-A-Za-z0-9_./]*[A-Za-z0-9])?)`
const setPattern = new RegExp(String.raw`^${key}\s+(in|notin)\s*\(([^()]*)\)$`)
const equalPattern = new RegExp(String.raw`^${key}\s*(==|=|!=)\s*([-A-Za-z0-9_.]*)$`)
const existsPattern = new RegExp(String.raw`^(!?)\s*${key}$`)

function compileRequirement(text: string): (labels: Labels) => boolean {
  const set = setPattern.exec(text)
  if (set !== null) {
    const [, name = '', operator, list = ''] = set
    const values = new Set(list.split(',').map((value) => value.trim()))
    return operator === 'in'
      ? (labels) => labels[name] !== undefined && values.has(labels[name])
      : (labels) => labels[name] === undefined || !values.has(labels[name])
  }
  const equal = equalPattern.exec(text)
  if (equal !== null) {
    const [, name = '', operator, value = ''] = equal
    return operator === '!='
      ? (labels) => labels[name] !== value
      : (labels) => labels[name] === value
  }
  const exists = existsPattern.exec(text)
  if (exists !== null) {
    const [, not, name = ''] = exists
    return (labels) => (labels[name] !== undefined) === (not === '')
  }
  throw new ApiError('BadRequest', `unable to parse requirement of labelSelector: ${text}`)
}

/** Commas inside `in (a,b)` do not separate requirements. */
function splitOutsideParentheses(text: string): string[] {
  return (text.match(/(?:[^,(]|\([^)]*\)?)+/g) ?? [])
    .map((part) => part.trim())
    .filter((part) => part !== '')
}

const fields: Readonly<Record<string, (object: ApiObject) => string>> = {
  'metadata.name': (object) => object.metadata.name,
  'metadata.namespace': (object) => object.metadata.namespace ?? '',
}

export function compileFieldSelector(text: string): Matches {
  const requirements = text
    .split(',')
    .filter((part) => part.trim() !== '')
    .map((part) => {
      const match = /^\s*([\w.]+)\s*(==|=|!=)\s*(\S*)\s*$/.exec(part)
      const [, name = '', operator, value] = match ?? []
      const read = fields[name]
      if (read === undefined) {
        throw new ApiError('BadRequest', `field label not supported: ${name || part}`)
      }
      return (object: ApiObject) => (read(object) === value) === (operator !== '!=')
    })
  return (object) => requirements.every((isMet) => isMet(object))
}
