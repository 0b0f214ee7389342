/**
 * The small set of shapes that resource kinds are described with. A shape reads a source tree into a typed value
 * and reports everything that is wrong with it, each finding at its path; it stops at nothing and throws nothing.
 *
 * The tables that use them (istio/*-shape.ts and so on) are checked by the compiler against the spec types: a
 * field that the type has and the table lacks, or the other way round, does not compile. The same tables are
 * walked for docs/reference/resources.md and for the table of effects.
 *
 * null is an absent field, as in Kubernetes; in a list or a map it is an error.
 */
import type { Severity } from '../issue.ts'
import { nearestName } from './nearest.ts'
import { fieldPath, isNull, itemPath, keyPath, setOwn } from './source-node.ts'
import type { MapNode, SourceNode } from './source-node.ts'

export interface Problem {
  /** Default IST0106. */
  readonly code?: string
  /** Default error. */
  readonly severity?: Severity
  readonly message: string
  readonly remedy: string
}

/** What a shape needs to know of the document that it reads. */
export interface Reading {
  /** Namespace of the resource. */
  readonly namespace: string
  readonly report: (path: string, problem: Problem) => void
  /** Whether something other than null is written there, right or wrong. */
  readonly isPresent: (path: string) => boolean
}

export interface Shape<T> {
  /** As the reference says it: `text`, `list of objects`. */
  readonly type: string
  /** Undefined when the value cannot be used; a problem has been reported then. */
  readonly read: (node: SourceNode, path: string, reading: Reading) => T | undefined
  /** Of an object. */
  readonly fields?: Readonly<Record<string, Shape<unknown>>>
  /** Of a list or a map. */
  readonly item?: Shape<unknown>
  readonly isRequired?: boolean
  readonly isDeprecated?: boolean
}

/** A finding on one text, or undefined: what formats give. */
export type Check<T> = (value: T) => Problem | undefined

/** A rule that joins fields. Fields that could not be read are absent: ask `reading.isPresent` for "written". */
export type Rule<T> = (value: Partial<T>, path: string, reading: Reading) => void

type Fields<T> = { readonly [K in keyof T]-?: Shape<Exclude<T[K], undefined>> }

export function object<T extends object>(
  fields: Fields<T>,
  ...rules: readonly Rule<T>[]
): Shape<T> {
  return objectOf(fields, rules)
}

/** As `object`, with more fields that are known by name and not looked into: they have no place in the type. */
export function objectAlsoKnowing<T extends object>(
  names: readonly string[],
  fields: Fields<T>,
  ...rules: readonly Rule<T>[]
): Shape<T> {
  const unread = names.map((name): [string, Shape<unknown>] => [name, anything('any')])
  return objectOf({ ...Object.fromEntries(unread), ...fields }, rules)
}

function objectOf<T extends object>(
  known: Readonly<Record<string, Shape<unknown>>>,
  rules: readonly Rule<T>[],
): Shape<T> {
  return {
    type: 'object',
    fields: known,
    read(node, path, reading) {
      if (node.type !== 'map') {
        reading.report(path, wrongType('an object', node))
        return undefined
      }
      const value = readFields(known, node, { path, reading })
      // The compiler has checked the table against T, field by field.
      const typed = value as Partial<T>
      for (const rule of rules) rule(typed, path, reading)
      return typed as T
    },
  }
}

interface Place {
  readonly path: string
  readonly reading: Reading
}

function readFields(
  known: Readonly<Record<string, Shape<unknown>>>,
  node: MapNode,
  { path, reading }: Place,
): Record<string, unknown> {
  const value: Record<string, unknown> = {}
  for (const [name, field] of node.fields) {
    const shape = Object.hasOwn(known, name) ? known[name] : undefined
    if (shape === undefined) {
      reading.report(fieldPath(path, name), unknownField(name, Object.keys(known)))
    } else if (!isNull(field.node)) {
      const read = shape.read(field.node, fieldPath(path, name), reading)
      if (read !== undefined) value[name] = read
    }
  }
  for (const [name, shape] of Object.entries(known)) {
    if (shape.isRequired !== true) continue
    const written = node.fields.get(name)
    if (written === undefined || isNull(written.node)) {
      reading.report(fieldPath(path, name), {
        message: `${name} is required`,
        remedy: `Add ${name} (${shape.type}).`,
      })
    }
  }
  return value
}

function unknownField(name: string, known: readonly string[]): Problem {
  const nearest = nearestName(name, known)
  return {
    code: 'TUL0010',
    message:
      nearest === undefined
        ? `unknown field "${name}"`
        : `unknown field "${name}", did you mean "${nearest}"?`,
    remedy:
      nearest === undefined
        ? `Remove it, or use one of ${known.toSorted().join(', ')}.`
        : `Write "${nearest}" instead.`,
  }
}

