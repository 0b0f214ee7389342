/**
 * What one delta stream asked for by name where nothing comes by itself: virtual hosts (VHDS), and clusters beside the
 * wildcard (on-demand CDS). Its view depends on it, so a new name means a new view.
 *
 * Bounds: `namesMax` of each; a name beyond is answered as one that means nothing.
 */
import { typeUrls, type Demand } from '../resource-set.ts'
import type { AdsRequest } from './ads-request.ts'

const namesMaxDefault = 2_000

export class StreamDemand implements Demand {
  readonly hosts = new Set<string>()
  readonly droppedHosts = new Set<string>()
  readonly clusters = new Set<string>()
  readonly #namesMax: number

  constructor(namesMax = namesMaxDefault) {
    this.#namesMax = namesMax
  }

  /** Whether the request asked for something by name, or gave something up. */
  note({ typeUrl, subscribe, unsubscribe }: AdsRequest): boolean {
    if (typeUrl !== typeUrls.virtualHost && typeUrl !== typeUrls.cluster) return false
    const added = subscribe.filter(isName)
    const gone = unsubscribe.filter(isName)
    if (typeUrl === typeUrls.virtualHost) this.#noteHosts(added, gone)
    else {
      for (const name of added) this.#add(this.clusters, name)
      for (const name of gone) this.clusters.delete(name)
    }
    return added.length + gone.length > 0
  }

  #noteHosts(added: readonly string[], gone: readonly string[]): void {
    for (const name of added) if (this.#add(this.hosts, name)) this.droppedHosts.delete(name)
    for (const name of gone) {
      this.hosts.delete(name)
      this.#add(this.droppedHosts, name)
    }
  }

  #add(names: Set<string>, name: string): boolean {
    if (names.size >= this.#namesMax && !names.has(name)) return false
    names.add(name)
    return true
  }
}

function isName(name: string): boolean {
  return name !== '*'
}
