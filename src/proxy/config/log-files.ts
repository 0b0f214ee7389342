/**
 * The files that access logs are written to: one writer per path for the whole sidecar, however many listeners name it,
 * so that their lines never mix. A writer is closed when nobody names its path any more.
 */
import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import { describeError } from '../../lib/mesh-error.ts'
import { Notice } from '../../lib/notice.ts'
import type { Counter } from '../telemetry/cluster-stats.ts'
import { type LogWriter, openLogWriter } from '../telemetry/log-writer.ts'
import type { StatsRegistry } from '../telemetry/stats-registry.ts'

interface Entry {
  readonly writer: LogWriter
  users: number
}

export interface UsedLogFile {
  readonly writer: LogWriter
  release(): void
}

export class LogFiles {
  readonly #clock: Clock
  readonly #stats: StatsRegistry
  readonly #log: Log
  readonly #byPath = new Map<string, Entry>()

  constructor(clock: Clock, stats: StatsRegistry, log: Log) {
    this.#clock = clock
    this.#stats = stats
    this.#log = log
  }

  /** Fails with MESH_COMMAND_FAILED when the file cannot be opened. */
  use(path: string): UsedLogFile {
    let entry = this.#byPath.get(path)
    if (entry === undefined) {
      const dropped = this.#counter('write_dropped')
      let lastReason = ''
      const notice = new Notice({
        clock: this.#clock,
        say: (lines) => {
          this.#log.warn({ path, lines, reason: lastReason }, 'access log lines are dropped')
        },
      })
      const onDropped = (lines: number, reason: string): void => {
        dropped.add(lines)
        lastReason = reason
        notice.note(lines)
      }
      entry = { writer: openLogWriter({ path, clock: this.#clock, onDropped }), users: 0 }
      this.#byPath.set(path, entry)
    }
    const used = entry
    used.users += 1
    return {
      writer: used.writer,
      release: () => {
        used.users -= 1
        if (used.users > 0) return
        this.#byPath.delete(path)
        used.writer.close()
      },
    }
  }

  /** POST /reopen_logs: whoever rotates logs has moved the files. One that cannot be opened goes on into the old file. */
  reopen(): void {
    for (const { writer } of this.#byPath.values()) {
      try {
        writer.reopen()
      } catch (error) {
        this.#counter('reopen_failed').add(1)
        this.#log.error({ error: describeError(error) }, 'access log: the file of before goes on')
      }
    }
  }

  #counter(name: string): Counter {
    const scope = this.#stats.scope({ path: 'access_log_file', metric: 'envoy', labels: [] })
    return scope.counter(name)
  }

  close(): void {
    for (const { writer } of this.#byPath.values()) writer.close()
    this.#byPath.clear()
  }
}
