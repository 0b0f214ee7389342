/**
 * A mesh started by `tulle up -o json` as a person would: a copy of the example in a folder of its own, a home
 * of its own, and everything that it started found again by that home in the environment of processes.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'

import type { ReadyEvent, ReadyWorkload } from '../../src/cli/up/ready-event.ts'
import { eventually } from './eventually.ts'
import { processesOf } from './process-table.ts'

const root = join(import.meta.dirname, '../..')
const program = join(root, 'bin/tulle')

export interface MeshLine {
  readonly event: string
  readonly [field: string]: unknown
}

export class RunningMesh implements AsyncDisposable {
  readonly folder: string
  readonly home: string
  readonly lines: MeshLine[] = []
  readonly #child: ChildProcess
  readonly #exited: Promise<unknown>
  #ready: ReadyEvent | undefined

  private constructor(folder: string, words: readonly string[]) {
    this.folder = folder
    this.home = join(folder, 'home')
    this.#child = spawn(program, ['up', ...words, '-o', 'json'], {
      cwd: folder,
      env: { ...process.env, TULLE_HOME: this.home },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    this.#exited = once(this.#child, 'exit')
    const { stdout } = this.#child
    if (stdout === null) return
    createInterface({ input: stdout }).on('line', (line) => {
      const parsed = JSON.parse(line) as MeshLine
      this.lines.push(parsed)
      if (parsed.event === 'ready') this.#ready = parsed as unknown as ReadyEvent
    })
  }

  /** Resolves when it says that it is ready. */
  static start(...flags: readonly string[]): Promise<RunningMesh> {
    return RunningMesh.startChanged(() => {}, ...flags)
  }

  /** The same, after a change to the copy of the example. */
  static async startChanged(
    change: (folder: string) => void,
    ...flags: readonly string[]
  ): Promise<RunningMesh> {
    const folder = mkdtempSync(join(tmpdir(), 'tulle-e2e-'))
    cpSync(join(root, 'examples/my-go-service'), folder, { recursive: true })
    change(folder)
    const mesh = new RunningMesh(folder, [join(folder, 'mesh-node.yaml'), ...flags])
    try {
      await eventually(() => mesh.#ready !== undefined || mesh.hasExited, { deadlineMs: 60_000 })
      if (mesh.hasExited) throw new Error('tulle up ended before it was ready')
      return mesh
    } catch (error) {
      const seen = mesh.lines.map((line) => JSON.stringify(line)).join('\n')
      await mesh[Symbol.asyncDispose]()
      throw new Error(`the mesh did not start:\n${seen}`, { cause: error })
    }
  }

  get ready(): ReadyEvent {
    if (this.#ready === undefined) throw new Error('not ready')
    return this.#ready
  }

  get hasExited(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  workload(name: string): ReadyWorkload {
    const found = this.ready.workloads.find((workload) => workload.name === name)
    if (found === undefined) throw new Error(`no workload ${name}`)
    return found
  }

  /** Proxy port of the sidecar beside a workload. */
  proxyOf(workload: string): string {
    const { proxy } = this.workload(workload)
    if (proxy === undefined) throw new Error(`${workload} has no sidecar`)
    return proxy
  }

  /** Changes how one replica of the service answers, past its sidecar: `failRate=1`. */
  async behave(workload: string, query: string): Promise<void> {
    const address = this.workload(workload).ports[0]?.app ?? ''
    const answer = await fetch(`http://${address}/admin/behaviour?${query}`, { method: 'POST' })
    if (!answer.ok) throw new Error(`${workload}: ${answer.status} ${await answer.text()}`)
  }

  /** Reads a page of the control plane, or of a sidecar's admin interface. */
  async read(from: 'control-plane' | { readonly admin: string }, path: string): Promise<string> {
    const base =
      from === 'control-plane'
        ? this.ready.api
        : `http://${this.workload(from.admin).admin ?? 'no-admin'}`
    return (await fetch(`${base}${path}`)).text()
  }

  events(name: string): readonly MeshLine[] {
    return this.lines.filter(({ event }) => event === name)
  }

  /** Ends it; resolves with the exit code. */
  async stop(signal: NodeJS.Signals): Promise<number | null> {
    this.#child.kill(signal)
    await this.#exited
    return this.#child.exitCode
  }

  /** Runs another command of the CLI against it. */
  async tulle(...words: readonly string[]): Promise<{ code: number; out: string; error: string }> {
    const env = { ...process.env, TULLE_HOME: this.home }
    try {
      const { stdout, stderr } = await promisify(execFile)(program, words, { env, timeout: 30_000 })
      return { code: 0, out: stdout, error: stderr }
    } catch (thrown) {
      // Thrown by execFile for every other exit code.
      const { code, stdout, stderr } = thrown as { code: number; stdout: string; stderr: string }
      return { code, out: stdout, error: stderr }
    }
  }

  /** Starts another command of the CLI; the function ends it and gives its exit code. With it, its process id. */
  async spawnTulle(
    ...words: readonly string[]
  ): Promise<[stop: (signal: NodeJS.Signals) => Promise<number | null>, pid: number]> {
    const env = { ...process.env, TULLE_HOME: this.home }
    const child = spawn(program, words, { env, cwd: this.folder, stdio: 'ignore' })
    const exited = once(child, 'exit')
    await once(child, 'spawn')
    return [
      async (signal) => {
        child.kill(signal)
        await exited
        return child.exitCode
      },
      child.pid ?? 0,
    ]
  }

  /** Of the control plane's process. */
  controlPlanePid(): number {
    const found = this.processes().find((pid) =>
      readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes('control-plane'),
    )
    if (found === undefined) throw new Error('no control plane runs')
    return found
  }

  /** Ids of everything that it started and that still runs. */
  processes(): readonly number[] {
    return processesOf(this.home)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.hasExited) await this.stop('SIGINT')
    for (const pid of this.processes()) process.kill(pid, 'SIGKILL')
    rmSync(this.folder, { recursive: true, force: true })
  }
}

export interface Answers {
  /** How many answers each version gave. */
  readonly versions: ReadonlyMap<string, number>
  /** Status of each answer that was no success, and errors. */
  readonly failures: readonly string[]
}

/** Sends requests through a sidecar's proxy port, some at a time, as a client with proxy variables does. */
export async function sendRequests(proxy: string, url: string, amount: number): Promise<Answers> {
  const agent = new Agent({ keepAlive: true, maxSockets: 16 })
  const versions = new Map<string, number>()
  const failures: string[] = []
  const { hostname, port } = new URL(proxy)
  const one = () =>
    new Promise<void>((resolve) => {
      const headers = { host: new URL(url).host }
      const sent = request({ host: hostname, port, path: url, headers, agent }, (response) => {
        response.resume()
        response.on('end', () => {
          const version = String(response.headers['x-version'])
          if (response.statusCode === 200) versions.set(version, (versions.get(version) ?? 0) + 1)
          else failures.push(`status ${response.statusCode}`)
          resolve()
        })
      })
      sent.on('error', (error) => {
        failures.push(error.message)
        resolve()
      })
      sent.end()
    })
  await Promise.all(Array.from({ length: amount }, one))
  agent.destroy()
  return { versions, failures }
}
