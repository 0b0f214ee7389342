/**
 * Ports that several meshes on one host share without meeting, and that a workload keeps across restarts.
 *
 * Each lease is a file `<folder>/<port>` that holds the owner's name and process. A port is taken by creating
 * its file, so two processes never take one port; an owner that comes back finds its old one. They lie below
 * the kernel's range for outgoing connections (32768 and up on Linux), so no client socket sits on them.
 * A lease whose process is gone may be taken over by somebody else.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'

import { MeshError } from '../../lib/mesh-error.ts'
import type { Random } from '../../lib/random.ts'

export interface PortLeasesOptions {
  /** Shared by everything of one user; made when missing. */
  readonly folder: string
  readonly random: Random
  readonly pid: number
}

interface Lease {
  readonly port: number
  readonly owner: string
  readonly pid: number
}

const firstPort = 20_000
const lastPort = 31_999
const triesMax = 200

export class PortLeases {
  readonly #options: PortLeasesOptions

  constructor(options: PortLeasesOptions) {
    this.#options = options
    mkdirSync(options.folder, { recursive: true, mode: 0o700 })
  }

  /** A port that nobody listens on; the one that `owner` had before, if it is still free. */
  async lease(owner: string): Promise<number> {
    for (const old of this.#list().filter((lease) => lease.owner === owner)) {
      if (old.pid !== this.#options.pid && isAlive(old.pid)) continue
      if (await isFree(old.port)) {
        writeFileSync(this.#path(old.port), this.#text(owner))
        return old.port
      }
    }
    for (let tries = 0; tries < triesMax; tries++) {
      const span = lastPort - firstPort + 1
      const port = firstPort + Math.floor(this.#options.random() * span)
      if (this.#take(port, owner) && (await isFree(port))) return port
    }
    throw new MeshError('MESH_LISTEN_FAILED', `no free port from ${firstPort} to ${lastPort}`, {
      remedy: `end what listens there, or remove stale leases in ${this.#options.folder}`,
    })
  }

  /** Gives back what `owner`, or an owner whose name starts with `owner/`, holds through this object's process. */
  release(owner: string): void {
    for (const lease of this.#list()) {
      const isTheirs = lease.owner === owner || lease.owner.startsWith(`${owner}/`)
      if (isTheirs && lease.pid === this.#options.pid)
        rmSync(this.#path(lease.port), { force: true })
    }
  }

  #take(port: number, owner: string): boolean {
    const existing = this.#read(String(port))
    if (existing !== undefined) {
      if (isAlive(existing.pid)) return false
      rmSync(this.#path(port), { force: true })
    }
    try {
      writeFileSync(this.#path(port), this.#text(owner), { flag: 'wx', mode: 0o600 })
      return true
    } catch (error) {
      // Somebody else took it this instant.
      if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
      throw this.#unwritable(port, error)
    }
  }

  /** A full or read-only disk is no lack of ports. A file without its text may have been made. */
  #unwritable(port: number, cause: unknown): MeshError {
    const { folder } = this.#options
    rmSync(this.#path(port), { force: true })
    return new MeshError('MESH_LISTEN_FAILED', `no lease of a port can be written in ${folder}`, {
      cause,
      remedy:
        'look at its rights and at the space on its disk, or set TULLE_HOME to another folder',
    })
  }

  #list(): readonly Lease[] {
    return readdirSync(this.#options.folder).flatMap((name) => this.#read(name) ?? [])
  }

  #read(name: string): Lease | undefined {
    const port = Number(name)
    if (!Number.isInteger(port)) return undefined
    try {
      const text = readFileSync(this.#path(port), 'utf8')
      const [pid = '', owner = ''] = text.trimEnd().split(' ')
      return { port, owner, pid: Number(pid) }
    } catch {
      // Removed meanwhile.
      return undefined
    }
  }

  #path(port: number): string {
    return join(this.#options.folder, String(port))
  }

  #text(owner: string): string {
    return `${this.#options.pid} ${owner}\n`
  }
}

/** True when a process of that id exists, whoever owns it. */
export function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      server.close(() => resolve(true))
    })
  })
}
