/**
 * The agent's place in the middle of a sidecar's ADS stream, as Istio's pilot-agent has it.
 *
 * It takes the local proxy's stream (ours or Envoy's), forwards it frame by frame to the control plane under the
 * agent's identity, adds health reports, and keeps what the proxy accepted on disk for a start without a control
 * plane. It knows nothing of what the resources mean.
 */
import { chmodSync, rmSync } from 'node:fs'

import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { Random } from '../lib/random.ts'
import { adsPaths } from './ads-server.ts'
import { unixPathOf, type GrpcClientTls } from './grpc/grpc-client.ts'
import {
  openGrpcServer,
  type GrpcMethods,
  type GrpcServer,
  type ListenAddress,
} from './grpc/grpc-server.ts'
import type { GrpcStream, GrpcStreamEvents } from './grpc/grpc-stream.ts'
import { RelayCache } from './relay/relay-cache.ts'
import type { RelayNode } from './relay/relay-request.ts'
import { RelayStream, type RelayState } from './relay/relay-stream.ts'
import type { HealthReport } from './server/ads-stream.ts'
import type { AdsVariant } from './server/response.ts'

export type { RelayNode } from './relay/relay-request.ts'

export interface AdsRelayOptions {
  /** `127.0.0.1:0`, `unix:/path` or `/path`. A socket that a run before left is replaced. */
  readonly listen: string
  /** The control plane: `127.0.0.1:15010`, `host:15010`, `unix:/path`. */
  readonly upstream: string
  /** Asked for each connection to the control plane, so that a renewed certificate is used. Undefined: plaintext. */
  readonly upstreamTls?: () => GrpcClientTls
  /** Further services on the same socket, such as secrets for the proxy. */
  readonly methods?: GrpcMethods
  /** What the agent knows better than the proxy's own node; may be empty. */
  readonly node?: RelayNode
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** Where accepted resources are kept; nothing is kept without it. */
  readonly cache?: { readonly folder: string; readonly bytesMax?: number }
  readonly answerTimeoutMs?: number
}

export interface AdsRelayStatus {
  /** `idle`: no proxy is connected. `cached`: it runs on kept resources. */
  readonly state: 'idle' | RelayState
  readonly reason: string
  /** Since when no control plane has answered, while a proxy wanted it; undefined when one does. */
  readonly staleSinceMs: number | undefined
  readonly types: readonly {
    readonly typeUrl: string
    readonly version: string
    readonly rejection: string | undefined
  }[]
}

export interface AdsRelay extends AsyncDisposable {
  /** `127.0.0.1:port` or `unix:/path`. */
  readonly address: string
  /** Told to the control plane now and at the start of each later stream. */
  reportHealth(isHealthy: boolean, message: string): void
  /** Ends what goes to the control plane, so that it is opened anew with today's certificate. */
  reopen(reason: string): void
  status(): AdsRelayStatus
  close(): Promise<void>
}

/** Rejections: MeshError MESH_LISTEN_FAILED. */
export async function openAdsRelay(options: AdsRelayOptions): Promise<AdsRelay> {
  const path = unixPathOf(options.listen)
  if (path !== undefined) rmSync(path, { force: true })
  const { clock, log } = options
  const cache =
    options.cache === undefined ? undefined : new RelayCache({ ...options.cache, clock, log })
  const streams = new RelayStreams(options, cache)
  const grpc = await openGrpcServer({
    listen: path === undefined ? hostAndPort(options.listen) : { path },
    compresses: false,
    methods: {
      ...options.methods,
      [adsPaths.sotw]: (stream) => streams.open('sotw', stream),
      [adsPaths.delta]: (stream) => streams.open('delta', stream),
    },
    // One proxy, with a stream for each of its secrets; a few more while it restarts.
    streamsMax: 64,
    clock,
    log,
  })
  if (path !== undefined) chmodSync(path, 0o600)
  return new RunningRelay({ grpc, streams, cache })
}

interface RelayParts {
  readonly grpc: GrpcServer
  readonly streams: RelayStreams
  readonly cache: RelayCache | undefined
}

class RunningRelay implements AdsRelay {
  readonly address: string
  readonly #parts: RelayParts

  constructor(parts: RelayParts) {
    this.address = parts.grpc.address
    this.#parts = parts
  }

  reportHealth(isHealthy: boolean, message: string): void {
    this.#parts.streams.reportHealth({ isHealthy, message })
  }

  reopen(reason: string): void {
    this.#parts.streams.reopen(reason)
  }

  status(): AdsRelayStatus {
    return this.#parts.streams.status()
  }

  async close(): Promise<void> {
    this.#parts.streams.close()
    this.#parts.cache?.flush()
    await this.#parts.grpc.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

class RelayStreams {
  readonly #options: AdsRelayOptions
  readonly #cache: RelayCache | undefined
  readonly #streams = new Set<RelayStream>()
  #health: HealthReport | undefined
  #state: AdsRelayStatus['state'] = 'idle'
  #reason = ''
  #staleSinceMs: number | undefined

  constructor(options: AdsRelayOptions, cache: RelayCache | undefined) {
    this.#options = options
    this.#cache = cache
  }

  open(variant: AdsVariant, local: GrpcStream): GrpcStreamEvents {
    const { upstream, clock, random, log, node = {}, answerTimeoutMs = 5_000 } = this.#options
    const options = {
      variant,
      path: adsPaths[variant],
      cache: this.#cache,
      upstream,
      upstreamTls: this.#options.upstreamTls,
      node,
      clock,
      random,
      log,
      answerTimeoutMs,
      onState: (state: RelayState, reason: string) => this.#setState(state, reason),
    }
    const stream = new RelayStream(local, options, this.#health)
    this.#streams.add(stream)
    return {
      onMessage: (bytes) => stream.onMessage(bytes),
      onDrain: () => stream.onDrain(),
      onClose: () => {
        this.#streams.delete(stream)
        stream.onClose()
        if (this.#streams.size === 0) this.#state = 'idle'
      },
    }
  }

  reportHealth(report: HealthReport): void {
    this.#health = report
    for (const stream of this.#streams) stream.reportHealth(report)
  }

  status(): AdsRelayStatus {
    const newest = [...this.#streams].at(-1)
    const types = [...(newest?.record.types ?? [])].map(([typeUrl, type]) => ({ typeUrl, ...type }))
    return { state: this.#state, reason: this.#reason, staleSinceMs: this.#staleSinceMs, types }
  }

  reopen(reason: string): void {
    for (const stream of this.#streams) stream.reopen(reason)
  }

  close(): void {
    for (const stream of this.#streams) stream.close()
  }

  #setState(state: RelayState, reason: string): void {
    this.#state = state
    this.#reason = reason
    if (state === 'connected') this.#staleSinceMs = undefined
    else this.#staleSinceMs ??= this.#options.clock.nowMs()
  }
}

function hostAndPort(address: string): ListenAddress {
  const colon = address.lastIndexOf(':')
  const host = address.slice(0, colon).replace(/^\[(.*)\]$/, '$1')
  return { host, port: Number(address.slice(colon + 1)) }
}
