/**
 * Consistent hashing with bounded loads (arXiv 1608.01350) as Envoy has it (`hash_balance_factor`): a host that has
 * more than its share of the running requests is passed over, for others in an order that the hash alone decides.
 */
import type { Hash64 } from '../../lib/xx-hash.ts'
import type { Host } from '../upstream/host.ts'
import type { HashTable } from './hash-ring.ts'
import type { WeightedHost } from './normalized-weight.ts'

export interface LoadBound {
  /** Percent of the average that a host may have; 100 is the least. */
  readonly factorPercent: number
  /** Requests that run in the whole cluster. */
  readonly activeRequests: () => number
}

export function withBoundedLoad(
  table: HashTable,
  hosts: readonly WeightedHost[],
  bound: LoadBound,
): HashTable {
  const weights = new Map(hosts.map(({ host, weight }) => [host, weight]))
  const overload = (host: Host): number => {
    const active = bound.activeRequests()
    const slots = Math.floor(((active + 1) * bound.factorPercent + 99) / 100)
    const own = Math.max(1, Math.ceil(slots * (weights.get(host) ?? 0)))
    return host.stats.rqActive.value() / own
  }
  return {
    pick(hash, attempt) {
      const first = table.pick(hash, attempt)
      if (first === undefined) return undefined
      let best = first
      let least = overload(first)
      if (least <= 1) return first
      for (const other of inOrderOf(hash, hosts)) {
        if (other === first) continue
        const load = overload(other)
        if (load <= 1) return other
        if (load >= least) continue
        best = other
        least = load
      }
      return best
    },
  }
}

/** Fisher and Yates, seeded by the hash, lazily. */
function* inOrderOf(hash: Hash64, hosts: readonly WeightedHost[]): Generator<Host> {
  const rest = [...hosts]
  const random = new MersenneTwister(hash.lo)
  for (let at = 0; at < rest.length; at += 1) {
    const other = at + random.below(rest.length - at)
    const chosen = rest[other] as WeightedHost // in bounds: below the length
    rest[other] = rest[at] as WeightedHost
    rest[at] = chosen
    yield chosen.host
  }
}

const stateWords = 624
const stateShift = 397

/** MT19937 (Matsumoto and Nishimura 1998), because Envoy's order of hosts is made with it. */
class MersenneTwister {
  readonly #state = new Uint32Array(stateWords)
  #at = stateWords

  constructor(seed: number) {
    const state = this.#state
    state[0] = seed
    for (let index = 1; index < stateWords; index += 1) {
      const before = state[index - 1] ?? 0
      state[index] = Math.imul(before ^ (before >>> 30), 1_812_433_253) + index
    }
  }

  /** A whole number from 0 up to `limit`, without bias. */
  below(limit: number): number {
    const step = Math.floor(0x1_0000_0000 / limit)
    for (;;) {
      const value = Math.floor(this.#next() / step)
      if (value < limit) return value
    }
  }

  #next(): number {
    if (this.#at === stateWords) this.#twist()
    let value = this.#state[this.#at++] ?? 0
    value ^= value >>> 11
    value ^= (value << 7) & 0x9d2c_5680
    value ^= (value << 15) & 0xefc6_0000
    value ^= value >>> 18
    return value >>> 0
  }

  #twist(): void {
    const state = this.#state
    for (let index = 0; index < stateWords; index += 1) {
      const joined =
        ((state[index] ?? 0) & 0x8000_0000) | ((state[(index + 1) % stateWords] ?? 0) & 0x7fff_ffff)
      const far = state[(index + stateShift) % stateWords] ?? 0
      state[index] = far ^ (joined >>> 1) ^ (joined & 1 ? 0x9908_b0df : 0)
    }
    this.#at = 0
  }
}
