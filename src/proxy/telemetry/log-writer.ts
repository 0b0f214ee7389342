/**
 * Writes log lines to a file or a standard stream without making a request wait: lines gather in memory and leave in
 * one write, when enough of them have come or after a moment.
 *
 * They gather as bytes: a line that waited as a string would keep its fields, and the heads that these are slices of,
 * alive through collections of garbage (0.7 of 1.9 µs a line, Node 26).
 *
 * A writer holds at most `pendingMaxBytes`; while the disk does not keep up, further lines are dropped and counted.
 * Files are opened for appending, so that several writers, and log rotation with `reopen`, do not harm each other.
 */
import { close, openSync, write, writeSync } from 'node:fs'

import type { Clock, Timer } from '../../lib/clock.ts'
import { MeshError } from '../../lib/mesh-error.ts'

export interface LogWriter {
  /** One whole line with its end, or several. */
  write(line: string): void
  /**
   * Opens the path again: whoever rotates logs has moved the file. Fails with MESH_COMMAND_FAILED when it cannot be opened;
   * lines then go on into the file of before.
   */
  reopen(): void
  /** Lines dropped since the start. */
  readonly dropped: number
  /** Writes what is left, synchronously. */
  close(): void
}

export interface LogWriterOptions {
  /** A file, `/dev/stdout` or `/dev/stderr`. */
  readonly path: string
  readonly clock: Clock
  readonly flushIntervalMs?: number
  readonly pendingMaxBytes?: number
  /** Lines are lost, and why: hears of each loss, as often as it happens. */
  readonly onDropped?: (lines: number, reason: string) => void
}

const flushIntervalDefaultMs = 250
/** A write wakes another thread, which costs the request that made it 0.3 ms: fewer than one in a hundred should. */
const flushBytes = 262_144
/** Room for a last line beyond `flushBytes`. */
const blockBytes = flushBytes + 65_536
/** Of UTF-8, for each UTF-16 unit of a string. */
const unitBytesMax = 3
const pendingMaxDefaultBytes = 4_194_304
const standardStreams: Readonly<Record<string, number>> = { '/dev/stdout': 1, '/dev/stderr': 2 }

/** Fails with MESH_COMMAND_FAILED when the file cannot be opened. */
export function openLogWriter(options: LogWriterOptions): LogWriter {
  return new FileWriter(options)
}

class FileWriter implements LogWriter {
  readonly #options: LogWriterOptions
  readonly #pendingMax: number
  #fd: number
  /** Lines gather here; made by the first one. */
  #block: Buffer | undefined
  #used = 0
  /** What had no place in the block while a write was under way, oldest first. */
  #waiting: Buffer[] = []
  #waitingBytes = 0
  #inFlight: Buffer | undefined
  /** A block whose bytes are out, for the next one. */
  #spare: Buffer | undefined
  #timer: Timer | undefined
  #isClosed = false
  /** Files of before, while a write to one of them is under way. */
  #retired: number[] = []
  dropped = 0

  constructor(options: LogWriterOptions) {
    this.#options = options
    this.#pendingMax = options.pendingMaxBytes ?? pendingMaxDefaultBytes
    this.#fd = openPath(options.path)
  }

