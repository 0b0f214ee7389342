/** How many threads a sidecar has. */
import { availableParallelism } from 'node:os'

import type { ProxyPlan } from './workload-plan.ts'

export function threadsOf({ concurrency = 1 }: Pick<ProxyPlan, 'concurrency'>): number {
  return concurrency === 0 ? availableParallelism() : concurrency
}
