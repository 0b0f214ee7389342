/** What a request asks for, read from its path and query: `/apis/GROUP/VERSION/namespaces/NS/PLURAL/NAME`. */
import { findApiKind, type ApiKind } from './api-kind.ts'
import { ApiError } from './status.ts'

export interface ApiTarget {
  readonly kind: ApiKind
  readonly version: string
  /** Undefined: all namespaces. */
  readonly namespace: string | undefined
  readonly name: string | undefined
}

/** Undefined when the path is not one of a resource. */
export function parseTarget(path: string): ApiTarget | undefined {
  const [root, ...parts] = path.split('/').slice(1).map(decodePart)
  if (root === 'api') return targetIn('', parts)
  if (root === 'apis') return targetIn(parts[0] ?? '', parts.slice(1))
  return undefined
}

function targetIn(
  group: string,
  [version = '', ...parts]: readonly string[],
): ApiTarget | undefined {
  const isInNamespace = parts[0] === 'namespaces' && parts.length > 2
  const namespace = isInNamespace ? parts[1] : undefined
  const [plural = '', name, ...more] = isInNamespace ? parts.slice(2) : parts
  const kind = findApiKind(group, version, plural)
  if (kind === undefined || more.length > 0) return undefined
  const target = { kind, version, namespace, name }
  return isPossible(target) ? target : undefined
}

function isPossible({ kind, namespace, name }: ApiTarget): boolean {
  if (name === '' || namespace === '') return false
  // One object of a namespaced kind is in a namespace, and none of another kind is.
  return kind.isNamespaced ? name === undefined || namespace !== undefined : namespace === undefined
}

function decodePart(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw new ApiError('BadRequest', `malformed path segment ${JSON.stringify(part)}`)
  }
}

export interface ListQuery {
  readonly labelSelector: string
  readonly fieldSelector: string
  readonly limit: number | undefined
  readonly continue: string | undefined
  readonly isWatch: boolean
  readonly resourceVersion: string
  readonly timeoutSeconds: number | undefined
  readonly allowsBookmarks: boolean
  readonly sendsInitialEvents: boolean
}

/** Rejections: ApiError BadRequest. */
export function parseListQuery(query: URLSearchParams): ListQuery {
  return {
    labelSelector: query.get('labelSelector') ?? '',
    fieldSelector: query.get('fieldSelector') ?? '',
    limit: wholeNumber(query, 'limit'),
    continue: query.get('continue') ?? undefined,
    isWatch: flag(query, 'watch'),
    resourceVersion: query.get('resourceVersion') ?? '',
    timeoutSeconds: wholeNumber(query, 'timeoutSeconds'),
    allowsBookmarks: flag(query, 'allowWatchBookmarks'),
    sendsInitialEvents: flag(query, 'sendInitialEvents'),
  }
}

/** Version that a watch starts from; undefined: from everything that is there. */
export function startVersion(text: string): number | undefined {
  if (text === '' || text === '0') return undefined
  if (!/^\d{1,15}$/.test(text)) {
    throw new ApiError(
      'BadRequest',
      `resourceVersion: expected a number, got ${JSON.stringify(text)}`,
    )
  }
  return Number(text)
}

function flag(query: URLSearchParams, name: string): boolean {
  const value = query.get(name)
  return value !== null && ['', '1', 'true', 't', 'T', 'True', 'TRUE'].includes(value)
}

function wholeNumber(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name)
  if (text === null || text === '' || text === '0') return undefined
  if (/^\d{1,9}$/.test(text)) return Number(text)
  throw new ApiError('BadRequest', `${name}: expected a whole number, got ${JSON.stringify(text)}`)
}
