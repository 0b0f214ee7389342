/**
 * Files that hold secrets or promises: owner-only, replaced as a whole, and on the disk before anybody is told.
 *
 * `kill -9` leaves the old content or the new one. Writes that wait for the disk are joined: any number of changes
 * made meanwhile cost one more write.
 */
import {
  chmodSync,
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeSync,
} from 'node:fs'
import { open, rename } from 'node:fs/promises'
import { dirname } from 'node:path'

import { MeshError } from '../lib/mesh-error.ts'

/** Makes the folder, or takes rights from everybody but its owner. */
export function openPrivateFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 })
  if ((statSync(path).mode & 0o077) !== 0) chmodSync(path, 0o700)
}

/** Text of a file; undefined when there is none. */
export function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new MeshError('MESH_CA_UNAVAILABLE', `read ${path}`, { cause })
  }
}

/** Returns when it is on the disk. For rare changes: the process waits. */
export function writeDurably(path: string, content: string): void {
  const staged = `${path}.new`
  const file = openSync(staged, 'w', 0o600)
  try {
    writeSync(file, content)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  renameSync(staged, path)
  syncFolder(dirname(path))
}

/** A rename is on the disk when its folder is. */
export function syncFolder(path: string): void {
  const folder = openSync(path, 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}

export class DurableFile {
  readonly #path: string
  readonly #render: () => string
  #running: Promise<void> | undefined
  #next: Promise<void> | undefined

  constructor(path: string, render: () => string) {
    this.#path = path
    this.#render = render
  }

  /** Resolves when a state at least as new as now is on the disk. Rejections: MESH_CA_UNAVAILABLE. */
  save(): Promise<void> {
    if (this.#running === undefined) {
      this.#running = this.#write().finally(() => {
        this.#running = undefined
      })
      return this.#running
    }
    // The write under way may have read the state before the caller changed it.
    this.#next ??= this.#running
      .catch(() => {}) // Told to those who waited for it.
      .then(() => {
        this.#next = undefined
        return this.save()
      })
    return this.#next
  }

  async #write(): Promise<void> {
    const staged = `${this.#path}.new`
    try {
      await using file = await open(staged, 'w', 0o600)
      await file.writeFile(this.#render())
      await file.sync()
      await rename(staged, this.#path)
      await using folder = await open(dirname(this.#path), 'r')
      await folder.sync()
    } catch (cause) {
      throw new MeshError('MESH_CA_UNAVAILABLE', `write ${this.#path}`, { cause })
    }
  }
}
