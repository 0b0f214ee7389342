/**
 * Renders docs/reference/statistics.md from the functions that make the statistics, so that the page cannot name others
 * than there are. A test compares the committed page; UPDATE_DOCS=1 rewrites it.
 */
import {
  createAcceptStats,
  createClusterStats,
  createDnsStats,
  createDownstreamStats,
  createListenerStats,
  createMembershipStats,
  createTcpStats,
} from './create-stats.ts'
import { createUpstreamTlsStats } from './create-tls-stats.ts'
import { createHttp2Stats } from './http2-stats.ts'
import type { StatsRegistry } from './stats-registry.ts'

const head = `# Statistics of traffic

What \`/stats\` and \`/stats/prometheus\` of a sidecar's admin interface have under Envoy's names. Others of Envoy's are not there: above all
the histograms \`…_connect_ms\` and \`…_length_ms\`, \`…_bytes_buffered\`, \`…flow_control…\`, \`lb_subsets_…\` and what belongs to HTTP/3.
Those of single filters and routes stand beside them where a configuration has them; so do those of the process
(\`server.…\`, \`listener_manager.workers_started\`), of its limits ([overload](overload.md)) and of xDS (\`cluster_manager.cds.…\`,
\`listener_manager.lds.…\`, \`control_plane.connected_state\`).

This page is generated from \`src/proxy/telemetry\`.

| Statistic | Kind |
| --- | --- |
`

/** An empty registry, in which one of each thing that counts is made. */
export function renderStatsReference(registry: StatsRegistry): string {
  createMembershipStats(registry, '<name>')
  createDnsStats(registry, '<name>')
  createUpstreamTlsStats(registry, '<name>')
  const cluster = createClusterStats(registry, '<name>')
  // Those that most clusters do without.
  cluster.http2?.()
  cluster.zone?.()
  cluster.healthCheck?.()
  void cluster.outlier
  const { answers, internalAnswers, externalAnswers, retriedAnswers } = cluster
  const http = createDownstreamStats(registry, '<stat_prefix>', '<address>')
  const counted = [answers, internalAnswers, externalAnswers, retriedAnswers, http.answers]
  for (const one of [...counted, http.listenerAnswers]) one?.add(200)
  createAcceptStats(registry, '<address>')
  createListenerStats(registry, '<address>')
  createTcpStats(registry, '<stat_prefix>')
  createHttp2Stats(registry)
  const rows = registry.list().map(({ name, kind }) => `| \`${generic(name)}\` | ${kind} |\n`)
  return `${head}${[...new Set(rows)].join('')}`
}

function generic(name: string): string {
  return name.replace(/_2xx$/, '_<class>xx').replace(/_200$/, '_<code>')
}
