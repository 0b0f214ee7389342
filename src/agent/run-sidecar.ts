/** The proxy alone in this process: open until told to end, then drained. */
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { Random } from '../lib/random.ts'
import { openSidecar } from '../proxy/sidecar.ts'
import type { WireKind } from '../proxy/wire/choose-wire.ts'

export interface RunSidecarOptions {
  readonly bootstrap: { readonly file: string; readonly text: string }
  readonly concurrency: number
  readonly drainMs: number
  readonly wire: WireKind
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** Aborted: drain and end. */
  readonly signal: AbortSignal
}

/** Resolves when it has ended. Rejections: MESH_BOOTSTRAP_INVALID, MESH_LISTEN_FAILED, MESH_NOT_IMPLEMENTED. */
export async function runSidecar(options: RunSidecarOptions): Promise<void> {
  const { signal, drainMs, ...rest } = options
  const ended = Promise.withResolvers<void>()
  const sidecar = await openSidecar({ ...rest, onQuit: () => ended.resolve() })
  signal.addEventListener('abort', () => ended.resolve())
  if (signal.aborted) ended.resolve()
  try {
    await Promise.race([sidecar.ready, ended.promise])
    await ended.promise
    if (signal.aborted) await sidecar.drain(drainMs)
  } finally {
    await sidecar.close()
  }
}