export interface ListOptions {
  readonly itemsMin?: number
  readonly itemsMax?: number
}

export function list<T>(item: Shape<T>, options: ListOptions = {}): Shape<readonly T[]> {
  const { itemsMin = 0, itemsMax = Number.MAX_SAFE_INTEGER } = options
  return {
    type: `list of ${plural(item.type)}`,
    item,
    read(node, path, reading) {
      if (node.type !== 'list') {
        reading.report(path, wrongType('a list', node))
        return undefined
      }
      if (node.items.length < itemsMin || node.items.length > itemsMax) {
        reading.report(path, wrongLength(node.items.length, itemsMin, itemsMax))
      }
      // A hole keeps indices true for the rules; see entriesOf. With a hole the resource is not returned.
      return node.items.map((child, index) => item.read(child, itemPath(path, index), reading) as T)
    },
  }
}

function wrongLength(length: number, itemsMin: number, itemsMax: number): Problem {
  const isShort = length < itemsMin
  return {
    message: isShort
      ? `must have at least ${count(itemsMin, 'entry')}, got ${String(length)}`
      : `must have at most ${count(itemsMax, 'entry')}, got ${String(length)}`,
    remedy: isShort ? 'Add an entry, or remove the field.' : 'Remove entries.',
  }
}

/** A map whose keys the user chooses. */
export function mapOf<T>(
  item: Shape<T>,
  checkKey?: Check<string>,
): Shape<Readonly<Record<string, T>>> {
  return {
    type: `map of ${plural(item.type)}`,
    item,
    read(node, path, reading) {
      if (node.type !== 'map') {
        reading.report(path, wrongType('a map', node))
        return undefined
      }
      const value: Record<string, T> = {}
      for (const [key, field] of node.fields) {
        const problem = checkKey?.(key)
        if (problem !== undefined) reading.report(keyPath(path, key), problem)
        const read = item.read(field.node, keyPath(path, key), reading)
        if (read !== undefined) setOwn(value, key, read)
      }
      return value
    },
  }
}

export function text(...checks: readonly Check<string>[]): Shape<string> {
  return scalar('text', 'a string', checks, (node) => (typeof node === 'string' ? node : undefined))
}

/** Text that may also be written as a number or a boolean: environment variables. */
export function looseText(): Shape<string> {
  return {
    type: 'text',
    read(node, path, reading) {
      if (node.type === 'scalar') return node.text
      reading.report(path, wrongType('a string', node))
      return undefined
    },
  }
}

export function bool(): Shape<boolean> {
  return {
    type: 'boolean',
    read(node, path, reading) {
      const value = booleanOf(node)
      if (value === undefined) reading.report(path, wrongType('true or false', node))
      return value
    },
  }
}

/** Kubernetes' YAML reader takes YAML 1.1's words for booleans, so files have them. */
function booleanOf(node: SourceNode): boolean | undefined {
  if (node.type !== 'scalar') return undefined
  if (typeof node.value === 'boolean') return node.value
  if (!node.isPlain) return undefined
  if (/^(?:yes|Yes|YES|on|On|ON)$/.test(node.text)) return true
  return /^(?:no|No|NO|off|Off|OFF)$/.test(node.text) ? false : undefined
}

export interface NumberOptions {
  readonly min?: number
  readonly max?: number
}

export function int(options: NumberOptions = {}, ...more: Check<number>[]): Shape<number> {
  const checks = [checkInteger, checkRange(options), ...more]
  return scalar('integer', 'a whole number', checks, (value) =>
    typeof value === 'number' ? value : undefined,
  )
}

export function number(options: NumberOptions = {}, ...checks: Check<number>[]): Shape<number> {
  return scalar('number', 'a number', [checkRange(options), ...checks], (value) =>
    typeof value === 'number' ? value : undefined,
  )
}

export const int32Max = 2_147_483_647
export const uint32Max = 4_294_967_295

function checkInteger(value: number): Problem | undefined {
  if (Number.isInteger(value)) return undefined
  return {
    message: `must be a whole number, got ${String(value)}`,
    remedy: 'Write it without a fraction.',
  }
}

function checkRange({ min, max }: NumberOptions): Check<number> {
  const low = min ?? -Number.MAX_VALUE
  const high = max ?? Number.MAX_VALUE
  return (value) => {
    if (value >= low && value <= high) return undefined
    const range = rangeText(value > high ? undefined : min, max)
    return { message: `must be ${range}, got ${String(value)}`, remedy: `Use a value ${range}.` }
  }
}

function rangeText(min: number | undefined, max: number | undefined): string {
  if (min === undefined) return `at most ${String(max ?? '')}`
  return max === undefined || max >= int32Max
    ? `${String(min)} or more`
    : `from ${String(min)} to ${String(max)}`
}

