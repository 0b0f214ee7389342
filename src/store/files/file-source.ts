/**
 * A source over files and folders of YAML that a person edits while the mesh runs.
 *
 * A loop looks, waits and commits. It looks when fs.watch speaks, and every `pollMs` all the same. While what it
 * found has not settled (settle times: loaded-file.ts) it waits and looks again. Then everything that has settled comes into
 * force in one snapshot, so that a change of several files is seen whole: writes less than `stableMs` apart are
 * one change set. A file that will not settle holds the rest back for `holdMs` at most.
 *
 * What goes wrong is in the snapshot's issues. The last good version of what broke stays in force.
 */
import { systemClock } from '../../lib/clock.ts'
import type { Clock, Timer } from '../../lib/clock.ts'
import { runInSlices } from '../../lib/steps.ts'
import type { Steps } from '../../lib/steps.ts'
import type { Issue } from '../../model/issue.ts'
import { compareText } from '../identity.ts'
import { SnapshotPublisher } from '../publisher.ts'
import type { Source, SourceSnapshot, StoredResource } from '../source.ts'
import { FolderWatch } from './folder-watch.ts'
import { noLastGood, type LastGood } from './last-good.ts'
import { declaredTwice, LoadedFile } from './loaded-file.ts'
import type { ParseText, Prepared, SettleTimes } from './loaded-file.ts'
import { createDocumentParser } from './parse-documents.ts'
import { isHidden, readConfigFile, scanPaths } from './scan.ts'
import type { Content, FileRead, ScanLimits } from './scan.ts'

export interface FileSourceOptions {
  /** Files and folders, as the reader knows them: messages repeat these paths. */
  readonly paths: readonly string[]
  /** The model's, with `default` as the namespace of what names none, unless said otherwise. */
  readonly parse?: ParseText
  readonly name?: string
  readonly clock?: Clock
  readonly limits?: Partial<ScanLimits>
  /** What is broken at the start comes into force as it was last kept there. */
  readonly lastGood?: LastGood
  readonly times?: Partial<FileSourceTimes>
}

export interface FileSourceTimes extends SettleTimes {
  /** From the first sign of a change to the look at it. */
  readonly debounceMs: number
  readonly holdMs: number
  readonly pollMs: number
}

export interface FileSource extends Source, AsyncDisposable {
  readonly stats: FileSourceStats
}

export interface FileSourceStats {
  readonly files: number
  readonly looks: number
  readonly commits: number
  /** Folders that only the poll sees. */
  readonly unwatchedFolders: number
}

const defaultLimits: ScanLimits = { filesMax: 10_000, foldersMax: 2_000, fileBytesMax: 4 << 20 }

const defaultTimes: FileSourceTimes = {
  debounceMs: 20,
  stableMs: 60,
  suspectMs: 300,
  missingMs: 500,
  holdMs: 800,
  emptyMs: 2_000,
  pollMs: 2_000,
}

/** How long parsing keeps others from their turn. */
const sliceMsMax = 10

/** Resolves when everything that is there has been loaded once. */
export async function openFileSource(options: FileSourceOptions): Promise<FileSource> {
  const source = new WatchedFiles(options)
  await source.open()
  return source
}

class WatchedFiles implements FileSource {
  readonly name: string
  readonly #paths: readonly string[]
  readonly #parse: ParseText
  readonly #clock: Clock
  readonly #limits: ScanLimits
  readonly #lastGood: LastGood
  readonly #times: FileSourceTimes
  readonly #files = new Map<string, LoadedFile>()
  /** What each file was when it was last read; a file whose fingerprint is the same is not read again. */
  readonly #fingerprints = new Map<string, string>()
  readonly #publisher = new SnapshotPublisher(emptySnapshot)
  readonly #watch: FolderWatch
  #scanIssues: readonly Issue[] = []
  #timer: Timer | undefined
  #timerAtMs = Infinity
  #looking: Promise<void> | undefined
  #wasAskedWhileLooking = false
  #isClosed = false
  #looks = 0
  #commits = 0

