/**
 * Maglev hashing (Eisenbud et al., NSDI 2016, listing 1), entry for entry Envoy's table: hosts, in the order of their
 * keys, take the next free entry of their own permutation in turn, lighter ones less often. A pick is one look-up.
 */
import { remainder, xxHash64 } from '../../lib/xx-hash.ts'
import type { HashTable } from './hash-ring.ts'
import { type WeightedHost, hashKeyOf } from './normalized-weight.ts'

export interface MaglevSettings {
  readonly kind: 'maglev'
  /** A prime of at most 5 000 011. */
  readonly tableSize: number
}

interface Entry {
  /** Where its permutation stands. */
  next: number
  readonly skip: number
  readonly weight: number
  target: number
}

const free = 0xffff_ffff

export function buildMaglev(
  input: { readonly hosts: readonly WeightedHost[]; readonly usesHostname: boolean },
  { tableSize }: MaglevSettings,
): HashTable {
  const sorted = input.hosts
    .map((one) => ({ ...one, key: hashKeyOf(one.host, input.usesHostname) }))
    .sort((left, right) => compareText(left.key, right.key))
  const table = fillTable(
    sorted.map(({ key, weight }) => ({
      next: remainder(xxHash64(key), tableSize),
      skip: remainder(xxHash64(key, { hi: 0, lo: 1 }), tableSize - 1) + 1,
      weight,
      target: 0,
    })),
    tableSize,
  )
  return {
    pick(hash, attempt) {
      if (sorted.length === 0) return undefined
      // Envoy turns every bit over for a second try, and the lowest ones for later ones.
      const turned = attempt === 0 ? hash : { hi: ~hash.hi >>> 0, lo: (hash.lo ^ -attempt) >>> 0 }
      return sorted[table[remainder(turned, tableSize)] ?? 0]?.host
    },
  }
}

function fillTable(entries: readonly Entry[], tableSize: number): Uint32Array {
  const table = new Uint32Array(tableSize).fill(free)
  const heaviest = entries.reduce((most, { weight }) => Math.max(most, weight), 0)
  let left = entries.length === 0 ? 0 : tableSize
  for (let round = 1; left > 0; round += 1) {
    for (const [index, entry] of entries.entries()) {
      if (left === 0) break
      if (round * entry.weight < entry.target) continue
      entry.target += heaviest
      while (table[entry.next] !== free) entry.next = (entry.next + entry.skip) % tableSize
      table[entry.next] = index
      left -= 1
    }
  }
  return table
}

function compareText(left: string, right: string): number {
  if (left === right) return 0
  return left < right ? -1 : 1
}
