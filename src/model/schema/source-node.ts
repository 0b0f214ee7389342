/**
 * A document as it was written: a tree of scalars, lists and objects, each with its place in the text.
 *
 * Shapes (schema/shape.ts) read it into typed specs; issues look up their place in it by path. Paths are written
 * `spec.http[0].match[1].headers[x-user].exact`: a dot before a field, brackets around a list's index and around
 * the key of a map that the user chose.
 */

export type SourceNode = ScalarNode | ListNode | MapNode

export interface ScalarNode {
  readonly type: 'scalar'
  readonly value: string | number | boolean | null
  /** As written, without quotes. */
  readonly text: string
  /** Not in quotes: `yes` may then be meant as a boolean. */
  readonly isPlain: boolean
  readonly offset: number
}

export interface ListNode {
  readonly type: 'list'
  readonly items: readonly SourceNode[]
  readonly offset: number
}

export interface MapNode {
  readonly type: 'map'
  readonly fields: ReadonlyMap<string, SourceField>
  readonly offset: number
}

export interface SourceField {
  readonly keyOffset: number
  readonly node: SourceNode
}

export function fieldPath(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`
}

export function itemPath(path: string, index: number): string {
  return `${path}[${String(index)}]`
}

export function keyPath(path: string, key: string): string {
  return `${path}[${key}]`
}

/** Offset of a field's key or a list's item; of the nearest parent when the path leads nowhere. */
export function offsetOf(root: SourceNode, path: string): number {
  let node: SourceNode | undefined = root
  let offset = root.offset
  for (const step of stepsOf(path)) {
    const next = childOf(node, step)
    if (next === undefined) break
    offset = next.keyOffset
    node = next.node
  }
  return offset
}

export function nodeAt(root: SourceNode, path: string): SourceNode | undefined {
  let node: SourceNode | undefined = root
  for (const step of stepsOf(path)) {
    node = node === undefined ? undefined : childOf(node, step)?.node
  }
  return node
}

/** The tree of a JSON value that came through the API: no place in any text. */
export function nodeOfValue(value: unknown): SourceNode {
  if (Array.isArray(value)) return { type: 'list', items: value.map(nodeOfValue), offset: -1 }
  if (typeof value === 'object' && value !== null) {
    const fields = new Map<string, SourceField>()
    for (const [key, field] of Object.entries(value)) {
      // As in JSON.stringify: a field that is undefined is not there.
      if (field !== undefined) fields.set(key, { keyOffset: -1, node: nodeOfValue(field) })
    }
    return { type: 'map', fields, offset: -1 }
  }
  const scalar = typeof value === 'number' || typeof value === 'boolean' ? value : null
  const text = typeof value === 'string' ? value : String(scalar)
  return {
    type: 'scalar',
    value: typeof value === 'string' ? value : scalar,
    text,
    isPlain: false,
    offset: -1,
  }
}

/** The plain JSON value of a tree. */
export function valueOf(node: SourceNode): unknown {
  if (node.type === 'scalar') return node.value
  if (node.type === 'list') return node.items.map(valueOf)
  const value: Record<string, unknown> = {}
  for (const [key, field] of node.fields) setOwn(value, key, valueOf(field.node))
  return value
}

/** `record[key] = value`, also for the key `__proto__`. */
export function setOwn<T>(record: Record<string, T>, key: string, value: T): void {
  if (key === '__proto__') {
    Object.defineProperty(record, key, {
      value,
      enumerable: true,
      configurable: true,
      writable: true,
    })
  } else {
    record[key] = value
  }
}

export function isNull(node: SourceNode): boolean {
  return node.type === 'scalar' && node.value === null
}

function stepsOf(path: string): string[] {
  return Array.from(path.matchAll(/\[([^\]]*)\]|[^.[\]]+/g), ([whole, key]) => key ?? whole)
}

function childOf(node: SourceNode | undefined, step: string): SourceField | undefined {
  if (node?.type === 'map') return node.fields.get(step)
  if (node?.type !== 'list') return undefined
  const item = node.items[Number(step)]
  return item === undefined ? undefined : { keyOffset: item.offset, node: item }
}
