/** `/stats` as text and JSON, `/stats/prometheus`, and the pages that set counters back and open log files again. */
import { renderPrometheus, renderStatsJson, renderStatsText } from '../telemetry/render-stats.ts'
import type { StatsView } from '../telemetry/stats-registry.ts'
import {
  type AdminPage,
  type AdminParameter,
  type AdminReply,
  adminPage,
  isSet,
  textReply,
} from './admin-page.ts'
import { nameFilter } from './name-filter.ts'

const parameters: readonly AdminParameter[] = [
  { name: 'usedonly', help: 'Only include stats that have been written by system since restart' },
  { name: 'filter', help: 'Regular expression (Google re2) for filtering stats' },
]

export function statsPages(stats: StatsView, reopenLogs: () => void): readonly AdminPage[] {
  return [
    adminPage({
      path: '/stats',
      help: 'print server stats',
      parameters: [
        ...parameters,
        { name: 'format', help: 'Format to use; One of (text, json, prometheus)' },
      ],
      run: (query) => render(stats, query, query.get('format') ?? 'text'),
    }),
    adminPage({
      path: '/stats/prometheus',
      help: 'print server stats in prometheus format',
      parameters,
      run: (query) => render(stats, query, 'prometheus'),
    }),
    adminPage({
      path: '/reset_counters',
      help: 'reset all counters to zero',
      mutates: true,
      run: () => {
        stats.resetCounters()
        return textReply('OK\n')
      },
    }),
    adminPage({
      path: '/reopen_logs',
      help: 'reopen access logs',
      mutates: true,
      run: () => {
        reopenLogs()
        return textReply('OK\n')
      },
    }),
  ]
}

function render(stats: StatsView, query: URLSearchParams, format: string): AdminReply {
  const filter = nameFilter(query.get('filter'), 'part')
  if (!filter.ok) return textReply(`${filter.message}\n`, 400)
  const options = { usedOnly: isSet(query, 'usedonly'), filter: filter.matches }
  switch (format) {
    case 'text':
      return textReply(renderStatsText(stats, options))
    case 'json': {
      const body = renderStatsJson(stats, options)
      return { status: 200, contentType: 'application/json', body }
    }
    case 'prometheus':
      return textReply(renderPrometheus(stats, options))
    default:
      return textReply('usage: /stats?format=(text|json|prometheus)\n', 400)
  }
}
