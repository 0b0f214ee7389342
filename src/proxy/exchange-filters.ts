/** The filters of one exchange: how far it has come through their list, and who hears of its response and its end. */
import type { FilterContext, FilterVerdict, HttpFilter } from './filter/http-filter.ts'
import type { ResponseHead } from './http/message.ts'

export class FilterRun {
  readonly #filters: readonly HttpFilter[]
  #run = 0
  #isSuspended = false

  constructor(filters: readonly HttpFilter[]) {
    this.#filters = filters
  }

  /** Runs each filter once, in order, until one does more than continue. */
  run(context: FilterContext): FilterVerdict {
    while (this.#run < this.#filters.length) {
      const filter = this.#filters[this.#run]
      this.#run += 1
      const verdict = filter?.onRequest?.(context) ?? 'continue'
      if (verdict === 'continue') continue
      this.#isSuspended = verdict === 'suspend'
      return verdict
    }
    return 'continue'
  }

  /** Whether a filter waits; it may wake the exchange once. */
  wake(): boolean {
    const isSuspended = this.#isSuspended
    this.#isSuspended = false
    return isSuspended
  }

  /** Those that saw the request, the last one first. */
  onResponse(context: FilterContext, head: ResponseHead): void {
    for (let index = this.#run - 1; index >= 0; index -= 1) {
      this.#filters[index]?.onResponse?.(context, head)
    }
  }

  onEnd(context: FilterContext): void {
    for (let index = 0; index < this.#run; index += 1) this.#filters[index]?.onEnd?.(context)
  }
}
