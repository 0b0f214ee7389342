/**
 * The last text of each file in which nothing was wrong, kept for the process that comes after this one: what is broken when
 * that begins has a last good version then too.
 *
 * One file for each, in a folder of ours, named after a digest of the path, which is its first line. What was kept of files
 * that are gone is deleted at the start. Without the folder (a disk that is full) nothing is kept, and the mesh goes on.
 */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'

import type { Log } from '../../lib/log.ts'
import { describeError } from '../../lib/mesh-error.ts'
import { replaceFile } from '../../lib/replace-file.ts'

export interface LastGood {
  /** Undefined: none is known. */
  read(path: string): string | undefined
  keep(path: string, text: string): void
  forget(path: string): void
}

/** For files of which nothing is kept. */
export const noLastGood: LastGood = { read: () => undefined, keep() {}, forget() {} }

export function openLastGood(folder: string, log: Log): LastGood {
  return new Folder(folder, log)
}

class Folder implements LastGood {
  readonly #folder: string
  readonly #log: Log
  /** What stands there, so that an unchanged text is not written again. */
  readonly #known = new Map<string, string>()

  constructor(folder: string, log: Log) {
    this.#folder = folder
    this.#log = log
    this.#try('read what was kept', () => {
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      for (const name of readdirSync(folder)) this.#load(join(folder, name))
    })
  }

  read(path: string): string | undefined {
    return this.#known.get(resolve(path))
  }

  keep(path: string, text: string): void {
    const whole = resolve(path)
    if (this.#known.get(whole) === text) return
    this.#try(`keep ${path}`, () => {
      replaceFile(this.#placeOf(whole), `${whole}\n${text}`)
      this.#known.set(whole, text)
    })
  }

  forget(path: string): void {
    const whole = resolve(path)
    if (!this.#known.delete(whole)) return
    this.#try(`forget ${path}`, () => rmSync(this.#placeOf(whole), { force: true }))
  }

  #load(kept: string): void {
    const whole = readFileSync(kept, 'utf8')
    const end = whole.indexOf('\n')
    const path = whole.slice(0, end)
    // Half of a write, or of a file that is gone.
    if (kept !== this.#placeOf(path) || !existsSync(path)) rmSync(kept, { force: true })
    else this.#known.set(path, whole.slice(end + 1))
  }

  #placeOf(whole: string): string {
    return join(this.#folder, createHash('sha256').update(whole).digest('hex').slice(0, 32))
  }

  #try(what: string, run: () => void): void {
    try {
      run()
    } catch (error) {
      this.#log.warn({ what, error: describeError(error) }, 'last good configuration is not kept')
    }
  }
}
