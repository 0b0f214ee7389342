/**
 * Ends the start of a process that stays: writes the compile cache, which Node would write only at a good end, and gives
 * back the memory that only the start has used (docs/decisions/0014-sidecar-footprint.md).
 */
import { flushCompileCache } from 'node:module'
import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** A larger heap is in use by the work, and collecting it would stop the work for long; 30 MB are 1 000 clusters. */
const heapBytesMax = 128 * 1024 * 1024

export function settle(): void {
  flushCompileCache()
  if (getHeapStatistics().used_heap_size > heapBytesMax) return
  // The function is made for contexts that are created while the flag is set.
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as (options: object) => void
  setFlagsFromString('--no-expose-gc')
  // Another kind of collection leaves the pages with the process: 40 ms, once.
  collect({ type: 'major', flavor: 'last-resort' })
}
