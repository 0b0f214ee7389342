/**
 * Faults that are injected for a while: kept beside the configuration, in a file of the state folder, each until its end.
 *
 * Nobody's YAML is touched. A restart brings back those that have not ended meanwhile. The file is on the disk before
 * the caller is told. Bound: `countMax` at a time.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'

import { faultLimits, type FaultObject, type FaultWish } from '../../api/fault.ts'
import { DurableFile, readIfThere } from '../../identity/durable-file.ts'
import type { Clock, Timer } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import { describeError } from '../../lib/mesh-error.ts'
import type { Random } from '../../lib/random.ts'
import type { HttpFaultInjection } from '../../model/istio/virtual-service.ts'
import type { InjectedFault } from '../../translate/input.ts'
import { readWish, refuse } from './read-wish.ts'

export interface FaultStoreOptions {
  /** Undefined: they end with the process. */
  readonly stateFolder: string | undefined
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

interface KeptFault extends FaultWish {
  readonly name: string
  readonly createdAtMs: number
  readonly endsAtMs: number
}

export function openFaultStore(options: FaultStoreOptions): FaultStore {
  return new FaultStore(options)
}

export class FaultStore implements AsyncDisposable {
  readonly #options: FaultStoreOptions
  readonly #listeners = new Set<() => void>()
  readonly #file: DurableFile | undefined
  #kept: readonly KeptFault[]
  #injected: readonly InjectedFault[] = []
  #timer: Timer | undefined

  constructor(options: FaultStoreOptions) {
    this.#options = options
    const { stateFolder, clock, log } = options
    const nowMs = clock.nowMs()
    this.#kept = []
    if (stateFolder !== undefined) {
      mkdirSync(stateFolder, { recursive: true, mode: 0o700 })
      const path = join(stateFolder, 'faults.json')
      this.#file = new DurableFile(path, () => JSON.stringify(this.#kept))
      this.#kept = readKept(path, log).filter(({ endsAtMs }) => endsAtMs > nowMs)
    }
    if (this.#kept.length > 0) log.warn({ faults: this.#names() }, 'faults are injected, as before')
    this.#settle()
  }

  /** Newest first; the same array while nothing changes. */
  injected(): readonly InjectedFault[] {
    return this.#injected
  }

  list(): readonly FaultObject[] {
    return this.#kept.map(faultObject)
  }

  /** `host` is the full name that the wish means. Rejections: MESH_FAULT_REFUSED, MESH_CA_UNAVAILABLE. */
  async add(wish: FaultWish, host: string): Promise<FaultObject> {
    const { clock, log } = this.#options
    if (this.#kept.length >= faultLimits.countMax) {
      refuse(`there are ${faultLimits.countMax} faults already`, 'remove some: tulle fault remove')
    }
    const name = wish.name ?? this.#freshName()
    if (this.#kept.some((fault) => fault.name === name)) {
      refuse(`there is a fault ${name} already`, `tulle fault remove ${name}`)
    }
    const createdAtMs = clock.nowMs()
    const kept = { ...wish, host, name, createdAtMs, endsAtMs: createdAtMs + wish.forMs }
    log.warn({ fault: faultObject(kept) }, 'a fault is injected')
    await this.#change([kept, ...this.#kept])
    return faultObject(kept)
  }

  /** Rejections: MESH_FAULT_REFUSED, MESH_CA_UNAVAILABLE. */
  async remove(name: string): Promise<FaultObject> {
    const found = this.#kept.find((fault) => fault.name === name)
    if (found === undefined) {
      const names = this.#names().join(', ')
      return refuse(
        `there is no fault ${JSON.stringify(name)}`,
        names === '' ? 'none is injected' : `one of ${names}`,
      )
    }
    this.#options.log.info({ fault: name }, 'a fault is removed')
    await this.#change(this.#kept.filter((fault) => fault !== found))
    return faultObject(found)
  }

  onChange(listener: () => void): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#timer?.cancel()
    this.#listeners.clear()
  }

