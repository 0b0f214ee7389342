/**
 * Whether a worker has all that is in force, and how one that has not gets there.
 *
 * A successor of a dead worker knows nothing and is told everything again. What it refuses then (a log file whose folder has
 * vanished, no descriptor left) its brothers have, so it would answer otherwise than they do: it gets no connection until
 * it has caught up. The same holds for a worker that alone refuses what others have taken. What is missing is tried again
 * with back-off, for ever, since only this worker's luck is wanting; a newer version of the same resource, which reaches
 * every worker, makes an end of it sooner. A worker is asked one batch after another: of two versions of a resource it
 * keeps the one that was in force last.
 */
import { Backoff } from '../../lib/backoff.ts'
import type { Clock, Timer } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import type { Random } from '../../lib/random.ts'
import { typeUrls } from '../../xds/resource-set.ts'
import type { ApplyResult } from '../config/data-plane.ts'
import { type ResourceBatch, entryBytes, packBatch } from '../config/resource-batch.ts'

export interface CatchUpOptions {
  readonly thread: number
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** Everything that is in force, or about to be, in an order that can be applied. */
  readonly inForce: () => readonly ResourceBatch[]
  /** Asks the worker; undefined: it has died over it. */
  readonly ask: (batch: ResourceBatch) => Promise<ApplyResult | undefined>
  /** Its clusters have their hosts and its listeners their routes; false when it has died. */
  readonly isWarm: () => Promise<boolean>
  /** `isServing` may have changed. */
  readonly onChange: () => void
  /** It was told something that is in force, and refused it. */
  readonly onRefused: () => void
}

const retry = { baseMs: 250, maxMs: 30_000 }
/** How long a successor may warm (a name that resolves, a first check) before it serves as it is. */
const warmMsMax = 5_000
const warmLookMs = 50
/** Of what is missing, so much is named in a log line. */
const namedMax = 10

export class CatchUp {
  readonly #options: CatchUpOptions
  readonly #backoff: Backoff
  /** Reasons by name, by type. */
  readonly #missing = new Map<string, Map<string, string>>()
  #isTold = true
  /** Goes up with each death: what was begun for one worker is not gone on with for the next. */
  #generation = 0
  #turn: Promise<unknown> = Promise.resolve()
  #timer: Timer | undefined
  #said = ''
  #isClosed = false

  constructor(options: CatchUpOptions) {
    this.#options = options
    this.#backoff = new Backoff({ ...retry, random: options.random })
  }

  get isServing(): boolean {
    return this.#isTold && this.#missing.size === 0
  }

  /** What it lacks, with the reasons. */
  get missing(): readonly string[] {
    return [...this.#missing.values()].flatMap((reasons) =>
      [...reasons].map(([name, reason]) => `${name}: ${reason}`),
    )
  }

