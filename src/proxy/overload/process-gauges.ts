/** What is measured of this process and thread. */
import { getHeapStatistics } from 'node:v8'

import { readCgroupMemory } from './cgroup-memory.ts'
import type { ProcessGauges } from './read-pressure.ts'

export const processGauges: ProcessGauges = {
  heap() {
    const { used_heap_size: usedBytes, heap_size_limit: limitBytes } = getHeapStatistics()
    return { usedBytes, limitBytes }
  },
  residentBytes: () => process.memoryUsage.rss(),
  cgroupMemory: () => readCgroupMemory(),
}
