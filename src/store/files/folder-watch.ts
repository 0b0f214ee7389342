/**
 * Calls back when something in a set of folders changes, by fs.watch: one watch per folder, not recursive
 * (Node's own recursion on Linux walks the tree by itself and misses folders that come and go quickly).
 *
 * It only says "look again"; the slow poll of the source is what nothing escapes. So a folder that cannot be
 * watched (out of inotify watches, a network file system) costs time, not correctness; `unwatched` counts them.
 */
import { watch } from 'node:fs'
import type { FSWatcher } from 'node:fs'
import { basename } from 'node:path'

export class FolderWatch {
  readonly #onChange: () => void
  readonly #watchers = new Map<string, FSWatcher>()
  #unwatched = 0

  constructor(onChange: () => void) {
    this.#onChange = onChange
  }

  /** Folders that could not be watched at the last update. */
  get unwatched(): number {
    return this.#unwatched
  }

  /** Watches these folders and no others; true when a watch was opened. */
  update(folders: readonly string[]): boolean {
    const wanted = new Set(folders)
    for (const [folder, watcher] of this.#watchers) {
      if (wanted.has(folder)) continue
      watcher.close()
      this.#watchers.delete(folder)
    }
    const missing = [...wanted].filter((folder) => !this.#watchers.has(folder))
    const opened = missing.filter((folder) => this.#open(folder))
    this.#unwatched = missing.length - opened.length
    return opened.length > 0
  }

  close(): void {
    for (const watcher of this.#watchers.values()) watcher.close()
    this.#watchers.clear()
  }

  #open(folder: string): boolean {
    try {
      const watcher = watch(folder, { persistent: false }, (event, name) => {
        // A folder that was itself moved or deleted says so once, by its own name, and never speaks again.
        if (event === 'rename' && name === basename(folder)) this.#renew(folder)
        this.#onChange()
      })
      watcher.on('error', () => {
        this.#renew(folder)
        this.#onChange()
      })
      this.#watchers.set(folder, watcher)
      return true
    } catch {
      // Counted by the caller; the poll sees what this watch would have seen.
      return false
    }
  }

  /** Forgets the watch, so that the next update opens a new one if the folder is still wanted. */
  #renew(folder: string): void {
    this.#watchers.get(folder)?.close()
    this.#watchers.delete(folder)
  }
}