  constructor(options: FileSourceOptions) {
    this.#paths = options.paths
    this.#parse = options.parse ?? createDocumentParser()
    this.name = options.name ?? options.paths.join(', ')
    this.#clock = options.clock ?? systemClock
    this.#limits = { ...defaultLimits, ...options.limits }
    this.#lastGood = options.lastGood ?? noLastGood
    this.#times = { ...defaultTimes, ...options.times }
    this.#watch = new FolderWatch(() => this.#lookIn(this.#times.debounceMs))
  }

  get stats(): FileSourceStats {
    return {
      files: this.#files.size,
      looks: this.#looks,
      commits: this.#commits,
      unwatchedFolders: this.#watch.unwatched,
    }
  }

  async open(): Promise<void> {
    this.#wasAskedWhileLooking = false
    await this.#observe()
    // Nothing is in force yet that a half-written file could break, so there is nothing to wait for.
    for (const file of this.#files.values()) this.#begin(file)
    this.#commit()
    this.#lookIn(this.#times.debounceMs)
  }

  list(): SourceSnapshot {
    return this.#publisher.current
  }

  watch(listener: (snapshot: SourceSnapshot) => void): Disposable {
    return this.#publisher.watch(listener)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    this.#timer?.cancel()
    this.#watch.close()
    this.#publisher.close()
    await this.#looking
    // A look that was under way may have opened watches again.
    this.#watch.close()
  }

  /** Makes sure of a look in `delayMs` at the latest. */
  #lookIn(delayMs: number): void {
    if (this.#isClosed) return
    if (this.#looking !== undefined) {
      this.#wasAskedWhileLooking = true
      return
    }
    const atMs = this.#clock.monotonicMs() + delayMs
    if (this.#timer !== undefined && this.#timerAtMs <= atMs) return
    this.#timer?.cancel()
    this.#timerAtMs = atMs
    this.#timer = this.#clock.setTimer(delayMs, () => {
      this.#timer = undefined
      this.#looking = this.#look()
    })
  }

  async #look(): Promise<void> {
    const startedMs = this.#clock.monotonicMs()
    this.#wasAskedWhileLooking = false
    await this.#observe()
    const waitMs = this.#isClosed ? 0 : this.#settle()
    const tookMs = this.#clock.monotonicMs() - startedMs
    this.#looking = undefined
    // A large tree must not be polled all the time: looking takes a twentieth of the time at most.
    this.#lookIn(Math.min(waitMs, Math.max(this.#times.pollMs, 20 * tookMs)))
    if (this.#wasAskedWhileLooking) this.#lookIn(this.#times.debounceMs)
  }

  /** Looks at everything once and tells each file what it has become. */
  async #observe(): Promise<void> {
    this.#looks += 1
    const scan = await scanPaths(this.#paths, this.#limits)
    const found = new Map<string, Content>()
    for (const [path, fingerprint] of scan.files) {
      if (this.#fingerprints.get(path) === fingerprint) continue
      const read = await readConfigFile(path, this.#limits.fileBytesMax)
      this.#remember(path, read)
      found.set(path, read.content)
    }
    const prepared = await runInSlices(this.#prepare(found), {
      pause: () => new Promise((resolve) => setImmediate(resolve)),
      sliceMsMax,
      monotonicMs: () => this.#clock.monotonicMs(),
    })
    // Not awaited from here on: what was seen takes effect as one.
    const nowMs = this.#clock.monotonicMs()
    this.#scanIssues = scan.issues
    for (const [file, made] of prepared) file.observe(made.content, nowMs, made)
    for (const [path, file] of this.#files) {
      if (scan.files.has(path) || isHidden(path, scan)) continue
      this.#fingerprints.delete(path)
      file.observe({ kind: 'missing' }, nowMs)
    }
    // What happened in a new folder before its watch was open is seen by one more look.
    if (!this.#isClosed && this.#watch.update(scan.folders)) this.#wasAskedWhileLooking = true
  }

  /** Parses what was found. Nothing else looks meanwhile, so files stay as they are. */
  *#prepare(found: ReadonlyMap<string, Content>): Steps<ReadonlyMap<LoadedFile, Prepared>> {
    const prepared = new Map<LoadedFile, Prepared>()
    for (const [path, content] of found) {
      const file = this.#fileAt(path)
      prepared.set(file, yield* file.prepare(content))
    }
    return prepared
  }

  #remember(path: string, read: FileRead): void {
    // A write within the clock tick of the read may leave the same fingerprint: read such a file once more
    // (git calls this "racily clean"). So is one that changed while it was read.
    const isRacy = this.#clock.nowMs() - read.modifiedAtMs < 50
    if (read.fingerprint === undefined || isRacy) this.#fingerprints.delete(path)
    else this.#fingerprints.set(path, read.fingerprint)
  }

