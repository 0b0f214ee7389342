/**
 * Ends the start of a process that stays: writes the compile cache, which Node would write only at a good end, and gives
 * back the memory that only the start has used (docs/decisions/0014-sidecar-footprint.md).
 */
import { flushCompileCache } from 'node:module'
import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

import type { Clock } from '../lib/clock.ts'

/** A larger heap is in use by the work, and collecting it would stop the work for long; 30 MB are 1 000 clusters. */
const heapBytesMax = 128 * 1024 * 1024

/** By then a sidecar has its configuration; most other commands have ended. */
const startMs = 3_000
const lookMs = 1_000
const busyMsMax = 100

/**
 * Settles when the start is over and for a second little was done: the collection stops everything for 40 ms, which a
 * request would feel.
 */
export function settleWhenIdle(clock: Clock, cpuMs: () => number, settle: () => unknown): void {
  const look = (): void => {
    const beforeMs = cpuMs()
    clock.setTimer(lookMs, () => {
      if (cpuMs() - beforeMs > busyMsMax) look()
      else settle()
    })
  }
  clock.setTimer(startMs - lookMs, look)
}

export async function settle(): Promise<void> {
  flushCompileCache()
  if (getHeapStatistics().used_heap_size <= heapBytesMax) collectHeap()
  await trimMalloc()
}

function collectHeap(): void {
  // The function is made for contexts that are created while the flag is set.
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as (options: object) => void
  setFlagsFromString('--no-expose-gc')
  // Another kind of collection leaves the pages with the process: 40 ms, once.
  collect({ type: 'major', flavor: 'last-resort' })
}

/**
 * Of what was freed outside of V8's heap glibc returns only what lies at an arena's end: 12 MB after an ordinary start, and
 * 24 after one with 1 000 clusters, go back in 1 to 5 ms.
 */
async function trimMalloc(): Promise<void> {
  try {
    const { dlopen } = await import('node:ffi')
    const { functions } = dlopen(null, { malloc_trim: { return: 'int32', arguments: ['uint64'] } })
    functions.malloc_trim(0n)
  } catch {
    // Another library of C than glibc, or a Node without node:ffi: it stays.
  }
}