export function oneOf<const T extends string>(...values: readonly T[]): Shape<T> {
  const known: readonly string[] = values
  return {
    type: `one of ${values.join(', ')}`,
    read(node, path, reading) {
      if (node.type !== 'scalar' || typeof node.value !== 'string') {
        reading.report(path, wrongType(`one of ${values.join(', ')}`, node))
        return undefined
      }
      if (known.includes(node.value)) return node.value as T
      const nearest = nearestName(node.value, known)
      reading.report(path, {
        message: `must be one of ${values.join(', ')}, got "${node.value}"`,
        remedy: nearest === undefined ? 'Use one of these words.' : `Write ${nearest}.`,
      })
      return undefined
    },
  }
}

/** Either of two shapes, by what is written: the first whose kind of node fits. */
export function either<A, B>(
  first: Shape<A>,
  second: Shape<B>,
  fits: Check<SourceNode>,
): Shape<A | B> {
  return {
    type: `${first.type} or ${second.type}`,
    read(node, path, reading) {
      return fits(node) === undefined
        ? first.read(node, path, reading)
        : second.read(node, path, reading)
    },
  }
}

/** Anything: kept as written and not looked into. */
export function anything(type: string): Shape<unknown> {
  return { type, read: () => undefined }
}

export function required<T>(shape: Shape<T>): Shape<T> {
  return { ...shape, isRequired: true }
}

/** Accepted with a warning. */
export function deprecated<T>(
  shape: Shape<T>,
  warning: Problem | ((value: T) => Problem | undefined),
): Shape<T> {
  return {
    ...shape,
    isDeprecated: true,
    read(node, path, reading) {
      const value = shape.read(node, path, reading)
      if (value === undefined) return undefined
      const problem = typeof warning === 'function' ? warning(value) : warning
      if (problem !== undefined) reading.report(path, { severity: 'warning', ...problem })
      return value
    },
  }
}

/** A rule on a whole value; lists may have holes, see entriesOf in rule.ts. */
export type Refinement<T> = (value: T, path: string, reading: Reading) => void

/** A shape with more checks on its value. */
export function refine<T>(shape: Shape<T>, ...rules: readonly Refinement<T>[]): Shape<T> {
  return {
    ...shape,
    read(node, path, reading) {
      const value = shape.read(node, path, reading)
      if (value !== undefined) for (const rule of rules) rule(value, path, reading)
      return value
    },
  }
}

/** Protobuf's 0 for "not set", where 0 would mean something else to the reader. */
export function zeroAsAbsent(shape: Shape<number>): Shape<number> {
  return {
    ...shape,
    read(node, path, reading) {
      const value = shape.read(node, path, reading)
      return value === 0 ? undefined : value
    },
  }
}

/** The same shape under another name in the reference. */
export function named<T>(type: string, shape: Shape<T>): Shape<T> {
  return { ...shape, type }
}

function scalar<T>(
  ...[type, expected, checks, convert]: [
    string,
    string,
    readonly Check<T>[],
    (value: string | number | boolean | null) => T | undefined,
  ]
): Shape<T> {
  return {
    type,
    read(node, path, reading) {
      const value = node.type === 'scalar' ? convert(node.value) : undefined
      if (value === undefined) {
        reading.report(path, wrongType(expected, node))
        return undefined
      }
      for (const check of checks) {
        const problem = check(value)
        if (problem === undefined) continue
        reading.report(path, problem)
        // A warning leaves the value usable.
        if ((problem.severity ?? 'error') === 'error') return undefined
      }
      return value
    },
  }
}

export function wrongType(expected: string, node: SourceNode): Problem {
  const isQuotable = expected === 'a string' && node.type === 'scalar' && node.value !== null
  return {
    message: `must be ${expected}, got ${describeNode(node)}`,
    remedy: isQuotable ? `Put it in quotes: "${node.text}".` : `Write ${expected} here.`,
  }
}

export function describeNode(node: SourceNode): string {
  if (node.type === 'list') return 'a list'
  if (node.type === 'map') return 'an object'
  if (node.value === null) return 'nothing (null)'
  return typeof node.value === 'string'
    ? `the string "${clip(node.value)}"`
    : `the ${typeof node.value} ${clip(node.text)}`
}

/** Long values are shortened in messages. */
export function clip(value: string): string {
  return value.length > 80 ? `${value.slice(0, 77)}…` : value
}

function count(amount: number, noun: string): string {
  const plural = noun.endsWith('y') ? `${noun.slice(0, -1)}ies` : `${noun}s`
  return `${String(amount)} ${amount === 1 ? noun : plural}`
}

function plural(type: string): string {
  if (type.endsWith('match')) return `${type}es`
  if (type.startsWith('list of') || type.startsWith('map of')) return type.replace(' of', 's of')
  return type.startsWith('one of') || type.endsWith('s') ? type : `${type}s`
}
