/**
 * Where the mesh's configuration comes from: the mesh file and what it names under `spec.config`, further paths
 * that the caller gives, and, when there is one, a store that the API writes to. Files come first.
 *
 * `spec.config` may change while the mesh runs: the files are then opened anew, and the old ones stay in force
 * until the new ones have been read.
 */
import { dirname, isAbsolute, join } from 'node:path'

import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { MeshSpec } from '../model/mesh/mesh.ts'
import type { Resource } from '../model/resource.ts'
import { openFileSource, type FileSource } from '../store/files/file-source.ts'
import { noLastGood, type LastGood } from '../store/files/last-good.ts'
import { createDocumentParser } from '../store/files/parse-documents.ts'
import { createMemoryStore } from '../store/memory.ts'
import { guardOwned, mergeSources, type MergedSource } from '../store/merge.ts'
import type { Source, SourceSnapshot, Store } from '../store/source.ts'

export interface ConfigSourceOptions {
  /** A file with one `Mesh`. */
  readonly meshFile: string | undefined
  readonly configPaths: readonly string[]
  /** Namespace of resources that name none, when no mesh file says it. */
  readonly namespace: string
  /** Undefined: the API is read-only. */
  readonly store: 'memory' | undefined
  /** Remembers files over a restart; absent: nobody does. */
  readonly lastGood?: LastGood | undefined
  readonly clock: Clock
  readonly log: Log
}

export interface ConfigSource extends Source, AsyncDisposable {
  /** Writes to what a file owns are refused; undefined when the API is read-only. */
  readonly store: Store | undefined
  /** Files and folders that are read, for messages. */
  readonly paths: readonly string[]
  /** Files that cannot be read are issues, not errors. */
  readonly files: SourceSnapshot
}

export async function openConfigSource(options: ConfigSourceOptions): Promise<ConfigSource> {
  const source = new WatchedConfig(options)
  await source.open()
  return source
}

export function meshOf(snapshot: SourceSnapshot): Resource<MeshSpec> | undefined {
  for (const { resource } of snapshot.resources.values()) {
    // The model has checked that a Mesh has a mesh's spec.
    if (resource.kind === 'Mesh') return resource as Resource<MeshSpec>
  }
  return undefined
}

class WatchedConfig implements ConfigSource {
  readonly name = 'configuration'
  readonly store: Store | undefined
  readonly #options: ConfigSourceOptions
  readonly #inner: Store | undefined
  readonly #listeners = new Set<(snapshot: SourceSnapshot) => void>()
  readonly #filesNow: Source = { name: 'files', list: () => this.files, watch: () => nothing }
  #opened: Opened | undefined
  #reopening: Promise<void> | undefined
  #isClosed = false

  constructor(options: ConfigSourceOptions) {
    this.#options = options
    this.#inner =
      options.store === undefined ? undefined : createMemoryStore({ clock: options.clock })
    this.store = this.#inner === undefined ? undefined : guardOwned(this.#inner, this.#filesNow)
  }

  get paths(): readonly string[] {
    return this.#opened?.paths ?? []
  }

  get files(): SourceSnapshot {
    return this.#opened?.files.list() ?? emptySnapshot
  }

  async open(): Promise<void> {
    const { meshFile, configPaths, namespace } = this.#options
    const base = meshFile === undefined ? configPaths : [meshFile, ...configPaths]
    const first = await this.#openFiles(base, namespace)
    const wanted = this.#wanted(first.files.list())
    if (isSamePaths(first, wanted)) {
      this.#use(first)
      return
    }
    await first.files[Symbol.asyncDispose]()
    this.#use(await this.#openFiles(wanted.paths, wanted.namespace))
  }

  list(): SourceSnapshot {
    return this.#opened?.merged.list() ?? emptySnapshot
  }

  watch(listener: (snapshot: SourceSnapshot) => void): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    this.#listeners.clear()
    await this.#reopening
    await closeOpened(this.#opened)
  }

  async #openFiles(paths: readonly string[], namespace: string): Promise<OpenedFiles> {
    const parse = createDocumentParser(namespace)
    const { clock, lastGood = noLastGood } = this.#options
    const files = await openFileSource({ paths, parse, clock, lastGood })
    return { paths, namespace, files }
  }

  /** Paths and default namespace that the mesh file asks for. */
  #wanted(snapshot: SourceSnapshot): Pick<OpenedFiles, 'paths' | 'namespace'> {
    const { meshFile, configPaths, namespace } = this.#options
    if (meshFile === undefined) return { paths: configPaths, namespace }
    const mesh = meshOf(snapshot)
    // Joined, not resolved: messages repeat paths as the reader gave them.
    const config = (mesh?.spec.config ?? []).map((path) =>
      isAbsolute(path) ? path : join(dirname(meshFile), path),
    )
    const paths = [...new Set([meshFile, ...config, ...configPaths])]
    return { paths, namespace: mesh?.metadata.namespace ?? namespace }
  }

  #use(files: OpenedFiles): void {
    const sources: Source[] = [files.files]
    if (this.#inner !== undefined) sources.push(this.#inner)
    const merged = mergeSources(sources)
    const watch = merged.watch((snapshot) => this.#changed(snapshot))
    this.#opened = { ...files, merged, watch }
  }

  #changed(snapshot: SourceSnapshot): void {
    const opened = this.#opened
    if (opened === undefined || this.#isClosed) return
    // A mesh file that is broken for a moment keeps its last good version, and so its paths.
    const wanted = this.#wanted(opened.files.list())
    if (!isSamePaths(opened, wanted)) this.#reopening ??= this.#reopen(wanted)
    for (const listener of this.#listeners) listener(snapshot)
  }

  async #reopen(wanted: Pick<OpenedFiles, 'paths' | 'namespace'>): Promise<void> {
    this.#options.log.info({ paths: wanted.paths }, 'the mesh file names other configuration')
    const before = this.#opened
    const files = await this.#openFiles(wanted.paths, wanted.namespace)
    this.#reopening = undefined
    this.#use(files)
    await closeOpened(before)
    this.#changed(this.list())
  }
}

interface OpenedFiles {
  readonly paths: readonly string[]
  readonly namespace: string
  readonly files: FileSource
}

interface Opened extends OpenedFiles {
  readonly merged: MergedSource
  readonly watch: Disposable
}

async function closeOpened(opened: Opened | undefined): Promise<void> {
  opened?.watch[Symbol.dispose]()
  opened?.merged[Symbol.dispose]()
  await opened?.files[Symbol.asyncDispose]()
}

type Wanted = Pick<OpenedFiles, 'paths' | 'namespace'>

function isSamePaths(opened: Wanted, wanted: Wanted): boolean {
  return (
    opened.namespace === wanted.namespace && opened.paths.join('\0') === wanted.paths.join('\0')
  )
}

const nothing: Disposable = { [Symbol.dispose]() {} }

const emptySnapshot: SourceSnapshot = {
  revision: '',
  resources: new Map(),
  issues: [],
  stale: new Set(),
}
