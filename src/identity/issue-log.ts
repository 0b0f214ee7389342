/**
 * The authority's book: one line of JSON for each certificate, on the disk before the certificate leaves.
 *
 * It is what makes serials unique: a serial (127 random bits) is taken only when the book does not hold it. Lines
 * are appended, never changed; those that wait for the disk share one write. A line that a crash cut short is
 * closed at the next start: its certificate never left. At `bytesMax` the file is set aside under another name and
 * kept; the serials of the newest file set aside are still looked at, beyond that 127 random bits must do.
 */
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeSync,
} from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'

import { MeshError } from '../lib/mesh-error.ts'
import { syncFolder } from './durable-file.ts'

export interface IssueEntry {
  /** Lower-case hex. */
  readonly serial: string
  readonly kind: 'workload' | 'server' | 'intermediate' | 'root'
  /** SPIFFE id, or the name of an authority. */
  readonly subject: string
  /** Authority that signed. */
  readonly authority: string
  /** How the caller proved itself: `token 1a2b…`, `certificate`, `jwt https://issuer`. */
  readonly via: string
  readonly issuedAt: string
  readonly notAfter: string
}

export interface IssueLogOptions {
  readonly folder: string
  readonly bytesMax?: number
}

const bytesMaxDefault = 32 << 20
const fileName = 'issued.jsonl'

/** Rejections: MESH_CA_UNAVAILABLE. */
export async function openIssueLog(options: IssueLogOptions): Promise<IssueLog> {
  const path = join(options.folder, fileName)
  try {
    setAside(path, options)
    const serials = readSerials(options.folder)
    closeLastLine(path)
    const file = await open(path, 'a', 0o600)
    syncFolder(options.folder)
    return new IssueLog(file, serials)
  } catch (cause) {
    throw new MeshError('MESH_CA_UNAVAILABLE', `open the book of certificates ${path}`, { cause })
  }
}

export class IssueLog implements AsyncDisposable {
  readonly #file: FileHandle
  readonly #serials: Set<string>
  #waiting: string[] = []
  #running: Promise<void> | undefined
  #next: Promise<void> | undefined

  constructor(file: FileHandle, serials: Set<string>) {
    this.#file = file
    this.#serials = serials
  }

  /** A serial that was never given before and never will be again, used or not. */
  takeSerial(): string {
    for (;;) {
      const bytes = randomBytes(16)
      // RFC 5280 §4.1.2.2: positive. The second bit keeps all of one length.
      bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40
      const serial = bytes.toString('hex')
      if (this.#serials.has(serial)) continue
      this.#serials.add(serial)
      return serial
    }
  }

  /** Resolves when the line is on the disk. Rejections: MESH_CA_UNAVAILABLE; the certificate must not leave. */
  append(entry: IssueEntry): Promise<void> {
    this.#waiting.push(`${JSON.stringify(entry)}\n`)
    if (this.#running === undefined) return this.#start()
    this.#next ??= this.#running
      .catch(() => {})
      .then(() => {
        this.#next = undefined
        return this.#start()
      })
    return this.#next
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#running?.catch(() => {}) // Told to those who waited for it.
    await this.#next?.catch(() => {})
    await this.#file.close()
  }

  #start(): Promise<void> {
    this.#running = this.#write().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  async #write(): Promise<void> {
    const lines = this.#waiting
    this.#waiting = []
    try {
      await this.#file.appendFile(lines.join(''))
      await this.#file.datasync()
    } catch (cause) {
      throw new MeshError('MESH_CA_UNAVAILABLE', 'write the book of certificates', { cause })
    }
  }
}

/** Entries of the current file, oldest first; lines that cannot be read are left out. */
export function readIssueLog(folder: string): IssueEntry[] {
  const path = join(folder, fileName)
  return existsSync(path) ? readEntries(path) : []
}

function readEntries(path: string): IssueEntry[] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .flatMap((line) => {
      try {
        return [JSON.parse(line) as IssueEntry]
      } catch {
        // The last line of a run that was killed, or the empty text after the last newline.
        return []
      }
    })
}

function setAside(path: string, { folder, bytesMax = bytesMaxDefault }: IssueLogOptions): void {
  if (!existsSync(path) || statSync(path).size < bytesMax) return
  const numbers = asideFiles(folder).map((name) => Number(name.split('.')[1]))
  const next = String(Math.max(0, ...numbers) + 1).padStart(6, '0')
  renameSync(path, join(folder, `issued.${next}.jsonl`))
}

function asideFiles(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => /^issued\.\d+\.jsonl$/.test(name))
    .sort()
}

function readSerials(folder: string): Set<string> {
  const names = [...asideFiles(folder).slice(-1), fileName]
  const serials = new Set<string>()
  for (const name of names) {
    const path = join(folder, name)
    if (!existsSync(path)) continue
    // A line that was cut short may hold a whole serial: count that too.
    for (const [, serial = ''] of readFileSync(path, 'utf8').matchAll(/"serial":"([0-9a-f]+)"/g)) {
      serials.add(serial)
    }
  }
  return serials
}

function closeLastLine(path: string): void {
  if (!existsSync(path)) return
  const text = readFileSync(path, 'latin1')
  if (text === '' || text.endsWith('\n')) return
  const file = openSync(path, 'a')
  writeSync(file, '\n')
  closeSync(file)
}
