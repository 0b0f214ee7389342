/** Answers reads: one object, a list (in pages), or a watch. */
import type { ServerResponse } from 'node:http'

import type { ApiObject, ObjectList } from '../../api/object.ts'
import { inVersion, type ObjectStore } from './object-store.ts'
import { parseListQuery, type ApiTarget, type ListQuery } from './request.ts'
import { compileSelection, type Matches } from './selector.ts'
import { ApiError } from './status.ts'
import { tableOf } from './table.ts'

export interface ReadContext {
  readonly target: ApiTarget
  readonly query: URLSearchParams
  readonly isTable: boolean
}

/** The body of the answer. Rejections: ApiError. */
export function readObjects(store: ObjectStore, context: ReadContext): unknown {
  const { target, isTable } = context
  if (target.name === undefined) return readList(store, context, parseListQuery(context.query))
  const object = store.collection(target.kind).get(target.namespace ?? '', target.name)
  if (object === undefined) throw notFound(target)
  const shown = inVersion(object, target.kind, target.version)
  return isTable ? tableOf(target.kind, [shown], {}) : shown
}

export function notFound({ kind, name = '' }: ApiTarget): ApiError {
  const qualified = kind.group === '' ? kind.plural : `${kind.plural}.${kind.group}`
  const details = { name, group: kind.group, kind: kind.plural }
  return new ApiError('NotFound', `${qualified} "${name}" not found`, details)
}

export function selectionOf(target: ApiTarget, query: ListQuery): Matches {
  const { namespace } = target
  const { labelSelector, fieldSelector } = query
  return compileSelection({ namespace, labelSelector, fieldSelector })
}

function readList(store: ObjectStore, context: ReadContext, query: ListQuery): unknown {
  const { target, isTable } = context
  const { kind, version } = target
  const collection = store.collection(kind)
  const matches = selectionOf(target, query)
  const all = collection.list().filter(matches)
  const { page, next, remaining } = pageOf(all, query)
  const items = page.map((object) => inVersion(object, kind, version))
  const metadata = {
    resourceVersion: String(collection.version),
    ...(next === undefined ? {} : { continue: next, remainingItemCount: remaining }),
  }
  if (isTable) return tableOf(kind, items, metadata)
  const apiVersion = kind.group === '' ? version : `${kind.group}/${version}`
  const list: ObjectList = { apiVersion, kind: `${kind.kind}List`, metadata, items }
  return list
}

interface Page {
  readonly page: readonly ApiObject[]
  readonly next: string | undefined
  readonly remaining: number
}

/** A page starts after the last object of the one before, so that what changes meanwhile does no harm. */
function pageOf(objects: readonly ApiObject[], query: ListQuery): Page {
  const after = query.continue === undefined ? undefined : readContinue(query.continue)
  const rest = after === undefined ? objects : objects.filter((object) => placeOf(object) > after)
  const limit = query.limit ?? rest.length
  const page = rest.slice(0, limit)
  const last = page.at(-1)
  const remaining = rest.length - page.length
  const next = remaining === 0 || last === undefined ? undefined : writeContinue(placeOf(last))
  return { page, next, remaining }
}

function placeOf({ metadata }: ApiObject): string {
  return `${metadata.namespace ?? ''}\0${metadata.name}`
}

function writeContinue(place: string): string {
  return Buffer.from(JSON.stringify({ v: 1, after: place })).toString('base64url')
}

function readContinue(token: string): string {
  try {
    const value = JSON.parse(Buffer.from(token, 'base64url').toString()) as { after?: unknown }
    if (typeof value.after === 'string') return value.after
  } catch {
    // Falls through to the refusal.
  }
  throw new ApiError('BadRequest', 'continue: expected a token that a list has given')
}

export function sendJson(response: ServerResponse, code: number, body: unknown): void {
  const text = `${JSON.stringify(body)}\n`
  response.writeHead(code, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  })
  response.end(text)
}
