/** The process by Envoy's names: what probes and dashboards ask for first. Worked out when they are read. */
import type { StatsRegistry } from './stats-registry.ts'

export interface ServerFacts {
  readonly concurrency: number
  readonly epoch: number
  state(): 'LIVE' | 'DRAINING' | 'PRE_INITIALIZING' | 'INITIALIZING'
  /** Listeners have begun to serve. */
  hasStarted(): boolean
  uptimeMs(): number
  /** Statistics of the process before this one that were not taken over (take-over/parent-stats.ts). */
  parentStatsDropped(): number
  memory(): { readonly heapUsed: number; readonly heapTotal: number; readonly rss: number }
}

/** Envoy's numbers of `server.state`. */
const states = { LIVE: 0, DRAINING: 1, PRE_INITIALIZING: 2, INITIALIZING: 3 } as const

export function createServerStats(registry: StatsRegistry, facts: ServerFacts): void {
  const server = registry.scope({ path: 'server', metric: 'envoy_server', labels: [] })
  server.gauge('hot_restart_epoch').set(facts.epoch)
  server.computed('parent_stats_dropped', () => facts.parentStatsDropped())
  server.gauge('concurrency').set(facts.concurrency)
  server.computed('state', () => states[facts.state()])
  server.computed('live', () => (facts.state() === 'LIVE' ? 1 : 0))
  server.computed('uptime', () => Math.floor(facts.uptimeMs() / 1000))
  server.computed('memory_allocated', () => facts.memory().heapUsed)
  server.computed('memory_heap_size', () => facts.memory().heapTotal)
  server.computed('memory_physical_size', () => facts.memory().rss)
  registry
    .scope({ path: 'listener_manager', metric: 'envoy_listener_manager', labels: [] })
    .computed('workers_started', () => (facts.hasStarted() ? 1 : 0))
}
