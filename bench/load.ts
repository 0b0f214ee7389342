/** Load from outside: wrk on its own core, and what it reports. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

import { pinned } from './process.ts'

const execute = promisify(execFile)

export interface LoadOptions {
  readonly url: string
  readonly connections: number
  readonly seconds: number
  readonly core: number | undefined
  readonly headers?: readonly string[]
  /** A file in Lua that says what wrk asks for. */
  readonly script?: string | undefined
}

export interface LoadResult {
  readonly requests: number
  readonly requestsPerSecond: number
  readonly p50Micros: number
  readonly p99Micros: number
  /** Socket errors and answers other than 2xx and 3xx. */
  readonly errors: number
}

export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const command = [
    'wrk',
    '-t1',
    `-c${String(options.connections)}`,
    `-d${String(options.seconds)}s`,
    '--latency',
    ...(options.headers ?? []).flatMap((header) => ['-H', header]),
    ...(options.script === undefined ? [] : ['-s', options.script]),
    options.url,
  ]
  const [program = '', ...args] = pinned(command, options.core)
  const { stdout } = await execute(program, args)
  return parseWrk(stdout)
}

/** Reads wrk's report. */
export function parseWrk(text: string): LoadResult {
  const socketErrors = [...text.matchAll(/(?:connect|read|write|timeout) (\d+)/g)]
  const badStatus = Number(/Non-2xx or 3xx responses: (\d+)/.exec(text)?.[1] ?? 0)
  return {
    requests: Number(/(\d+) requests in/.exec(text)?.[1] ?? 0),
    requestsPerSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(text)?.[1] ?? 0),
    p50Micros: micros(/^\s+50%\s+(\S+)/m.exec(text)?.[1]),
    p99Micros: micros(/^\s+99%\s+(\S+)/m.exec(text)?.[1]),
    errors: badStatus + socketErrors.reduce((sum, match) => sum + Number(match[1]), 0),
  }
}

function micros(text: string | undefined): number {
  const [, number = '0', unit = 'us'] = /^([\d.]+)(us|ms|s)$/.exec(text ?? '') ?? []
  const scale = { us: 1, ms: 1_000, s: 1_000_000 }[unit] ?? 1
  return Number(number) * scale
}