  #fileAt(path: string): LoadedFile {
    let file = this.#files.get(path)
    if (file === undefined) {
      file = new LoadedFile(path, this.#parse, this.#times)
      this.#files.set(path, file)
    }
    return file
  }

  /** Commits when all that changed has settled, or has been held back for long enough. Returns how long to wait. */
  #settle(): number {
    const nowMs = this.#clock.monotonicMs()
    const pending = [...this.#files.values()].flatMap((file) =>
      file.settlesAtMs === undefined ? [] : [{ file, settlesAtMs: file.settlesAtMs }],
    )
    const settled = pending.filter(({ settlesAtMs }) => settlesAtMs <= nowMs)
    const unsettled = pending.filter(({ settlesAtMs }) => settlesAtMs > nowMs)
    const oldestMs = Math.min(...settled.map(({ settlesAtMs }) => settlesAtMs))
    if (unsettled.length === 0 || nowMs - oldestMs >= this.#times.holdMs) {
      for (const { file } of settled) file.believe()
      this.#commit()
    }
    const waits = unsettled.map(({ settlesAtMs }) => settlesAtMs - nowMs)
    const nextMs = Math.min(...waits, settled.length > 0 ? this.#times.stableMs : Infinity)
    return Math.max(1, Math.min(nextMs, this.#times.pollMs))
  }

  #begin(file: LoadedFile): void {
    const before = this.#lastGood.read(file.path)
    if (before !== undefined && file.isBroken) file.restore(before)
    file.believe()
  }

  #commit(): void {
    for (const [path, file] of this.#files) {
      const text = file.goodText
      if (text !== undefined) this.#lastGood.keep(path, text)
      if (!file.isGone) continue
      this.#files.delete(path)
      this.#lastGood.forget(path)
    }
    const next = assemble([...this.#files.values()], this.#scanIssues)
    if (isSameSnapshot(this.list(), next)) return
    this.#commits += 1
    this.#publisher.publish({ ...next, revision: `f${this.#commits}` })
  }
}

const emptySnapshot: SourceSnapshot = {
  revision: 'f0',
  resources: new Map(),
  issues: [],
  stale: new Set(),
}

function assemble(files: readonly LoadedFile[], issues: readonly Issue[]): SourceSnapshot {
  const resources = new Map<string, StoredResource>()
  const stale = new Set<string>()
  const all = [...issues]
  for (const file of [...files].sort((a, b) => compareText(a.path, b.path))) {
    all.push(...file.issues)
    for (const [key, stored] of file.resources) {
      const first = resources.get(key)
      if (first !== undefined) {
        all.push(declaredTwice(first.resource, stored.resource))
        continue
      }
      resources.set(key, stored)
      if (file.stale.has(key)) stale.add(key)
    }
  }
  return { revision: '', resources, issues: all, stale }
}

function isSameSnapshot(a: SourceSnapshot, b: SourceSnapshot): boolean {
  return (
    a.resources.size === b.resources.size &&
    [...b.resources].every(([key, stored]) => a.resources.get(key) === stored) &&
    a.stale.size === b.stale.size &&
    [...b.stale].every((key) => a.stale.has(key)) &&
    JSON.stringify(a.issues) === JSON.stringify(b.issues)
  )
}
