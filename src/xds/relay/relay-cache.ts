/**
 * The last accepted resources of one sidecar, on disk: one file per type, each replaced in one step, so that a
 * reader finds the old one or the new one. A file is a DeltaDiscoveryResponse without a nonce.
 *
 * Bounds: `bytesMax` for all types together; beyond it nothing is written, and the log says so.
 */
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'

import type { Clock, Timer } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import { describeError } from '../../lib/mesh-error.ts'
import { replaceFile } from '../../lib/replace-file.ts'
import { decodeDeltaResponse, type ReceivedResource } from '../client/received.ts'
import { encodedResource } from '../encode.ts'
import type { EncodedResource, ResourceView } from '../resource-set.ts'
import { ResourceDiffs } from '../server/resource-diff.ts'
import { ResponseFactory } from '../server/response.ts'

export interface RelayCacheOptions {
  readonly folder: string
  readonly bytesMax?: number
  readonly clock: Clock
  readonly log: Log
}

type Resources = ReadonlyMap<string, EncodedResource>

const defaultBytesMax = 128 << 20
/** Changes that follow each other are written once. */
const writeDelayMs = 1_000

export class RelayCache {
  readonly #options: RelayCacheOptions
  readonly #types = new Map<string, Resources>()
  readonly #unwritten = new Set<string>()
  #timer: Timer | undefined

  /** Reads what a run before left; a broken file is left out, and said. */
  constructor(options: RelayCacheOptions) {
    this.#options = options
    mkdirSync(options.folder, { recursive: true, mode: 0o700 })
    for (const name of readdirSync(options.folder)) if (name.endsWith('.binpb')) this.#read(name)
  }

  get isEmpty(): boolean {
    return this.#types.size === 0
  }

  /** What the sidecar may get while no server answers. */
  view(): ResourceView {
    const types = new Map(this.#types)
    const none: Resources = new Map()
    return { revision: 'cache', resources: (typeUrl) => types.get(typeUrl) ?? none }
  }

  resources(typeUrl: string): Resources {
    return this.#types.get(typeUrl) ?? new Map()
  }

  /** The caller gives the map away. */
  replace(typeUrl: string, resources: Resources): void {
    this.#types.set(typeUrl, resources)
    this.#unwritten.add(typeUrl)
    this.#timer ??= this.#options.clock.setTimer(writeDelayMs, () => this.flush())
  }

  /** Writes what is not written yet. Disk trouble is logged: the sidecar goes on without a cache. */
  flush(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    const { log, bytesMax = defaultBytesMax } = this.#options
    const bytes = this.#bytes()
    if (bytes > bytesMax) {
      log.warn({ bytes, bytesMax }, 'resources are not kept on disk: too many')
      return
    }
    for (const typeUrl of this.#unwritten) this.#write(typeUrl)
    this.#unwritten.clear()
  }

  #bytes(): number {
    let sum = 0
    for (const resources of this.#types.values()) {
      for (const { any } of resources.values()) sum += any.byteLength
    }
    return sum
  }

  #write(typeUrl: string): void {
    const resources = [...this.resources(typeUrl).values()]
    const content = { variant: 'delta', typeUrl, version: '', resources, removed: [] } as const
    const bytes = new ResponseFactory(new ResourceDiffs(), '').respond(content, 0).message
    const path = join(this.#options.folder, fileName(typeUrl))
    try {
      replaceFile(path, bytes)
    } catch (error) {
      this.#options.log.warn(
        { path, error: describeError(error) },
        'resources are not kept on disk',
      )
    }
  }

  #read(name: string): void {
    const path = join(this.#options.folder, name)
    try {
      const response = decodeDeltaResponse(readFileSync(path))
      this.#types.set(response.typeUrl, toEncoded(response.resources))
    } catch (error) {
      this.#options.log.warn(
        { path, error: describeError(error) },
        'kept resources are not readable',
      )
      rmSync(path, { force: true })
    }
  }
}

/** Under the server's own versions: those that the sidecar tells when it comes back to the server. */
export function toEncoded(resources: readonly ReceivedResource[]): Map<string, EncodedResource> {
  return new Map(
    resources.map(({ name, typeUrl, value, version, aliases }) => {
      const encoded = encodedResource(name, typeUrl, value)
      const known = { ...(version !== '' && { version }), ...(aliases && { aliases }) }
      return [name, { ...encoded, ...known }]
    }),
  )
}

/** Readable and safe: the last part of the type's name, and a hash of all of it. */
function fileName(typeUrl: string): string {
  const short = typeUrl.slice(typeUrl.lastIndexOf('.') + 1).replaceAll(/\W/g, '_')
  return `${short}-${createHash('sha256').update(typeUrl).digest('hex').slice(0, 8)}.binpb`
}
