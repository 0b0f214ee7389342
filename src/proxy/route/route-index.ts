/**
 * First match in order, without trying every route: exact paths by a map, prefixes and the texts that expressions begin
 * with by maps of one length each, and a list of the rest (other expressions, paths without case, CONNECT). The three are walked together by the routes' positions,
 * so that the answer is that of a linear search, which is what the tests compare it with.
 */

/** How a route's path is matched, as far as an index can use it. */
export type PathKey =
  | { readonly kind: 'exact'; readonly path: string }
  | { readonly kind: 'prefix'; readonly prefix: string }
  /** Tried in its turn whatever the path is. */
  | { readonly kind: 'other' }

export interface IndexedRoute<Input> {
  readonly key: PathKey
  /** The whole test, path included. */
  readonly matches: (input: Input) => boolean
}

/** Below this, trying every route costs less than looking anything up. */
const linearMax = 6

export function createRouteIndex<Input, R extends IndexedRoute<Input>>(
  routes: readonly R[],
): (path: string, input: Input) => R | undefined {
  if (routes.length <= linearMax) return (_path, input) => findLinear(routes, input)
  const exact = new Map<string, number[]>()
  const prefixes = new Map<number, Map<string, number[]>>()
  const rest: number[] = []
  routes.forEach(({ key }, position) => {
    if (key.kind === 'exact') push(exact, key.path, position)
    else if (key.kind === 'prefix') {
      const sameLength = prefixes.get(key.prefix.length) ?? new Map<string, number[]>()
      push(sameLength, key.prefix, position)
      prefixes.set(key.prefix.length, sameLength)
    } else rest.push(position)
  })
  const lengths = [...prefixes.keys()].sort((a, b) => a - b)
  return (path, input) => {
    const lists: (readonly number[])[] = []
    const sameExact = exact.get(path)
    if (sameExact !== undefined) lists.push(sameExact)
    for (const length of lengths) {
      if (length > path.length) break
      const samePrefix = prefixes.get(length)?.get(path.slice(0, length))
      if (samePrefix !== undefined) lists.push(samePrefix)
    }
    if (rest.length > 0) lists.push(rest)
    const position = firstMatch(lists, (candidate) => routes[candidate]?.matches(input) === true)
    return position === undefined ? undefined : routes[position]
  }
}

export function findLinear<Input, R extends IndexedRoute<Input>>(
  routes: readonly R[],
  input: Input,
): R | undefined {
  for (const route of routes) if (route.matches(input)) return route
  return undefined
}

function push(map: Map<string, number[]>, key: string, position: number): void {
  const list = map.get(key)
  if (list === undefined) map.set(key, [position])
  else list.push(position)
}

/** The smallest position over all ascending lists that passes. */
function firstMatch(
  lists: readonly (readonly number[])[],
  passes: (position: number) => boolean,
): number | undefined {
  const [only] = lists
  if (lists.length === 1) return only?.find(passes)
  const next = lists.map(() => 0)
  for (;;) {
    let best = -1
    let position = Number.POSITIVE_INFINITY
    for (let index = 0; index < lists.length; index += 1) {
      const candidate = lists[index]?.[next[index] ?? 0]
      if (candidate !== undefined && candidate < position) {
        position = candidate
        best = index
      }
    }
    if (best < 0) return undefined
    if (passes(position)) return position
    next[best] = (next[best] ?? 0) + 1
  }
}
