/**
 * Ketama consistent hashing, entry for entry Envoy's ring (ring_hash_lb.cc): each host stands on the ring as often as
 * its weight says, at the hashes of `key_0`, `key_1` …; a request goes to the next host at or after its own hash.
 *
 * The ring is scaled so that the lightest host has a whole number of entries. With hosts of equal weight it has
 * ceil(minimum / hosts) of each, so it is somewhat larger than the minimum.
 */
import { type Hash64, xxHash64 } from '../../lib/xx-hash.ts'
import type { Host } from '../upstream/host.ts'
import { type WeightedHost, hashKeyOf } from './normalized-weight.ts'

/** A host for a hash; each attempt of one pick gives another entry. */
export interface HashTable {
  pick(hash: Hash64, attempt: number): Host | undefined
}

export interface RingSettings {
  readonly kind: 'ring'
  readonly sizeMin: number
  readonly sizeMax: number
  readonly hash: 'xx' | 'murmur2'
}

interface TableInput {
  readonly hosts: readonly WeightedHost[]
  readonly usesHostname: boolean
}

export function buildRing(input: TableInput, settings: RingSettings): HashTable {
  const entries = ringEntries(input, settings)
  const order = sortedByHash(entries)
  const upper = Uint32Array.from(order, (index) => entries.hashes[index]?.hi ?? 0)
  const lower = Uint32Array.from(order, (index) => entries.hashes[index]?.lo ?? 0)
  const hosts = Array.from(order, (index) => entries.hosts[index])
  return {
    pick(hash, attempt) {
      if (hosts.length === 0) return undefined
      let low = 0
      let high = hosts.length
      while (low < high) {
        const middle = (low + high) >>> 1
        const above = upper[middle] ?? 0
        const isBefore = above < hash.hi || (above === hash.hi && (lower[middle] ?? 0) < hash.lo)
        if (isBefore) low = middle + 1
        else high = middle
      }
      return hosts[(low + attempt) % hosts.length]
    },
  }
}

interface RingEntries {
  readonly hashes: readonly Hash64[]
  readonly hosts: readonly Host[]
}

/** Running sums, as in Envoy: hosts whose share is not whole get one entry more or less in turn. */
function ringEntries({ hosts, usesHostname }: TableInput, settings: RingSettings): RingEntries {
  const smallest = hosts.reduce((least, { weight }) => Math.min(least, weight), 1)
  const scale = Math.min(Math.ceil(smallest * settings.sizeMin) / smallest, settings.sizeMax)
  const entries: { hashes: Hash64[]; hosts: Host[] } = { hashes: [], hosts: [] }
  let wanted = 0
  for (const { host, weight } of hosts) {
    const key = hashKeyOf(host, usesHostname)
    wanted += scale * weight
    for (let copy = 0; entries.hashes.length < wanted; copy += 1) {
      entries.hashes.push(
        settings.hash === 'xx' ? xxHash64(`${key}_${copy}`) : murmurHash2(`${key}_${copy}`),
      )
      entries.hosts.push(host)
    }
  }
  return entries
}

/** Beyond this many entries an index does not fit beside a hash's upper half in a number. */
const packedMax = 0x20_0000

/** Indexes in the order of their hashes. Packed into floats these sort ten times faster than by comparing. */
function sortedByHash({ hashes }: RingEntries): Uint32Array {
  const compare = (left: number, right: number): number => {
    const a = hashes[left] as Hash64 // in bounds: both are indexes of it
    const b = hashes[right] as Hash64
    return a.hi - b.hi || a.lo - b.lo || left - right
  }
  if (hashes.length > packedMax) return Uint32Array.from(hashes.keys()).sort(compare)
  const packed = Float64Array.from(hashes, ({ hi }, index) => hi * packedMax + index).sort()
  const order = Uint32Array.from(packed, (value) => value % packedMax)
  // Of equal upper halves, which are rare, the lower ones decide.
  for (let end = 1; end < order.length; end += 1) {
    for (let at = end; at > 0; at -= 1) {
      const [before, after] = [order[at - 1] ?? 0, order[at] ?? 0]
      if (compare(before, after) <= 0) break
      order[at - 1] = after
      order[at] = before
    }
  }
  return order
}

const murmurPrime = 0xc6a4_a793_5bd1_e995n
const murmurSeed = 0xc70f_6907n

/** MurmurHash64A with the seed of GCC's `std::hash`. On bigints: nobody should need it for large rings. */
function murmurHash2(text: string): Hash64 {
  const bytes = Buffer.from(text, 'latin1')
  const whole = bytes.length - (bytes.length % 8)
  let hash = murmurSeed ^ product(BigInt(bytes.length), murmurPrime)
  for (let at = 0; at < whole; at += 8) {
    const data = product(shiftMix(product(bytes.readBigUInt64LE(at), murmurPrime)), murmurPrime)
    hash = product(hash ^ data, murmurPrime)
  }
  if (whole < bytes.length) {
    const rest = Buffer.alloc(8)
    bytes.copy(rest, 0, whole)
    hash = product(hash ^ rest.readBigUInt64LE(0), murmurPrime)
  }
  hash = shiftMix(product(shiftMix(hash), murmurPrime))
  return { hi: Number(hash >> 32n), lo: Number(hash & 0xffff_ffffn) }
}

function product(left: bigint, right: bigint): bigint {
  return BigInt.asUintN(64, left * right)
}

function shiftMix(value: bigint): bigint {
  return value ^ (value >> 47n)
}
