/**
 * Results that several scope classes may share, by host and by what they were made from.
 *
 * A host's results are forgotten when the host is marked dirty, so a hit is never older than its inputs; within
 * one run the first scope class to ask translates, and the others that see the same take its result. Bounded by
 * hosts × different views of a host: at most one per scope class.
 */
import type { EncodedResource } from '../xds/resource-set.ts'
import type { Dirty } from './dirty.ts'
import type { EncodedVirtualHost } from './route-configuration.ts'

interface Kinds {
  readonly clusters: readonly EncodedResource[]
  readonly endpoints: readonly EncodedResource[]
  readonly virtualHosts: readonly EncodedVirtualHost[]
}

type Kind = keyof Kinds

interface Variant<T> {
  readonly inputs: readonly unknown[]
  readonly value: T
}

export class SharedParts {
  readonly #variants: { [K in Kind]: Map<string, Variant<Kinds[K]>[]> } = {
    clusters: new Map(),
    endpoints: new Map(),
    virtualHosts: new Map(),
  }

  /** The result for these inputs, compared by identity; made when there is none. */
  take<K extends Kind>(
    kind: K,
    key: { readonly host: string; readonly inputs: readonly unknown[] },
    make: () => Kinds[K],
  ): Kinds[K] {
    const byHost: Map<string, Variant<Kinds[K]>[]> = this.#variants[kind]
    let variants = byHost.get(key.host)
    if (variants === undefined) {
      variants = []
      byHost.set(key.host, variants)
    }
    const known = variants.find(({ inputs }) => isSame(inputs, key.inputs))
    if (known !== undefined) return known.value
    const value = make()
    variants.push({ inputs: key.inputs, value })
    return value
  }

  forget(dirty: Dirty): void {
    for (const kind of ['clusters', 'endpoints', 'virtualHosts'] as const) {
      if (dirty.everything) this.#variants[kind].clear()
      for (const host of dirty[kind]) this.#variants[kind].delete(host)
    }
  }
}

function isSame(left: readonly unknown[], right: readonly unknown[]): boolean {
  return left.length === right.length && left.every((member, index) => member === right[index])
}
