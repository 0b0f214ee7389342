/**
 * Keeps who has joined across a restart of the control plane, in one JSON file.
 *
 * Without it a control plane that comes back would know of nobody, and would take every endpoint out of every
 * sidecar until the agents have reconnected. Written in one step (draft, fsync, rename, fsync of the folder), so a
 * crash leaves the old list or the new. Changes within `coalesceMs` are one write, and while one is under way
 * only the newest state waits. Bound: `bytesMax`; a list beyond it is not written, is logged, and the file keeps
 * the last list that fitted.
 */
import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { dirname } from 'node:path'

import { systemClock } from '../lib/clock.ts'
import type { Clock, Timer } from '../lib/clock.ts'
import { silentLog } from '../lib/log.ts'
import type { Log } from '../lib/log.ts'
import { describeError, MeshError } from '../lib/mesh-error.ts'
import type { Member } from './endpoint.ts'
import { parseRegistrations } from './parse-registration.ts'

export interface RegistrationLog extends AsyncDisposable {
  /** Who had joined when the last write was made; empty when there is nothing, or nothing readable. */
  read(): Promise<readonly Member[]>
  /** Notes that the list has changed; `current` is called when it is written. Never throws. */
  write(current: () => readonly Member[]): void
}

export interface FileRegistrationLogOptions {
  readonly path: string
  readonly clock?: Clock
  readonly log?: Log
  readonly coalesceMs?: number
  readonly retryMs?: number
  readonly bytesMax?: number
}

/** For tests, and for a control plane that was told not to keep anything. */
export function createMemoryRegistrationLog(initial: readonly Member[] = []): RegistrationLog {
  let kept = initial
  return {
    read: async () => kept,
    write(current) {
      kept = current()
    },
    async [Symbol.asyncDispose]() {},
  }
}

export function createFileRegistrationLog(options: FileRegistrationLogOptions): RegistrationLog {
  return new FileRegistrationLog(options)
}

class FileRegistrationLog implements RegistrationLog {
  readonly #path: string
  readonly #clock: Clock
  readonly #log: Log
  readonly #coalesceMs: number
  readonly #retryMs: number
  readonly #bytesMax: number
  #pending: (() => readonly Member[]) | undefined
  #timer: Timer | undefined
  #writing: Promise<void> | undefined
  #isClosed = false

  constructor(options: FileRegistrationLogOptions) {
    this.#path = options.path
    this.#clock = options.clock ?? systemClock
    this.#log = options.log ?? silentLog
    this.#coalesceMs = options.coalesceMs ?? 200
    this.#retryMs = options.retryMs ?? 5_000
    this.#bytesMax = options.bytesMax ?? 64 << 20
  }

  async read(): Promise<readonly Member[]> {
    let text: string
    try {
      text = await readFile(this.#path, 'utf8')
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
      throw new MeshError('MESH_STORE_UNAVAILABLE', `read registrations from ${this.#path}`, {
        cause: error,
        remedy: 'check the rights of the file, or move it away to start without registrations',
      })
    }
    const parsed = parseRegistrations(text)
    if (parsed.ok) return parsed.members
    // Starting without the list is better than not starting; the file is kept for whoever wants to look.
    const aside = `${this.#path}.damaged`
    await rename(this.#path, aside)
    this.#log.warn(
      { path: aside, reason: parsed.reason },
      'registrations are damaged, starting without',
    )
    return []
  }

  write(current: () => readonly Member[]): void {
    if (this.#isClosed) return
    this.#pending = current
    if (this.#writing === undefined) this.#writeIn(this.#coalesceMs)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    this.#timer?.cancel()
    await this.#writing
    if (this.#pending !== undefined) await this.#writePending()
  }

  #writeIn(delayMs: number): void {
    this.#timer ??= this.#clock.setTimer(delayMs, () => {
      this.#timer = undefined
      this.#writing = this.#writeAndRearm()
    })
  }

  async #writeAndRearm(): Promise<void> {
    const isWritten = await this.#writePending()
    this.#writing = undefined
    if (this.#pending === undefined || this.#isClosed) return
    this.#writeIn(isWritten ? this.#coalesceMs : this.#retryMs)
  }

  /** Never rejects: what fails stays pending and is logged. */
  async #writePending(): Promise<boolean> {
    const current = this.#pending
    if (current === undefined) return true
    this.#pending = undefined
    const text = `${JSON.stringify({ version: 1, registrations: current() })}\n`
    if (Buffer.byteLength(text) > this.#bytesMax) {
      const fields = { path: this.#path, bytesMax: this.#bytesMax, bytes: Buffer.byteLength(text) }
      this.#log.error(fields, 'registrations are over their ceiling and not written')
      return true
    }
    try {
      await replaceFile(this.#path, text)
      return true
    } catch (error) {
      this.#pending ??= current
      this.#log.error(
        { path: this.#path, error: describeError(error) },
        'registrations not written',
      )
      return false
    }
  }
}

async function replaceFile(path: string, text: string): Promise<void> {
  const folder = dirname(path)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const draft = `${path}.draft`
  {
    await using file = await open(draft, 'w', 0o600)
    await file.writeFile(text)
    await file.sync()
  }
  await rename(draft, path)
  await using handle = await open(folder, 'r')
  await handle.sync()
}
