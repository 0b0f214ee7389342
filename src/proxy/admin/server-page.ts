/** Pages about the process itself, and those that change it: state, memory, log level, drain, exit. */
import type { Log, LogLevel } from '../../lib/log.ts'
import type { DrainRequest } from '../config/data-plane.ts'
import { type AdminPage, adminPage, isSet, jsonReply, textReply } from './admin-page.ts'

/** Envoy `admin.v3.ServerInfo.State`. */
export type ServerState = 'LIVE' | 'DRAINING' | 'PRE_INITIALIZING' | 'INITIALIZING'

export interface ServerPageSource {
  /** Threads that carry traffic. */
  readonly concurrency: number
  readonly version: string
  readonly node: object
  readonly log: Log
  /** Deadline of a drain, Envoy's `--drain-time-s`. */
  readonly drainTimeMs: number
  /** Envoy's `--drain-strategy`. */
  readonly drainStrategy: 'gradual' | 'immediate'
  state(): ServerState
  uptimeMs(): number
  memory(): NodeJS.MemoryUsage
  failHealthCheck(isFailing: boolean): void
  drain(request: DrainRequest): void
  quit(): void
}

export function serverPages(source: ServerPageSource): readonly AdminPage[] {
  return [
    adminPage({
      path: '/ready',
      help: 'print server state, return 200 if LIVE, otherwise return 503',
      run: () => {
        const state = source.state()
        return textReply(`${state}\n`, state === 'LIVE' ? 200 : 503)
      },
    }),
    adminPage({
      path: '/server_info',
      help: 'print server version/status information',
      run: () => jsonReply(serverInfo(source)),
    }),
    adminPage({
      path: '/memory',
      help: 'print current allocation/heap usage',
      run: () => jsonReply(memoryInfo(source.memory())),
    }),
    adminPage({
      path: '/runtime',
      help: 'print runtime values',
      run: () => jsonReply({ entries: {}, layers: [] }),
    }),
    ...changePages(source),
  ]
}

function changePages(source: ServerPageSource): readonly AdminPage[] {
  return [
    adminPage({
      path: '/healthcheck/fail',
      help: 'cause the server to fail health checks',
      mutates: true,
      run: () => healthCheck(source, true),
    }),
    adminPage({
      path: '/healthcheck/ok',
      help: 'cause the server to pass health checks',
      mutates: true,
      run: () => healthCheck(source, false),
    }),
    loggingPage(source.log),
    drainPage(source),
    adminPage({
      path: '/quitquitquit',
      help: 'exit the server',
      mutates: true,
      run: () => {
        source.quit()
        return textReply('OK\n')
      },
    }),
  ]
}

function healthCheck(source: ServerPageSource, isFailing: boolean) {
  source.failHealthCheck(isFailing)
  return textReply('OK\n')
}

function drainPage(source: ServerPageSource): AdminPage {
  return adminPage({
    path: '/drain_listeners',
    help: 'drain listeners',
    mutates: true,
    parameters: [
      { name: 'graceful', help: 'Go on accepting during the drain time before listeners close' },
      { name: 'skip_exit', help: 'Drain the connections, and never stop the listeners' },
      { name: 'inboundonly', help: 'Drain listeners whose traffic_direction is INBOUND only' },
    ],
    run: (query) => {
      const isGraceful = isSet(query, 'graceful')
      const staysOpen = isSet(query, 'skip_exit')
      const inboundOnly = isSet(query, 'inboundonly')
      // As Envoy's: what is open is never cut, and without `graceful` not even told.
      if (isGraceful) {
        const atDeadline = staysOpen ? 'nothing' : 'stop-accepting'
        const { drainTimeMs: deadlineMs, drainStrategy: strategy } = source
        source.drain({ deadlineMs, strategy, keepAccepting: true, atDeadline, inboundOnly })
      } else if (!staysOpen) source.drain({ deadlineMs: 0, strategy: 'none', inboundOnly })
      return textReply('OK\n')
    },
  })
}

/** Envoy's names for our levels. */
const levels: Readonly<Record<string, LogLevel>> = {
  trace: 'trace',
  debug: 'debug',
  info: 'info',
  warning: 'warn',
  warn: 'warn',
  error: 'error',
  critical: 'error',
  off: 'silent',
}

function loggingPage(log: Log): AdminPage {
  return adminPage({
    path: '/logging',
    help: 'query/change logging levels',
    mutates: true,
    parameters: [
      {
        name: 'level',
        help: 'desired logging level; One of (, trace, debug, info, warning, error, critical, off)',
      },
    ],
    run: (query) => {
      const wanted = query.get('level')
      if (query.has('paths')) return textReply('error: there is one logger: use ?level=\n', 400)
      const level = wanted === null || wanted === '' ? undefined : levels[wanted]
      if (level === undefined && wanted !== null && wanted !== '') {
        return textReply('error: unknown logger level\n', 400)
      }
      if (level !== undefined) log.level = level
      const shown = log.level === 'warn' ? 'warning' : log.level
      return textReply(`active loggers:\n  sidecar: ${shown === 'silent' ? 'off' : shown}\n`)
    },
  })
}

function serverInfo(source: ServerPageSource): object {
  const uptime = `${Math.floor(source.uptimeMs() / 1000)}s`
  return {
    version: source.version,
    state: source.state(),
    uptime_current_epoch: uptime,
    uptime_all_epochs: uptime,
    hot_restart_version: 'disabled',
    command_line_options: {
      concurrency: source.concurrency,
      drain_time: `${source.drainTimeMs / 1000}s`,
      drain_strategy: source.drainStrategy === 'gradual' ? 'Gradual' : 'Immediate',
      mode: 'Serve',
    },
    node: source.node,
  }
}

/** uint64 is text in protobuf's JSON. */
function memoryInfo(memory: NodeJS.MemoryUsage): object {
  return {
    allocated: String(memory.heapUsed + memory.external),
    heap_size: String(memory.heapTotal),
    pageheap_unmapped: '0',
    pageheap_free: String(memory.heapTotal - memory.heapUsed),
    total_thread_cache: '0',
    total_physical_bytes: String(memory.rss),
  }
}
