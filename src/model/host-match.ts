/** How hosts of resources match one another: case does not count, a wildcard stands for any beginning. */

/** Whether two hosts, each perhaps with a wildcard, have a name in common. */
export function hostsOverlap(one: string, other: string): boolean {
  const [a, b] = [one.toLowerCase(), other.toLowerCase()]
  const isAWild = a.startsWith('*')
  const isBWild = b.startsWith('*')
  if (isAWild && isBWild) {
    const [short, long] = a.length < b.length ? [a, b] : [b, a]
    return long.endsWith(short.slice(1))
  }
  if (isAWild) return b.endsWith(a.slice(1))
  return isBWild ? a.endsWith(b.slice(1)) : a === b
}

/** Whether every name of `inner` is one of `outer`. */
export function isHostSubset(inner: string, outer: string): boolean {
  const [a, b] = [inner.toLowerCase(), outer.toLowerCase()]
  if (!b.startsWith('*')) return a === b
  if (!a.startsWith('*')) return a.endsWith(b.slice(1))
  return a.length >= b.length && a.slice(1).endsWith(b.slice(1))
}
