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
    const isHosts = typeUrl === typeUrls.virtualHost
    if (!isHosts && typeUrl !== typeUrls.cluster) return false
    const names = isHosts ? this.hosts : this.clusters
    let isNoted = false
    for (const name of subscribe) {
      if (name === '*') continue
      isNoted = true
      if (names.has(name) || names.size >= this.#namesMax) continue
      names.add(name)
      if (isHosts) this.droppedHosts.delete(name)
    }
    for (const name of unsubscribe) {
      if (name === '*') continue
      isNoted = true
      names.delete(name)
      if (isHosts && this.droppedHosts.size < this.#namesMax) this.droppedHosts.add(name)
    }
    return isNoted
  }
}
