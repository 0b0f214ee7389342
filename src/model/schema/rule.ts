/**
 * Rules that join the fields of one object. They look at what is written (`reading.isPresent`), so that a field
 * that is there and wrong is not also reported as missing.
 */
import type { Reading, Rule } from './shape.ts'
import { fieldPath } from './source-node.ts'

type Name<T> = keyof T & string

/** Which of the fields are written. */
export function presentOf(
  names: readonly string[],
  path: string,
  reading: Reading,
): readonly string[] {
  return names.filter((name) => reading.isPresent(fieldPath(path, name)))
}

export function exactlyOne<T>(...names: readonly Name<T>[]): Rule<T> {
  const atMost = atMostOne<T>(...names)
  const atLeast = atLeastOne<T>(...names)
  return (value, path, reading) => {
    atMost(value, path, reading)
    atLeast(value, path, reading)
  }
}

export function atMostOne<T>(...names: readonly Name<T>[]): Rule<T> {
  return (_, path, reading) => {
    const [first, ...others] = presentOf(names, path, reading)
    for (const other of others) {
      reading.report(fieldPath(path, other), {
        message: `${other} cannot be set together with ${String(first)}`,
        remedy: `Keep one of ${names.join(', ')}.`,
      })
    }
  }
}

/** An empty text says nothing, as in protobuf. */
export function atLeastOne<T>(...names: readonly Name<T>[]): Rule<T> {
  return (value, path, reading) => {
    const said = names.filter((name) => (value[name] as unknown) !== '')
    if (presentOf(said, path, reading).length > 0) return
    reading.report(path, {
      message: `must have ${names.length === 1 ? '' : 'one of '}${names.join(', ')}`,
      remedy: `Add ${names.join(' or ')}.`,
    })
  }
}

/** The first field excludes each of the others. */
export function excludes<T>(name: Name<T>, ...others: readonly Name<T>[]): Rule<T> {
  return (_, path, reading) => {
    if (!reading.isPresent(fieldPath(path, name))) return
    for (const other of presentOf(others, path, reading)) {
      reading.report(fieldPath(path, other), {
        message: `${other} cannot be set together with ${name}`,
        remedy: `Remove ${other} or ${name}.`,
      })
    }
  }
}

/**
 * Index and value of a list's entries that could be read. Entries that could not are holes while rules run: the
 * error that made them is reported, and the resource is dropped.
 */
export function* entriesOf<T>(items: readonly T[] | undefined): Generator<[number, T]> {
  for (const [index, item] of (items ?? []).entries()) {
    const read: T | undefined = item
    if (read !== undefined) yield [index, read]
  }
}

/** Reports each value that an earlier entry of a list already has. */
export function reportRepeats<T>(
  items: readonly T[] | undefined,
  keyOf: (item: T) => string | number | undefined,
  report: (index: number, key: string | number, first: number) => void,
): void {
  const seen = new Map<string | number, number>()
  for (const [index, item] of entriesOf(items)) {
    const key = keyOf(item)
    if (key === undefined) continue
    const first = seen.get(key)
    if (first === undefined) seen.set(key, index)
    else report(index, key, first)
  }
}