  write(line: string): void {
    if (this.#isClosed) return
    if (this.#waitingBytes + this.#used + line.length > this.#pendingMax) {
      this.#drop(1, 'more lines come than can be written')
      return
    }
    const bytesMax = line.length * unitBytesMax
    if (bytesMax > blockBytes - this.#used) this.#setAside()
    if (bytesMax > blockBytes) this.#wait(Buffer.from(line))
    else {
      this.#block ??= Buffer.allocUnsafeSlow(blockBytes)
      this.#used += this.#block.write(line, this.#used)
    }
    if (this.#used >= flushBytes || this.#waitingBytes > 0) this.#flush()
    else this.#timer ??= this.#startTimer()
  }

  reopen(): void {
    if (this.#isClosed || isStandard(this.#options.path)) return
    const old = this.#fd
    this.#fd = openPath(this.#options.path)
    // A write that is under way still goes to the old file.
    if (this.#inFlight === undefined) closeFile(old)
    else this.#retired.push(old)
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#timer?.cancel()
    // What is in flight is with the kernel; writing it again here would double it.
    this.#setAside()
    for (const bytes of this.#waiting) writeAll(this.#fd, bytes)
    this.#waiting = []
    if (!isStandard(this.#options.path) && this.#inFlight === undefined) closeFile(this.#fd)
  }

  #startTimer(): Timer {
    const { clock, flushIntervalMs } = this.#options
    return clock.setTimer(flushIntervalMs ?? flushIntervalDefaultMs, () => {
      this.#timer = undefined
      this.#flush()
    })
  }

  #flush(): void {
    if (this.#inFlight !== undefined) return
    if (this.#waiting.length === 0) this.#setAside()
    const bytes = this.#waiting.shift()
    if (bytes === undefined) return
    this.#waitingBytes -= bytes.length
    this.#inFlight = bytes
    this.#writeSome(this.#fd, bytes)
  }

  /** The block's lines wait for their write, and the next ones begin another block. */
  #setAside(): void {
    const block = this.#block
    if (block === undefined || this.#used === 0) return
    this.#wait(block.subarray(0, this.#used))
    this.#block = this.#spare
    this.#spare = undefined
    this.#used = 0
  }

  #wait(bytes: Buffer): void {
    this.#waiting.push(bytes)
    this.#waitingBytes += bytes.length
  }

  /** A pipe may take a part, or nothing for now. */
  #writeSome(fd: number, bytes: Buffer): void {
    write(fd, bytes, 0, bytes.length, null, (error, written) => {
      if (error !== null && error.code === 'EAGAIN') {
        this.#options.clock.setTimer(10, () => this.#writeSome(fd, bytes))
        return
      }
      if (error === null && written < bytes.length) {
        this.#writeSome(fd, bytes.subarray(written))
        return
      }
      if (error !== null) this.#countLost(bytes, error.message)
      this.#onWritten(fd)
    })
  }

  #onWritten(fd: number): void {
    const written = this.#inFlight?.buffer
    if (written?.byteLength === blockBytes) this.#spare = Buffer.from(written)
    this.#inFlight = undefined
    for (const old of this.#retired.splice(0)) closeFile(old)
    if (this.#isClosed) {
      if (!isStandard(this.#options.path)) closeFile(fd)
      return
    }
    if (this.#waitingBytes > 0 || this.#used >= flushBytes) this.#flush()
    else if (this.#used > 0) this.#timer ??= this.#startTimer()
  }

  #countLost(bytes: Buffer, reason: string): void {
    this.#drop(bytes.toString('latin1').split('\n').length - 1, reason)
  }

  #drop(lines: number, reason: string): void {
    this.dropped += lines
    this.#options.onDropped?.(lines, reason)
  }
}

function isStandard(path: string): boolean {
  return standardStreams[path] !== undefined
}

function openPath(path: string): number {
  const standard = standardStreams[path]
  if (standard !== undefined) return standard
  try {
    return openSync(path, 'a')
  } catch (cause) {
    throw new MeshError('MESH_COMMAND_FAILED', `open the access log ${path}`, {
      cause,
      remedy: 'check that the folder exists and may be written to',
    })
  }
}

/** Nobody is left to tell when closing fails. */
function closeFile(fd: number): void {
  close(fd, () => {})
}

function writeAll(fd: number, bytes: Buffer): void {
  let done = 0
  while (done < bytes.length) {
    try {
      done += writeSync(fd, bytes, done)
    } catch {
      // A full pipe or disk at the very end: what is left is lost, and waiting would hang the exit.
      return
    }
  }
}
