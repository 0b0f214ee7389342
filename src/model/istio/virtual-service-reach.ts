/**
 * Routes that can never be used, as Istio's validation finds them: a second route without a match (IST0130), a
 * route whose matches all came before (IST0130), a match that came before or lies below an earlier prefix
 * (IST0131). Prefixes are compared only when everything else about the two matches is the same or wider.
 */
import { entriesOf } from '../schema/rule.ts'
import type { Reading, Rule } from '../schema/shape.ts'
import { itemPath } from '../schema/source-node.ts'
import type { HttpMatchRequest, StringMatch, VirtualServiceSpec } from './virtual-service.ts'

interface AnyRoute {
  readonly name?: string
  readonly match?: readonly object[]
}

export const reportUnusedRoutes: Rule<VirtualServiceSpec> = (value, path, reading) => {
  for (const name of ['http', 'tcp', 'tls'] as const) {
    reportRepeatedMatches(value[name], `${path}.${name}`, reading)
  }
  reportCoveredPrefixes(value.http, `${path}.http`, reading)
}

function reportRepeatedMatches(
  routes: readonly AnyRoute[] | undefined,
  path: string,
  reading: Reading,
): void {
  const seen = new Map<string, number>()
  let catchAll: number | undefined
  for (const [index, route] of entriesOf(routes)) {
    const matches = [...entriesOf(route.match)]
    if (matches.length === 0) {
      if (catchAll !== undefined) {
        reportUnreachable(itemPath(path, index), nameOf(routes, catchAll), reading)
      }
      catchAll = index
      continue
    }
    const repeated = matches.filter(([place, match]) => {
      const key = keyOf(match)
      const first = seen.get(key)
      if (first === undefined) seen.set(key, index)
      else {
        const at = itemPath(`${itemPath(path, index)}.match`, place)
        reportIneffective(at, nameOf(routes, first), reading)
      }
      return first !== undefined
    })
    if (repeated.length === matches.length) {
      reading.report(itemPath(path, index), unreachable('earlier routes have all of its matches'))
    }
  }
}

function reportUnreachable(path: string, first: string, reading: Reading): void {
  reading.report(path, unreachable(`${first} has no match and takes every request`))
}

function unreachable(reason: string): Parameters<Reading['report']>[1] {
  return {
    code: 'IST0130',
    severity: 'warning',
    message: `this route is never used: ${reason}`,
    remedy: 'Remove it, or place it before the route that takes its requests.',
  }
}

function reportIneffective(path: string, first: string, reading: Reading): void {
  reading.report(path, {
    code: 'IST0131',
    severity: 'info',
    message: `this match is never used: ${first} takes its requests`,
    remedy: 'Remove it, or place it before that route.',
  })
}

function nameOf(routes: readonly AnyRoute[] | undefined, index: number): string {
  const name = routes?.[index]?.name
  return name === undefined || name === '' ? `route #${String(index)}` : `route "${name}"`
}

/** Names of matches do not count; the order of fields does not either. */
function keyOf(match: object): string {
  const { name: _name, ...rest } = match as { name?: string }
  return JSON.stringify(sorted(rest))
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .map(([key, field]): [string, unknown] => [key, sorted(field)])
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  )
}

interface PrefixMatch {
  readonly path: string
  readonly route: string
  readonly prefix: string
  readonly match: HttpMatchRequest
}

function reportCoveredPrefixes(
  routes: VirtualServiceSpec['http'],
  path: string,
  reading: Reading,
): void {
  const earlier: PrefixMatch[] = []
  for (const [index, route] of entriesOf(routes)) {
    for (const [place, match] of entriesOf(route.match)) {
      const prefix = match.uri?.prefix
      if (prefix === undefined || prefix === '') continue
      const at = itemPath(`${itemPath(path, index)}.match`, place)
      const own = { path: at, route: nameOf(routes, index), prefix, match }
      const cover = earlier.find((other) => covers(other, own))
      if (cover !== undefined) reportIneffective(at, `${cover.route} (${cover.prefix})`, reading)
      earlier.push(own)
    }
  }
}

function covers(first: PrefixMatch, second: PrefixMatch): boolean {
  if (first.prefix === second.prefix || !second.prefix.startsWith(first.prefix)) return false
  const [a, b] = [first.match, second.match]
  return (
    (a.port ?? 0) === (b.port ?? 0) &&
    isWider(textOf(a.method) || 'exact:GET', textOf(b.method) || 'exact:GET') &&
    isWider(textOf(a.authority), textOf(b.authority)) &&
    areWider(a.headers, b.headers) &&
    areWider(a.queryParams, b.queryParams) &&
    areWider(a.withoutHeaders, b.withoutHeaders)
  )
}

function textOf(match: StringMatch | undefined): string {
  if (match?.exact !== undefined && match.exact !== '') return `exact:${match.exact}`
  return match?.prefix === undefined || match.prefix === '' ? '' : `prefix:${match.prefix}`
}

/** Istio's comparison: the texts are equal, or the earlier one begins with the later one. */
function isWider(first: string, second: string): boolean {
  return first.startsWith(second)
}

function areWider(
  first: HttpMatchRequest['headers'],
  second: HttpMatchRequest['headers'],
): boolean {
  const [a, b] = [first ?? {}, second ?? {}]
  const names = Object.keys(a)
  if (names.length !== Object.keys(b).length) return false
  return names.every((name) => Object.hasOwn(b, name) && isWider(textOf(a[name]), textOf(b[name])))
}