  #names(): readonly string[] {
    return this.#kept.map(({ name }) => name)
  }

  #freshName(): string {
    const digits = Math.floor(this.#options.random() * 0x100_0000).toString(16)
    return `fault-${digits.padStart(6, '0')}`
  }

  async #change(kept: readonly KeptFault[]): Promise<void> {
    const before = this.#kept
    this.#kept = kept
    try {
      await this.#file?.save()
    } catch (error) {
      this.#kept = before
      throw error
    }
    this.#settle()
    for (const listener of this.#listeners) listener()
  }

  /** Makes what translation reads, and waits for the next end. */
  #settle(): void {
    const known = new Map(this.#injected.map((fault) => [fault.name, fault]))
    this.#injected = this.#kept.map((fault) => known.get(fault.name) ?? injectedFault(fault))
    this.#timer?.cancel()
    this.#timer = undefined
    if (this.#kept.length === 0) return
    const nextMs = Math.min(...this.#kept.map(({ endsAtMs }) => endsAtMs))
    const { clock } = this.#options
    this.#timer = clock.setTimer(Math.max(0, nextMs - clock.nowMs()), () => void this.#end())
  }

  async #end(): Promise<void> {
    const { clock, log } = this.#options
    const nowMs = clock.nowMs()
    const ended = this.#kept.filter(({ endsAtMs }) => endsAtMs <= nowMs)
    if (ended.length > 0) log.info({ faults: ended.map(({ name }) => name) }, 'faults have ended')
    try {
      await this.#change(this.#kept.filter((fault) => !ended.includes(fault)))
    } catch (error) {
      // It ends all the same: what is in the file is over by its own time.
      log.error({ error: describeError(error) }, 'the end of a fault could not be written')
      this.#kept = this.#kept.filter((fault) => !ended.includes(fault))
      this.#settle()
      for (const listener of this.#listeners) listener()
    }
  }
}

function faultObject(fault: KeptFault): FaultObject {
  const { name, host, delayMs, abort, reset, percent, from, headers } = fault
  return {
    name,
    host,
    ...(delayMs !== undefined && { delayMs }),
    ...(abort !== undefined && { abort }),
    ...(reset === true && { reset }),
    percent,
    ...(from !== undefined && { from }),
    ...(headers !== undefined && { headers }),
    createdAt: new Date(fault.createdAtMs).toISOString(),
    endsAt: new Date(fault.endsAtMs).toISOString(),
  }
}

function injectedFault({ name, host, from, headers = {}, ...rest }: KeptFault): InjectedFault {
  return {
    name,
    host,
    from,
    headers,
    fault: faultSpec(rest),
    ...(rest.reset === true && { isReset: true }),
  }
}

/** Of those that share a request, a delay comes before an abort, each with its own draw: both as often as asked. */
function faultSpec(fault: Omit<FaultWish, 'name' | 'host'>): HttpFaultInjection {
  const { delayMs, percent, reset } = fault
  // What a proxy answers that can reset nothing.
  const abort = reset === true ? 503 : fault.abort
  const percentage = { value: percent }
  const status = typeof abort === 'number' ? { httpStatus: abort } : { grpcStatus: abort ?? 'OK' }
  return {
    ...(delayMs !== undefined && { delay: { fixedDelay: `${delayMs}ms`, percentage } }),
    ...(abort !== undefined && { abort: { ...status, percentage } }),
  }
}

/** A file that cannot be read injects nothing: that is the safe side. */
function readKept(path: string, log: Log): readonly KeptFault[] {
  try {
    const parsed = JSON.parse(readIfThere(path) ?? '[]') as unknown
    if (!Array.isArray(parsed)) throw new TypeError('it holds no list')
    return parsed.map(readOne)
  } catch (error) {
    log.warn({ path, error: describeError(error) }, 'faults could not be read; none is injected')
    return []
  }
}

function readOne(value: unknown): KeptFault {
  const { name, createdAtMs, endsAtMs, ...wish } = value as Record<string, unknown>
  const isKept = typeof createdAtMs === 'number' && typeof endsAtMs === 'number'
  const read = readWish({ ...wish, name })
  if (!isKept || read.name === undefined) throw new TypeError('an entry is damaged')
  return { ...read, name: read.name, createdAtMs, endsAtMs }
}
