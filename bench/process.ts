/**
 * A program under measurement: started on a given core, its CPU time and memory read from /proc (Linux).
 * CPU time comes from schedstat, in nanoseconds, summed over the threads of the process.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { availableParallelism } from 'node:os'

/** Proxies have one to themselves; load and origin share the other. */
export const cores =
  availableParallelism() >= 2 ? { proxy: 1, load: 0 } : { proxy: undefined, load: undefined }

/** As bin/tulle. */
export const nodeFlags = ['--min-semi-space-size=4', '--max-semi-space-size=8'] as const

export interface StartOptions {
  readonly name: string
  readonly command: readonly string[]
  /** Core to pin to, or undefined. */
  readonly core: number | undefined
  /** Ready when this port accepts. */
  readonly port: number
  readonly env?: Readonly<Record<string, string>>
}

export class MeasuredProcess implements AsyncDisposable {
  readonly name: string
  readonly startMs: number
  readonly #child: ChildProcess

  private constructor(name: string, child: ChildProcess, startMs: number) {
    this.name = name
    this.#child = child
    this.startMs = startMs
  }

  static async start(options: StartOptions): Promise<MeasuredProcess> {
    const [program = '', ...args] = pinned(options.command, options.core)
    const startedMs = performance.now()
    const child = spawn(program, args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ...options.env },
    })
    let errors = ''
    child.stderr?.on('data', (chunk: Buffer) => {
      errors = (errors + chunk.toString()).slice(-2_000)
    })
    while (!(await accepts(options.port))) {
      if (child.exitCode !== null || performance.now() - startedMs > 20_000) {
        child.kill('SIGKILL')
        throw new Error(`${options.name} did not listen on ${String(options.port)}: ${errors}`)
      }
    }
    return new MeasuredProcess(options.name, child, performance.now() - startedMs)
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** CPU time so far, in microseconds, of all threads. */
  cpuMicros(): number {
    const folder = `/proc/${String(this.pid)}/task`
    let nanos = 0
    for (const task of readdirSync(folder)) {
      const [ran = '0'] = readFileSync(`${folder}/${task}/schedstat`, 'utf8').split(' ')
      nanos += Number(ran)
    }
    return nanos / 1_000
  }

  /** The same of each thread, by its id. */
  threadMicros(): ReadonlyMap<string, number> {
    const folder = `/proc/${String(this.pid)}/task`
    return new Map(
      readdirSync(folder).map((task) => {
        const [ran = '0'] = readFileSync(`${folder}/${task}/schedstat`, 'utf8').split(' ')
        return [task, Number(ran) / 1_000] as const
      }),
    )
  }

  residentMegabytes(): number {
    const status = readFileSync(`/proc/${String(this.pid)}/status`, 'utf8')
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) / 1024
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null) return
    const gone = new Promise<void>((resolve) => {
      this.#child.once('exit', () => resolve())
    })
    this.#child.kill('SIGKILL')
    await gone
  }
}

/** The command under `taskset`, when a core is given. */
export function pinned(command: readonly string[], core: number | undefined): readonly string[] {
  return core === undefined ? command : ['taskset', '-c', String(core), ...command]
}

/** One attempt to connect; waits a moment before it says no. */
function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => {
      socket.destroy()
      setTimeout(() => resolve(false), 2)
    })
  })
}

/** Free at the moment of asking. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() =>
        resolve(typeof address === 'object' && address !== null ? address.port : 0),
      )
    })
  })
}
