/**
 * Secrets by name: what SDS, ADS and the bootstrap have given, read and checked, and who waits for them.
 *
 * A secret that cannot be used is refused where it arrives, and the last good one stays. Names are one namespace whatever
 * the source, because a sidecar has one agent.
 */
import type { KeyPair, SecretOrigin, SecretRef, Validation } from './tls-plan.ts'

export type SecretContent =
  | { readonly kind: 'key-pair'; readonly pair: KeyPair }
  | { readonly kind: 'validation'; readonly validation: Validation }

/** A name that must be asked for, and where. */
export interface WantedSecret {
  readonly name: string
  readonly origin: SecretOrigin
}

interface Entry {
  readonly origin: SecretOrigin
  content: SecretContent | undefined
  readonly watchers: Set<() => void>
}

export class SecretStore {
  readonly #entries = new Map<string, Entry>()
  readonly #static = new Map<string, SecretContent>()
  readonly #onWanted: () => void

  /** `onWanted` is told when the names to ask for have changed. */
  constructor(onWanted: () => void) {
    this.#onWanted = onWanted
  }

  get wanted(): readonly WantedSecret[] {
    return [...this.#entries].map(([name, { origin }]) => ({ name, origin }))
  }

  /** The last good content of a secret that somebody watches, or of a static one. */
  get(ref: SecretRef): SecretContent | undefined {
    if (ref.origin.kind === 'static') return this.#static.get(ref.name)
    return this.#entries.get(ref.name)?.content
  }

  setStatic(name: string, content: SecretContent): void {
    this.#static.set(name, content)
  }

  hasStatic(name: string): boolean {
    return this.#static.has(name)
  }

  /** Nobody watches it: dropped, it will be asked for again. */
  set(name: string, content: SecretContent): void {
    const entry = this.#entries.get(name)
    if (entry === undefined) return
    entry.content = content
    for (const watcher of entry.watchers) watcher()
  }

  /** Tells of every change until the returned function is called; never before it returned. */
  watch(ref: SecretRef, watcher: () => void): () => void {
    if (ref.origin.kind === 'static') return () => {}
    let entry = this.#entries.get(ref.name)
    if (entry === undefined) {
      entry = { origin: ref.origin, content: undefined, watchers: new Set() }
      this.#entries.set(ref.name, entry)
      this.#onWanted()
    }
    const { watchers } = entry
    // A function of its own, so that one watcher may watch twice.
    const own = (): void => watcher()
    watchers.add(own)
    return () => {
      if (!watchers.delete(own) || watchers.size > 0) return
      this.#entries.delete(ref.name)
      this.#onWanted()
    }
  }
}
