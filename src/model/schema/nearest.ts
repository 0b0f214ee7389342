/** The known name that a misspelt one most likely means. */

/**
 * The nearest of `known` by edits (insert, delete, replace, swap of neighbours), in any case; undefined when even
 * that is too far to be a slip of the fingers.
 */
export function nearestName(name: string, known: Iterable<string>): string | undefined {
  const camel = name.replaceAll(/[_-]+([a-z0-9])/gi, (_, letter: string) => letter.toUpperCase())
  let nearest: string | undefined
  let best = Math.max(1, Math.floor(name.length / 3)) + 1
  for (const candidate of known) {
    if (candidate === camel) return candidate
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase(), best)
    if (distance < best) {
      best = distance
      nearest = candidate
    }
  }
  return nearest
}

/** Edits between two names; `limit` or more is answered as `limit`. */
function editDistance(from: string, to: string, limit: number): number {
  if (Math.abs(from.length - to.length) >= limit) return limit
  const width = to.length + 1
  const cost = new Uint16Array((from.length + 1) * width)
  const at = (row: number, column: number): number => cost[row * width + column] ?? 0
  for (let column = 0; column < width; column++) cost[column] = column
  for (let row = 1; row <= from.length; row++) {
    cost[row * width] = row
    for (let column = 1; column < width; column++) {
      const isSame = from[row - 1] === to[column - 1]
      const isSwap = from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1]
      cost[row * width + column] = Math.min(
        at(row - 1, column) + 1,
        at(row, column - 1) + 1,
        at(row - 1, column - 1) + (isSame ? 0 : 1),
        isSwap ? at(row - 2, column - 2) + 1 : limit,
      )
    }
  }
  return Math.min(at(from.length, to.length), limit)
}