  /** Runs when everything before has been answered. */
  inTurn<T>(run: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(run)
    this.#turn = result.catch(() => {
      // Whoever asked hears of it.
    })
    return result
  }

  /** The worker is dead. */
  lose(): void {
    this.#generation += 1
    this.#isTold = false
    this.#missing.clear()
    this.#timer?.cancel()
    this.#options.onChange()
  }

  /**
   * A successor is there: resolves to true when it has been told everything, to false when it has died over it. It serves
   * when it has taken all.
   */
  async replay(): Promise<boolean> {
    const generation = this.#generation
    for (const batch of this.#options.inForce()) {
      const result = await this.#options.ask(batch)
      if (result === undefined || generation !== this.#generation) return false
      this.#note(batch, result, () => true)
    }
    void this.#begin(generation)
    this.#report()
    return true
  }

  /** All workers have answered; `isTaken` says what one of them, at least, has taken: that is in force. */
  settle(batch: ResourceBatch, result: ApplyResult, isTaken: (name: string) => boolean): void {
    const before = this.#missing.size
    this.#note(batch, result, isTaken)
    if (before + this.#missing.size > 0) this.#report()
  }

  close(): void {
    this.#isClosed = true
    this.#generation += 1
    this.#timer?.cancel()
  }

  async #begin(generation: number): Promise<void> {
    const { clock, isWarm, onChange } = this.#options
    const endMs = clock.monotonicMs() + warmMsMax
    while (clock.monotonicMs() < endMs && !(await isWarm())) {
      if (generation !== this.#generation) return
      await new Promise<void>((resolve) => clock.setTimer(warmLookMs, resolve))
    }
    if (generation !== this.#generation) return
    this.#isTold = true
    onChange()
  }

  #note(batch: ResourceBatch, result: ApplyResult, isTaken: (name: string) => boolean): void {
    const reasons = this.#missing.get(batch.typeUrl) ?? new Map<string, string>()
    const refused = new Map(result.rejected.map(({ name, reason }) => [name, reason]))
    let isRefused = false
    for (const { name } of batch.entries) {
      const reason = refused.get(name)
      if (reason === undefined) reasons.delete(name)
      else if (isTaken(name)) {
        reasons.set(name, reason)
        isRefused = true
      }
    }
    for (const name of batch.removed) reasons.delete(name)
    if (reasons.size > 0) this.#missing.set(batch.typeUrl, reasons)
    else this.#missing.delete(batch.typeUrl)
    if (isRefused) this.#options.onRefused()
  }

  /** Says once what is missing, and once that nothing is any more. */
  #report(): void {
    const { thread, log, onChange } = this.#options
    onChange()
    const { missing } = this
    const text = missing.join('\n')
    if (text !== '') this.#retryLater()
    if (text === this.#said) return
    this.#said = text
    if (text === '') {
      this.#timer?.cancel()
      this.#backoff.reset()
      log.info({ thread }, 'worker has caught up')
      return
    }
    const refused = missing.slice(0, namedMax)
    log.error(
      { thread, missing: missing.length, refused },
      'worker does not serve: it refuses what is in force',
    )
  }

  #retryLater(): void {
    if (this.#isClosed) return
    const generation = this.#generation
    this.#timer?.cancel()
    this.#timer = this.#options.clock.setTimer(this.#backoff.nextMs(), () => {
      void this.inTurn(() => this.#retry(generation))
    })
  }

  /** Not with the bytes that it refused, but with those that are in force now. */
  async #retry(generation: number): Promise<void> {
    if (generation !== this.#generation || this.#missing.size === 0) return
    const wanted = new Map([...this.#missing].map(([type, names]) => [type, new Set(names.keys())]))
    for (const batch of this.#options.inForce()) {
      const names = wanted.get(batch.typeUrl)
      const part = isReferredTo(batch.typeUrl) ? batch : names && partOf(batch, names)
      if (part === undefined) continue
      const result = await this.#options.ask(part)
      if (result === undefined || generation !== this.#generation) return
      for (const { name } of part.entries) names?.delete(name)
      this.#note(part, result, () => true)
    }
    // What is left of them is not in force any more.
    const nothing = { entries: [], bytes: new SharedArrayBuffer(0) }
    for (const [typeUrl, names] of wanted) {
      this.#note({ ...nothing, typeUrl, removed: [...names] }, { rejected: [] }, () => true)
    }
    this.#report()
  }
}

/** Such ones are not kept while nobody refers to them: a listener that comes later needs them again. */
function isReferredTo(typeUrl: string): boolean {
  return typeUrl !== typeUrls.cluster && typeUrl !== typeUrls.listener
}

function partOf(batch: ResourceBatch, names: ReadonlySet<string>): ResourceBatch | undefined {
  const resources = batch.entries
    .filter(({ name }) => names.has(name))
    .map((place) => ({ ...place, value: entryBytes(batch, place) }))
  if (resources.length === 0) return undefined
  return packBatch({ typeUrl: batch.typeUrl, resources, removed: [] })
}
