/**
 * Finds the virtual host of an authority in Envoy's order: the exact domain, the longest `*.suffix`, the longest
 * `prefix.*`, then `*`. A wildcard never stands for nothing: `*.a.b` is not `.a.b`.
 *
 * Authorities are compared as text, ports included, unless the table ignores ports.
 */
import { lowerAscii } from '../../lib/lower-ascii.ts'

export interface DomainEntry<T> {
  readonly domain: string
  readonly virtualHost: T
}

/** Returns a message for each domain that stands twice in the table. */
export function findDuplicateDomains<T>(entries: readonly DomainEntry<T>[]): readonly string[] {
  const seen = new Set<string>()
  const reasons: string[] = []
  for (const { domain } of entries) {
    const lower = lowerAscii(domain)
    if (seen.has(lower)) {
      reasons.push(
        lower === '*'
          ? 'only one virtual host may have the domain *'
          : `domains must be unique, ${JSON.stringify(domain)} is there twice`,
      )
    }
    seen.add(lower)
  }
  return reasons
}

export function createVirtualHostIndex<T>(
  entries: readonly DomainEntry<T>[],
  options: { readonly ignorePort: boolean },
): (authority: string) => T | undefined {
  const exact = new Map<string, T>()
  const suffixes = new WildcardMap<T>('suffix')
  const prefixes = new WildcardMap<T>('prefix')
  let any: T | undefined
  for (const entry of entries) {
    const domain = lowerAscii(entry.domain)
    if (domain === '*') any = entry.virtualHost
    else if (domain.startsWith('*')) suffixes.add(domain.slice(1), entry.virtualHost)
    else if (domain.endsWith('*')) prefixes.add(domain.slice(0, -1), entry.virtualHost)
    else exact.set(domain, entry.virtualHost)
  }
  if (exact.size === 0 && suffixes.isEmpty && prefixes.isEmpty) return () => any
  return (authority) => {
    // Envoy has no host to look up here, and does not fall back to `*`.
    if (authority === '') return undefined
    const host = options.ignorePort ? withoutPort(authority) : authority
    const found = exact.get(host)
    if (found !== undefined) return found
    const lower = lowerAscii(host)
    return exact.get(lower) ?? suffixes.find(lower) ?? prefixes.find(lower) ?? any
  }
}

/** Wildcards by the length of what is fixed in them, longest first. */
class WildcardMap<T> {
  readonly #end: 'suffix' | 'prefix'
  readonly #byLength = new Map<number, Map<string, T>>()
  #lengths: readonly number[] = []

  constructor(end: 'suffix' | 'prefix') {
    this.#end = end
  }

  get isEmpty(): boolean {
    return this.#byLength.size === 0
  }

  add(fixed: string, virtualHost: T): void {
    const map = this.#byLength.get(fixed.length) ?? new Map<string, T>()
    map.set(fixed, virtualHost)
    this.#byLength.set(fixed.length, map)
    this.#lengths = [...this.#byLength.keys()].sort((a, b) => b - a)
  }

  find(host: string): T | undefined {
    for (const length of this.#lengths) {
      if (length >= host.length) continue
      const fixed =
        this.#end === 'suffix' ? host.slice(host.length - length) : host.slice(0, length)
      const found = this.#byLength.get(length)?.get(fixed)
      if (found !== undefined) return found
    }
    return undefined
  }
}

/** Cuts `:port` off a host; the colons of an IPv6 address in brackets are no port. */
export function withoutPort(authority: string): string {
  const colon = authority.lastIndexOf(':')
  if (colon < 0 || authority.lastIndexOf(']') > colon) return authority
  return authority.slice(0, colon)
}
