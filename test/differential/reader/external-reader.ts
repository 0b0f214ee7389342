/**
 * Readers of HTTP/1.1 that are not ours and not Node's: Go's net/http, Python's http.server and h11, nginx. Each is given
 * the bytes of one connection, and says which messages it read in them. What is not installed is named as absent.
 */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

import { findProgram } from '../../support/programs.ts'
import type { ExternalReader, Reading } from '../message.ts'
import { openNginxReader } from './nginx-reader.ts'

export interface Readers extends AsyncDisposable {
  readonly present: readonly ExternalReader[]
  /** Why the others are not there. */
  readonly absent: readonly string[]
}

export async function openReaders(): Promise<Readers> {
  const opened = await Promise.all([
    openGo(),
    openPython('http.server'),
    openPython('h11'),
    openNginxReader(),
  ])
  const present = opened.filter((reader) => typeof reader !== 'string')
  return {
    present,
    absent: opened.filter((reader) => typeof reader === 'string'),
    async [Symbol.asyncDispose]() {
      await Promise.all(present.map((reader) => reader[Symbol.asyncDispose]()))
    },
  }
}

const here = fileURLToPath(new URL('.', import.meta.url))
const buildFolder = fileURLToPath(new URL('../../../build/differential/', import.meta.url))

async function openGo(): Promise<ExternalReader | string> {
  const built = await buildGo('read-requests')
  return 'reason' in built ? built.reason : new PipeReader(goName, spawn(built.binary))
}

/** What Go's net/http reads in the bytes that a client got; a string says why it is not there. */
export async function openGoClient(): Promise<ResponseReader | string> {
  const built = await buildGo('read-responses')
  if ('reason' in built) return built.reason
  const pipe = new PipeReader(goName, spawn(built.binary))
  return {
    read: (bytes, isHead) => pipe.ask(Buffer.concat([Buffer.from(isHead ? 'H' : 'G'), bytes])),
    [Symbol.asyncDispose]: () => pipe[Symbol.asyncDispose](),
  }
}

export interface ResponseReader extends AsyncDisposable {
  /** Of two requests, the first of which may be HEAD. */
  read(bytes: Buffer, isHead: boolean): Promise<ResponseReading>
}

export interface ResponseReading {
  readonly responses: readonly {
    readonly status: number
    readonly bodyBytes: number
    readonly bodyHash: string
  }[]
  /** Bytes behind the last one. */
  readonly rest: number
}

const goName = "Go's net/http"

/** Compiled once for each state of its source. */
async function buildGo(name: string): Promise<{ binary: string } | { reason: string }> {
  const go = findProgram('go')
  if (go === undefined) return { reason: `${goName}: go is not installed` }
  const source = join(here, `${name}.go`)
  const state = createHash('sha256').update(readFileSync(source)).digest('hex').slice(0, 12)
  const binary = join(buildFolder, `${name}-${state}`)
  if (!existsSync(binary)) {
    mkdirSync(buildFolder, { recursive: true })
    const child = spawn(go, ['build', '-o', binary, source], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let errors = ''
    child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
    const code = await new Promise((resolve) => child.once('exit', resolve))
    if (code !== 0) return { reason: `${goName}: the reader does not build: ${errors.trim()}` }
  }
  return { binary }
}

async function openPython(which: 'http.server' | 'h11'): Promise<ExternalReader | string> {
  const name = `Python's ${which}`
  const python = findProgram('python3')
  if (python === undefined) return `${name}: python3 is not installed`
  const args = which === 'h11' ? ['h11'] : []
  const reader = new PipeReader(name, spawn(python, [join(here, 'read_requests.py'), ...args]))
  if ((await reader.line()) === 'ready') return reader
  await reader[Symbol.asyncDispose]()
  return `${name}: it is not installed`
}

/** A program that takes lengths and bytes, and answers in lines. */
class PipeReader implements ExternalReader {
  readonly name: string
  readonly #child: ChildProcessWithoutNullStreams
  readonly #waiting: ((line: string | undefined) => void)[] = []
  readonly #lines: string[] = []
  #isOver = false

  constructor(name: string, child: ChildProcessWithoutNullStreams) {
    this.name = name
    this.#child = child
    child.on('error', () => this.#end())
    child.stdin.on('error', () => this.#end())
    child.stderr.resume()
    const lines = createInterface({ input: child.stdout })
    lines.on('line', (line) => {
      const waiting = this.#waiting.shift()
      if (waiting === undefined) this.#lines.push(line)
      else waiting(line)
    })
    lines.on('close', () => this.#end())
  }

  read(bytes: Buffer): Promise<Reading> {
    return this.ask(bytes)
  }

  /** The shape of the answer is the program's own. */
  async ask<T>(bytes: Buffer): Promise<T> {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(bytes.length)
    this.#child.stdin.write(Buffer.concat([length, bytes]))
    const line = await this.line()
    if (line === undefined) throw new Error(`${this.name}: the reader has ended`)
    return JSON.parse(line) as T
  }

  line(): Promise<string | undefined> {
    const line = this.#lines.shift()
    if (line !== undefined || this.#isOver) return Promise.resolve(line)
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null) return
    const ended = new Promise((resolve) => this.#child.once('exit', resolve))
    this.#child.stdin.end()
    await ended
  }

  #end(): void {
    this.#isOver = true
    for (const waiting of this.#waiting.splice(0)) waiting(undefined)
  }
}
